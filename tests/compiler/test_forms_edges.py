"""What the forms of the table may not do: other numbers than the step's, and large constants."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import elsa
from elsa.compiler.tracing.steps import traced
from tests.compiler.helpers import by_hand, path
from tests.helpers import table

STEPS = {
    "per-sample gradients with a penalty": lambda X, w: {
        "w": w - jax.vmap(lambda x: 0.1 * (x @ w) * x + 0.01 * w)(X).mean(0)
    },
    "a mask": lambda X, w: {
        "w": w - 0.1 * jnp.sum(jnp.where(np.tri(4, 3) > 0, X * (X @ w)[:, None], 0.0), 0)
    },
    "rows of it": lambda X, w: {"w": w - 0.1 * (X[:, :, None] * X[:, None])[1:3].sum(0) @ w},
    "through a scan": lambda X, w: {
        "w": jax.lax.scan(
            lambda c, g: (c - 0.1 * g.sum(0), None), w, X[:, None, :] * (X @ w)[:, None, None]
        )[0]
    },
    "row weights": lambda X, w: {
        "w": w - 0.1 * jnp.einsum("n,ni,nj->ij", np.arange(1.0, 5.0), X, X) @ w
    },
    "a weighted square": lambda X, w: {"w": w * jnp.sum(np.tri(4, 3) * X * X)},
    "by halves": lambda X, w: {"w": w * sum(h.sum() for h in jnp.split(X * X, 2))},
    "a trace of three": lambda X, w: {"w": w * jnp.einsum("ij,kj,kl,il->", X, X, X, X)},
    "padded": lambda X, w: {"w": w + jnp.pad(X * (X @ w)[:, None], ((1, 2), (2, 0))).sum(0)[2:]},
    "joined": lambda X, w: {
        "w": w
        + jnp.concatenate([X * (X @ w)[:, None], jnp.ones((4, 2)) * (X @ w)[:, None]], 1).sum(0)[
            1:4
        ]
    },
    "a hessian across two arguments": lambda X, w: {
        "w": jax.hessian(lambda z: jnp.vdot(X @ z[:3], X @ z[3:]))(jnp.zeros(6))[:3, 3:] @ w
    },
    "a column over every row": lambda X, w: {
        "w": w - 0.1 * jnp.sum(jnp.kron(X * (X @ w)[:, None], np.ones((2, 1))), 0)
    },
}


@table("name", STEPS)
def test_what_is_not_formed_agrees_with_the_step(name):
    rng = np.random.default_rng(0)
    blocks = {"X": rng.normal(size=(4, 3)) / 2, "w": rng.normal(size=3)}
    graph = traced(STEPS[name], {"X": (4, 3), "w": (3,)}, 1, tied=True)
    stack = elsa.compile(STEPS[name], {"X": (4, 3), "w": (3,)})
    expected = np.asarray(jax.jit(STEPS[name])(**blocks)["w"])
    out = by_hand(stack, blocks)["w"].reshape(3)
    assert np.abs(out - expected).max() <= 1e-13 * np.abs(expected).max(), str(graph)


@table(
    "function",
    [
        lambda X, w: X.T @ ((X * X) @ w),
        lambda X, w: jnp.cumsum(X * (X @ w)[:, None], 0)[-1],
        lambda X, w: X[0] * X[1],
        lambda X, w: (X * (X @ w)[:, None])[np.array([0, 2])].sum(0),
        lambda X, w: jnp.einsum("ni,ni,nj->j", X, X, X),
        lambda X, w: jax.lax.map(lambda x: x * x, X).sum(0),
        lambda X, w: (X * X).astype(jnp.float32).sum(0),
        lambda X, w: jax.vmap(lambda x: jnp.sqrt(x @ x) * x)(X).sum(0),
    ],
)
def test_what_sums_do_not_make_a_product_is_refused(function):
    with pytest.raises(elsa.CompileError, match=r"cannot run on linear attention \(.*line \d+"):
        elsa.compile(lambda X, w: {"w": w + function(X, w)}, {"X": (4, 3), "w": (3,)})


def test_rounding_in_float32_is_that_of_the_step():
    """Both against the step in float64, on the edge of stability, where rounding adds up."""

    def step(X, y, w):
        grads = jax.vmap(jax.grad(lambda w, x, y: 0.5 * (x @ w - y) ** 2), (None, 0, 0))(w, X, y)
        penalty = 0.01 * jnp.sum(w * w) * w
        return {"w": w - 0.1 * (grads.sum(0) + jnp.sum((X @ w)[:, None] * X, 0) + penalty)}

    rng, depth = np.random.default_rng(0), 30
    ratios = []
    for _ in range(5):
        X, w = rng.normal(size=(40, 3)).astype("f4") / 3, rng.normal(size=3).astype("f4")
        blocks = {"X": X, "y": X @ w + 0.1 * rng.normal(size=40).astype("f4"), "w": w}
        exact = path(step, {n: np.asarray(b, "f8") for n, b in blocks.items()}, depth)[-1]["w"]
        with jax.enable_x64(False):
            own = path(step, blocks, depth)[-1]["w"]
        stack = elsa.compile(step, {n: b.shape for n, b in blocks.items()}, depth, dtype="float32")
        mine = np.asarray(by_hand(stack, blocks, dtype=np.float32)["w"]).reshape(3)
        floor = 6e-8 * np.abs(exact).max()
        ratios.append(np.abs(mine - exact).max() / max(np.abs(own - exact).max(), floor))
    assert np.median(ratios) <= 4, ratios


def test_constants_of_long_data_are_kept_by_their_structure():
    """n x n numbers would be 7.2 GB."""
    n = 30_000

    def step(X, y, w):
        r = X @ w - y
        grad = jnp.mean(X * r[:, None], 0) + (2.0 * X.ravel()).reshape(X.shape)[0]
        return {
            "X": X.at[0].set(w),
            "y": jnp.convolve(y.at[:2].add(1.0), np.array([1.0, 0.5]), mode="same"),
            "w": w - 0.1 * grad * jnp.var(y) - jnp.repeat(y, 2)[: len(w)],
        }

    stack = elsa.compile(step, {"X": (n, 2), "y": (n,), "w": (2,)})
    assert stack.num_layers < 10


def test_a_slice_of_data_that_depends_on_t_is_refused_and_one_of_a_constant_is_not():
    K = jnp.arange(12.0).reshape(4, 3)

    def table_of_numbers(w, *, t):
        return {"w": w * K[t] + K[t : t + 1, 0]}

    out = elsa.compile(table_of_numbers, {"w": (3,)}, 4, tied=False)
    expected = np.ones(3)
    for t in range(4):
        expected = expected * np.asarray(K[t]) + float(K[t, 0])
    np.testing.assert_allclose(by_hand(out, {"w": np.ones(3)})["w"].ravel(), expected, rtol=1e-13)
    with pytest.raises(elsa.CompileError, match="differs from that at t=0 in more than its num"):
        elsa.compile(lambda w, *, t: {"w": w + w[t]}, {"w": (3,)}, 3, tied=False)


def test_updates_may_depend_on_t():
    def step(w, *, t):
        return {"w": w.at[t].add(2.0 * w[0])}

    stack = elsa.compile(step, {"w": (3,)}, 3, tied=False)
    out = by_hand(stack, {"w": np.ones(3)})["w"].ravel()
    np.testing.assert_allclose(out, [3.0, 7.0, 7.0], rtol=1e-14)


def test_draws_in_float64_are_refused_where_the_step_runs_in_float32():
    def step(w):
        return {"w": w + jax.random.normal(jax.random.key(0), w.shape)}

    with pytest.raises(elsa.CompileError, match=r"other numbers.*jax.random.normal\(key, shape, j"):
        elsa.compile(step, {"w": (3,)}, dtype="float32")
    drawn = np.asarray(jax.random.normal(jax.random.key(0), (3,)))
    out = by_hand(elsa.compile(step, {"w": (3,)}), {"w": np.zeros(3)})["w"].ravel()
    np.testing.assert_allclose(out, drawn, rtol=1e-15)


def test_keys_split_and_scanned_over_are_constants():
    keys = jax.random.split(jax.random.key(1), 3)

    def step(w):
        add = lambda c, key: (c + jax.random.normal(key, w.shape), None)  # noqa: E731
        return {"w": jax.lax.scan(add, w, keys)[0]}

    out = by_hand(elsa.compile(step, {"w": (3,)}), {"w": np.zeros(3)})["w"].ravel()
    np.testing.assert_allclose(out, step(jnp.zeros(3))["w"], rtol=1e-14)


@table(
    "matrix, message",
    [
        (np.ones((3, 3)), "singular; add a multiple of the identity"),
        (np.diag([1.0, 1e-4, 1e-9]), r"condition number 1e\+09, above 1e\+08"),
        (np.diag([1.0, 1.0, 0.0]), "singular"),
    ],
)
def test_a_constant_that_has_no_inverse_worth_its_digits_is_refused(matrix, message):
    for solve in (jnp.linalg.solve, lambda a, b: jax.scipy.linalg.solve_triangular(a, b)):
        if np.any(np.tril(matrix, -1)) and solve is not jnp.linalg.solve:
            continue
        with pytest.raises(elsa.CompileError, match=message):
            elsa.compile(lambda w, solve=solve: {"w": solve(matrix, w)}, {"w": (3,)})


def test_batches_of_right_hand_sides_are_solved_along_the_axis_that_they_lie_along():
    C = 2.0 * np.eye(3) + np.tri(3)

    def step(R, S, T):
        rows = jax.vmap(lambda r: jnp.linalg.solve(C, r))
        return {
            "R": rows(R),
            "S": jax.vmap(lambda s: jnp.linalg.solve(C, s), 1, 1)(S),
            "T": jax.lax.linalg.triangular_solve(C, T, lower=True, transpose_a=True),
        }

    rng = np.random.default_rng(0)
    blocks = {"R": rng.normal(size=(3, 3)), "S": rng.normal(size=(3, 3))}
    blocks["T"] = rng.normal(size=(2, 3))
    out = by_hand(elsa.compile(step, {k: v.shape for k, v in blocks.items()}), blocks)
    for name, value in jax.jit(step)(**blocks).items():
        np.testing.assert_allclose(out[name], value, rtol=1e-12, atol=1e-14)


def test_reshapes_that_cut_no_index_evenly_are_refused_and_end():
    steps = [
        lambda y, o: {"o": o + jnp.broadcast_to(y[:, None], (4, 3)).reshape(6, 2)},
        lambda y, o: {"o": o + jnp.repeat(y, 3).reshape(-1, 2)},
    ]
    for step in steps:
        with pytest.raises(elsa.CompileError, match="breaks the matrix up"):
            elsa.compile(step, {"y": (4,), "o": (6, 2)})


def test_features_of_known_covariates_are_refused_by_line():
    known = np.arange(12.0).reshape(4, 3)

    def step(A, o):
        return {"o": o + (known[:, :, None] * A[:, None, :]).reshape(-1, 2)}

    with pytest.raises(elsa.CompileError, match="blocks are matrices, got an array of shape"):
        elsa.compile(step, {"A": (4, 2), "o": (12, 2)})


def test_numbers_that_vanish_in_the_precision_are_refused():
    def step(w):
        return {"w": (w * 1e-25) * 1e-25}

    with pytest.raises(elsa.CompileError, match="too small for float32"):
        elsa.compile(step, {"w": (3,)}, dtype=np.float32)
    elsa.compile(step, {"w": (3,)}, dtype=np.float64)
