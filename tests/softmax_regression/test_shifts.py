"""New weights on old data are old weights on new data: identities to 1e-12, and bounds."""

import dataclasses
import itertools

import jax
import numpy as np
import pytest

from elsa import softmax_regression as sr
from elsa.softmax_regression import Problem
from tests.helpers import wide
from tests.softmax_regression.cases import KINDS, MATRIX, MATRIX_X, A, B, X, drawn, norm_of

SINGLE, WORKED = Problem.single(A, B), Problem(**MATRIX)
ABOVE = 1 + 1e-12  # rounding of a bound that is attained


def same(first, second, scale=0.0):
    assert abs(float(first) - float(second)) <= 1e-12 * (abs(float(second)) + scale)


def shifted(problem, shift, side="keys"):
    """The problem with the labels, and with the data, of a shift of its weights."""
    moved = "a1" if side == "queries" else "a2"
    return (
        dataclasses.replace(problem, b=shift.labels.b),
        dataclasses.replace(problem, **{moved: shift.data.a}),
    )


def at(stacked, t):
    return jax.tree.map(lambda array: array[t], stacked)


def test_the_worked_example():
    after = X - 0.5 * SINGLE.gradient(X)
    shift = SINGLE.weight_shift(X, after)
    expected = [0.200805536, 0.298180008, 0.501014456]
    np.testing.assert_allclose(shift.labels.b, expected, rtol=1e-8)
    assert float(shift.labels.size) == pytest.approx(0.00223391632, rel=1e-7)
    assert float(shift.labels.bound) == pytest.approx(0.0111109659, rel=1e-8)
    labels, _ = shifted(SINGLE, shift)
    assert float(labels.loss(X)) == pytest.approx(0.0217789839, rel=1e-8)
    rescaled = Problem.single(A, B, "rescaled")
    shift = rescaled.weight_shift(X, after)
    expected = [0.202514646, 0.296842066, 0.500643288]
    np.testing.assert_allclose(shift.labels.b, expected, rtol=1e-8)
    labels, _ = shifted(rescaled, shift)
    assert float(labels.loss(X)) == pytest.approx(0.44035303, rel=1e-8)


STEPPED = [(1, 1), (3, 5), (12, 3), (2, 4, 3, 5), (7, 3, 6, 2)]
TURNS = [(sizes, KINDS[place % 2]) for place, sizes in enumerate(STEPPED)]


@pytest.mark.parametrize(
    "sizes, kind", wide(itertools.product(STEPPED, KINDS), keep=TURNS), ids=str
)
def test_a_step_is_a_shift_of_labels_and_of_data(sizes, kind):
    x, v, problem = drawn(sizes, kind)
    scale = 1e-3 if problem.a1 is None else 1e-2
    # X^+ is an inverse on one side: the wide one's keys move, the tall one's queries
    side = "queries" if x.ndim == 2 and x.shape[0] > x.shape[1] else "keys"
    given = problem.a1 if side == "queries" else problem.a2
    for size in (3.0, 1.0, 1e-3, 1e-9, 0.0):
        after = x + size * v / np.linalg.norm(v)
        shift = problem.weight_shift(x, after, side=side)
        there = problem.loss(after)
        for other in shifted(problem, shift, side):
            same(other.loss(x), there, scale=scale)
        assert shift.labels.size <= shift.labels.bound * ABOVE
        assert shift.data.size <= shift.data.bound * ABOVE
        moved = np.linalg.norm(shift.data.a - given, 2)
        assert float(shift.data.size) == pytest.approx(moved, rel=1e-9, abs=1e-14)
        if size <= 1e-3:  # differences of nearby values keep their digits
            distance = np.linalg.norm(shift.labels.b - problem.b)
            np.testing.assert_allclose(shift.labels.size, distance, rtol=1e-4, atol=1e-15)


def test_no_data_stands_for_a_step_where_the_weights_lose_a_direction():
    x, v, problem = drawn((2, 4, 3, 5))  # wide: the default side cannot do it
    shift = problem.weight_shift(x, x + v)
    same(dataclasses.replace(problem, b=shift.labels.b).loss(x), problem.loss(x + v), scale=1e-2)
    assert np.isnan(shift.data.a).all() and np.isinf(shift.data.bound)
    still = problem.weight_shift(x, x).data
    np.testing.assert_array_equal(still.a, problem.a1)
    assert still.size == still.bound == 0.0


def test_a_square_matrix_shifts_the_data_as_the_formula_says():
    x, v, problem = drawn((7, 3, 6, 3))
    shift = problem.weight_shift(x, x + v)
    np.testing.assert_allclose(shift.data.a, problem.a1 @ (x + v) @ np.linalg.pinv(x), rtol=1e-9)
    shift = problem.weight_shift(x, x + v, side="keys")
    expected = problem.a2 @ (x + v).T @ np.linalg.pinv(x.T)
    np.testing.assert_allclose(shift.data.a, expected, rtol=1e-9)
    dependent = x @ np.diag([1.0, 1.0, 0.0])
    assert np.isnan(problem.weight_shift(dependent, x).data.a).all()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("sizes", [(12, 3), (7, 3, 6, 2)], ids=str)
def test_a_move_of_the_context_is_a_shift_of_labels(sizes, kind):
    x, _, problem = drawn(sizes, kind)
    rng = np.random.default_rng(1)
    scale = 1e-3 if problem.a1 is None else 1e-2
    for size in (0.5, 1e-6, 0.0):
        names = [name for name in ("a1", "a2") if getattr(problem, name) is not None]
        data = {name: getattr(problem, name) for name in names}
        data = {name: a + size * rng.normal(size=a.shape) for name, a in data.items()}
        labels = problem.b + size * rng.normal(size=problem.b.shape)  # which may move as well
        for after in (
            dataclasses.replace(problem, **data),
            dataclasses.replace(problem, **data, b=labels),
        ):
            shift = problem.context_shift(x, after)
            there = dataclasses.replace(problem, b=shift.b).loss(x)
            same(there, after.loss(x), scale=scale)
            assert shift.size <= shift.bound * ABOVE
        if kind == "normalized" and problem.a1 is None:
            bound = np.linalg.norm(after.a2 - problem.a2, 2) * np.linalg.norm(x) / 2
            assert float(shift.bound) == pytest.approx(bound, rel=1e-9, abs=1e-15)


@pytest.mark.parametrize("kind", KINDS)
def test_a_trajectory_is_its_steps_and_what_they_add_up_to(kind):
    _, _, problem = drawn((12, 3), kind)
    norm = norm_of(problem)
    step = (0.1 if kind == "normalized" else 1e-5) / norm**2
    path = np.asarray(problem.gradient_path(np.full(3, 0.1), step_size=step, steps=5))
    shifts = problem.trajectory_shift(path)
    assert shifts.steps.labels.b.shape == shifts.total.labels.b.shape == (5, 12)
    assert shifts.steps.data.a.shape == (5, 12, 3)
    for t in range(5):
        there = problem.loss(path[t + 1])
        step_labels, _ = shifted(problem, at(shifts.steps, t))
        total_labels, total = shifted(problem, at(shifts.total, t))
        same(step_labels.loss(path[t]), there)
        same(total_labels.loss(path[0]), there)
        same(total.loss(path[0]), there)
    for shift in (shifts.steps, shifts.total):
        assert (shift.labels.size <= shift.labels.bound * ABOVE).all()
        assert (shift.data.size <= shift.data.bound * ABOVE).all()
    if kind == "normalized":  # half of |A| times the step's length, eta |gradient|
        lengths = [step * np.linalg.norm(problem.gradient(x)) for x in path[:-1]]
        bound = norm * np.array(lengths) / 2
        np.testing.assert_allclose(shifts.steps.labels.bound, bound, rtol=1e-10)


def test_a_trajectory_of_matrices_is_shifted_step_by_step():
    x, v, problem = drawn((7, 3, 6, 2))
    path = np.stack([x, x + 0.1 * v, x + 0.3 * v])
    shifts = problem.trajectory_shift(path)
    labels = dataclasses.replace(problem, b=shifts.total.labels.b[1])
    same(labels.loss(x), problem.loss(path[2]))
    data = dataclasses.replace(problem, a1=shifts.steps.data.a[1])
    same(data.loss(path[1]), problem.loss(path[2]))
    assert (shifts.steps.labels.size <= shifts.steps.labels.bound * ABOVE).all()


def test_no_data_stands_for_a_step_from_zero():
    shift = SINGLE.weight_shift(np.zeros(2), X)
    same(dataclasses.replace(SINGLE, b=shift.labels.b).loss(np.zeros(2)), SINGLE.loss(X))
    assert np.isnan(shift.data.a).all() and np.isnan(shift.data.size)
    assert np.isinf(shift.data.bound)
    still = SINGLE.weight_shift(np.zeros(2), np.zeros(2))
    np.testing.assert_array_equal(still.data.a, A)
    assert still.data.size == still.data.bound == 0.0


def test_large_steps_do_not_overflow_the_normalized_shift():
    shift = SINGLE.weight_shift(X, X + 1e4)
    same(dataclasses.replace(SINGLE, b=shift.labels.b).loss(X), SINGLE.loss(X + 1e4))
    assert shift.labels.size <= shift.labels.bound


def test_shifts_can_be_differentiated():
    slope = jax.grad(lambda y: SINGLE.weight_shift(X, y).labels.size)(X + 0.1)
    ahead, behind = (float(SINGLE.weight_shift(X, X + 0.1 + t).labels.size) for t in (1e-6, -1e-6))
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
    after = Problem.single(moved, b)
    shift = Problem.single(a, b).context_shift(x, after)
    same(Problem.single(a, shift.b).loss(x), after.loss(x))
    assert shift.size <= shift.bound


def test_a_sharp_layer_of_attention_is_a_step_of_the_weights():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(12, 3)), rng.normal(size=12)
    a /= np.linalg.norm(a, axis=1, keepdims=True)  # of one length: each token its own nearest
    x = rng.normal(size=3)
    after = x - np.asarray(Problem.single(a, b).gradient(x))
    margin = 1 - np.max(a @ a.T - 2 * np.eye(12))
    errors = []
    for sharpness in (5 / margin, 10 / margin, 40 / margin):
        moved = sr.softmax_attention(a, *sr.step_as_attention(x, after, sharpness))
        bound = 2 * 11 * np.exp(-sharpness * margin) * np.abs(a @ (after - x)).max()
        errors.append(np.abs(moved @ x - a @ after).max())
        assert errors[-1] <= bound + 1e-15
    assert errors[0] > errors[1] > errors[2]
    same(Problem.single(moved, b).loss(x), Problem.single(a, b).loss(after))


REFUSED = {
    r"weight_shift: x_next must have shape \(d=2\)": lambda: SINGLE.weight_shift(X, np.ones(3)),
    "x_next must be finite": lambda: SINGLE.weight_shift(X, X * np.nan),
    r"side must be one of \['keys'\]": lambda: SINGLE.weight_shift(X, X, side="queries"),
    "side must be one of .* got 'rows'": lambda: WORKED.weight_shift(
        MATRIX_X, MATRIX_X, side="rows"
    ),
    r"weight_shift: x_next must have shape \(d1": lambda: WORKED.weight_shift(MATRIX_X, X[None]),
    "path must have at least 2 points, got 1": lambda: SINGLE.trajectory_shift(X[None]),
    "trajectory_shift: path must have 2 axes": lambda: SINGLE.trajectory_shift(X),
    "trajectory_shift: path must have 3 axes": lambda: WORKED.trajectory_shift(MATRIX_X),
    "after must have the kind and shapes": lambda: SINGLE.context_shift(
        X, Problem.single(A, B, "rescaled")
    ),
    "got .*'a': \\(2, 2\\)": lambda: SINGLE.context_shift(X, Problem.single(A[:2], B[:2])),
    "weight must have shape": lambda: sr.softmax_attention(A, np.eye(3), np.eye(2)),
    "the logits of a and weight overflow float64": lambda: sr.softmax_attention(
        1e200 * A, np.eye(2), np.eye(2)
    ),
    "x must not be 0": lambda: sr.step_as_attention(np.zeros(2), X, 1.0),
    "sharpness must be finite and above 0": lambda: sr.step_as_attention(X, X, 0.0),
    "gradient_path: step_size must be finite and above 0": lambda: SINGLE.gradient_path(
        X, step_size=0.0, steps=1
    ),
    "gradient_path: step_size must be a single number": lambda: SINGLE.gradient_path(
        X, step_size=np.ones(3), steps=2
    ),
    "gradient_path: steps must be at least 1": lambda: WORKED.gradient_path(
        MATRIX_X, step_size=1.0, steps=0
    ),
}


def test_bad_input_is_refused():
    for message, call in REFUSED.items():
        with pytest.raises(ValueError, match=message):
            call()
    with pytest.raises(
        TypeError, match=r"context_shift: after must be a Problem, got ndarray; data"
    ):
        SINGLE.context_shift(X, A)


@pytest.mark.parametrize("kind", KINDS)
def test_a_path_is_gradient_descent(kind):
    x, _, problem = drawn((12, 3), kind)
    path = problem.gradient_path(x, step_size=0.01, steps=2)
    expected = [x]
    for _ in range(2):
        expected.append(expected[-1] - 0.01 * problem.gradient(expected[-1]))
    np.testing.assert_allclose(path, expected, rtol=1e-12)
    matrix = Problem(np.ones((1, 1)), problem.a2, problem.b[None], kind)
    matrix_path = matrix.gradient_path(x[None], step_size=0.01, steps=2)
    np.testing.assert_allclose(matrix_path[:, 0], path, rtol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_bounds_that_are_attained_hold_as_computed(kind):
    """Opposite rows at equal logits attain the normalized bound, one row the rescaled one."""
    rng = np.random.default_rng(3)
    rows = rng.normal(size=(500, 1, 1))
    a = np.concatenate([rows, -rows], axis=1) if kind == "normalized" else rows
    b, x = rng.normal(size=a.shape[:2]), 1e-9 * rng.normal(size=(500, 1))
    shift = jax.jit(jax.vmap(lambda x, y, problem: problem.weight_shift(x, y)))
    single = jax.vmap(lambda a, b: Problem.single(a, b, kind))(a, b)
    matrix = jax.vmap(lambda q, a, b: Problem(q, a, b, kind))(np.ones((500, 1, 1)), a, b[:, None])
    for size in (1.0, 1e-3, 1e-9, 1e-30):
        after = x + size * rng.normal(size=x.shape)
        for found in (shift(x, after, single), shift(x[:, None], after[:, None], matrix)):
            assert (found.labels.size <= found.labels.bound).all()
            assert (found.data.size <= found.data.bound).all()


def test_weights_whose_squares_underflow_have_a_shift_of_the_data():
    shift = SINGLE.weight_shift(1e-170 * X, 3e-170 * X).data
    np.testing.assert_allclose(shift.a - A, 2 * A @ np.outer(X, X) / (X @ X), rtol=1e-9)
    assert 0 < shift.size <= shift.bound < np.inf


def test_half_precision_has_shifts():
    single, matrix, x, start = jax.tree.map(np.float16, (SINGLE, WORKED, X, MATRIX_X))
    shift = single.weight_shift(x, np.float16(1.5) * x)
    assert shift.labels.b.dtype == shift.data.bound.dtype == np.float16
    assert shift.labels.size <= shift.labels.bound
    assert np.isfinite(matrix.weight_shift(start, start * 2).data.a).all()
