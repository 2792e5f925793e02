import jax
import jax.numpy as jnp
import numpy as np
import pytest

from elsa import theory
from tests.helpers import table, wide

LAM, STEP = 0.3, 1e-6


def problem(n, d, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d)) / np.sqrt(n + d)
    return rng, X, rng.normal(size=(n, 1)), rng.normal(size=(d, 1))


def solution(X, y, lam):
    return np.linalg.solve(X.T @ X + lam * np.eye(X.shape[1]), X.T @ y)


def designed_answer(X, ridge, y, label, fit, w, lam):
    """c = P u + (I - P) c_0 with P = Z Z^+ by the singular value decomposition, read from below."""
    stacked, target = np.concatenate([X, ridge]), np.concatenate([y, label])
    start = np.concatenate([fit, w])
    column = start + stacked @ np.linalg.pinv(stacked) @ (target - start)
    return column[len(X) :] / np.sqrt(lam)


def central(function, direction):
    return (function(STEP * direction) - function(-STEP * direction)) / (2.0 * STEP)


def of_sizes(*cases):
    """Each case with fewer rows than columns, the first with one of each; the others are slow."""
    sizes = [(1, 1), (3, 5), (9, 4)]
    kept = [(1, 1, cases[0]), *((3, 5, case) for case in cases)]
    return wide([(*size, case) for size in sizes for case in cases], keep=kept)


@pytest.mark.parametrize("n, d, block", of_sizes("d_x", "d_y", "d_lam"))
def test_the_natural_shift_is_the_derivative_of_the_ridge_solution(n, d, block):
    rng, X, y, _ = problem(n, d)
    direction = rng.normal(size={"d_x": (n, d), "d_y": (n, 1), "d_lam": (1, 1)}[block])

    def answer(e):
        given = {"d_x": X, "d_y": y, "d_lam": np.full((1, 1), LAM)}
        changed = {**given, block: given[block] + e}
        return solution(changed["d_x"], changed["d_y"], changed["d_lam"].item())

    shift = theory.natural_shift(X, y, LAM, **{block: direction})
    # second differences: error h^2 from curvature and eps / h from rounding, both below 1e-8
    np.testing.assert_allclose(shift, central(answer, direction), rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize(
    "n, d, block", of_sizes("d_x", "d_ridge", "d_y", "d_label", "d_fit", "d_w")
)
def test_the_designed_shift_is_the_derivative_of_the_fixed_point(n, d, block):
    rng, X, y, start = problem(n, d)
    root = np.sqrt(LAM)
    given = {
        "d_x": X,
        "d_ridge": root * np.eye(d),
        "d_y": y,
        "d_label": np.zeros((d, 1)),
        "d_fit": X @ start,
        "d_w": root * start,
    }
    np.testing.assert_allclose(  # as packed it returns the ridge solution
        designed_answer(*given.values(), LAM), solution(X, y, LAM), rtol=1e-10, atol=1e-12
    )
    direction = rng.normal(size=given[block].shape)

    def answer(e):
        return designed_answer(*{**given, block: given[block] + e}.values(), LAM)

    shift = theory.designed_shift(X, y, LAM, start, **{block: direction})
    np.testing.assert_allclose(shift, central(answer, direction), rtol=1e-7, atol=1e-8)


def state_answer(context, state, eta):
    """Layers of the state form until they settle; rows (X, y, ridge, step, w) of both kinds."""
    X, y, ridge, step, w = (
        np.concatenate([upper, lower]) for upper, lower in zip(context, state, strict=True)
    )
    u, root = 0.0 * w, np.sqrt(eta)
    for _ in range(400):
        g = (X - ridge).T @ (y - u + w)
        fit = eta * X @ g + X @ (step.T @ w) / root
        w, u = w + root * step @ g, u + fit - u * (step[:, 0] @ step[:, 0]) / eta
    return w[len(context[0]) :]


@pytest.mark.parametrize(
    "n, d, block",
    of_sizes(
        *("d_ridge", "d_step", "d_data", "d_label"),
        *("context_ridge", "context_step", "context_w"),
    ),
)
def test_the_state_shift_is_the_derivative_of_where_the_layers_settle(n, d, block):
    rng, X, y, start = problem(n, d)
    eta, eye, channels = 0.4, np.eye(d), ["data", "label", "ridge", "step", "w"]
    row, channel = block.split("_")
    width = 1 if channel in ("label", "w") else d
    direction = rng.normal(size=(n if row == "context" else d, width))

    def answer(e):
        context = [X, y, 0 * X, 0 * X, 0 * y]
        state = [0 * eye, 0 * start, LAM * eye, np.sqrt(eta) * eye, start]
        changed, place = (context if row == "context" else state), channels.index(channel)
        changed[place] = changed[place] + e
        return state_answer(context, state, eta)

    np.testing.assert_allclose(answer(0 * direction), solution(X, y, LAM), rtol=1e-12)
    shift = theory.state_shift(X, y, LAM, start, eta, **{block: direction})
    np.testing.assert_allclose(shift, central(answer, direction), rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("lam", [0.0, 0.3])
@pytest.mark.parametrize("n, d, depth", of_sizes(0, 1, 40))
def test_the_scratch_shift_is_what_the_recursion_leaves(n, d, lam, depth):
    rng, X, y, start = problem(n, d)
    eta, wrong = 0.4, rng.normal(size=(n, 1))

    def descend(w, e):
        for _ in range(depth):
            gradient = X.T @ e - lam * w
            w, e = w + eta * gradient, e - eta * X @ (X.T @ e) + eta * lam * (y - e)
        return w

    clean = y - X @ start
    expected = descend(start, clean + wrong) - descend(start, clean)
    shift = theory.scratch_shift(X, lam, eta, depth, wrong)
    np.testing.assert_allclose(shift, expected, rtol=1e-10, atol=1e-12)


def test_the_noise_gain_is_the_root_mean_square_of_the_shift():
    rng, X, y, _ = problem(6, 3)

    def shift(e):
        return theory.natural_shift(X, y, LAM, d_x=e)

    draws = rng.normal(size=(20_000, 6, 3))
    squares = np.asarray(jnp.sum(jax.jit(jax.vmap(shift))(draws) ** 2, axis=(1, 2)))
    gain = float(theory.noise_gain(shift, (6, 3)))
    standard_error = squares.std() / np.sqrt(len(squares))
    assert abs(squares.mean() - gain**2) <= 4.0 * standard_error


def test_the_noise_gain_has_the_closed_form_of_isotropic_noise():
    _, X, y, _ = problem(6, 3)
    inverse, w = np.linalg.inv(X.T @ X + LAM * np.eye(3)), solution(X, y, LAM)
    r, g = y - X @ w, X.T @ (y - X @ w)
    inner = (r.T @ r) * np.eye(3) + (w.T @ w) * X.T @ X - w @ g.T - g @ w.T
    gain = theory.noise_gain(lambda e: theory.natural_shift(X, y, LAM, d_x=e), (6, 3))
    np.testing.assert_allclose(gain**2, np.trace(inverse @ inner @ inverse), rtol=1e-12)


def test_shifts_work_under_jit_grad_and_vmap():
    _, X, y, start = problem(4, 3)
    e = np.ones((5, 4, 3))
    both = jax.jit(
        jax.vmap(
            lambda e: (
                theory.natural_shift(X, y, LAM, d_x=e)
                + theory.designed_shift(X, y, LAM, start, d_x=e)
                + theory.state_shift(X, y, LAM, start, 0.1, d_ridge=e[:3], d_step=e[:3])
            )
        )
    )(e)
    assert both.shape == (5, 3, 1)
    slope = jax.grad(lambda lam: theory.scratch_shift(X, lam, 0.1, 3, y).sum())(LAM)
    assert np.isfinite(slope)


@table(
    "call, message",
    [
        (lambda X, y: theory.natural_shift(X, y[:-1], LAM), "natural_shift: y must have shape"),
        (lambda X, y: theory.designed_shift(X, y, LAM, y), "designed_shift: start must have shape"),
        (
            lambda X, y: theory.state_shift(X, y, LAM, y[:3], 0.1, d_step=X),
            r"state_shift: d_step must have shape \(d=3, d=3\), got \(4, 3\)",
        ),
        (
            lambda X, y: theory.scratch_shift(X, LAM, 0.1, 3, y[:-1]),
            "scratch_shift: d_residual must have shape",
        ),
        (
            lambda X, y: theory.scratch_shift(X, 1e300, 0.1, 3, y),
            "scratch_shift: step_size and lam must keep the error finite in depth=3 steps",
        ),
    ],
)
def test_shapes_and_sizes_must_fit(call, message):
    _, X, y, _ = problem(4, 3)
    with pytest.raises(ValueError, match=message):
        call(X, y)
