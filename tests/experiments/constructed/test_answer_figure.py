"""The picture of an answer: names, ticks and their texts, whatever a table calls and measures."""

import numpy as np

from elsa.report import fitting_ticks, style
from experiments.constructed import answer_figure, short_names
from tests.helpers import table


def unseen(low, high, name="price", column="size"):
    """An answer whose targets lie between low and high, for its figure alone."""
    places = np.linspace(low, high, 9)
    sizes = [high - low, -(high - low) / 3, 1.23456e-10]
    held_out = {key: places.tolist() for key in ("truth", "prediction", "sklearn_prediction")}
    return {
        **{"target": name, "columns": [column, f"{column} 2", "age"], "spreads": [1.0, 1.0, 1.0]},
        **{"coefficients": sizes, "sklearn_coefficients": sizes},
        "held_out": {**held_out, "r2": 0.9, "sklearn_r2": 0.9},
    }


@table(
    "low, high, name, column",
    [
        (1e5, 9e5, "price", "size"),
        (1e5, 4.5e5, "price", "the area of the whole garden"),
        (2.1e5, 2.2e5, "selling price in euro", "the area of the whole garden"),
        (-9e5, -1e5, "price", "size"),
        (-1.234e6, 5.6e8, "price", "size"),
        (1e-6, 9e-6, "mass", "length"),
        (-3e-6, 2e-6, "mass", "the length of the whole animal"),
        (1_000_001.0, 1_000_008.0, "year", "size"),
        (-4.999, -4.991, "depth", "size"),
        (20.0, 90.0, "waist", "size"),
    ],
)
def test_texts_of_the_figure_lie_beside_each_other_and_within_its_85_mm(low, high, name, column):
    figure = answer_figure.figure(unseen(low, high, name, column))
    with style.applied():
        figure.draw_without_rendering()
        inside = figure.get_tightbbox()
    assert inside.x0 >= -1e-6 and inside.x1 <= style.WIDTH + 1e-6
    for axes in figure.axes:
        for axis, place in ((axes.xaxis, 0), (axes.yaxis, 1)):
            assert axis.get_offset_text().get_text() == ""
            view = sorted(axis.get_view_interval())
            labels = [
                label
                for label, tick in zip(
                    axis.get_majorticklabels(), axis.get_majorticklocs(), strict=True
                )
                if view[0] <= tick <= view[1]
            ]
            assert len(labels) >= 2 and len({label.get_text() for label in labels}) == len(labels)
            boxes = np.array([label.get_window_extent().get_points() for label in labels])
            ends = boxes[np.argsort(boxes[:, 0, place]), :, place]
            assert (ends[1:, 0] > ends[:-1, 1]).all(), [label.get_text() for label in labels]


def test_long_names_keep_their_units_and_coefficients_their_digits():
    found = unseen(1e5, 9e5, "median price of an owner-occupied house (USD)", "size")
    found["columns"] = ["average age of the occupants (years)", "rooms", "w" * 80 + " (km)"]
    found["coefficients"] = [40429.8, 4.17238, 41.4507]
    above, below = answer_figure.figure(found).axes
    names = [text.get_text() for text in above.get_yticklabels()]
    assert "average age of the\noccupants (years)\n  40,430" in names and "rooms  4.17" in names
    assert f"{'w' * 21}…\n(km)  41.5" in names
    for label in (above.get_xlabel(), below.get_xlabel(), below.get_ylabel()):
        assert "…" not in label or "(USD)" in label
        assert "(USD)" in label


@table(
    "places, said",
    [
        ((2e5, 4e5), ["200000", "400000"]),
        ((-2e6, 0.0, 5e5), ["-2e6", "0", "0.5e6"]),
        ((2e-6, 2.5e-6), ["2e-6", "2.5e-6"]),
        ((1_000_001.0, 1_000_002.0), ["1000001", "1000002"]),
        ((-0.1, 0.1 + 0.2), ["-0.1", "0.3"]),
        ((0.0,), ["0"]),
        ((), []),
    ],
)
def test_texts_of_ticks_have_the_digits_of_their_step(places, said):
    assert fitting_ticks.texts(places) == said


@table(
    "names, short",
    [
        (
            ["Floor area including conservatory and loft [square metres]", "age"],
            ["Floor area including…\nloft [square metres]", "age"],
        ),
        (
            [f"expression level of probe {j} in the sample [counts per million]" for j in (1, 17)],
            [
                f"expression level{of}… {j}\n[counts per million]"
                for of, j in ((" of", 1), ("", 17))
            ],
        ),
        (
            [f"{'x' * 30}{letter}{'y' * 30}" for letter in "ab"],
            [f"{'x' * 15}… no. {j}\n{'y' * 22}" for j in (1, 2)],
        ),
        (
            [f"{'a ' * length}kg" for length in (40, 41)],
            [f"{'a ' * 10}a…\n{'a ' * 10}kg", f"{'a ' * 9}a… a\n{'a ' * 10}kg"],
        ),
    ],
)
def test_short_names_break_between_words_and_none_is_like_another(names, short):
    assert short_names.apart(names, 22) == short
