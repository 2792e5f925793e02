"""New weights on old data are old weights on new data: identities to 1e-12, and bounds."""

import jax
import numpy as np
import pytest

from elsa import softmax_regression as sr
from tests.softmax_regression.cases import (
    KINDS,
    MATRIX,
    MATRIX_X,
    A,
    B,
    X,
    matrix,
    single,
)

ABOVE = 1 + 1e-12  # rounding of a bound that is attained


def same(first, second, scale=0.0):
    assert abs(float(first) - float(second)) <= 1e-12 * (abs(float(second)) + scale)


def test_the_worked_example():
    after = X - 0.5 * sr.gradient(X, A, B)
    shift = sr.weight_shift(X, after, A, B)
    expected = [0.200805536, 0.298180008, 0.501014456]
    np.testing.assert_allclose(shift.labels.b, expected, rtol=1e-8)
    assert float(shift.labels.size) == pytest.approx(0.00223391632, rel=1e-7)
    assert float(shift.labels.bound) == pytest.approx(0.0111109659, rel=1e-8)
    assert float(sr.loss(X, A, shift.labels.b)) == pytest.approx(0.0217789839, rel=1e-8)
    rescaled = sr.weight_shift(X, after, A, B, "rescaled").labels
    expected = [0.202514646, 0.296842066, 0.500643288]
    np.testing.assert_allclose(rescaled.b, expected, rtol=1e-8)
    assert float(sr.loss(X, A, rescaled.b, "rescaled")) == pytest.approx(0.44035303, rel=1e-8)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n, d", [(1, 1), (3, 5), (12, 3)])
def test_a_step_is_a_shift_of_labels_and_of_data(n, d, kind):
    x, v, a, b = single(n, d)
    for size in (3.0, 1.0, 1e-3, 1e-9, 0.0):
        after = x + size * v / np.linalg.norm(v)
        shift = sr.weight_shift(x, after, a, b, kind)
        there = sr.loss(after, a, b, kind)
        same(sr.loss(x, a, shift.labels.b, kind), there, scale=1e-3)
        same(sr.loss(x, shift.data.a, b, kind), there, scale=1e-3)
        assert shift.labels.size <= shift.labels.bound * ABOVE
        assert shift.data.size <= shift.data.bound * ABOVE
        moved = np.linalg.norm(shift.data.a - a, 2)
        assert float(shift.data.size) == pytest.approx(moved, rel=1e-9, abs=1e-14)
        if size <= 1e-3:  # differences of nearby values keep their digits
            np.testing.assert_allclose(
                shift.labels.size, np.linalg.norm(shift.labels.b - b), rtol=1e-4, atol=1e-15
            )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("sizes", [(2, 4, 3, 5), (7, 3, 6, 2)], ids=str)
def test_a_step_of_the_matrix_is_a_shift_too(sizes, kind):
    x, v, a1, a2, b = matrix(*sizes)
    for size in (1.0, 1e-3, 1e-9):
        after = x + size * v / np.linalg.norm(v)
        shift = sr.matrix_weight_shift(x, after, a1, a2, b, kind)
        there = sr.matrix_loss(after, a1, a2, b, kind)
        same(sr.matrix_loss(x, a1, a2, shift.labels.b, kind), there, scale=1e-2)
        assert shift.labels.size <= shift.labels.bound * ABOVE
        if x.shape[0] >= x.shape[1]:  # full column rank
            same(sr.matrix_loss(x, shift.data.a, a2, b, kind), there, scale=1e-2)
            assert shift.data.size <= shift.data.bound * ABOVE
        else:
            assert np.isnan(shift.data.a).all() and np.isinf(shift.data.bound)


def test_a_square_matrix_shifts_the_data_as_the_formula_says():
    x, v, a1, a2, b = matrix(7, 3, 6, 3)
    shift = sr.matrix_weight_shift(x, x + v, a1, a2, b)
    np.testing.assert_allclose(shift.data.a, a1 @ (x + v) @ np.linalg.pinv(x), rtol=1e-9)
    dependent = x @ np.diag([1.0, 1.0, 0.0])
    assert np.isnan(sr.matrix_weight_shift(dependent, x, a1, a2, b).data.a).all()


@pytest.mark.parametrize("kind", KINDS)
def test_a_move_of_the_context_is_a_shift_of_labels(kind):
    x, _, a, b = single(12, 3)
    rng = np.random.default_rng(1)
    for size in (1.0, 1e-6, 0.0):
        moved = a + size * rng.normal(size=a.shape)
        shift = sr.context_shift(x, a, moved, b, kind)
        same(sr.loss(x, a, shift.b, kind), sr.loss(x, moved, b, kind), scale=1e-3)
        assert shift.size <= shift.bound * ABOVE
        if kind == "normalized":
            bound = np.linalg.norm(moved - a, 2) * np.linalg.norm(x) / 2
            assert float(shift.bound) == pytest.approx(bound, rel=1e-9, abs=1e-15)


@pytest.mark.parametrize("kind", KINDS)
def test_a_move_of_both_contexts_is_a_shift_of_labels(kind):
    x, _, a1, a2, b = matrix(7, 3, 6, 2)
    rng = np.random.default_rng(1)
    for size in (0.5, 1e-6):
        moved1, moved2 = (a + size * rng.normal(size=a.shape) for a in (a1, a2))
        shift = sr.matrix_context_shift(x, a1, a2, moved1, moved2, b, kind)
        there = sr.matrix_loss(x, moved1, moved2, b, kind)
        same(sr.matrix_loss(x, a1, a2, shift.b, kind), there, scale=1e-2)
        assert shift.size <= shift.bound * ABOVE


@pytest.mark.parametrize("kind", KINDS)
def test_a_trajectory_is_its_steps_and_what_they_add_up_to(kind):
    _, _, a, b = single(12, 3)
    step = (0.1 if kind == "normalized" else 1e-5) / np.linalg.norm(a, 2) ** 2
    path = [np.full(3, 0.1)]
    for _ in range(5):
        path.append(path[-1] - step * np.asarray(sr.gradient(path[-1], a, b, kind)))
    shifts = sr.trajectory_shift(np.stack(path), a, b, kind)
    assert shifts.steps.labels.b.shape == shifts.total.labels.b.shape == (5, 12)
    assert shifts.steps.data.a.shape == (5, 12, 3)
    for t in range(5):
        there = sr.loss(path[t + 1], a, b, kind)
        same(sr.loss(path[t], a, shifts.steps.labels.b[t], kind), there)
        same(sr.loss(path[0], a, shifts.total.labels.b[t], kind), there)
        same(sr.loss(path[0], shifts.total.data.a[t], b, kind), there)
    for shift in (shifts.steps, shifts.total):
        assert (shift.labels.size <= shift.labels.bound * ABOVE).all()
        assert (shift.data.size <= shift.data.bound * ABOVE).all()
    if kind == "normalized":  # half of |A| times the step's length, eta |gradient|
        lengths = [step * np.linalg.norm(sr.gradient(x, a, b)) for x in path[:-1]]
        bound = np.linalg.norm(a, 2) * np.array(lengths) / 2
        np.testing.assert_allclose(shifts.steps.labels.bound, bound, rtol=1e-10)


def test_a_trajectory_of_matrices_is_shifted_step_by_step():
    x, v, a1, a2, b = matrix(7, 3, 6, 2)
    path = np.stack([x, x + 0.1 * v, x + 0.3 * v])
    shifts = sr.matrix_trajectory_shift(path, a1, a2, b)
    same(sr.matrix_loss(x, a1, a2, shifts.total.labels.b[1]), sr.matrix_loss(path[2], a1, a2, b))
    same(sr.matrix_loss(path[1], shifts.steps.data.a[1], a2, b), sr.matrix_loss(path[2], a1, a2, b))
    assert (shifts.steps.labels.size <= shifts.steps.labels.bound * ABOVE).all()


def test_no_data_stands_for_a_step_from_zero():
    shift = sr.weight_shift(np.zeros(2), X, A, B)
    same(sr.loss(np.zeros(2), A, shift.labels.b), sr.loss(X, A, B))
    assert np.isnan(shift.data.a).all() and np.isnan(shift.data.size)
    assert np.isinf(shift.data.bound)
    still = sr.weight_shift(np.zeros(2), np.zeros(2), A, B)
    np.testing.assert_array_equal(still.data.a, A)
    assert still.data.size == still.data.bound == 0.0


def test_large_steps_do_not_overflow_the_normalized_shift():
    shift = sr.weight_shift(X, X + 1e4, A, B)
    same(sr.loss(X, A, shift.labels.b), sr.loss(X + 1e4, A, B))
    assert shift.labels.size <= shift.labels.bound


def test_shifts_can_be_differentiated():
    slope = jax.grad(lambda y: sr.weight_shift(X, y, A, B).labels.size)(X + 0.1)
    ahead, behind = (
        float(sr.weight_shift(X, X + 0.1 + t, A, B).labels.size) for t in (1e-6, -1e-6)
    )
    assert float(slope.sum()) == pytest.approx((ahead - behind) / 2e-6, rel=1e-6)


def test_a_layer_of_attention_moves_the_tokens_by_averages():
    rng = np.random.default_rng(0)
    a, weight, value = rng.normal(size=(12, 3)), rng.normal(size=(3, 3)), rng.normal(size=(3, 3))
    scores = np.exp(a @ weight @ a.T)
    expected = a + scores / scores.sum(axis=1, keepdims=True) @ a @ value
    moved = sr.softmax_attention(a, weight, value)
    np.testing.assert_allclose(moved, expected, rtol=1e-12)
    assert np.linalg.norm(moved - a, 2) <= np.sqrt(12) * np.linalg.norm(a @ value, 2)
    x, b = rng.normal(size=3), rng.normal(size=12)
    shift = sr.context_shift(x, a, moved, b)
    same(sr.loss(x, a, shift.b), sr.loss(x, moved, b))
    assert shift.size <= shift.bound


def test_a_sharp_layer_of_attention_is_a_step_of_the_weights():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(12, 3)), rng.normal(size=12)
    a /= np.linalg.norm(a, axis=1, keepdims=True)  # of one length: each token its own nearest
    x = rng.normal(size=3)
    after = x - np.asarray(sr.gradient(x, a, b))
    margin = 1 - np.max(a @ a.T - 2 * np.eye(12))
    errors = []
    for sharpness in (5 / margin, 10 / margin, 40 / margin):
        moved = sr.softmax_attention(a, *sr.step_as_attention(x, after, sharpness))
        bound = 2 * 11 * np.exp(-sharpness * margin) * np.abs(a @ (after - x)).max()
        errors.append(np.abs(moved @ x - a @ after).max())
        assert errors[-1] <= bound + 1e-15
    assert errors[0] > errors[1] > errors[2]
    same(sr.loss(x, moved, b), sr.loss(after, a, b))


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: sr.weight_shift(X, np.ones(3), A, B), r"x_next must have shape \(d=2\)"),
        (lambda: sr.weight_shift(X, X, A, B, "soft"), "kind must be one of"),
        (lambda: sr.weight_shift(X, X * np.nan, A, B), "x_next must be finite"),
        (lambda: sr.trajectory_shift(X[None], A, B), "path must have at least 2 points, got 1"),
        (lambda: sr.trajectory_shift(X, A, B), "path must have 2 axes"),
        (lambda: sr.context_shift(X, A, A[:2], B), r"a_next must have shape \(n=3, d=2\)"),
        (
            lambda: sr.matrix_weight_shift(MATRIX_X, MATRIX_X[:1], **MATRIX),
            r"matrix_weight_shift: x_next must have shape",
        ),
        (
            lambda: sr.matrix_trajectory_shift(MATRIX_X[None], **MATRIX),
            "matrix_trajectory_shift: path must have at least 2 points",
        ),
        (
            lambda: sr.matrix_context_shift(
                MATRIX_X, MATRIX["a1"], MATRIX["a2"], MATRIX["a1"][:1], MATRIX["a2"], MATRIX["b"]
            ),
            "a1_next must have shape",
        ),
        (lambda: sr.softmax_attention(A, np.eye(3), np.eye(2)), "weight must have shape"),
        (lambda: sr.step_as_attention(np.zeros(2), X, 1.0), "x must not be 0"),
        (lambda: sr.step_as_attention(X, X, 0.0), "sharpness must be finite and above 0"),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("kind", KINDS)
def test_a_path_is_gradient_descent(kind):
    x, _, a, b = single(12, 3)
    path = sr.gradient_path(x, a, b, kind, step_size=0.01, steps=2)
    expected = [x]
    for _ in range(2):
        expected.append(expected[-1] - 0.01 * sr.gradient(expected[-1], a, b, kind))
    np.testing.assert_allclose(path, expected, rtol=1e-12)
    matrix_path = sr.matrix_gradient_path(
        x[None], np.ones((1, 1)), a, b[None], kind, step_size=0.01, steps=2
    )
    np.testing.assert_allclose(matrix_path[:, 0], path, rtol=1e-12)


def test_a_path_refuses_bad_steps():
    with pytest.raises(ValueError, match="gradient_path: step_size must be finite and above 0"):
        sr.gradient_path(X, A, B, step_size=0.0, steps=1)
    with pytest.raises(ValueError, match="matrix_gradient_path: steps must be at least 1"):
        sr.matrix_gradient_path(MATRIX_X, **MATRIX, step_size=1.0, steps=0)


@pytest.mark.parametrize("kind", KINDS)
def test_bounds_that_are_attained_hold_as_computed(kind):
    """Opposite rows at equal logits attain the normalized bound, one row the rescaled one."""
    rng = np.random.default_rng(3)
    rows = rng.normal(size=(500, 1, 1))
    a = np.concatenate([rows, -rows], axis=1) if kind == "normalized" else rows
    b, x = rng.normal(size=a.shape[:2]), 1e-9 * rng.normal(size=(500, 1))
    shift = jax.jit(jax.vmap(lambda *one: sr.weight_shift(*one, kind)))
    matrix_shift = jax.jit(jax.vmap(lambda *one: sr.matrix_weight_shift(*one, kind)))
    one = np.ones((500, 1, 1))
    for size in (1.0, 1e-3, 1e-9, 1e-30):
        after = x + size * rng.normal(size=x.shape)
        for found in (
            shift(x, after, a, b),
            matrix_shift(x[:, None], after[:, None], one, a, b[:, None]),
        ):
            assert (found.labels.size <= found.labels.bound).all()
            assert (found.data.size <= found.data.bound).all()


def test_weights_whose_squares_underflow_have_a_shift_of_the_data():
    shift = sr.weight_shift(1e-170 * X, 3e-170 * X, A, B).data
    np.testing.assert_allclose(shift.a - A, 2 * A @ np.outer(X, X) / (X @ X), rtol=1e-9)
    assert 0 < shift.size <= shift.bound < np.inf


def test_half_precision_has_shifts():
    halves = [np.asarray(array, np.float16) for array in (X, 1.5 * X, A, B)]
    shift = sr.weight_shift(*halves)
    assert shift.labels.b.dtype == shift.data.bound.dtype == np.float16
    assert shift.labels.size <= shift.labels.bound
    names = {name: np.asarray(array, np.float16) for name, array in MATRIX.items()}
    start = np.asarray(MATRIX_X, np.float16)
    assert np.isfinite(sr.matrix_weight_shift(start, start * 2, **names).data.a).all()


def test_a_step_size_is_one_number():
    with pytest.raises(ValueError, match="gradient_path: step_size must be a single number"):
        sr.gradient_path(X, A, B, step_size=np.ones(3), steps=2)
