"""Rows of several runs, matched by their names: one run's number beside the other's."""

import json
import re

import pytest

from experiments.harness import beside, comparison


def row(length, risk, *, case="elsa", target=1.0, error=0.03, **more):
    point = {"context_length": length}
    errors = {"standard_error": error, "evaluation_error": 0.04}
    return {
        "case": case,
        "part": 0,
        "point": point,
        "risk": risk,
        **errors,
        "target": target,
    } | more


def rows_of(*found):
    return beside.split({"rows": list(found)})[1]["rows"]


def cells(html):
    """Lines of the first table, entry by entry."""
    table = html[: html.index("</table>")]
    lines = re.findall(r"<tr[^>]*>(.*?)</tr>", table, re.DOTALL)
    return [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", line) for line in lines]


def test_the_risk_of_one_run_stands_beside_the_others_with_errors_and_theory():
    one = rows_of(row(4, 1.5), row(8, 1.25, error=None))
    two = rows_of(row(8, 1.5), row(16, None))
    head, *lines = cells(beside.section(["one", "two"], {"rows": [one, two]}))
    assert head == ["context_length", "one", "two", "two − one", "theory"]
    assert lines == [
        ["4", "1.5 ± 0.05", "", "", "1"],
        ["8", "1.25 ± 0.04", "1.5 ± 0.05", "+0.25 ± 0.064", "1"],
        ["16", "", "diverged", "", "1"],
    ]


def test_theory_that_differs_has_a_column_for_each_run():
    lists = [rows_of(row(4, 1.5)), rows_of(row(4, 1.5, target=2.0)), rows_of(row(4, 1.5))]
    head, line = cells(beside.section(["a", "b", "c"], {"rows": lists}))
    assert head == ["a", "b", "c", "theory, a", "theory, b", "theory, c"]
    assert line[3:] == ["1", "2", "1"]


@pytest.mark.parametrize(
    "one, two, keys, matched",
    [
        # the model is what the runs are compared in, and no name within either
        ([row(4, 1), row(8, 2)], [row(4, 3, case="h3"), row(8, 4, case="h3")],
         ("point.context_length",), [(1, 3), (2, 4)]),
        ([row(4, 1), row(4, 2, case="h3")], [row(4, 3, case="h3")],
         ("case",), [(1, None), (2, 3)]),
        # a number tells apart where runs share it; what was measured does not
        ([{"radius": 1.0, "risk": 1}, {"radius": 3.0, "risk": 2}],
         [{"radius": 3.0, "risk": 3}, {"radius": 9.0, "risk": 4}],
         ("radius",), [(1, None), (2, 3), (None, 4)]),
        ([{"risk": 1}, {"risk": 2}], [{"risk": 3}], ("row",), [(1, 3), (2, None)]),
    ],
)  # fmt: skip
def test_rows_are_matched_by_as_few_names_as_tell_them_apart(one, two, keys, matched):
    found = beside.match([rows_of(*one), rows_of(*two)])
    risks = [tuple(None if r is None else r["risk"] for r in rows) for rows in found.rows.values()]
    assert found.keys == keys and risks == matched


def test_rows_within_rows_are_lists_of_their_own_under_the_names_of_theirs():
    other = [{"changed": "noise", "risk": 2.0}, {"changed": "scale", "risk": 3.0}]
    numbers, lists = beside.split({"n": 2, "deep": {"rows": [row(4, 1.0, elsewhere=other)]}})
    assert numbers == {"n": 2} and set(lists) == {"deep.rows", "deep.rows.elsewhere"}
    assert lists["deep.rows.elsewhere"][1] == {
        **{"case": "elsa", "point.context_length": 4},
        **other[1],
    }


def test_a_page_has_no_cell_of_rows_as_text_and_the_config_stands_first(tmp_path):
    for number, name in enumerate(("one", "two")):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "config.json").write_text(json.dumps({"experiment": "x", "seed": number}))
        summary = {"rows": [row(4, 1.5 + number), row(8, 1.25)]}
        (folder / "summary.json").write_text(json.dumps(summary))
    page = comparison.page(comparison.read([tmp_path / "one", tmp_path / "two"]))
    assert "context_length&quot;" not in page and page.count("finished") == 2
    places = [page.index(f'<h2 id="{name}"') for name in ("runs", "config", "results")]
    assert places == sorted(places)
    numbers = ("1.5 ± 0.05", "2.5 ± 0.05", "+1 ± 0.071", "1")
    assert "".join(f'<td class="number">{one}</td>' for one in numbers) in page
