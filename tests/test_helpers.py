"""A table of rows in one test fails where a test for each of them would."""

import pytest

from tests.helpers import table

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
