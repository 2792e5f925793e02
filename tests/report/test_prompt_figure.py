"""What a picture of a stack shows: blocks by name, heads by formula, and only what is not zero."""

import functools
import subprocess
import sys

import numpy as np
import pytest
from matplotlib.text import Text

from elsa import BlockLayout, compile, constructions
from elsa.report import prompt_figure, style
from elsa.report.columns import PAGE, layout
from elsa.report.panels import Axis, Line, Panel, Scale
from elsa.report.prompt import _linear_below
from tests.helpers import wide

NAMES = ("ridge_lsa", "ridge_lsa_state", "ridge_elsa", "ridge_elsa_one_layer")


@functools.cache
def draw(name, n=6, d=3, depth=3, **options):
    rng = np.random.default_rng(0)
    blocks = {"X": rng.normal(size=(n, d)) / (n * d) ** 0.5, "y": rng.normal(size=n), "lam": 0.5}
    if "num_queries" in options:
        blocks["query_x"] = rng.normal(size=(options["num_queries"], d))
    stack = getattr(constructions, name)(n, d, depth, 0.05, **options)
    return stack, prompt_figure(stack, **blocks)


def texts(figure):
    found = [text for text in figure.findobj(Text) if text.get_text() and text.get_visible()]
    return [text.get_text() for text in found]


def is_named(block, shown):
    """Whether the map has the name, or a letter that a list below it explains."""
    listed = [entry.partition(": ")[2] for text in shown for entry in text.split(", ")]
    return block in shown or block in listed


@pytest.mark.parametrize("name", wide(NAMES, keep=["ridge_lsa", "ridge_elsa_one_layer"]))
def test_every_block_and_every_head_is_named(name):
    stack, figure = draw(name, num_queries=2)
    shown = texts(figure)
    for block in stack.readout:
        assert is_named(block, shown), block
    for layer in stack.layers:
        for number, head in enumerate(layer, start=1):
            assert f"head {number}: {head.formula}" in shown
    for scale in ("entries of the prompt", "weights"):
        assert any(text.startswith(scale) for text in shown)


@pytest.mark.parametrize("name", wide(NAMES, keep=["ridge_lsa_state", "ridge_elsa"]))
def test_only_arrays_that_are_not_zero_are_drawn_and_none_is_left_out(name):
    stack, figure = draw(name)
    expected = sum(
        int(array[head].any())
        for layer in stack.weights
        for array in layer
        for head in range(array.shape[0])
    )
    titles = [axes.get_title() for axes in figure.axes]
    assert sum(title in ("Wq", "Wk", "Wv", "Bq", "Bk", "Bv") for title in titles) == expected


@pytest.mark.parametrize(
    "name, sizes",
    wide(
        [
            ("ridge_lsa", (6, 3, 3)),
            ("ridge_lsa", (1, 1, 0)),
            ("ridge_lsa_state", (6, 3, 3)),
            ("ridge_elsa", (442, 10, 2)),
            ("ridge_elsa_one_layer", (6, 3, 3)),
        ],
        keep=[
            ("ridge_lsa", (1, 1, 0)),
            ("ridge_lsa_state", (6, 3, 3)),
            ("ridge_elsa", (442, 10, 2)),
        ],
    ),
)
def test_columns_are_85_mm_wide_and_nothing_is_tiny_or_off_the_page(name, sizes):
    _, figure = draw(name, *sizes)
    width, height = figure.get_size_inches()
    assert width in (pytest.approx(style.WIDTH), pytest.approx(2 * style.WIDTH))
    assert height <= PAGE + 0.1
    assert min(text.get_fontsize() for text in figure.findobj(Text)) >= 7
    with style.applied():
        box = figure.get_tightbbox()
    assert box.x0 >= 0 and box.y0 >= 0 and box.x1 <= width and box.y1 <= height


def test_a_deep_stack_is_drawn_at_four_of_its_layers():
    _, figure = draw("ridge_lsa", depth=90)
    titles = [axes.get_title() for axes in figure.axes][1:5]
    assert titles == ["input", "after layer 30", "after layer 60", "after layer 90"]
    assert "Layers 1 to 90" in texts(figure)


def test_layers_that_take_turns_and_layers_that_run_once_say_so():
    _, two = draw("ridge_elsa", num_queries=1)
    shown = texts(two)
    assert "Layers 1 to 5, every other one" in shown
    assert "Layers 2 to 6, every other one" in shown
    assert "Layer 7" in shown
    _, one = draw("ridge_elsa_one_layer")
    assert "Layer 1" in texts(one) and "Layers 2 to 4" in texts(one)
    _, skip = draw("ridge_elsa", skip="head")
    assert "head 3: H += H, the skip" in texts(skip)


def test_a_layout_of_the_caller_is_outlined_too_transposed_blocks_as_such():
    layout = BlockLayout(
        {"X": (0, 0, 3, 6), "y": (3, 0, 6, 1), "lam": (3, 1, 1, 1), "w": (4, 1, 3, 1)},
        transposed=("X",),
    )
    _, figure = draw("ridge_elsa", layout=layout)
    shown = texts(figure)
    assert shown.count("X^T") == 1 and shown.count("X") == 1 and shown.count("lam") == 2


def test_long_blocks_lose_their_middle_and_the_figure_says_so():
    assert "hatched: left out, of weights where they are 0" in texts(
        draw("ridge_elsa", 442, 10, 2)[1]
    )
    axis = Axis.of("row", 442, starts=(1, 10))
    assert axis.shown == (0, 1, 2, 3, None, 8, 9, 10, 11, 12, None, 440, 441)
    assert axis.span(range(10, 442)) == (6.5, 12.5)
    assert Axis.of("row", 6).shown == tuple(range(6))


def test_weights_are_cut_to_the_blocks_where_they_are_not_zero():
    used = np.zeros(442, bool)
    used[[0, 11]] = True
    axis = Axis.of("row", 442, (1, 10), 4, used)
    assert axis.shown == (0, None, 10, 11, None, 441)
    assert axis.ticks(room=1.0, cell=1.0) == [0, 2, 5]
    nothing_after = Axis.of("row", 12, (1, 10), 4, used[:12] & (np.arange(12) < 1))
    assert nothing_after.shown == (0, None) and nothing_after.ticks(1.0, 1.0) == [0]


def test_the_picture_of_the_diabetes_data_stays_on_a_page():
    _, figure = draw("ridge_elsa", 442, 10, 3)
    assert figure.get_size_inches()[1] * 25.4 < 220  # mm; it was 300


def test_many_heads_are_set_in_columns_about_as_high_as_wide():
    square = Axis.of("channel", 12, longest=12)
    head = [Line("head"), *(Panel(name, np.eye(12), square, square) for name in "abcd")]
    page = layout([*head * 30, Scale("weights", np.inf)])
    assert 0.5 < page.height / page.width < 1.5 and page.width > 3 * style.WIDTH
    for first in range(0, 150, 5):  # a head stays in its column, and below its line
        lefts = {int(left / style.WIDTH) for left, *_ in page.places[first : first + 5]}
        tops = [top for _, top, *_ in page.places[first : first + 5]]
        assert len(lefts) == 1 and min(tops[1:]) > tops[0]
    assert all(top + high <= page.height for _, top, _, high in page.places)


def test_traces_of_training_do_not_look_like_weights_and_small_steps_keep_their_colours():
    assert _linear_below([1e-9, 1e-8], [2.0, 1.0]) == pytest.approx(2e-3)
    assert _linear_below([1e-5, 1.0], [1e-5, 2.0]) == pytest.approx(1e-5)
    assert _linear_below([0.1, 1.0], [0.2, 2.0]) == pytest.approx(0.1)
    assert _linear_below([0.5], [2.0]) == _linear_below([], []) == np.inf


@pytest.mark.parametrize("unit, is_relative", [(1.0, False), (1e6, True), (1e-6, True)])
def test_no_block_is_white_beside_another_whatever_the_unit_of_the_labels(unit, is_relative):
    n, d = 6, 3
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(n, d)), unit * rng.normal(size=n)
    figure = prompt_figure(constructions.ridge_lsa(n, d, 3, 0.05), X=x, y=y, lam=0.5)
    first = next(axes for axes in figure.axes if axes.get_title() == "input").images[0]
    colours = np.abs(first.norm(first.get_array()) - 0.5)
    for block in (np.s_[:, :d], np.s_[:, d]):
        assert colours[block].max() > 0.15
    shown = texts(figure)
    assert any("over the largest of their block" in text for text in shown) == is_relative
    assert any(f"y {np.abs(y).max():.3g}" in text for text in shown) == is_relative


def test_values_of_the_stack_itself_are_named_and_names_that_do_not_fit_have_letters():
    def step(X, regulariser, w):
        return {"w": w - X.T @ (X @ w) - w @ regulariser}

    shapes = {"X": (60, 24), "regulariser": (1, 1), "w": (24, 1)}
    stack = compile(step, shapes, depth=2)
    blocks = {name: np.ones(shape) / 60 for name, shape in shapes.items()}
    shown = texts(prompt_figure(stack, **blocks))
    own = dict(stack.own_blocks)
    assert set(own) > set(shapes) and "regulariser" not in shown
    assert all(is_named(name, shown) for name in own)


def test_what_a_call_refuses_is_refused():
    stack = constructions.ridge_elsa(6, 3, 2, 0.05)
    with pytest.raises(KeyError, match="did you mean 'lam'"):
        prompt_figure(stack, X=np.zeros((6, 3)), y=np.zeros(6), lamb=1.0)


def test_matplotlib_waits_until_something_is_drawn():
    program = (
        "import sys, elsa.report, elsa.report.style; "
        "sys.exit('matplotlib' in sys.modules or 'rich' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
