"""The ground floor against NumPy: one head, its association order, mask-and-move."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import elsa
from elsa.heads.head import HeadWeights
from tests.helpers import (
    assert_within,
    attention_reference,
    attention_rounding,
    intermediate_shapes,
    table,
)

# n, m, p: scores formed in the first four (n (p + m) < 2 p m), K^T V in the others; (4, 4, 4) and
# (3, 3, 3) lie on the border, where both cost the same.
SHORT = [(2, 5, 7), (1, 1, 3), (1, 6, 6), (3, 8, 2)]
LONG = [(9, 3, 2), (1, 1, 1), (3, 3, 3), (4, 4, 4), (7, 2, 5)]


def draw(n, m, p, seed=0):
    rng = np.random.default_rng(seed)
    shapes = HeadWeights((m, p), (m, p), (m, m), (n, p), (n, p), (n, m))
    return rng.normal(size=(n, m)), HeadWeights(*(rng.normal(size=shape) for shape in shapes))


def without_biases(w):
    return w._replace(bq=w.bq * 0, bk=w.bk * 0, bv=w.bv * 0)


def by_hand(h, w):
    """Entry by entry in Python, the definition."""
    n, m = h.shape
    p = w.wq.shape[1]
    query = [[sum(h[i, a] * w.wq[a, b] for a in range(m)) + w.bq[i, b] for b in range(p)]
             for i in range(n)]  # fmt: skip
    key = [[sum(h[i, a] * w.wk[a, b] for a in range(m)) + w.bk[i, b] for b in range(p)]
           for i in range(n)]  # fmt: skip
    value = [[sum(h[i, a] * w.wv[a, b] for a in range(m)) + w.bv[i, b] for b in range(m)]
             for i in range(n)]  # fmt: skip
    out = np.zeros((n, m))
    for i in range(n):
        for j in range(n):
            score = sum(query[i][b] * key[j][b] for b in range(p))
            for c in range(m):
                out[i, c] += score * value[j][c]
    return out


@pytest.mark.parametrize("n, m, p", SHORT + LONG)
def test_heads_equal_the_definition(n, m, p):
    h, w = draw(n, m, p)
    assert_within(elsa.elsa(h, *w), by_hand(h, w), attention_rounding(h, w))
    plain = without_biases(w)
    assert_within(elsa.lsa(h, *plain[:3]), by_hand(h, plain), attention_rounding(h, plain))


@given(st.sampled_from(SHORT + LONG), st.integers(0, 2**32 - 1))
def test_heads_equal_numpy(shape, seed):
    h, w = draw(*shape, seed)
    assert_within(elsa.elsa(h, *w), attention_reference(h, w), attention_rounding(h, w))
    plain = without_biases(w)
    expected, bound = attention_reference(h, plain), attention_rounding(h, plain)
    assert_within(elsa.lsa(h, *plain[:3]), expected, bound)
    assert_within(elsa.elsa(h, *plain), expected, bound)


@pytest.mark.parametrize("n, m, p", [(2, 5, 7), (3, 8, 2), (5, 6, 7)])
def test_short_prompts_form_scores(n, m, p):
    h, w = draw(n, m, p)
    for shapes in (
        intermediate_shapes(elsa.lsa, h, *w[:3]),
        intermediate_shapes(elsa.elsa, h, *w),
    ):
        assert (n, n) in shapes
        assert (p, m) not in shapes


@pytest.mark.parametrize("n, m, p", [(9, 3, 2), (7, 2, 5), (8, 6, 7), (1000, 8, 3)])
def test_long_prompts_never_form_scores(n, m, p):
    h, w = draw(n, m, p)
    for shapes in (
        intermediate_shapes(elsa.lsa, h, *w[:3]),
        intermediate_shapes(elsa.elsa, h, *w),
    ):
        assert (p, m) in shapes
        assert max(int(np.prod(shape)) for shape in shapes) <= n * max(m, p)


@table("place", range(6))
def test_a_wrong_shape_is_named(place):
    h, w = draw(4, 3, 2)
    name, weights = HeadWeights._fields[place], list(w)
    weights[place] = np.zeros((5, 5))
    with pytest.raises(ValueError, match=rf"elsa: {name} must have shape \(.*\), got \(5, 5\)"):
        elsa.elsa(h, *weights)
    if place < 3:
        with pytest.raises(ValueError, match=rf"lsa: {name} must have shape \(.*\), got \(5, 5\)"):
            elsa.lsa(h, *weights[:3])


def test_a_wrong_number_of_axes_is_named():
    h, w = draw(4, 3, 2)
    with pytest.raises(ValueError, match=r"lsa: h must have 2 axes \(n, m\), got shape \(1, 4, 3"):
        elsa.lsa(h[None], *w[:3])
    with pytest.raises(ValueError, match=r"elsa: bq must have 2 axes \(n=4, p=2\), got shape \(2,"):
        elsa.elsa(h, w.wq, w.wk, w.wv, w.bq[0], w.bk, w.bv)


def test_integers_lists_and_float32():
    out = elsa.lsa([[1, 2]], [[1], [0]], [[1], [1]], np.eye(2, dtype=int))
    np.testing.assert_array_equal(out, [[3, 6]])  # q = 1, k = 3, v = h
    h, w = draw(4, 3, 2)
    low = [np.float32(array) for array in (h, *w)]
    assert elsa.elsa(*low).dtype == np.float32


def test_jit_vmap_and_grad():
    h, w = draw(4, 3, 2)
    batch = np.stack([h, 2 * h])
    mapped = jax.jit(jax.vmap(elsa.elsa, in_axes=(0, *(None for _ in w))))(batch, *w)
    for index, prompt in enumerate(batch):
        expected, bound = attention_reference(prompt, w), attention_rounding(prompt, w)
        assert_within(mapped[index], expected, bound)
    # Each slot is affine on its own: the derivative along the slot is a difference of two values.
    rng = np.random.default_rng(1)
    for place in range(1, 7):
        arguments, other = [h, *w], [h, *w]
        along = rng.normal(size=arguments[place].shape)
        other[place] = arguments[place] + along
        gradient = jax.grad(lambda *a: elsa.elsa(*a).sum(), argnums=place)(*arguments)
        difference = elsa.elsa(*other).sum() - elsa.elsa(*arguments).sum()
        both = [(a[0], HeadWeights(*a[1:])) for a in (arguments, other)]
        # The rounding of both values, and as much for the gradient and for the sums over entries.
        bound = 2 * sum(attention_rounding(*pair).sum() for pair in both)
        assert abs((gradient * along).sum() - difference) <= bound
    value = jax.grad(lambda prompt: elsa.lsa(prompt, *w[:3]).sum())(h)
    cubic = 3 * float(elsa.lsa(h, *w[:3]).sum())  # Euler: <grad f(H), H> = 3 f(H)
    assert float((value * h).sum()) == pytest.approx(cubic, rel=1e-12)


@pytest.mark.parametrize(
    "shape, rows, cols, shift",
    [
        ((4, 5), (1, 3), (0, 2), (1, 3)),
        ((4, 5), (2, 4), (3, 5), (-2, -3)),
        ((4, 5), (0, 4), (0, 5), (0, 0)),
        ((4, 5), (1, 3), (1, 4), (1, -1)),
        ((1, 1), (0, 1), (0, 1), (0, 0)),
        ((6, 1), (0, 1), (0, 1), (5, 0)),
    ],
)
def test_mask_move_is_slicing(shape, rows, cols, shift):
    a = np.random.default_rng(0).normal(size=shape)
    left, right = elsa.mask_move(shape, rows, cols, shift)
    expected = np.zeros(shape)
    (i, j), (k, l), (s, t) = rows, cols, shift  # noqa: E741, the docstring's letters
    expected[i + s : j + s, k + t : l + t] = a[i:j, k:l]
    np.testing.assert_array_equal(left @ a @ right, expected)  # products with 0 and 1 are exact


@given(st.data())
def test_mask_move_undoes_itself(data):
    n, m = data.draw(st.integers(1, 6)), data.draw(st.integers(1, 6))
    spans, shift = [], []
    for size in (n, m):
        start = data.draw(st.integers(0, size - 1))
        stop = data.draw(st.integers(start + 1, size))
        spans.append((start, stop))
        shift.append(data.draw(st.integers(-start, size - stop)))
    left, right = elsa.mask_move((n, m), *spans, tuple(shift))
    moved = [(start + by, stop + by) for (start, stop), by in zip(spans, shift, strict=True)]
    back_left, back_right = elsa.mask_move((n, m), *moved, tuple(-by for by in shift))
    np.testing.assert_array_equal(back_left, left.T)
    np.testing.assert_array_equal(back_right, right.T)
    kept, _ = elsa.mask_move((n, m), *spans, (0, 0))
    np.testing.assert_array_equal(back_left @ left, kept)


@table("span", [(2, 2), (3, 1), (-1, 2), (0, 5), (5, 6)])
def test_mask_move_names_a_range_that_is_empty_or_outside(span):
    message = rf"mask_move: rows must be a range .* <= 4, got \({span[0]}, {span[1]}\)"
    with pytest.raises(ValueError, match=message):
        elsa.mask_move((4, 9), span, (0, 1), (0, 0))
    with pytest.raises(ValueError, match=message.replace("rows", "cols")):
        elsa.mask_move((9, 4), (0, 1), span, (0, 0))


@table("by, moved", [(2, (3, 5)), (-2, (-1, 1)), (-9, (-8, -6)), (7, (8, 10))])
def test_mask_move_names_a_range_that_moves_outside(by, moved):
    message = rf"mask_move: rows \(1, 3\) and shift {by} give \({moved[0]}, {moved[1]}\), which "
    with pytest.raises(ValueError, match=message):
        elsa.mask_move((4, 9), (1, 3), (0, 1), (by, 0))
    with pytest.raises(ValueError, match=message.replace("rows", "cols")):
        elsa.mask_move((9, 4), (0, 1), (1, 3), (0, by))


def test_mask_move_inside_a_head():
    """Property 1 of the paper as one head: left enters through Bq Bk^T, right through Wv."""
    h = jnp.asarray(np.random.default_rng(0).normal(size=(4, 5)))
    left, right = elsa.mask_move((4, 5), (0, 2), (1, 3), (2, 2))
    none = np.zeros((5, 4))
    out = elsa.elsa(h, none, none, right, left, np.eye(4), np.zeros((4, 5)))
    np.testing.assert_array_equal(out, left @ h @ right)


@pytest.mark.parametrize(
    "rows, shift, match",
    [((0.5, 2), 0, "rows must have an integer start"), ((0, 2), 1.0, "an integer shift")],
)
def test_mask_move_refuses_ranges_that_are_no_integers(rows, shift, match):
    with pytest.raises(TypeError, match=match):
        elsa.mask_move((4, 4), rows, (0, 1), (shift, 0))
