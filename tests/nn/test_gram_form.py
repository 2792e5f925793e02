"""Residual stacks of LSA layers on the Gram matrix: values, gradients, choice, refusals."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from hypothesis import given
from hypothesis import strategies as st

from elsa import constructions, nn


def small(layer):
    """The layer with weights that let thirty layers neither vanish nor explode."""
    for name in ("wq", "wk", "wv"):
        array = getattr(layer, name)[...]
        noise = jax.random.normal(jax.random.key(array.size), array.shape, array.dtype)
        getattr(layer, name)[...] = 0.2 * noise / array.shape[-2]
    return layer


def stack_of(m, p, heads, depth, *, tied):
    if not tied:
        return nn.Stack.untied(
            lambda rngs: small(nn.LSA(m, p, heads, rngs=rngs)), depth, rngs=nnx.Rngs(0)
        )
    layers = [small(nn.LSA(m, p, heads, rngs=nnx.Rngs(i))) for i in range(4)]
    return nn.Stack(layers[:2], depth, prologue=layers[2:3], epilogue=layers[3:])


@given(
    n=st.integers(1, 9),
    m=st.integers(1, 4),
    p=st.integers(1, 5),
    heads=st.integers(1, 2),
    depth=st.integers(0, 5),
    tied=st.booleans(),
)
def test_both_forms_give_the_same_prompt(n, m, p, heads, depth, tied):
    stack = stack_of(m, p, heads, depth + (not tied), tied=tied)
    h = jax.random.normal(jax.random.key(1), (2, n, m))
    prompt = h if n % 2 else h[0]  # a batch or one prompt; each would be compiled
    np.testing.assert_allclose(stack(prompt, form="gram"), stack(prompt), rtol=1e-11, atol=1e-12)


def test_both_forms_give_the_same_gradients():
    stack = stack_of(3, 2, 2, 4, tied=True)
    h = jax.random.normal(jax.random.key(1), (6, 3))
    graph, params = nnx.split(stack)

    def loss(params, h, form):
        return jnp.sum(jnp.sin(nnx.merge(graph, params)(h, form=form)))

    direct = jax.grad(loss, argnums=(0, 1))(params, h, "direct")
    gram = jax.grad(loss, argnums=(0, 1))(params, h, "gram")
    jax.tree.map(
        lambda one, other: np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-12),
        direct,
        gram,
    )


def test_a_ridge_construction_runs_on_the_gram_matrix():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(40, 3)), rng.normal(size=(40, 1))
    stack = constructions.ridge_lsa(40, 3, 60, 0.01)
    packed = stack.pack(X=X, y=y, lam=0.5)
    direct, gram = (stack.stack(packed, form=form) for form in ("direct", "gram"))
    np.testing.assert_allclose(gram, direct, rtol=1e-11, atol=1e-12)


def flops(stack, h, form):
    compiled = jax.jit(lambda h: stack(h, form=form)).lower(h).compile()
    return compiled.cost_analysis()["flops"]


def test_auto_takes_the_cheaper_form():
    stack = stack_of(3, 3, 1, 1, tied=False)
    for rows, cheaper in ((500, "gram"), (1, "direct")):
        deep = nn.Stack(list(stack_of(3, 3, 1, 6, tied=True).body), 6)
        h = jnp.ones((rows, 3))
        assert flops(deep, h, "auto") == flops(deep, h, cheaper), rows
    assert stack.num_layers == 1


@pytest.mark.parametrize(
    "make, options, message",
    [
        (lambda: nn.ELSA(3, 2, 2, rngs=nnx.Rngs(0)), {}, "a layer of type ELSA"),
        (lambda: nn.LSA(2, 2, rngs=nnx.Rngs(0)), {"observe": jnp.sum}, "prompt is observed"),
    ],
)
def test_what_needs_the_rows_is_refused_and_auto_runs_it_directly(make, options, message):
    stack, h = nn.Stack([make()], 2), jnp.ones((3, 2))
    with pytest.raises(ValueError, match=f"form='gram' is not possible: .*{message}"):
        stack(h, form="gram", **options)
    jax.tree.map(
        np.testing.assert_array_equal, stack(h, form="auto", **options), stack(h, **options)
    )


def test_a_prompt_of_other_channels_and_an_unknown_form_are_refused():
    stack = nn.Stack([nn.LSA(2, 2, rngs=nnx.Rngs(0))], 2)
    with pytest.raises(ValueError, match=r"must have shape \(n, 2\) or \(batch, n, 2\), got"):
        stack(jnp.ones((3, 4)), form="gram")
    with pytest.raises(ValueError, match="form must be one of"):
        stack(jnp.ones((3, 2)), form="cholesky")
