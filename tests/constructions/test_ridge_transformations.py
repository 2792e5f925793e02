"""Ridge constructions under jit, vmap and grad: one program for any batch and depth."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from elsa.constructions import ridge_elsa
from tests.constructions.ridge_cases import forms, some_forms
from tests.helpers import (
    RIDGE_FORMS,
    program_size,
    relative_error,
    ridge_gradient,
    ridge_problem,
)


def task_batch(batch, n, d, num_queries=0):
    rng = np.random.default_rng(0)
    blocks = {
        "X": rng.normal(size=(batch, n, d)),
        "y": rng.normal(size=(batch, n)),
        "lam": rng.uniform(0.5, 2.0, size=batch),
    }
    if num_queries:
        blocks["query_x"] = rng.normal(size=(batch, num_queries, d))
    largest = np.linalg.eigvalsh(np.swapaxes(blocks["X"], 1, 2) @ blocks["X"])[:, -1].max() + 2.0
    return blocks, 1 / largest


def batched_descent(blocks, step_size, depth):
    X, y, lam = blocks["X"], blocks["y"], blocks["lam"][:, None]
    gram, moment = np.swapaxes(X, 1, 2) @ X, np.einsum("bnd,bn->bd", X, y)
    w = np.zeros_like(moment)
    for _ in range(depth):
        w = w - step_size * (np.einsum("bij,bj->bi", gram, w) - moment + lam * w)
    return w


@some_forms
@pytest.mark.parametrize("depth", [3, pytest.param(100, marks=pytest.mark.slow)])
def test_a_batch_of_tasks_is_one_program(form, depth):
    blocks, step_size = task_batch(256, 100, 20)
    stack = RIDGE_FORMS[form](100, 20, depth, step_size)
    run = jax.jit(jax.vmap(lambda blocks: stack(**blocks)["w"]))
    out = run(blocks)
    assert relative_error(out, batched_descent(blocks, step_size, depth)) <= 1e-10
    again = run({**blocks, "y": -blocks["y"]})
    assert run._cache_size() == 1
    assert relative_error(again, -np.asarray(out)) <= 1e-12


@forms
@pytest.mark.parametrize("num_queries", [0, 5])
def test_the_traced_program_grows_with_neither_depth_nor_batch(form, num_queries):
    def size(depth, batch):
        blocks, step_size = task_batch(batch, 10, 4, num_queries)
        stack = RIDGE_FORMS[form](10, 4, depth, step_size, num_queries=num_queries)
        return program_size(jax.vmap(lambda blocks: stack(**blocks)), blocks)

    assert size(1, 2) == size(100, 2) == size(3, 256)


@some_forms
def test_jit_equals_eager_and_grad_equals_that_of_the_loop(form):
    blocks, eta = ridge_problem(5, 3, 2)
    stack = RIDGE_FORMS[form](5, 3, 4, eta, num_queries=2)

    def loop(blocks):
        w = blocks["w"]
        for _ in range(4):
            w = w - eta * ridge_gradient(blocks["X"], blocks["y"], blocks["lam"], w)
        return {"w": w, "prediction": blocks["query_x"] @ w}

    out, jitted = stack(**blocks), jax.jit(lambda blocks: stack(**blocks))(blocks)
    for name in out:
        assert relative_error(jitted[name], out[name]) <= 1e-14

    def value(answer, blocks):
        out = answer(blocks)
        return (out["w"] ** 2).sum() + out["prediction"].sum()

    gradient = jax.jit(jax.grad(lambda blocks: value(lambda b: stack(**b), blocks)))(blocks)
    expected = jax.grad(lambda blocks: value(loop, blocks))(jax.tree.map(jnp.asarray, blocks))
    for name in blocks:
        # Four steps, each bounded by one: the derivative is as well conditioned as the value.
        assert relative_error(gradient[name], expected[name]) <= 1e-12, name


def test_stacks_of_one_shape_share_a_compiled_program():
    from elsa.nn.running import run_stack

    blocks, eta = ridge_problem(7, 3)
    before = run_stack._cache_size()
    for step_size in (eta, eta / 2):
        for _ in range(2):
            ridge_elsa(7, 3, 13, step_size)(**blocks)
    assert run_stack._cache_size() == before + 1
