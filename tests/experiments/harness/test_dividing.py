"""Points that share a program, cut into parts; runs, dealt out to jobs."""

import itertools

import pytest

from experiments.harness import dividing


@pytest.mark.parametrize(
    "sizes, at_least, expected",
    [
        ([100, 100], 20, [10, 10]),
        ([30, 10], 4, [3, 1]),
        ([1, 1, 1], 2, [1, 1, 1]),  # there are more already
        ([3, 1], 9, [3, 1]),  # a point is not cut
        ([7], 1, [1]),
    ],
)
def test_the_largest_groups_are_cut_first(sizes, at_least, expected):
    assert dividing.shares(sizes, at_least) == expected


@pytest.mark.parametrize("count", [1, 2, 5, 7, 12, 35])
def test_the_parts_of_a_product_are_products_that_hold_every_point_once(count):
    points = [{"a": a, "b": b} for a in range(7) for b in "vwxyz"]
    parts = dividing.cut(points, ["a", "b"], count)
    assert count <= len(parts) <= len(points)
    every = [(point["a"], point["b"]) for part in parts for point in part]
    assert sorted(every) == [(point["a"], point["b"]) for point in points]
    for part in parts:
        axes = [list(dict.fromkeys(point[key] for point in part)) for key in ("a", "b")]
        assert [(p["a"], p["b"]) for p in part] == list(itertools.product(*axes))
    sizes = [len(part) for part in parts]
    assert max(sizes) <= 3 * min(sizes)


def test_items_are_dealt_out_like_cards():
    assert dividing.dealt(range(7), 3) == [range(0, 7, 3), range(1, 7, 3), range(2, 7, 3)]
    assert [list(hand) for hand in dividing.dealt("ab", 5)] == [["a"], ["b"]]
    assert dividing.dealt("", 2) == []
