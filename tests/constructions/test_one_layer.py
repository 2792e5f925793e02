"""One step from a start, and one with an intercept, by one layer with biases."""

import jax
import numpy as np
import pytest

from elsa import constructions, theory
from tests.helpers import stack_reference, table

SIZES = [(1, 1), (2, 4), (7, 1), (6, 3)]
PROMPTS = {"stacked": 1, "natural": 2}  # -> heads


def problem(n, d, seed=0):
    rng = np.random.default_rng(seed)
    given = {"X": rng.normal(size=(n, d)), "y": rng.normal(size=(n, 1))}
    return given | {"query_x": rng.normal(size=(1, d))}, rng.normal(size=d), rng.normal(size=(d, d))


def predicted(stack, given):
    """The prediction in NumPy: blocks into the prompt, the layer, the entry read."""
    h = np.zeros(stack.layout.shape)
    for name, block in given.items():
        box = stack.layout.box(name)
        h[box.row : box.rows.stop, box.col : box.channels.stop] = block
    place = stack.readout.box("prediction")
    return stack_reference(stack.stack, h)[place.row, place.col]


def assert_close(found, expected, terms, dtype=np.float64):
    """Within what rounding leaves of the terms that are added up: 1e-12, or 64 roundings."""
    tolerance = 1e-12 if dtype == np.float64 else 64 * np.finfo(dtype).eps
    size = sum(float(np.abs(term).sum()) for term in terms)
    assert abs(float(found) - float(expected)) <= tolerance * size


def gd_beta(given, init, matrix):
    """What it should be, and the terms that are added up."""
    X, y, x = given["X"], given["y"][:, 0], given["query_x"][0]
    n = len(y)
    absolute = np.abs(x) @ np.abs(matrix) @ np.abs(X.T) / n
    terms = [absolute * (np.abs(X) @ np.abs(init) + np.abs(y)), x * init]
    return x @ init - x @ (matrix @ (X.T @ (X @ init - y))) / n, terms


def affine(given, matrix, scale):
    X, y, x = given["X"], given["y"][:, 0], given["query_x"][0]
    terms = [np.abs(x) @ np.abs(matrix) @ np.abs(X.T) * np.abs(y), scale * y / len(y)]
    return x @ matrix @ X.T @ y + scale * y.mean(), terms


@table("sizes", SIZES)
@table("prompt", PROMPTS)
def test_it_is_gd_beta(sizes, prompt):
    given, init, matrix = problem(*sizes)
    stack = constructions.gd_beta_elsa(sizes[0], init, matrix, prompt=prompt)
    assert (stack.num_layers, stack.num_heads) == (1, PROMPTS[prompt])
    assert_close(predicted(stack, given), *gd_beta(given, init, matrix))


@table("sizes", SIZES)
def test_it_is_an_affine_step(sizes):
    given, _, matrix = problem(*sizes, seed=1)
    stack = constructions.affine_elsa(sizes[0], matrix, -0.7)
    assert stack.num_heads == 1 and stack.weights[0].wq.shape[-1] == sizes[1] + 1
    assert_close(predicted(stack, given), *affine(given, matrix, -0.7))


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_calls_in_both_precisions(dtype):
    """Also of what theory says is best."""
    given, mean, _ = problem(6, 3, seed=2)
    setting = theory.Setting(dim=3, context_length=6, noise_var=0.1, task_mean=mean)
    init, matrix, _ = theory.gd_beta_optimum(setting)
    step = theory.affine_elsa_optimum(setting.centred(), intercept_var=1.0)
    for prompt in PROMPTS:
        stack = constructions.gd_beta_elsa(6, init, matrix, prompt=prompt, dtype=dtype)
        found = stack(**given)["prediction"]
        assert found.shape == (1, 1) and found.dtype == dtype
        assert_close(found[0, 0], *gd_beta(given, init, matrix), dtype)
    chosen = step.weight, step.intercept_scale
    stack = constructions.affine_elsa(6, *chosen, dtype=dtype)
    found = stack(**given)["prediction"]
    assert found.dtype == dtype
    assert_close(found[0, 0], *affine(given, *chosen), dtype)
    many = constructions.multi_head_lsa(6, theory.multi_head_optimum(setting).key_query)
    if dtype == np.float64:
        assert many.verify(jax.random.key(0)) < 1e-12
        assert stack.verify(jax.random.key(0)) < 1e-12


@table("sizes", SIZES)
def test_many_heads_make_what_theory_says_is_best_of_the_gram_matrix(sizes):
    n, d = sizes
    given, mean, _ = problem(n, d, seed=3)
    setting = theory.Setting(dim=d, context_length=n, noise_var=0.1, task_mean=mean)
    V = theory.multi_head_optimum(setting).key_query
    stack = constructions.multi_head_lsa(n, V)
    assert stack.num_heads == d + 1 and not any(head.has_bias for head in stack.layers[0])
    rows = np.hstack([given["X"], given["y"]])
    read = np.einsum("ih,ic,hca,a->hic", rows, rows, V, given["query_x"][0]) / n
    assert_close(predicted(stack, given), read.sum(), [read])


def test_the_head_on_the_stacked_prompt_has_the_key_size_of_the_covariates():
    stack = constructions.gd_beta_elsa(5, np.ones(3), np.eye(3))
    assert stack.weights[0].wq.shape == (1, 8, 3)
    assert "b0" in str(stack)


def test_a_column_is_a_start():
    _, init, matrix = problem(3, 2)
    flat, column = (
        constructions.gd_beta_elsa(3, start, matrix).weights[0] for start in (init, init[:, None])
    )
    for one, other in zip(flat, column, strict=True):
        np.testing.assert_array_equal(one, other)


@table(
    "change, error, message",
    [
        ({"context_length": 0}, ValueError, "context_length must be at least 1"),
        ({"init": np.ones(3)}, ValueError, r"'init' must have shape \(2, 1\), got \(3,\)"),
        ({"init": [np.nan, 1.0]}, ValueError, "init must be finite"),
        ({"preconditioner": np.ones((2, 3))}, ValueError, "preconditioner must have shape"),
        ({"prompt": "designed"}, ValueError, "prompt must be one of"),
    ],
)
def test_bad_arguments_of_a_start(change, error, message):
    good = {"context_length": 3, "init": np.ones(2), "preconditioner": np.eye(2)}
    with pytest.raises(error, match=f"gd_beta_elsa: .*{message}"):
        constructions.gd_beta_elsa(**(good | change))


@table(
    "change, error, message",
    [
        ({"context_length": 2.0}, TypeError, "context_length must be an integer"),
        ({"weight": np.ones((2, 3))}, ValueError, "weight must have shape"),
        ({"intercept_scale": np.inf}, ValueError, "intercept_scale must be finite"),
        ({"intercept_scale": [1.0]}, ValueError, "intercept_scale must be a single number"),
    ],
)
def test_bad_arguments_of_an_affine_step(change, error, message):
    good = {"context_length": 3, "weight": np.eye(2), "intercept_scale": 0.5}
    with pytest.raises(error, match=f"affine_elsa: .*{message}"):
        constructions.affine_elsa(**(good | change))


@table(
    "change, message",
    [
        ({"key_query": np.ones((3, 3, 3))}, r"key_query must have shape \(d\+1, d\+1, d\), got"),
        ({"key_query": np.ones((3, 2, 2))}, "key_query must have shape"),
        ({"key_query": np.full((3, 3, 2), np.nan)}, "key_query must be finite"),
        ({"context_length": 0}, "context_length must be at least 1"),
    ],
)
def test_bad_arguments_of_many_heads(change, message):
    good = {"context_length": 3, "key_query": np.ones((3, 3, 2))}
    with pytest.raises(ValueError, match=f"multi_head_lsa: {message}"):
        constructions.multi_head_lsa(**(good | change))
