"""Stacks that mask the query's row, and stacks without biases that are told the rows' roles."""

import jax
import numpy as np
import pytest
from flax import nnx

from elsa import models, tasks
from elsa.nn.layers import LSA
from tests.models.trained import predict

N, D, BATCH = 6, 3, 4


def prompt_of(n=N):
    return tasks.AffineRegression(dim=D, context_length=n).sample(jax.random.key(0), BATCH)


def test_a_masked_layer_is_linear_attention_of_the_query_to_the_context():
    """x Wq (Wk^T G Wv) with G the Gram matrix of the context alone, read at the prediction."""
    prompt = prompt_of()
    model = models.LSAModel(D, N, masked=True, num_heads=2, init_scale=1.0, rngs=nnx.Rngs(0))
    wq, wk, wv = (np.asarray(w)[0] for w in (getattr(model.stack.body[0], f) for f in LSA.fields))
    rows = np.zeros((BATCH, N, 2 * D + 2))
    rows[..., :D], rows[..., 2 * D] = prompt.x, prompt.y
    gram = np.einsum("bni,bnj->bij", rows, rows) / N
    expected = sum(
        np.einsum("bi,bi->b", prompt.query_x @ wq[k][D : 2 * D] @ wk[k].T, gram @ wv[k][:, -1])
        for k in range(2)
    )
    np.testing.assert_allclose(predict(model, prompt), expected, rtol=1e-12)


def test_the_query_is_masked_in_every_layer_and_at_every_length():
    """Against layers in NumPy whose sums over rows leave the last one out."""
    prompt = prompt_of(9)
    model = models.LSAModel(D, N, 2, masked=True, init_scale=1.0, rngs=nnx.Rngs(0))
    states = np.asarray(jax.jit(lambda given: model.hidden_states(given))(prompt))
    for layer in range(2):
        q, k, v = (np.asarray(getattr(model.stack.body[0], f))[layer, 0] for f in LSA.fields)
        h = states[layer]
        added = (h @ q) @ ((h @ k)[:, :-1].swapaxes(1, 2) @ (h @ v)[:, :-1])
        np.testing.assert_allclose(states[layer + 1], h + added, rtol=1e-10, atol=1e-12)
    cut = tasks.keep_last(prompt, 4)
    short = prompt._replace(x=prompt.x[:, -4:], y=prompt.y[:, -4:])
    np.testing.assert_allclose(predict(model, cut), predict(model, short), atol=1e-12)


def test_role_channels_give_a_stack_without_biases_what_biases_give():
    """ELSA(H) is LSA([H | R]) with weights [W; b] that writes H's channels alone, in two layers."""
    elsa = models.ELSAModel(D, N, 2, num_heads=2, key_size=4, init_scale=1.0, rngs=nnx.Rngs(0))
    told = models.LSAModel(
        D, N, 2, num_heads=2, key_size=4, layout="stacked_roles", rngs=nnx.Rngs(0)
    )
    own, given = told.stack.body[0], elsa.stack.body[0]
    for name, bias in (("wq", "bq"), ("wk", "bk")):
        both = np.concatenate([getattr(given, name)[...], getattr(given, bias)[...]], axis=2)
        setattr(own, name, nnx.Param(jax.numpy.asarray(both)))
    values = np.concatenate([given.wv[...], given.bv[...]], axis=2)
    own.wv = nnx.Param(jax.numpy.pad(values, [(0, 0)] * 3 + [(0, 2)]))
    for n in (N, 9):
        prompt = prompt_of(n)
        np.testing.assert_allclose(predict(told, prompt), predict(elsa, prompt), rtol=1e-10)
    states = np.asarray(told.hidden_states(prompt_of()))
    np.testing.assert_allclose(states[-1, :, :, -2:], states[0, :, :, -2:])
    np.testing.assert_allclose(states[0, 0, :, -2:], [[N**-0.5, 0.0]] * N + [[0.0, 1.0]])


REFUSED = {
    "biases": (models.ELSAModel, {}, "masked=True is of layers without biases"),
    "built": (models.LSAModel, {"init": "construction"}, "is of random stacks, got init='constr"),
    "one row": (models.LSAModel, {"layout": "natural"}, "a query in a row of its own"),
    "transposed": (models.LSAModel, {"layout": "transposed"}, "a query in a row of its own"),
    "no flag": (models.LSAModel, {"masked": 1}, "masked must be"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_mask_that_cannot_be_had_is_refused(case):
    kind, own, says = REFUSED[case]
    with pytest.raises((ValueError, TypeError), match=says):
        kind(D, N, **{"masked": True, **own}, rngs=nnx.Rngs(0))


def test_a_mask_is_in_no_block_stack():
    with pytest.raises(ValueError, match="layers of a block stack have no mask"):
        models.block_stack(models.LSAModel(D, N, masked=True, rngs=nnx.Rngs(0)))
