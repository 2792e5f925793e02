"""All heads of a dense layer at once against the sum of heads by themselves."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from elsa.attention import many_heads
from elsa.base import arithmetic
from elsa.nn import ELSA, LSA
from tests.helpers import relative_error, wide


def layer(kind, rows, channels, key_size, heads):
    sizes = (channels, key_size, heads)
    options = {"dtype": np.float64, "init_scale": channels**-0.5, "rngs": nnx.Rngs(0)}
    return LSA(*sizes, **options) if kind == "lsa" else ELSA(rows, *sizes, **options)


@pytest.mark.parametrize(
    "kind, batch",
    wide(itertools.product(["lsa", "elsa"], [(), (2,)]), keep=[("lsa", (2,)), ("elsa", ())]),
)
def test_values_and_gradients_are_those_of_heads_by_themselves(kind, batch, monkeypatch):
    monkeypatch.setattr(many_heads, "_LEAST_WORK", 0)
    rows, channels, key_size, heads = 20, 6, 1, 3
    graph, params = nnx.split(layer(kind, rows, channels, key_size, heads))
    h = jnp.asarray(np.random.default_rng(0).normal(size=(*batch, rows, channels)) / rows**0.5)

    def both(params, h):
        out = nnx.merge(graph, params)(h)
        return jnp.sum(jnp.sin(out)), out

    def found():
        (_, out), slopes = jax.value_and_grad(both, (0, 1), has_aux=True)(params, h)
        return [out, *jax.tree.leaves(slopes)]

    assert many_heads.serves(rows, channels, key_size, heads, biased=kind == "elsa")
    at_once = found()
    with arithmetic.as_of(1):
        by_themselves = found()
    # sums of a hundred products of numbers of order 1
    assert max(map(relative_error, at_once, by_themselves)) <= 1e-12


def test_the_order_is_chosen_by_counting():
    assert many_heads.serves(4096, 256, 64, 4, biased=True)
    assert many_heads.serves(16384, 512, 64, 8, biased=True)
    assert not many_heads.serves(4096, 256, 256, 4, biased=True)  # keys as wide as the prompt
    assert not many_heads.serves(64, 2048, 64, 8, biased=False)  # few rows: by the scores
    assert not many_heads.serves(20, 6, 6, 1, biased=False)  # small: nothing to gain
    with arithmetic.as_of(1):
        assert not many_heads.serves(4096, 256, 64, 4, biased=True)
