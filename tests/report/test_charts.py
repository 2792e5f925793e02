"""Numbers of figures, as their pages hold them: those that were drawn, under the legend's names."""

import numpy as np
import pytest

from elsa.report import style
from elsa.report.charts import chart


def series(panel):
    return {one["name"]: one for one in panel["series"]}


def test_curves_theory_bars_and_bands_are_read_with_their_names_and_axes():
    figure, axes = style.figure()
    x = [1, 2, 4]
    style.measured(axes, x, [0.5, np.nan, 0.1], error=[0.1, 0.1, 0.05], name="h3")
    style.theory(axes, x, [0.4, 0.3, 0.2])
    axes.fill_between(x, [0.1, 0.2, 0.3], [0.2, 0.3, 0.4], label="range")
    axes.axhline(0.25, color="#123456", label="level")
    axes.set_xscale("log")
    style.finish(axes, x="layers", y="risk (squared error)", title="a title")
    (panel,) = chart(figure)["panels"]
    found = series(panel)
    assert set(found) == {"h3", "theory", "range", "level"} and panel["title"] == "a title"
    assert found["h3"]["x"] == [1, 2, 4] and found["h3"]["y"] == [0.5, None, 0.1]
    np.testing.assert_allclose(found["h3"]["low"][::2], [0.4, 0.05])
    np.testing.assert_allclose(found["h3"]["high"][::2], [0.6, 0.15])
    assert found["h3"]["dash"] == "solid" and found["h3"]["colour"] == style.colour("h3").lower()
    assert found["theory"]["dash"] == "dotted" and found["theory"]["y"] == [0.4, 0.3, 0.2]
    assert found["range"]["band"] and found["level"]["fraction"] == ["x"]
    assert (panel["x"]["scale"], panel["y"]["scale"]) == ("log", "linear")
    assert (panel["x"]["label"], panel["y"]["label"]) == ("layers", "risk (squared error)")


def test_legends_name_curves_by_their_colour_and_grey_ones_by_their_stroke():
    figure, axes = style.figure()
    style.measured(axes, [], [], name=0, label="depth 3")
    style.measured(axes, [1, 2], [3, 4], name=0, label="")
    style.theory(axes, [1, 2], [5, 6], color=style.colour(0), label=None)
    style.theory(axes, [], [])
    (panel,) = chart(figure)["panels"]
    assert [one["name"] for one in panel["series"]] == ["depth 3", "depth 3, theory"]


def test_panels_share_what_only_the_outer_ones_say_and_names_stand_along_an_axis():
    figure, grid = style.figure(1, 2, sharey=True)
    for axes in grid:
        axes.plot([0, 1], [1, 2], label="a curve")
        axes.set_xticks([0, 1], ["one", "two"])
    grid[0].set_ylabel("risk")
    figure.supxlabel("where")
    found = chart(figure)
    assert [panel["y"]["label"] for panel in found["panels"]] == ["risk", "risk"]
    assert [panel["x"]["label"] for panel in found["panels"]] == ["where", "where"]
    assert found["panels"][0]["x"]["ticks"] == [[0, "one"], [1, "two"]] and not found["notes"]


def test_panels_that_share_no_axis_share_no_label_but_along_a_row_or_a_column():
    figure, grid = style.figure(2, 2)
    for axes in grid.flat:
        axes.plot([0, 1], [1, 2], label="a curve")
    grid[1, 0].set_ylabel("risk")
    grid[1, 1].set_xlabel("layers")
    panels = chart(figure)["panels"]
    assert [panel["y"]["label"] for panel in panels] == ["", "", "risk", "risk"]
    assert [panel["x"]["label"] for panel in panels] == ["", "layers", "", "layers"]
    figure, grid = style.figure(2, sharey=True)  # one axis, in two rows
    grid[0].set_ylabel("risk")
    assert [panel["y"]["label"] for panel in chart(figure)["panels"]] == ["risk", "risk"]


def test_marks_are_as_large_and_filled_as_on_paper_and_guides_have_no_name():
    figure, axes = style.figure()
    axes.axvline(0.0, color="#999999")
    style.theory(axes, [1, 2], [1, 2], label="truth", color="#999999")
    style.measured(axes, [1, 2], [3, 4], name=0, label="rings", markersize=5.0)
    style.theory(axes, [1, 2], [3, 4], label="dots", marker=".", markersize=4.0)
    (panel,) = chart(figure)["panels"]
    assert [one["name"] for one in panel["series"]] == ["", "truth", "rings", "dots"]
    found = series(panel)
    assert (found["rings"]["size"], found["rings"]["filled"]) == (5.0, False)
    assert (found["dots"]["size"], found["dots"]["filled"]) == (2.0, True)


@pytest.mark.parametrize(
    "places, found",
    [
        (None, {"every": [0, 1]}),
        (3, {"every": [0, 3]}),
        ((1, 2), {"every": [1, 2]}),
        ([1, 4], {"every": [0, 1], "marked": [1, 4]}),
    ],
)
def test_marks_are_at_the_points_that_have_one_on_paper(places, found):
    figure, axes = style.figure()
    style.measured(axes, range(6), range(6), name="h3", markevery=places)
    (one,) = chart(figure)["panels"][0]["series"]
    assert {key: one[key] for key in ("every", "marked") if key in one} == found


def test_pictures_of_matrices_are_no_charts():
    figure, axes = style.figure()
    axes.imshow(np.eye(2))
    assert chart(figure) is None


@pytest.mark.parametrize(
    "texts, named",
    [(["age", "sex"], True), (["1", "\N{MINUS SIGN}2.5"], False), (["1e-3", "b"], True)],
)
def test_an_axis_says_whether_its_places_stand_for_names(texts, named):
    figure, axes = style.figure()
    axes.set_yticks([0, 1], texts)
    style.measured(axes, [1, 2], [0, 1], name="attention")
    (panel,) = chart(figure)["panels"]
    assert panel["y"]["named"] is named and panel["x"]["named"] is False
