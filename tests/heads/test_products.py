"""Every line of the head table against the blocks multiplied directly."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import elsa
from elsa import BlockLayout, heads
from elsa.heads.head import stack_dense
from tests.heads.cases import (
    LINES,
    SHAPE,
    M,
    directly,
    drawn_layout,
    filled,
    head_of,
    landed,
    lying,
    own_channels,
)
from tests.helpers import assert_within, attention_reference, attention_rounding


@pytest.mark.parametrize("line", LINES)
@given(
    sizes=st.tuples(*(st.integers(1, 4) for _ in range(3))),
    scale=st.sampled_from([1.0, -1.0, 0.25, -3.7]),
    seed=st.integers(0, 2**32 - 1),
)
def test_every_head_computes_its_line_of_the_table(line, sizes, scale, seed):
    rng = np.random.default_rng(seed)
    layout = drawn_layout(rng, line, *sizes)
    h = filled(rng, layout)
    weights = head_of(line, layout, scale).dense(SHAPE)
    out = elsa.elsa(h, *weights)
    assert_within(out, scale * directly(line, layout, h), attention_rounding(h, weights))


@pytest.mark.parametrize("line", ["s A", "s A^T", "s A B", "s A B^T"])
def test_the_biased_heads_read_their_blocks_only(line):
    """Noise outside the blocks reaches no head whose sums a bias confines to the block's rows."""
    rng = np.random.default_rng(1)
    layout = drawn_layout(rng, line, 3, 2, 4)
    h = filled(rng, layout)
    noisy = h.copy()
    used = np.zeros(SHAPE, bool)
    for name in layout:
        box = layout.box(name)
        # Rows of A's channels are queries, each with a result of its own, for A B and A B^T.
        rows = slice(None) if name == "A" and "B" in line else slice(box.row, box.rows.stop)
        used[rows, box.col : box.channels.stop] = True
    noisy[~used] = rng.normal(size=SHAPE)[~used]
    weights = head_of(line, layout).dense(SHAPE)
    bound = attention_rounding(noisy, weights)
    assert_within(elsa.elsa(noisy, *weights), directly(line, layout, h), bound)


def test_combinations_of_blocks():
    rng = np.random.default_rng(0)
    shapes = {"X": (5, 2), "Z": (5, 2), "y": (5, 1), "fit": (5, 1), "T": (5, 1)}
    shapes |= {"w": (2, 1), "v": (1, 2)}
    layout = own_channels(rng, shapes, [("X", "Z", "y", "fit", "T")])
    h = filled(rng, layout)
    X, Z, y, fit, w, v = (lying(layout, h, name) for name in ("X", "Z", "y", "fit", "w", "v"))
    error, mixed = {"y": 1, "fit": -1}, {"X": 0.5, "Z": -2.0}
    both = 0.5 * X - 2.0 * Z
    cases = [
        (heads.transposed_product(layout, mixed, error, "w", scale=3), "w", 3 * both.T @ (y - fit)),
        (heads.triple_product(layout, "X", mixed, error, "T"), "T", X @ both.T @ (y - fit)),
        (heads.triple_product(layout, mixed, "X", "y", "T", scale=-1), "T", -both @ X.T @ y),
        (heads.product(layout, mixed, "w", "T"), "T", both @ w),
        (heads.product_transposed(layout, mixed, "v", "T"), "T", both @ v.T),
        (heads.times_constant(layout, error, [[2.0]], "T"), "T", 2 * (y - fit)),
        (heads.times_constant(layout, mixed, M[:2, :1], "T", scale=2), "T", 2 * both @ M[:2, :1]),
    ]
    for head, target, expected in cases:
        weights = head.dense(SHAPE)
        bound = attention_rounding(h, weights)
        assert_within(elsa.elsa(h, *weights), landed(layout, target, expected), bound)


def test_a_target_may_be_a_source():
    rng = np.random.default_rng(0)
    layout = own_channels(rng, {"w": (3, 1), "lam": (1, 1), "X": (3, 3)}, [("w", "X")])
    h = filled(rng, layout)
    w, lam, X = (lying(layout, h, name) for name in ("w", "lam", "X"))
    for head, expected in [
        (heads.product(layout, "w", "lam", "w", scale=-0.1), -0.1 * w @ lam),
        (heads.transposed_product(layout, "X", "w", "w"), X.T @ w),
        (heads.triple_product(layout, "w", "w", "w", "w"), w @ w.T @ w),
    ]:
        weights = head.dense(SHAPE)
        bound = attention_rounding(h, weights)
        assert_within(elsa.elsa(h, *weights), landed(layout, "w", expected), bound)


def test_blocks_stored_transposed_are_taken_as_they_lie():
    layout = BlockLayout({"A": (0, 0, 2, 3), "B": (0, 3, 3, 2)}, transposed=["A"])
    h = np.random.default_rng(0).normal(size=layout.shape)
    weights = heads.transpose(layout, "A", "B").dense(layout.shape)
    expected = landed(layout, "B", h[:2, :3].T)
    assert_within(elsa.elsa(h, *weights), expected, attention_rounding(h, weights))
    with pytest.raises(ValueError, match=r"'A' and 'B' must have the same shape, got \(2, 3\)"):
        heads.move(layout, "A", "B")
    constant = heads.constant(layout, "A", np.arange(6.0).reshape(2, 3)).dense(layout.shape)
    np.testing.assert_array_equal(elsa.elsa(h, *constant)[:2, :3], [[0, 1, 2], [3, 4, 5]])


@pytest.mark.parametrize("shape", [(1, 1), (3, 3), (2, 5), (5, 2), (1, 6), (6, 1), (9, 4)])
def test_the_skip_head_returns_the_prompt_exactly(shape):
    """All factors but one are 0 or 1, so that nothing is rounded."""
    h = np.random.default_rng(0).normal(size=shape)
    head = heads.skip(shape)
    assert head.key_size == min(shape)
    np.testing.assert_array_equal(elsa.elsa(h, *head.dense(shape)), h)
    padded = stack_dense([head, *[heads.skip(shape)] * 2], shape)
    np.testing.assert_array_equal(elsa.elsa(h, *(array[2] for array in padded)), h)


# A head says what it computes, and what it is made of.


def test_formulas_are_readable():
    layout = own_channels(
        np.random.default_rng(0),
        {"X": (4, 2), "y": (4, 1), "fit": (4, 1), "w": (2, 1), "v": (2, 1), "row": (1, 2)},
        [("X", "y", "fit")],
    )
    error = {"y": 1, "fit": -1}
    for head, formula in [
        (heads.constant(layout, "w", [1, 2]), "w += C"),
        (heads.move(layout, "v", "w", scale=-1), "w += -v"),
        (heads.transpose(layout, "row", "w", scale=0.5), "w += 0.5 row^T"),
        (heads.times_constant(layout, "y", [[1]], "fit"), "fit += y M"),
        (heads.transposed_product(layout, "X", error, "w", scale=2), "w += 2 X^T (y - fit)"),
        (heads.product(layout, {"X": 2}, "w", "fit"), "fit += (2 X) w"),
        (heads.product_transposed(layout, "X", "row", "fit"), "fit += X row^T"),
        (heads.triple_product(layout, "X", "X", "y", "fit", scale=-1), "fit += -X X^T y"),
        (heads.skip((2, 3)), "H += H"),
    ]:
        assert head.formula == formula


def test_dense_weights_are_float64_and_say_where_biases_are_needed():
    rng = np.random.default_rng(0)
    for line in LINES:
        head = head_of(line, drawn_layout(rng, line, 2, 3, 4), np.float32(0.1))
        weights, p = head.dense(SHAPE), head.key_size
        assert {array.dtype for array in weights} == {np.dtype(np.float64)}
        n, m = SHAPE
        expected = [(m, p), (m, p), (m, m), (n, p), (n, p), (n, m)]
        assert [array.shape for array in weights] == expected
        biases = any(array.any() for array in weights[3:])
        assert head.has_bias == biases == (line != "s A B^T C")


def test_stacking_pads_keys_without_changing_a_head():
    rng = np.random.default_rng(0)
    layout = own_channels(rng, {"A": (4, 2), "T": (4, 2), "v": (1, 2)}, [("A", "T")])
    h = filled(rng, layout)
    several = [
        heads.move(layout, "A", "T"),
        heads.times_constant(layout, "A", M[:2, :2], "T"),
        heads.constant(layout, "v", [[1, 2]]),
    ]
    stacked = stack_dense(several, SHAPE)
    assert stacked.wq.shape == (3, SHAPE[1], 4)
    for index, head in enumerate(several):
        one = type(stacked)(*(array[index] for array in stacked))
        expected = attention_reference(h, head.dense(SHAPE))
        assert_within(elsa.elsa(h, *one), expected, attention_rounding(h, one))
