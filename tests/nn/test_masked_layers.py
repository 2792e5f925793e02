"""LSA to whose keys some rows do not belong."""

import jax.numpy as jnp
import numpy as np
from flax import nnx

from elsa import nn
from elsa.nn.masked_layers import MaskedLSA

N, M, P, HEADS = 5, 3, 2, 2


def test_a_row_that_is_masked_is_attended_to_by_none_and_attends_to_the_others():
    """(H Wq) (H Wk)^T without the columns of masked rows, times H Wv; with no mask it is LSA."""
    h = np.random.default_rng(0).normal(size=(N, M))
    layer = MaskedLSA(M, P, HEADS, rngs=nnx.Rngs(0), init_scale=0.5)
    attended = np.array([1.0, 0.0, 1.0, 1.0, 0.0])[:, None]
    scores = np.asarray(layer.scores(h)) * attended[None, :, 0]
    expected = sum(
        each @ h @ np.asarray(value) for each, value in zip(scores, layer.wv[...], strict=True)
    )
    np.testing.assert_allclose(layer(jnp.asarray(h), attended), expected, rtol=1e-12)
    same = nn.LSA.from_weights(layer.weights)
    np.testing.assert_allclose(layer(jnp.asarray(h), np.ones((N, 1))), same(h), rtol=1e-12)
