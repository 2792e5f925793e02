"""What is printed and drawn of a sweep: its records, their seeds together."""

import numpy as np
from matplotlib.colors import to_hex
from ml_collections import ConfigDict

from elsa.report import style
from experiments.harness import marks as records
from experiments.harness import sweep_figure, table
from experiments.harness.experiment import Shown
from experiments.harness.grouping import Group
from experiments.harness.marks import Mark
from experiments.harness.table import Outcome

COLUMNS = {"model.depth": "depth", "train.rate": "rate"}
SHOWN = Shown(robust="trimmed", robust_name="mean of the best")


def blocks(records, *, failure="", points=({"model.depth": 2, "train.rate": 0.1},), axes=()):
    group = Group("depth=2", ConfigDict(), points, dict(axes))
    return table.blocks(Outcome(group, records, failure), COLUMNS)


def test_seeds_are_one_line_and_records_of_a_point_are_told_apart():
    found = [
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
    marks = records.marks(blocks(found, failure="later"), SHOWN)
    assert [mark.series for mark in marks] == ["a, n 5", "a, n 9", "b", "c", ""]
    assert [mark.mean for mark in marks] == [2.0, 4.0, None, 7.0, None]
    assert [mark.error for mark in marks] == [1.0, None, None, 0.5, None]
    assert [mark.status for mark in marks] == ["done", "done", "diverged", "done", "failed"]
    assert [mark.lost for mark in marks] == [0, 1, 2, 0, 1]
    assert [mark.target for mark in marks] == [1.5, None, None, None, None]
    printed = records.printed(marks, list(COLUMNS.values()), SHOWN)
    assert list(printed.columns[-1].cells) == [
        *("done", "done, 1 diverged", "diverged", "done", "failed"),
    ]
    assert printed.caption is None
    longer = records.printed(marks * 13, ["depth"], SHOWN)
    assert longer.caption == "5 more in the table on the disk"


def test_points_of_one_group_are_told_apart_by_their_values_alone():
    """A group has one case and many parts; where a point has one record, neither is said."""
    rates = (0.1, 0.2)
    points = [{"model.depth": 2, "train.rate": rate} for rate in rates]
    found = [{"case": "lsa", "part": n, "risk": 1.0, "rate": rate} for n, rate in enumerate(rates)]
    axes = {"train.rate": "rate"}.items()
    marks = records.marks(blocks(found, points=points, axes=axes), SHOWN)
    assert [mark.series for mark in marks] == ["", ""]
    twice = [{**each, "part": 2 * each["part"] + k} for each in found for k in (0, 1)]
    marks = records.marks(blocks(twice, points=points, axes=axes), SHOWN)
    assert [mark.series for mark in marks] == ["part 0", "part 1"] * 2


def test_the_number_beside_is_the_mean_of_its_seeds():
    each = [{"case": "a", "risk": 9.0, "trimmed": trimmed} for trimmed in (1.0, None)]
    marks = records.marks([own for found in each for own in blocks([found])], SHOWN)
    assert [mark.robust for mark in marks] == [1.0, None]
    heads = [c.header for c in records.printed(marks, ["depth"], SHOWN).columns]
    assert heads == ["depth", "record", "risk", "mean of the best", "status"]


def marks_of(points, height=lambda point: 1.0, **more):
    fields = {"series": "", "error": None, "robust": None, "target": None}
    fields |= {"lost": 0, "status": "done", **more}
    return [Mark(values=point, mean=height(point), **fields) for point in points]


def drawn_in(axes):
    """Its lines but those of the legend alone."""
    return [line for line in axes.lines if len(line.get_xdata())]


def test_the_figure_has_x_colours_panels_theory_and_what_was_lost():
    points = [
        {"name": name, "rate": rate, "depth": depth}
        for name in ("lsa", "elsa")
        for rate in (0.001, 0.01, 0.1)
        for depth in (1, 2)
    ]
    lost = points[-1]
    drawn = marks_of(points, lambda p: None if p is lost else p["rate"] * p["depth"], target=0.5)
    figure = sweep_figure.draw(drawn, ["name", "rate", "depth"], SHOWN)
    assert [axes.get_title("left") for axes in figure.axes] == ["depth 1", "depth 2"]
    first, second = figure.axes
    assert first.get_xscale() == "log" and first.get_xlabel() == "rate"
    assert first.get_ylabel() == "risk" and second.get_ylabel() == ""
    (legend,) = figure.legends
    said = [text.get_text() for text in legend.get_texts()]
    assert said == ["lsa", "elsa", "diverged or failed", "theory"]
    measured = [line for line in drawn_in(second) if line.get_marker() in "os"]
    assert [list(line.get_xdata()) for line in measured] == [[0.001, 0.01, 0.1], [0.001, 0.01]]
    crosses = [line for line in drawn_in(second) if line.get_marker() == "x"]
    assert [list(line.get_xdata()) for line in crosses] == [[0.1]]
    (theory,) = [line for line in second.lines if line.get_linestyle() == ":"]
    assert list(theory.get_ydata()) == [0.5] * 3


def test_what_several_colours_share_is_dark_in_the_legend():
    """Crosses, numbers beside and theory have the colour of their line, each at its own height."""
    points = [{"n": n, "name": name} for n in (1, 2, 3) for name in ("lsa", "elsa")]
    drawn = marks_of(points, lambda p: None if p["n"] == 3 else 8.0, robust=1.0, target=0.5)
    (axes,) = sweep_figure.draw(drawn, ["n", "name"], SHOWN).axes
    (legend,) = axes.figure.legends
    said = [text.get_text() for text in legend.get_texts()]
    assert said == ["lsa", "elsa", "mean of the best", "diverged or failed", "theory"]
    dark = [line for line in legend.get_lines() if to_hex(line.get_color()) == style.THEORY.lower()]
    assert len(dark) == 2  # theory shows the colours of its curves
    for look in ("x", "none"):
        lines = [line for line in drawn_in(axes) if line.get_marker() == look]
        assert [line.get_color() for line in lines] == [style.colour(0), style.colour(1)], look
    crosses = [list(line.get_ydata()) for line in drawn_in(axes) if line.get_marker() == "x"]
    assert crosses[0] != crosses[1] and axes.get_xlim()[1] > 3
    near = marks_of(points, lambda p: 1.1, robust=1.0)
    (axes,) = sweep_figure.draw(near, ["n", "name"], SHOWN).axes
    assert "mean of the best" not in axes.get_legend_handles_labels()[1]


def test_means_that_single_samples_make_up_do_not_hide_the_others():
    """The axis ends some way above all else, and arrows say where a mean is beyond it."""
    points = [{"depth": depth, "name": name} for depth in (1, 2, 4) for name in ("lsa", "elsa")]
    far = {1: 2.0, 2: 0.8, 4: 1e6}
    drawn = marks_of(points, lambda p: far[p["depth"]], robust=0.5, error=1e5, target=0.3)
    (axes,) = sweep_figure.draw(drawn, ["depth", "name"], SHOWN).axes
    low, high = axes.get_ylim()
    assert 0.0 < low < 0.3 and high == 5.0 and axes.get_yscale() == "log"
    arrows = [line for line in drawn_in(axes) if line.get_marker() == "^"]
    assert [list(line.get_xdata()) for line in arrows] == [[4], [4]]
    bars = [bar.get_segments() for bar in axes.collections]
    assert all(np.ptp(own[-1][:, 1]) == 0.0 < np.ptp(own[0][:, 1]) for own in bars)
    (legend,) = axes.figure.legends
    said = [text.get_text() for text in legend.get_texts()]
    assert said == ["lsa", "elsa", "mean of the best", "risk above the axis", "theory"]


def test_names_lie_side_by_side_and_many_numbers_have_a_scale_of_colours():
    names = marks_of([{"name": name} for name in ("lsa", "elsa")])
    (axes,) = sweep_figure.draw(names, ["name"], SHOWN).axes
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["lsa", "elsa"]
    points = [{"rate": 0.1 * i + 0.1, "width": float(i + 1)} for i in range(12)]
    figure = sweep_figure.draw(marks_of(points, target=0.5), ["rate", "width"], SHOWN)
    assert figure.axes[1].get_ylabel() == "width" and len(figure.axes[0].collections) == 1
    assert sweep_figure.draw(marks_of(points, lambda p: None), ["rate", "width"], SHOWN) is None
    both = [{"depth": depth, "rate": 0.1 * i + 0.1} for depth in (1, 2) for i in range(12)]
    (axes,) = sweep_figure.draw(marks_of(both), ["depth", "rate"], SHOWN).axes
    assert axes.get_xlabel() == "rate"


def test_theory_that_differs_by_colour_has_its_colour():
    drawn = [
        mark
        for depth in (1, 2)
        for mark in marks_of([{"n": n, "depth": depth} for n in (5, 10)], target=0.5 / depth)
    ]
    (axes,) = sweep_figure.draw(drawn, ["n", "depth"], SHOWN).axes
    dotted = [line for line in axes.lines if line.get_linestyle() == ":"]
    assert len({line.get_color() for line in dotted}) == 3  # two, and the legend's dark one
    assert [line.get_label() for line in dotted].count("theory") == 1
