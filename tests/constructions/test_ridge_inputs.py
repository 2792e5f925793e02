"""Ridge constructions with every kind of input, and what their own check finds."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.constructions.ridge_cases import (
    forms_with_zero,
    solve,
    some_forms,
)
from tests.helpers import (
    RIDGE_FORMS,
    descend,
    relative_error,
    ridge_problem,
)


@some_forms
def test_vectors_in_vectors_out(form):
    blocks, eta = ridge_problem(5, 3, 2)
    expected = solve(form, blocks, eta, 4)
    flat = {**blocks, "y": blocks["y"][:, 0], "w": blocks["w"][:, 0], "lam": 0.5}
    out = solve(form, flat, eta, 4)
    np.testing.assert_array_equal(out["w"], expected["w"][:, 0])
    np.testing.assert_array_equal(out["prediction"], expected["prediction"][:, 0])
    mixed = solve(form, {**flat, "w": blocks["w"]}, eta, 4)
    assert mixed["w"].shape == (3, 1) and mixed["prediction"].shape == (2,)
    mixed = solve(form, {**flat, "y": blocks["y"]}, eta, 4)
    assert mixed["w"].shape == (3,) and mixed["prediction"].shape == (2, 1)


@some_forms
def test_the_start_is_zero_by_default(form):
    blocks, eta = ridge_problem(5, 3, 2, start=False)
    zeros = np.zeros((3, 1))
    for depth in (0, 4):
        out = solve(form, blocks, eta, depth)
        expected = solve(form, {**blocks, "w": zeros}, eta, depth)
        for name in out:
            np.testing.assert_array_equal(out[name], expected[name])
    assert solve(form, {**blocks, "y": blocks["y"][:, 0]}, eta, 4)["w"].shape == (3,)


@some_forms
def test_lists_and_integers(form):
    out = solve(form, {"X": np.eye(5, 3, dtype=int), "y": [1, 2, 3, 4, 5], "lam": 1}, 0.5, 1)
    assert relative_error(out["w"], [0.5, 1.0, 1.5]) <= 1e-15


@forms_with_zero
def test_data_of_zeros_converge_with_any_step(form):
    blocks = {"X": np.zeros((3, 2)), "y": np.ones(3), "lam": 0.0, "w": np.ones(2)}
    np.testing.assert_array_equal(solve(form, blocks, 1e6, 3)["w"], [1.0, 1.0])


@some_forms
def test_float32_loses_what_a_float32_loop_loses(form):
    """Root mean square over 40 tasks: one task's error is a draw, its mean is not."""
    n, d, depth, rounds = 12, 4, 50, {"stack": [], "loop": []}
    eta = ridge_problem(n, d, lam=0.1)[1]
    stack = RIDGE_FORMS[form](n, d, depth, eta, dtype=jnp.float32)
    for seed in range(40):
        blocks, _ = ridge_problem(n, d, lam=0.1, seed=seed)
        truth = descend(blocks, eta, depth)[-1]
        out = stack(**blocks)["w"]
        assert out.dtype == np.float32
        rounds["stack"].append(relative_error(out, truth))
        rounds["loop"].append(relative_error(float32_loop(form, blocks, eta, depth), truth))
    stack_error, loop_error = (np.sqrt(np.mean(np.square(e))) for e in rounds.values())
    assert 1e-8 < loop_error < 1e-5
    # The same recursion in the same dtype; sums are taken in another order, which moves a root
    # mean square by far less than a factor of two.
    assert stack_error <= 2 * loop_error


def float32_loop(form, blocks, eta, depth):
    """The form's own recursion, plainly in float32 NumPy."""
    X, y, lam, w = (np.float32(blocks[name]) for name in ("X", "y", "lam", "w"))
    eta = np.float32(eta)
    if form == "ridge_lsa":
        root = np.sqrt(lam)
        Z = np.concatenate([X, root * np.eye(len(w), dtype=np.float32)])
        u, c = np.concatenate([y, 0 * w]), np.concatenate([X @ w, root * w])
        for _ in range(depth):
            c = c + (eta * Z) @ (Z.T @ (u - c))
        return c[len(y) :] / root
    if form == "ridge_lsa_state":
        root = np.sqrt(eta)
        u = X @ ((1 / root) * (root * w))
        for _ in range(depth):
            g = X.T @ (y - u) - lam * w
            w, u = (
                w + root * (root * g),
                u + ((eta * X) @ g + X @ ((1 / root) * (root * w)) - u),
            )
        return w
    if form == "ridge_elsa":
        r = 0 * y
        for _ in range(depth):
            r = r + ((y - r) - X @ w)
            w = w + (eta * (X.T @ r) - (eta * w) @ lam)
        return w
    e = y - X @ w
    for _ in range(depth):
        g = X.T @ e
        w, e = (
            w + (eta * g - (eta * w) @ lam),
            e + (-(eta * X) @ g + (eta * y - eta * e) @ lam),
        )
    return w


@some_forms
def test_without_x64_everything_runs_in_float32(form):
    blocks, eta = ridge_problem(5, 3, 2)
    with jax.enable_x64(False):
        out = solve(form, blocks, eta, 10)
        assert {array.dtype for array in out.values()} == {np.dtype(np.float32)}
    # 10 steps of a contraction, each with a few roundings of 6e-8.
    assert relative_error(out["w"], descend(blocks, eta, 10)[-1]) <= 3e-6


# A stack checks itself.


@some_forms
def test_verify_finds_no_error(form):
    blocks, eta = ridge_problem(5, 3, 2)
    flat = {**blocks, "y": blocks["y"][:, 0], "w": blocks["w"][:, 0], "lam": 0.5}
    for num_queries in (0, 2):
        stack = RIDGE_FORMS[form](5, 3, 4, eta, num_queries=num_queries)
        assert stack.verify(jax.random.key(0)) <= 1e-12
    for known in ({"y": flat["y"]}, {"w": flat["w"], "X": flat["X"]}, flat):
        assert stack.verify(jax.random.key(0), **known) <= 1e-12


@some_forms
def test_verify_takes_zeros_and_float32(form):
    stack = RIDGE_FORMS[form](5, 3, 10, 0.3, dtype=jnp.float32)
    assert stack.verify(jax.random.key(0)) <= 3e-6  # as above, 10 steps in float32
    assert stack.verify(jax.random.key(0), y=np.zeros(5), w=np.zeros(3)) == 0.0


@some_forms
def test_verify_sees_wrong_weights(form):
    stack = RIDGE_FORMS[form](6, 3, 2, 0.3, num_queries=2)
    stack.stack.body[-1].wq[...] *= 1.01
    with pytest.warns(UserWarning, match="verify: the weights of .* are no longer those"):
        assert stack.verify(jax.random.key(0)) > 1e-4


def test_the_layers_are_the_docstrings():
    formulas = {
        "ridge_lsa": [
            ["fit += 0.25 features features^T (label - fit)",
             "fit += 0.25 query features^T (label - fit)"],
        ],
        "ridge_lsa_state": [
            ["fit += X (2 step)^T w"],
            ["w += 0.5 step (X - ridge)^T (y - fit + w)",
             "fit += 0.25 X (X - ridge)^T (y - fit + w)",
             "fit += X (2 step)^T w", "fit += -4 fit e^T e"],
            ["prediction += query_x (2 step)^T w"],
        ],
        "ridge_elsa": [
            ["residual += (y - residual) M", "residual += -X w"],
            ["w += 0.25 X^T residual", "w += -0.25 w lam"],
            ["prediction += query_x w"],
        ],
        "ridge_elsa_one_layer": [
            ["residual += y M", "residual += -X w"],
            ["w += 0.25 X^T residual", "w += -0.25 w lam", "residual += -0.25 X X^T residual",
             "residual += 0.25 (y - residual) lam"],
            ["prediction += query_x w"],
        ],
    }  # fmt: skip
    for form, make in RIDGE_FORMS.items():
        stack = make(5, 3, 6, 0.25, num_queries=2)  # eta^1/2 is 0.5
        assert [[h.formula for h in layer] for layer in stack.layers] == formulas[form]


@some_forms
def test_encode_gives_the_blocks_that_pack_takes(form):
    blocks, eta = ridge_problem(4, 3)
    stack = RIDGE_FORMS[form](4, 3, 2, eta)
    np.testing.assert_array_equal(stack.pack(**blocks), stack.prompts(**blocks)[0])
