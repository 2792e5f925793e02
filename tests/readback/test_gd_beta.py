"""Blocks that are one step from a learnt start, and the step that is read from any block."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from hypothesis import given
from hypothesis import strategies as st

from elsa import predictors, readback
from elsa.models import LinearAttention, LinearTransformerBlock
from elsa.tasks import Prompt, gram_prompt
from tests.helpers import relative_error, table

# (n, d): one row and one covariate, fewer rows than covariates, tall
SIZES = [(1, 1), (3, 5), (9, 3)]


def problem(n, d, seed, batch=4):
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(batch, n, d)), rng.normal(size=(batch, n))
    prompt = Prompt(x, y, rng.normal(size=(batch, d)), np.full(batch, np.nan))
    return prompt, rng.normal(size=d) * 10.0 ** rng.uniform(-1, 1), rng.normal(size=(d, d))


def natural_scale(prompt, init, gamma):
    """The size of the terms that a prediction sums."""
    x, y, query = (np.abs(part) for part in (prompt.x, prompt.y, prompt.query_x))
    labels = y + x @ np.abs(init)
    step = np.einsum("bnd,bn->bd", x, labels) @ np.abs(gamma).T / x.shape[1]
    return np.sum(query * (np.abs(init) + step), axis=1)


@given(st.sampled_from(SIZES), st.integers(0, 2**32 - 1))
def test_the_block_is_the_step_and_the_step_is_read_back(size, seed):
    prompt, init, gamma = problem(*size, seed)
    block = readback.gd_beta_block(init, gamma)
    expected = predictors.gd_beta(prompt, init, gamma)
    error = np.abs(np.asarray(block(prompt)) - expected)
    assert np.all(error <= 1e-12 * natural_scale(prompt, init, gamma))
    found = readback.read_gd_beta(block)
    np.testing.assert_allclose(found.init, init, rtol=1e-10)
    np.testing.assert_allclose(found.preconditioner, gamma, rtol=1e-10, atol=1e-10)
    assert found.residual <= 1e-10 * (1.0 + np.linalg.norm(init)) * np.linalg.norm(gamma)


def test_the_formula_sheets_example():
    X, y = np.array([[1.0, 0.0], [0.5, -1.0], [2.0, 1.0]]), np.array([1.0, -0.5, 2.0])
    prompt = Prompt(X[None], y[None], np.array([[0.3, 0.7]]), np.zeros(1))
    block = readback.gd_beta_block([0.5, 0.0], [[0.3, 0.1], [0.0, 0.4]])
    assert block(prompt)[0] == pytest.approx(0.394583333, abs=5e-10)


def test_a_context_length_makes_it_run_on_gram_matrices():
    prompt, init, gamma = problem(6, 3, seed=1)
    block = readback.gd_beta_block(init, gamma, context_length=6)
    expected = predictors.gd_beta(prompt, init, gamma)
    assert relative_error(block(gram_prompt(prompt)), expected) <= 1e-12


def random_block(d, seed):
    return LinearTransformerBlock(d, scale=0.2, rngs=nnx.Rngs(params=seed))


@pytest.mark.parametrize("n, d", [(1, 4), (9, 3)])
def test_of_any_block_the_odd_part_is_the_step_and_the_residual_bounds_the_rest(n, d):
    prompt, *_ = problem(n, d, seed=2)
    block = random_block(d, seed=3)
    init, gamma, residual = (np.asarray(part) for part in readback.read_gd_beta(block))

    empty = prompt._replace(x=np.zeros((4, n, d)), y=np.zeros((4, n)))
    assert relative_error(block(empty), prompt.query_x @ init) <= 1e-13

    center = prompt.x @ init  # labels without a residual
    left = prompt.y - center
    above, below = (block(prompt._replace(y=center + sign * left)) for sign in (1.0, -1.0))
    moments = np.einsum("bnd,bn->bd", prompt.x, left)
    expected = block.scale * np.einsum("bd,bd->b", prompt.query_x @ gamma, moments)
    assert relative_error((above - below) / 2, expected) <= 1e-11

    even = (above + below) / 2 - prompt.query_x @ init
    S = np.einsum("bni,bnj->bij", prompt.x, prompt.x)
    sizes = np.sqrt(np.sum(S**2, axis=(1, 2)) + np.sum(left**2, axis=1) ** 2)
    bound = block.scale * residual * np.linalg.norm(prompt.query_x, axis=1) * sizes
    assert np.all(np.abs(even) <= bound * (1 + 1e-10)) and residual > 0.1


def test_reading_works_under_jit_vmap_and_grad():
    graph, params = nnx.split(random_block(3, seed=4))

    def read(params):
        return readback.read_gd_beta(nnx.merge(graph, params))

    plain = readback.read_gd_beta(random_block(3, seed=4))
    mapped = jax.jit(jax.vmap(read))(jax.tree.map(lambda leaf: leaf[None], params))
    for ours, expected in zip(mapped, plain, strict=True):
        assert relative_error(ours[0], expected) <= 1e-13

    def residual_of(init):
        return readback.read_gd_beta(readback.gd_beta_block(init, jnp.eye(2))).residual

    assert np.isfinite(jax.jit(jax.grad(residual_of))(jnp.ones(2))).all()


@table(
    "init, gamma, message",
    [
        (np.ones((2, 1)), np.eye(2), r"init must have 1 axes \(d\), got shape \(2, 1\)"),
        (np.ones(2), np.eye(3), r"preconditioner must have shape \(d=2, d=2\), got \(3, 3\)"),
        (np.array([1.0, np.nan]), np.eye(2), "init must be finite"),
        (np.ones(2), np.full((2, 2), np.inf), "preconditioner must be finite"),
    ],
)
def test_it_refuses_bad_arrays(init, gamma, message):
    with pytest.raises(ValueError, match=f"gd_beta_block: {message}"):
        readback.gd_beta_block(init, gamma)


def test_it_refuses_bad_numbers_and_other_modules():
    with pytest.raises(ValueError, match="context_length must be at least 1, got 0"):
        readback.gd_beta_block(np.ones(1), np.eye(1), context_length=0)
    with pytest.raises(TypeError, match="dtype must be a floating-point type, got int32"):
        readback.gd_beta_block(np.ones(1), np.eye(1), dtype=np.int32)
    with pytest.raises(TypeError, match="must be a LinearTransformerBlock, got LinearAttention"):
        readback.read_gd_beta(LinearAttention(2, rngs=nnx.Rngs(params=0)))  # type: ignore[arg-type]
    deep = LinearTransformerBlock(2, 3, rngs=nnx.Rngs(params=0))
    with pytest.raises(ValueError, match="must have depth 1, one step, got depth 3"):
        readback.read_gd_beta(deep)
