import functools

import jax
import numpy as np
import pytest
from flax import nnx

from elsa import models, tasks, theory
from tests.helpers import table
from tests.models.trained import SIZES, assert_close, permuted, plain, predict, prompt_of

RNGS = nnx.Rngs(0)


@functools.cache
def transformer(dim, depth, num_heads=1, form="auto"):
    """Weights of a size that changes a token by about its own size in each layer."""
    scale = 1 / (dim + 1) / num_heads**0.5
    return models.LinearTransformer(
        dim, depth, num_heads=num_heads, form=form, scale=0.5, init_scale=scale, rngs=nnx.Rngs(7)
    )


def reference(model, prompt):
    """Z <- Z + scale sum_h P_h Z M (Z^T Q_h Z), tokens as columns, the query's the last."""
    x, y, query = plain(prompt)
    p, q = np.asarray(model.p[...]), np.asarray(model.q[...])
    found = np.zeros(len(x))
    for b in range(len(x)):
        n, d = x[b].shape
        Z = np.zeros((d + 1, n + 1))
        Z[:d, :n], Z[d, :n], Z[:d, n] = x[b].T, y[b], query[b]
        M = np.diag([1.0] * n + [0.0])
        for layer in range(len(p)):
            change = np.zeros_like(Z)
            for head in range(p.shape[1]):
                change += p[layer, head] @ Z @ M @ (Z.T @ q[layer, head] @ Z)
            Z = Z + model.scale * change
        found[b] = -Z[d, n]
    return found


@pytest.mark.parametrize("form", ["gram", "direct"])
@pytest.mark.parametrize("size", SIZES)
def test_a_stack_is_the_recursion_of_its_docstring(size, form):
    model, prompt = transformer(size[2], 2, 2, form), prompt_of(size)
    assert_close(predict(model, prompt), reference(model, prompt))


@pytest.mark.parametrize("depth, num_heads", [(1, 1), (2, 3), (3, 1), (4, 2)])
def test_gram_and_direct_form_agree_in_values_and_gradients(depth, num_heads):
    prompt = prompt_of((2, 4, 2))
    found = {}
    for form in ("gram", "direct"):
        model = transformer(2, depth, num_heads, form)
        graph, params, rest = nnx.split(model, nnx.Param, ...)

        @functools.partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})
        def both(params, graph=graph, rest=rest):
            total = lambda p: nnx.merge(graph, p, rest)(prompt).sum()  # noqa: E731
            return jax.value_and_grad(total)(params)

        value, slopes = both(params)
        found[form] = [np.asarray(value), *map(np.asarray, jax.tree.leaves(slopes))]
    for one, other in zip(found["gram"], found["direct"], strict=True):
        # a layer cubes its input: rounding grows with the depth, by far less than 1e3
        assert np.any(other)
        assert_close(one, other)


def test_a_gram_matrix_gives_the_same_prediction_as_its_rows_in_any_order():
    model, prompt = transformer(2, 3, 2), prompt_of((2, 4, 2))
    expected = predict(model, prompt)
    assert_close(predict(model, tasks.gram_prompt(prompt)), expected)
    assert_close(predict(model, permuted(prompt)), expected)


def test_two_layers_set_by_hand_are_two_steps_of_gradient_descent():
    rates, prompt = (0.1, 0.05), prompt_of((2, 5, 3))
    model = models.LinearTransformer(3, 2, rngs=RNGS)
    model.p[...] = np.broadcast_to(np.diag([0.0, 0.0, 0.0, 1.0]), (2, 1, 4, 4))
    model.q[...] = np.stack([np.diag([-r, -r, -r, 0.0])[None] for r in rates])
    x, y, query = plain(prompt)
    for b, found in enumerate(predict(model, prompt)):
        w = np.zeros(3)
        for rate in rates:
            w = w + rate * x[b].T @ (y[b] - x[b] @ w)
        assert float(found) == pytest.approx(query[b] @ w, rel=1e-12)
    sizes = {"dim": 3, "context_length": 5, "noise_var": 0.1}
    two, one = (theory.multi_step_optimum(**sizes, steps=k).risk for k in (2, 1))
    assert two < one


@pytest.mark.parametrize("rows, on_gram", [(1, False), (1000, True)])
def test_the_cheaper_form_is_taken(rows, on_gram):
    assert transformer(2, 1)._runs_on_gram(rows) is on_gram
    assert transformer(2, 1, form="gram")._runs_on_gram(rows)
    assert not transformer(2, 1, form="direct")._runs_on_gram(rows)


def test_gram_matrices_cannot_be_run_on_directly():
    with pytest.raises(ValueError, match="form='direct' needs a Prompt, got a GramPrompt"):
        transformer(2, 1, form="direct")(tasks.gram_prompt(prompt_of((2, 3, 2))))


@table(
    "arguments, error, message",
    [
        ({"dim": 0}, ValueError, "LinearTransformer: dim must be at least 1"),
        ({"depth": 0}, ValueError, "depth must be at least 1"),
        ({"depth": 1.5}, TypeError, "depth must be an integer"),
        ({"num_heads": 0}, ValueError, "num_heads must be at least 1"),
        ({"scale": 0.0}, ValueError, "scale must be finite and above 0"),
        ({"init_scale": -1.0}, ValueError, "init_scale must be finite and above 0"),
        ({"form": "fast"}, ValueError, "form must be one of .*'gram'.*, got 'fast'"),
        ({"dtype": int}, TypeError, "must be a floating-point type"),
    ],
)
def test_bad_arguments_are_refused_by_name(arguments, error, message):
    with pytest.raises(error, match=message):
        models.LinearTransformer(**{"dim": 2, "depth": 1, **arguments}, rngs=RNGS)
