"""What figures share."""

import pytest

from elsa.report import style


@pytest.mark.parametrize(
    "low, high, expected",
    [(0.13, 1.3, {"0.2", "0.5", "1"}), (3.0, 30.0, {"5", "10", "20"}), (1.5, 8.0, {"2", "5"})],
)
def test_an_axis_of_few_decades_has_plain_numbers(low, high, expected):
    figure, axes = style.figure()
    axes.plot([0, 1], [low, high])
    style.few_decades(axes)
    axes.set_ylim(low, high)
    figure.canvas.draw()
    labels = [*axes.get_yticklabels(), *axes.get_yticklabels(minor=True)]
    seen = {label.get_text() for label in labels if low <= label.get_position()[1] <= high}
    assert seen == expected


def test_a_name_that_no_table_has_gets_a_look_that_stays():
    for name in ("my_model", "trained_step"):
        assert style.colour(name) in style.PALETTE
        assert style.marker(name) == style.marker(name)
    looks = {(style.colour(f"model {i}"), style.marker(f"model {i}")) for i in range(100)}
    assert len(looks) > 30  # of 6 colours and 7 markers
