"""Compiled steps over rows that come in blocks, against the step itself in NumPy."""

import jax.numpy as jnp
import numpy as np
import pytest

import elsa
from elsa import algorithms
from elsa.nn.tall import FORMS
from tests.helpers import descend, relative_error, ridge_problem

N, D, DEPTH = 9, 3, 3
INPUTS = {"X": (N, D), "y": (N, 1), "lam": (1, 1), "w": (D, 1)}
PROBLEM, STEP_SIZE = ridge_problem(N, D)
ROWS = np.hstack([PROBLEM["X"], PROBLEM["y"]])


def source():
    return iter([ROWS[:2], ROWS[2:2], (PROBLEM["X"][2:], PROBLEM["y"][2:, 0])])


def iterate(step, names=("X", "y", "w")):
    """The step by NumPy: the functions here are as good on its arrays."""
    values = {name: PROBLEM[name] for name in names}
    for _ in range(DEPTH):
        values |= step(**values)
    return values


def whole(value):
    return value if hasattr(value, "shape") else np.concatenate(list(value))


@pytest.mark.parametrize("reassociate", [True, "gram"])
def test_gradient_descent_takes_one_pass_or_one_a_layer(reassociate):
    """The residual is carried as a state, whose update reads the rows twice."""
    step = algorithms.gradient_descent(STEP_SIZE)
    stack = elsa.compile(step, INPUTS, DEPTH, reassociate=reassociate)
    small = {"lam": PROBLEM["lam"], "w": PROBLEM["w"]}
    for form in FORMS:
        streamed = stack.streamed("X", "y", form=form)
        few = form == "gram" or reassociate == "gram"
        assert streamed.passes == (1 if few else DEPTH)
        got = streamed(source, **small)["w"]
        assert relative_error(got, descend(PROBLEM, STEP_SIZE, DEPTH)[-1]) < 1e-13
    once = stack.streamed("X", "y")(source(), **small)["w"]
    assert relative_error(once, descend(PROBLEM, STEP_SIZE, DEPTH)[-1]) < 1e-13


def centred(X, y, w):
    """A mean over rows, a constant for every row, and an output with a row for each."""
    middle = X - X.mean(axis=0, keepdims=True)
    residual = y - middle @ w - 1.0
    return {"w": w + 0.1 * (middle.T @ residual), "y": 0.5 * y + 0.1}


def traced(X, y, w):
    """Products that are sums over entries, as large ones of their kind are computed at once."""
    xp = np if isinstance(X, np.ndarray) else jnp
    return {"w": 0.1 * xp.trace(X.T @ X) * w + X.T @ y}


@pytest.mark.parametrize("step", [centred, traced])
@pytest.mark.parametrize("reassociate", [True, "gram"])
def test_means_constants_and_traces(step, reassociate):
    inputs = {name: INPUTS[name] for name in ("X", "y", "w")}
    stack = elsa.compile(step, inputs, DEPTH, reassociate=reassociate)
    expected = iterate(step)
    for form in FORMS:
        out = stack.streamed("X", "y", form=form)(source, w=PROBLEM["w"])
        for name, value in out.items():
            assert relative_error(whole(value), expected[name]) < 1e-12, (form, name)


def test_numbers_that_depend_on_the_step_and_one_stream_of_three_blocks():
    def step(X, y, u, w, *, t):
        return {"w": w + (0.1 + 0.05 * t) * (X.T @ (u - y))}

    inputs = {"X": (N, D), "y": (N, 1), "u": (N, 1), "w": (D, 1)}
    stack = elsa.compile(step, inputs, DEPTH, tied=False)
    u, w = np.linspace(0.0, 1.0, N)[:, None], PROBLEM["w"]
    expected = w + sum(0.1 + 0.05 * t for t in range(DEPTH)) * (PROBLEM["X"].T @ (u - PROBLEM["y"]))
    out = stack.streamed("u", "X", "y")(np.hstack([u, ROWS]), w=w[:, 0])
    assert out["w"].shape == (D,)
    assert relative_error(out["w"][:, None], expected) < 1e-13


def test_weights_that_were_edited_are_those_that_stream():
    step = algorithms.gradient_descent(STEP_SIZE)
    stack = elsa.compile(step, INPUTS, DEPTH, execution="dense")
    layer = stack.stack.body[0]
    layer.wv[...] = 0.9 * layer.wv[...]
    given = {"lam": PROBLEM["lam"], "w": PROBLEM["w"]}
    expected = stack(**PROBLEM)["w"]
    assert relative_error(expected, descend(PROBLEM, STEP_SIZE, DEPTH)[-1]) > 1e-3
    for form in FORMS:
        got = stack.streamed("X", "y", form=form)(source, **given)["w"]
        assert relative_error(got, expected) < 1e-12


@pytest.mark.parametrize("form", FORMS)
def test_a_step_that_sets_rows_beside_one_another_is_refused(form):
    def weighed(X, w):
        return {"w": w + X.T @ (jnp.arange(1.0, N + 1)[:, None] * (X @ w))}

    message = "must treat the rows of 'X' alike.* multiplies them with one another, or with a const"
    stack = elsa.compile(weighed, {"X": (N, D), "w": (D, 1)}, 1)
    with pytest.raises(ValueError, match=message):
        stack.streamed("X", form=form)(PROBLEM["X"], w=PROBLEM["w"])
    kept = elsa.compile(lambda X, K: {"K": K + X @ X.T}, {"X": (N, D), "K": (N, N)}, 1)
    with pytest.raises(ValueError, match=message):
        kept.streamed("X", form=form)(PROBLEM["X"], K=np.zeros((N, N)))


def test_a_stack_whose_weights_are_too_large_streams(monkeypatch):
    monkeypatch.setattr("elsa.compiler.stack.MAX_BYTES", 10_000)
    step = algorithms.newton_schulz_ridge()
    n = 200
    inputs = {"X": (n, D), "y": (n, 1), "lam": (1, 1), "Z": (D, D), "w": (D, 1)}
    stack = elsa.compile(step, inputs, 12)
    with pytest.raises(ValueError, match=r"dense weights .* were not made"):
        stack.require_weights("f")
    rows = np.random.default_rng(0).normal(size=(n, D + 1))
    A = rows[:, :D].T @ rows[:, :D] + 2.0 * np.eye(D)
    start = {"Z": np.eye(D) / np.trace(A), "w": np.zeros(D), "lam": 2.0}
    got = stack.streamed("X", "y")(rows, **start)["w"]
    np.testing.assert_allclose(got, np.linalg.solve(A, rows[:, :D].T @ rows[:, D]), rtol=1e-11)
