"""Figures of several runs in one: colours of runs, and theory that they share once."""

import numpy as np
import pytest

from elsa.report import style
from elsa.report.charts import chart
from experiments.harness import overlay


def drawn(*, measured, lines, end=2):
    """A chart of a measured curve and lines of theory: label -> heights and stroke."""
    figure, axes = style.figure()
    style.measured(axes, [1, 2], measured, name="h3")
    for label, (heights, stroke) in lines.items():
        style.theory(
            axes, np.array([1, end]), np.array(heights), label=label, linestyle=stroke, color="C0"
        )
    axes.set_ylim(0, 7)
    return chart(figure)


def curves(charts):
    (panel,) = overlay.overlaid(charts)["panels"]
    return {(one["run"], one["name"]): one for one in panel["series"]}, panel


def test_curves_have_the_colour_of_their_run_and_marked_ones_are_never_shared():
    charts = {
        name: drawn(measured=[3, 4], lines={"theory": ([5, 6], ":")}) for name in ("one", "two")
    }
    charts["two"]["panels"][0]["y"]["range"] = [0, 8]
    found, panel = curves(charts)
    assert set(found) == {("one", "h3"), ("two", "h3"), ("", "theory")}
    looks = [found[run, "h3"]["colour"] for run in ("one", "two")]
    assert looks == [style.colour(0), style.colour(1)] and panel["y"]["range"] == [0, 8]
    assert found["", "theory"]["colour"] == style.THEORY.lower()


@pytest.mark.parametrize("stroke", [":", "--", "-", (0, (4, 3))])
def test_theory_of_any_stroke_that_runs_share_is_drawn_once_in_ink(stroke):
    lines = {"theory": ([5, 6], stroke), "Bayes": ([1, 1], stroke)}
    charts = {name: drawn(measured=[place, 4], lines=lines) for place, name in enumerate("ab")}
    found, _ = curves(charts)
    assert set(found) == {("a", "h3"), ("b", "h3"), ("", "theory"), ("", "Bayes")}
    assert {found["", name]["colour"] for name in lines} == {style.THEORY.lower()}


def test_a_level_is_shared_as_far_as_it_goes_and_a_curve_of_some_says_whose_it_is():
    charts = {
        "short": drawn(measured=[1, 4], lines={"Bayes": ([1, 1], ":"), "t": ([2, 3], ":")}),
        "long": drawn(measured=[2, 4], lines={"Bayes": ([1, 1], ":")}, end=9),
        "third": drawn(measured=[3, 4], lines={"Bayes": ([1, 1], ":"), "t": ([2, 3], ":")}),
    }
    found, _ = curves(charts)
    assert found["", "Bayes"]["x"] == [1, 9]
    assert set(found) == {*((run, "h3") for run in charts), ("", "Bayes"), ("", "t (short, third)")}
    charts["third"] = drawn(measured=[3, 4], lines={"Bayes": ([1.1, 1.1], ":")})
    found, _ = curves(charts)
    assert ("third", "Bayes") in found and ("short", "t") in found


def columns(**coefficients):
    """A chart of coefficients by column, as the answer about a table draws them."""
    figure, axes = style.figure()
    places = range(len(coefficients))
    axes.set_yticks(places, [f"{name}  {value:g}" for name, value in coefficients.items()])
    style.measured(axes, list(coefficients.values()), list(places), name="attention")
    return chart(figure)


def test_names_along_an_axis_have_one_place_in_all_runs():
    """Runs order their columns by size: a column's points lie on one line, under its name."""
    charts = {"one": columns(age=1, rooms=2, size=3), "two": columns(rooms=2, town=4, age=5)}
    before = charts["two"]["panels"][0]["series"][0]["y"]
    (panel,) = overlay.overlaid(charts)["panels"]
    assert panel["y"]["ticks"] == [[0, "age"], [1, "rooms  2"], [2, "size  3"], [3, "town  4"]]
    found = {one["run"]: dict(zip(one["y"], one["x"], strict=True)) for one in panel["series"]}
    assert found == {"one": {0: 1, 1: 2, 2: 3}, "two": {1: 2, 3: 4, 0: 5}}
    assert panel["y"]["range"][1] >= 3.0
    assert charts["two"]["panels"][0]["series"][0]["y"] == before  # the run's own stays


def test_lines_of_one_stroke_and_different_names_are_told_apart_without_colours():
    lines = {"exact": ([5, 6], ":"), "worst case": ([6, 7], ":"), "Bayes": ([1, 2], "--")}
    charts = {name: drawn(measured=[place, 4], lines=lines) for place, name in enumerate("ab")}
    charts["b"]["panels"][0]["series"][1]["y"] = [5, 6.5]
    found, _ = curves(charts)
    strokes = {key: one["dash"] for key, one in found.items() if not one["marker"]}
    assert strokes["a", "exact"] == strokes["b", "exact"] == "dotted"
    assert len({strokes["a", "exact"], strokes["", "worst case"], strokes["", "Bayes"]}) == 3


def test_no_two_names_look_alike_on_a_page_of_several_runs():
    """Colours tell names apart on a page of one run alone."""
    figure, axes = style.figure()
    for height, name in enumerate(("ridge_lsa", "newton_schulz", "linear_attention")):
        style.measured(axes, [1, 2], [height, height + 1], name=name)  # all with rings
        axes.plot([1, 2], [height, height + 2], label=f"{name} in float32", color=f"C{height}")
    style.measured(axes, [1, 2], [7, 8], name="ridge_lsa", label="points", linestyle="none")
    style.theory(axes, [1, 2], [5, 6])
    style.theory(axes, [1, 2], [6, 7], label="bound", linestyle="--")
    found, _ = curves({"a": chart(figure), "b": chart(figure)})
    looks = {(one["name"], one["marker"], one["dash"]) for one in found.values()}
    assert len(looks) == len({(marker, dash) for _, marker, dash in looks}) == 9
    assert ("points", "o", "none") in looks and ("theory", None, "dotted") in looks


def test_numbers_beside_names_and_what_a_title_says_of_them_go_together():
    charts = {"one": columns(age=1, rooms=2), "two": columns(age=3, rooms=4)}
    for held in charts.values():
        held["panels"][0]["title"] = "coefficients  (beside the names)"
    (panel,) = overlay.overlaid(charts)["panels"]
    assert panel["y"]["ticks"] == [[0, "age"], [1, "rooms"]] and panel["title"] == "coefficients"
    (panel,) = overlay.overlaid({"one": charts["one"]})["panels"]
    assert panel["title"] == "coefficients  (beside the names)"
    for held, size in zip(charts.values(), ("1,536", "853"), strict=True):  # below a long name
        held["panels"][0]["y"]["ticks"][0][1] = f"floor area\n[m²]\n  {size}"
    (panel,) = overlay.overlaid(charts)["panels"]
    assert panel["y"]["ticks"] == [[0, "floor area\n[m²]"], [1, "rooms"]]


def test_the_line_on_which_predictions_are_true_is_shared_however_far_it_goes():
    charts = {}
    for name, ends in {"a": (1, 5), "b": (2, 9)}.items():
        charts[name] = drawn(measured=[1, 2], lines={"prediction = truth": (ends, ":")})
        charts[name]["panels"][0]["series"][-1]["x"] = list(ends)
    found, _ = curves(charts)
    line = found["", "prediction = truth"]
    assert line["x"] == line["y"] == [1, 9] and len(found) == 3


def test_titles_that_differ_say_whose_they_are():
    charts = {name: drawn(measured=[1, 2], lines={}) for name in "abc"}
    for name, title in {"a": "88 rows", "b": "9 rows", "c": "88 rows"}.items():
        charts[name]["panels"][0]["title"] = title
    assert curves(charts)[1]["title"] == "a, c: 88 rows / b: 9 rows"
