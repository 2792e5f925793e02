"""What figures share."""

import pytest
from matplotlib.lines import Line2D

from elsa.report import style
from elsa.report.charts import chart
from elsa.report.legends import columns_that_fit


def labels(axes):
    """Texts of the ticks that are seen."""
    low, high = axes.get_ylim()
    ticks = [*axes.get_yticklabels(), *axes.get_yticklabels(minor=True)]
    return [tick.get_text() for tick in ticks if low <= tick.get_position()[1] <= high]


@pytest.mark.parametrize(
    "low, high, expected",
    [
        (0.13, 1.3, {"0.2", "0.5", "1"}),
        (3.0, 30.0, {"3", "10", "30"}),
        (1.5, 8.0, {"2", "4", "6", "8"}),
        (0.65, 1.55, {"0.8", "1", "1.2", "1.4"}),
        (0.985, 1.035, {"0.99", "1", "1.01", "1.02", "1.03"}),
        (0.02, 1.5, {"0.03", "0.1", "0.3", "1"}),
    ],
)
def test_an_axis_of_few_decades_has_three_plain_numbers_or_more(low, high, expected):
    _, axes = style.figure()
    axes.plot([0, 1], [low, high])
    style.logarithmic(axes)
    axes.set_ylim(low, high)
    assert set(labels(axes)) == expected


def test_an_axis_of_many_decades_has_powers_of_ten():
    _, axes = style.figure()
    axes.plot([1, 2], [1e-12, 10.0])
    style.logarithmic(axes)
    axes.set_ylim(1e-12, 10.0)
    found = labels(axes)
    assert 3 <= len(found) <= 8 and all("10^{" in text for text in found)


def test_a_legend_shows_a_stroke_in_the_colours_of_its_curves_and_says_what_bars_are():
    figure, axes = style.figure()
    for index in (0, 1):
        style.measured(axes, [1, 2], [3, 4], name=index, label=f"n = {index}", error=[0.1, 0.1])
        style.theory(axes, [1, 2], [3, 4], label=None, color=style.colour(index))
    style.kind(axes, "theory", [style.colour(0), style.colour(1)])
    style.bars(axes, "± s.e. over seeds")
    style.legend_outside(figure)
    (legend,) = figure.legends
    texts = [text.get_text() for text in legend.get_texts()]
    assert sorted(texts) == ["n = 0", "n = 1", "theory", "± s.e. over seeds"]
    dotted = [line.get_color() for line in legend.findobj(Line2D) if line.get_linestyle() == ":"]
    assert dotted == [style.colour(0), style.colour(1)]
    (panel,) = chart(figure)["panels"]
    assert {one["name"] for one in panel["series"]} == {
        *("n = 0", "n = 1", "n = 0, theory", "n = 1, theory")
    }


def test_a_legend_has_as_many_columns_as_the_figure_has_room_for():
    short, long = ["n = 1", "n = 2", "n = 3"], ["theory: approximation for large d", "n = 1"]
    assert columns_that_fit(short, 3, 240.0, 7.0) == 3
    assert columns_that_fit([*long, "± s.e., seeds and prompts"], 2, 240.0, 7.0) == 1
    figure, axes = style.figure()
    for label in (*long, *long[::-1], "± s.e., of the seeds and of the prompts"):
        axes.plot([0, 1], [0, 1], label=label)
    style.legend_outside(figure)
    with style.applied():
        box = figure.get_tightbbox()
    assert box.x0 >= 0 and box.x1 <= style.WIDTH


def test_a_name_that_no_table_has_gets_a_look_that_stays():
    for name in ("my_model", "trained_step"):
        assert style.colour(name) in style.PALETTE
        assert style.marker(name) == style.marker(name)
    looks = {(style.colour(f"model {i}"), style.marker(f"model {i}")) for i in range(100)}
    assert len(looks) > 30  # of 6 colours and 7 markers
