"""Lost points of a sweep stand at the edges of its figure, and sound ones rule its axes."""

import math

import pytest

from experiments.harness import sweep_figure, sweep_lost
from experiments.harness.experiment import Shown
from experiments.harness.marks import Mark

SHOWN = Shown(robust="trimmed", robust_name="mean of the best")


def mark(mean, rate=0.1, robust=None, target=0.5, **values):
    return Mark(
        values={"rate": rate, **values},
        series="",
        mean=mean,
        error=None if mean is None else mean / 10,
        robust=robust,
        target=target,
        lost=0,
        status="done",
    )


CASES = {  # numbers of some points, the last of which is lost, or not
    "not finite": ([mark(0.6), mark(None)], True),
    "1e51": ([mark(0.6), mark(1e51)], True),
    "1e51 alone is all there is": ([mark(1e52), mark(1e51)], False),
    "and its trimmed mean": ([mark(0.6, robust=0.5), mark(1e51, robust=1e48)], True),
    "single samples": ([mark(0.6, robust=0.5), mark(1e51, robust=0.5)], False),
    "far above theory": ([mark(0.6), mark(1e5)], False),
    "nothing learnt, hardly any noise": ([mark(1e-9, target=1e-9), mark(4.0, target=1e-9)], False),
    "large labels": ([mark(1e12, target=None), mark(1e17, target=None)], False),
    "far above large labels": ([mark(1e12, target=None), mark(1e19, target=None)], True),
}


@pytest.mark.parametrize("case", CASES)
def test_which_points_are_lost(case):
    marks, is_lost = CASES[case]
    told, places = sweep_lost.told_apart(marks, [1.0, 2.0], numeric=True)
    assert told[0] is marks[0] and places == [1.0, 2.0]
    assert (told[1].mean is None) is is_lost
    if is_lost:
        assert told[1].error is told[1].robust is None and told[1].target == marks[1].target


@pytest.mark.parametrize(
    ("place", "far"),
    [(0.5, False), (1e-6, True), (1e51, True), (90.0, False), (-1.0, True)],
)
def test_a_lost_point_is_far_off_beyond_what_the_sound_ones_span(place, far):
    marks = [mark(0.6), mark(0.6), mark(1e51)]
    told, places = sweep_lost.told_apart(marks, [0.01, 1.0, place], numeric=True)
    assert places == [0.01, 1.0, math.copysign(math.inf, place - 0.1) if far else place]
    assert (told[2].target is None) is far  # theory would rule the axis, too
    names, _ = sweep_lost.told_apart(marks, [0.0, 1.0, place], numeric=False)
    assert names[2].target is not None
    _, linear = sweep_lost.told_apart(marks, [0.0, 4.0, place], numeric=True)
    assert math.isinf(linear[2]) == (abs(place) > 40.0)


def test_a_figure_with_diverged_points_shows_the_sound_ones():
    """At 1e51 along either axis a point is a cross at the edge, which the legend explains."""
    marks = [
        mark(1e51 if lost else 0.6 + rate, rate, d=depth)
        for depth in (1, 2)
        for rate, lost in ((0.001, False), (0.01, False), (0.1, depth == 2), (1e51, True))
    ]
    (axes,) = sweep_figure.draw(marks, ["rate", "d"], SHOWN).axes
    axes.figure.canvas.draw()
    assert axes.get_xscale() == "log" and axes.get_xlim()[1] < 1.0 and axes.get_ylim()[1] < 2.0
    crosses = [line for line in axes.lines if line.get_marker() == "x" and len(line.get_xdata())]
    assert [list(line.get_xdata()) for line in crosses] == [[1.0], [0.1], [1.0]]
    (legend,) = axes.figure.legends
    said = [text.get_text() for text in legend.get_texts()]
    assert "diverged or failed\n(at the side: rate 1e+51)" in said
    many = [
        mark(1e51 if width > 8 else 0.6, 0.1 * width, width=10.0 ** (6 * (width > 10) + width))
        for width in range(1, 12)
    ]
    figure = sweep_figure.draw(many, ["rate", "width"], SHOWN)
    assert figure.axes[0].collections[0].get_clim() == (10.0, 1e8)
