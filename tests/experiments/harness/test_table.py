"""The table of a sweep: its rows, and the kinds of its columns."""

import importlib.util
import io

import polars as pl
import pytest
from ml_collections import ConfigDict

from experiments.harness import kinds, table
from experiments.harness.experiment import Rows
from experiments.harness.grouping import Group
from experiments.harness.table import Outcome

COLUMNS = {"model.depth": "depth", "train.rate": "rate"}


def outcome(records, *, failure="", points=({"model.depth": 2, "train.rate": 0.1},), axes=()):
    group = Group("depth=2", ConfigDict(), points, dict(axes))
    return Outcome(group, records, failure)


def frame(*outcomes, rows_of=None):
    frames = [table.frame(table.blocks(own, COLUMNS, rows_of), COLUMNS) for own in outcomes]
    return pl.read_parquet(io.BytesIO(table.parquet(table.joined(frames))))


def test_a_record_is_a_row_with_its_fields_in_one_level():
    record = {
        "case": "ridge",
        "seconds": 0.5,
        "depth": 7,
        "spread": {"low": 1, "high": 2.5, "deep": {"er": "x"}},
        "curve": [1, 2.5],
        "counts": [1, 2],
        "mixed": [1, "a"],
        "empty": None,
        "good": True,
    }
    found = frame(outcome([record]))
    assert found.columns[:10] == [
        *("depth", "rate", "group", "case", "part", "status", "message", "seed", "step", "final"),
    ]
    assert found.row(0, named=True) == {
        **{"depth": 2, "rate": 0.1, "group": "depth=2", "case": "ridge", "part": 0},
        **{"status": "done", "message": None, "seed": None, "step": None, "final": True},
        **{"seconds": 0.5, "record.depth": 7},
        **{"spread.low": 1, "spread.high": 2.5, "spread.deep.er": "x", "curve": [1.0, 2.5]},
        **{"counts": [1, 2], "mixed": '[1, "a"]', "empty": None, "good": True},
    }
    assert found.schema["counts"] == pl.List(pl.Int64)
    assert found.schema["seed"] == pl.Int64 and found.schema["message"] == pl.String


def test_a_record_of_several_seeds_is_a_row_for_each():
    record = {"case": "a", "risk": 2.0, "risks": [1.0, None, 3.0], "point": {"rate": 0.1, "n": 5}}
    found = frame(outcome([record], axes={"train.rate": "rate"}.items()))
    assert found["seed"].to_list() == [0, 1, 2]
    assert found["risk"].to_list() == [1.0, None, 3.0]
    assert found["status"].to_list() == ["done", "diverged", "done"]
    assert found["risk_mean"].to_list() == [2.0] * 3 and found["point.n"].to_list() == [5] * 3
    assert "risks" not in found.columns and "point.rate" not in found.columns


def test_points_that_failed_stand_in_the_table_beside_what_they_recorded():
    points = [{"model.depth": 2, "train.rate": rate} for rate in (0.1, 0.2)]
    axes = {"train.rate": "rate"}.items()
    kept = [{"case": "a", "risk": None, "rate": 0.2}]
    found = frame(outcome(kept, failure="it broke", points=points, axes=axes))
    assert found["status"].to_list() == ["diverged", "failed", "failed"]
    assert found["rate"].to_list() == [0.2, 0.1, 0.2]
    assert found["message"].to_list() == [None, "it broke", "it broke"]


@pytest.mark.parametrize(
    "values, kind",
    [
        ([1, None], pl.Int64),
        ([1, 2.5], pl.Float64),
        ([2**70, 1], pl.Float64),
        (["a", None], pl.String),
        ([True, None], pl.Boolean),
        ([1, "a"], pl.String),
        ([True, 2], pl.String),
        ([None, None], pl.Float64),
        ([[], [1]], pl.List(pl.Int64)),
        ([[1], [0.5, None], None], pl.List(pl.Float64)),
        ([["a"]], pl.String),
        ([[], 2], pl.String),
        ([None, []], pl.List(pl.Float64)),
        ([], pl.Float64),
        ([[1], 2], pl.String),
    ],
)
def test_a_column_has_the_narrowest_kind_that_holds_it(values, kind):
    whole = kinds.column("x", values)
    assert whole.dtype == kind and whole.null_count() == values.count(None)
    for cut in range(len(values) + 1):  # as the groups of a sweep bring it
        parts = [values[:cut], values[cut:]]
        found = kinds.joined("x", [(len(part), kinds.column("x", part)) for part in parts])
        assert found.equals(whole, check_dtypes=True), cut


def test_rows_along_training_join_those_of_other_groups():
    """A driver's own rows, one for each seed and step; names that a swept key has give way."""

    def rows_of(record):
        each = {"seed": [0, 0, 1, 1], "step": [10, 20, 10, 20], "final": [False, True] * 2}
        each |= {"status": ["done"] * 4, "rate": record["rates"], "loss": [2.0, None, 3.0, 1.0]}
        return Rows({"target": 0.5, "lines": {"a": 1}}, each)

    first = outcome([{"case": "a", "rates": [1, 2, 3, 4]}])
    second = outcome([{"case": "a", "rates": [0.5] * 4}])
    failed = outcome([], failure="it broke")
    found = frame(first, failed, second, rows_of=rows_of)
    assert found["step"].to_list() == [10, 20, 10, 20, None, 10, 20, 10, 20]
    assert found["record.rate"].to_list() == [1, 2, 3, 4, None, 0.5, 0.5, 0.5, 0.5]
    assert found["rate"].to_list() == [0.1] * 9 and found["lines.a"].dtype == pl.Int64
    assert found.filter(pl.col("final"))["loss"].to_list() == [None, 1.0, None, None, 1.0]
    assert found["status"].to_list() == ["done"] * 4 + ["failed"] + ["done"] * 4


@pytest.mark.parametrize("reader", ["pandas", "duckdb"])
def test_other_readers_read_it_where_they_are_installed(reader, tmp_path):
    if importlib.util.find_spec(reader) is None:
        pytest.skip(f"{reader} is not installed")
    path = tmp_path / "table.parquet"
    record = {"case": "a", "risk": 2.0, "risks": [1.0, None], "curve": [1.0, 2.0]}
    frame(outcome([record])).write_parquet(path)
    module = importlib.import_module(reader)
    if reader == "pandas":
        assert module.read_parquet(path)["depth"].tolist() == [2, 2]
    else:
        assert module.sql(f"select depth, risk from '{path}'").fetchall() == [(2, 1.0), (2, None)]
