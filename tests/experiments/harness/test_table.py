"""The table of a sweep: rows, kinds of columns, and what is printed of them."""

import importlib.util
import io

import polars as pl
import pytest
from ml_collections import ConfigDict

from experiments.harness import sweep_figure, table
from experiments.harness.grouping import Group
from experiments.harness.table import Mark, Outcome

COLUMNS = {"model.depth": "depth", "train.rate": "rate"}


def outcome(records, *, failure="", points=({"model.depth": 2, "train.rate": 0.1},), axes=()):
    group = Group("depth=2", ConfigDict(), points, dict(axes))
    return Outcome(group, records, failure)


def frame(rows):
    return pl.read_parquet(io.BytesIO(table.parquet(rows, COLUMNS)))


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
    found = frame(table.rows(outcome([record]), COLUMNS))
    assert found.columns[:8] == [
        *("depth", "rate", "group", "case", "part", "status", "message", "seed"),
    ]
    assert found.row(0, named=True) == {
        **{"depth": 2, "rate": 0.1, "group": "depth=2", "case": "ridge", "part": 0},
        **{"status": "done", "message": None, "seed": None, "seconds": 0.5, "record.depth": 7},
        **{"spread.low": 1, "spread.high": 2.5, "spread.deep.er": "x", "curve": [1.0, 2.5]},
        **{"counts": [1, 2], "mixed": '[1, "a"]', "empty": None, "good": True},
    }
    assert found.schema["counts"] == pl.List(pl.Int64)
    assert found.schema["seed"] == pl.Int64 and found.schema["message"] == pl.String


def test_a_record_of_several_seeds_is_a_row_for_each():
    record = {"case": "a", "risk": 2.0, "risks": [1.0, None, 3.0], "point": {"rate": 0.1, "n": 5}}
    found = frame(table.rows(outcome([record], axes={"train.rate": "rate"}.items()), COLUMNS))
    assert found["seed"].to_list() == [0, 1, 2]
    assert found["risk"].to_list() == [1.0, None, 3.0]
    assert found["status"].to_list() == ["done", "diverged", "done"]
    assert found["risk_mean"].to_list() == [2.0] * 3 and found["point.n"].to_list() == [5] * 3
    assert "risks" not in found.columns and "point.rate" not in found.columns


def test_points_that_failed_stand_in_the_table_beside_what_they_recorded():
    points = [{"model.depth": 2, "train.rate": rate} for rate in (0.1, 0.2)]
    axes = {"train.rate": "rate"}.items()
    kept = [{"case": "a", "risk": None, "rate": 0.2}]
    rows = table.rows(outcome(kept, failure="it broke", points=points, axes=axes), COLUMNS)
    found = frame(rows)
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
        ([[1], 2], pl.String),
    ],
)
def test_a_column_has_the_narrowest_kind_that_holds_it(values, kind):
    rows = [{"depth": 1, "rate": 0.1, "x": value} for value in values]
    found = frame(rows)
    assert found.schema["x"] == kind
    assert found["x"].null_count() == values.count(None)


def test_seeds_are_one_line_and_records_of_a_point_are_told_apart():
    records = [
        {
            "case": "a",
            "part": 0,
            "risk": 2.0,
            "risks": [1.0, 3.0],
            "target": 1.5,
            "point": {"n": 5},
        },
        {"case": "a", "part": 1, "risk": 4.0, "risks": [4.0, None], "point": {"n": 9}},
        {"case": "b", "risk": None, "risks": [None, None]},
        {"case": "c", "risk": 7, "standard_error": 0.5},
    ]
    rows = table.rows(outcome(records, failure="later"), COLUMNS)
    marks = table.marks(rows, COLUMNS.values(), "risk")
    assert [mark.series for mark in marks] == ["a, n 5", "a, n 9", "b", "c", ""]
    assert [mark.mean for mark in marks] == [2.0, 4.0, None, 7.0, None]
    assert [mark.error for mark in marks] == [1.0, None, None, 0.5, None]
    assert [mark.status for mark in marks] == ["done", "done", "diverged", "done", "failed"]
    assert [mark.lost for mark in marks] == [0, 1, 2, 0, 1]
    assert [mark.target for mark in marks] == [1.5, None, None, None, None]
    printed = table.printed(marks, list(COLUMNS.values()), "risk")
    assert list(printed.columns[-1].cells) == [
        *("done", "done, 1 diverged", "diverged", "done", "failed"),
    ]
    assert printed.caption is None
    assert table.printed(marks * 13, ["depth"], "risk").caption == "5 more in the table on the disk"


def marks_of(points, height=lambda point: 1.0, **more):
    fields = {"series": "", "error": None, "target": None, "lost": 0, "status": "done"}
    return [
        Mark(**{**fields, **more, "values": point, "mean": height(point), "seconds": None})
        for point in points
    ]


def test_the_figure_has_x_colours_panels_theory_and_what_was_lost():
    points = [
        {"name": name, "rate": rate, "depth": depth}
        for name in ("lsa", "elsa")
        for rate in (0.001, 0.01, 0.1)
        for depth in (1, 2)
    ]
    lost = points[-1]
    drawn = marks_of(points, lambda p: None if p is lost else p["rate"] * p["depth"], target=0.5)
    figure = sweep_figure.draw(drawn, ["name", "rate", "depth"], "risk")
    assert [axes.get_title("left") for axes in figure.axes] == ["depth 1", "depth 2"]
    first, second = figure.axes
    assert first.get_xscale() == "log" and first.get_xlabel() == "rate"
    assert first.get_ylabel() == "risk" and second.get_ylabel() == ""
    (legend,) = figure.legends
    said = [text.get_text() for text in legend.get_texts()]
    assert said == ["lsa", "elsa", "diverged or failed", "theory"]
    measured = [line for line in second.lines if line.get_marker() in "os"]
    assert [list(line.get_xdata()) for line in measured] == [[0.001, 0.01, 0.1], [0.001, 0.01]]
    crosses = [line for line in second.lines if line.get_marker() == "x"]
    assert [list(line.get_xdata()) for line in crosses] == [[0.1]]


def test_names_lie_side_by_side_and_many_numbers_have_a_scale_of_colours():
    names = marks_of([{"name": name} for name in ("lsa", "elsa")])
    (axes,) = sweep_figure.draw(names, ["name"], "risk").axes
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["lsa", "elsa"]
    points = [{"rate": 0.1 * i + 0.1, "width": float(i + 1)} for i in range(12)]
    figure = sweep_figure.draw(marks_of(points, target=0.5), ["rate", "width"], "risk")
    assert figure.axes[1].get_ylabel() == "width" and len(figure.axes[0].collections) == 1
    assert sweep_figure.draw(marks_of(points, lambda p: None), ["rate", "width"], "risk") is None


def test_theory_that_differs_by_colour_has_its_colour():
    drawn = [
        mark
        for depth in (1, 2)
        for mark in marks_of([{"n": n, "depth": depth} for n in (5, 10)], target=0.5 / depth)
    ]
    (axes,) = sweep_figure.draw(drawn, ["n", "depth"], "risk").axes
    dotted = [line for line in axes.lines if line.get_linestyle() == ":"]
    assert len({line.get_color() for line in dotted}) == 3  # two, and the legend's dark one
    assert [line.get_label() for line in dotted].count("theory") == 1


@pytest.mark.parametrize("reader", ["pandas", "duckdb"])
def test_other_readers_read_it_where_they_are_installed(reader, tmp_path):
    if importlib.util.find_spec(reader) is None:
        pytest.skip(f"{reader} is not installed")
    path = tmp_path / "table.parquet"
    record = {"case": "a", "risk": 2.0, "risks": [1.0, None], "curve": [1.0, 2.0]}
    path.write_bytes(table.parquet(table.rows(outcome([record]), COLUMNS), COLUMNS))
    module = importlib.import_module(reader)
    if reader == "pandas":
        assert module.read_parquet(path)["depth"].tolist() == [2, 2]
    else:
        assert module.sql(f"select depth, risk from '{path}'").fetchall() == [(2, 1.0), (2, None)]
