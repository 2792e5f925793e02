"""Tables: rows in one test, each of which fails it, and cases of which some are slow."""

import pytest

from tests.helpers import table, wide

RAN = []


@table("low, high", [(1, 2), (3, 2), (2, 3), (5, 4)])
def in_order(low, high, capsys):
    RAN.append((low, high, capsys))
    assert low < high


@table("value", ["a", 3])
def refused(value):
    with pytest.raises(TypeError, match="can only concatenate"):
        "" + value


def test_every_row_runs_and_all_that_fail_are_told():
    with pytest.raises(AssertionError, match=r"2 of 4 rows fail:\n.*'low': 3(.|\n)*'low': 5"):
        in_order(capsys="a fixture")
    assert [low for low, *_ in RAN] == [1, 3, 2, 5] and {row[2] for row in RAN} == {"a fixture"}
    with pytest.raises(AssertionError, match=r"1 of 2 rows fail:\n.*'a'.*DID NOT RAISE"):
        refused()


def test_a_table_without_rows_is_a_mistake():
    with pytest.raises(AssertionError):
        table("value", [])


def test_the_cases_of_a_wide_table_that_are_not_kept_are_slow():
    names = wide(["a", "b", "c"], keep=("b",))
    assert names[1] == "b"
    assert [(case.values, [mark.name for mark in case.marks]) for case in names[::2]] == [
        (("a",), ["slow"]),
        (("c",), ["slow"]),
    ]
    kept, other = wide(iter([(1, "x"), (2, "y")]), keep=[(1, "x")])
    assert kept == (1, "x") and other.values == (2, "y")


@pytest.mark.parametrize("keep", [[], ["a", "d"]])
def test_a_wide_table_keeps_some_of_its_cases(keep):
    with pytest.raises(ValueError, match=r"wide: keep must name some of the cases \['a', 'b'\], g"):
        wide(["a", "b"], keep=keep)
