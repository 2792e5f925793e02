"""Stacks with biases as stacks without, on prompts that carry the roles of their rows."""

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from hypothesis import given
from hypothesis import strategies as st

from elsa import attention, constructions, nn
from elsa.heads.head import HeadWeights
from elsa.models import ELSAModel
from elsa.nn.role_layers import RoleELSA
from tests.helpers import stack_reference

N, M, P = 4, 3, 2


def layer(kind=nn.ELSA, *, rows=N, channels=M, num_heads=2, steps=(), seed=0):
    """A layer with normal weights; `steps` for an untied stack."""
    rng, lead = np.random.default_rng(seed), (*steps, num_heads)
    shapes = [(channels, P), (channels, P), (channels,) * 2, (rows, P), (rows, P), (rows, channels)]
    return kind.from_weights(HeadWeights(*(0.3 * rng.normal(size=(*lead, *s)) for s in shapes)))


def prompt(n=N, m=M, seed=2):
    return np.random.default_rng(seed).normal(size=(n, m))


def check(stack, h, roles):
    """[stack(H) | R] to 1e-12 by layers of LSA alone, both in NumPy."""
    made, biases = nn.without_biases(stack), ("bq", "bk", "bv")
    assert all(type(each) is nn.LSA for each in (*made.prologue, *made.body, *made.epilogue))
    assert (made.depth, made.tied, made.skip) == (stack.depth, stack.tied, stack.skip)
    for each in (*stack.prologue, *stack.body, *stack.epilogue):
        for name in biases if isinstance(each, RoleELSA) else ():  # R b in the place of b
            setattr(each, name, nnx.Param(roles @ np.asarray(getattr(each, name)[...])))
    expected = stack_reference(stack, h)
    found = stack_reference(made, np.hstack([h, roles]))
    assert np.abs(found[:, : h.shape[1]] - expected).max() <= 1e-12 * np.abs(expected).max()
    assert np.abs(found[:, h.shape[1] :] - roles).max() <= 1e-12
    return made


@given(st.sampled_from([(1, 1), (2, 3), (4, 2)]), st.integers(1, 3), st.integers(0, 3))
def test_a_tied_stack_by_position(sizes, num_heads, depth):
    n, m = sizes
    one = layer(rows=n, channels=m, num_heads=num_heads)
    check(nn.Stack([one], depth), prompt(n, m), np.eye(n))


def test_an_untied_stack_with_layers_before_and_after_some_without_biases():
    lsa, first = layer(nn.LSA, num_heads=1, seed=3), layer(num_heads=1, seed=4)
    body = [layer(steps=(3,))]
    stack = nn.Stack(body, 3, tied=False, prologue=[first], epilogue=[lsa])
    check(stack, prompt(), np.eye(N))
    check(nn.Stack([lsa], 0, prologue=[first]), prompt(), np.eye(N))


def test_a_skip_head_has_a_head_beside_it_that_keeps_the_roles():
    for n, m in [(4, 3), (2, 3), (1, 1)]:
        one = layer(rows=n, channels=m)
        check(nn.Stack([one], 2, skip="head"), prompt(n, m), np.eye(n))
    check(nn.Stack([layer(steps=(2,))], 2, tied=False, skip="head"), prompt(), np.eye(N))


def test_what_is_without_biases_commutes_with_rotations_of_the_rows_and_what_has_them_not():
    turn = np.linalg.qr(prompt(N, N))[0]
    untied = {"depth": 3, "tied": False}
    for body, options in [((), {"depth": 2}), ((3,), untied)]:
        stack = nn.Stack([layer(nn.LSA, steps=body)], **options)
        assert attention.equivariance_error(stack, prompt(), turn) < 1e-12
    biased = nn.Stack([layer()], 1)
    assert attention.equivariance_error(biased, prompt(), turn) > 0.1


def test_biases_by_role_at_any_number_of_rows():
    for n in (1, 6):
        roles = np.eye(2)[np.arange(n) % 2]
        check(nn.Stack([layer(RoleELSA, rows=2)], 3), prompt(n), roles)


def test_a_trained_model_is_linear_attention_with_role_channels():
    model = ELSAModel(2, 3, 2, num_heads=2, init_scale=1.0, rngs=nnx.Rngs(0))
    roles = np.zeros((4, 2))
    roles[:3, 0], roles[3, 1] = 3**-0.5, 1.0  # as `prompts.packed` has them
    h = prompt(*model.prompt_format.layout(3).shape)
    wide = nn.without_biases(model.stack)(attention.with_roles(h, roles))
    found = model.stack(h, roles=jnp.asarray(roles))
    np.testing.assert_allclose(wide[:, : h.shape[1]], found, rtol=1e-12, atol=1e-12)


def test_constructions_with_biases():
    for stack in (
        constructions.ridge_elsa(3, 2, 2, 0.1, num_queries=1),
        constructions.product_elsa(2, 3),
    ):
        shape = stack.readout.shape
        check(stack.stack, prompt(*shape), np.eye(shape[0]))


def test_precision_and_dtype_are_kept():
    one = nn.ELSA.from_weights(layer().weights, dtype="float32", precision="default")
    (made,) = nn.without_biases(nn.Stack([one], 1)).body
    assert (made.wq.dtype, made.precision) == (np.float32, "default")


def test_what_has_no_biases_or_several_kinds_is_refused():
    lsa = layer(nn.LSA)
    with pytest.raises(ValueError, match=r"without_biases: .* one number of rows, got layers with"):
        nn.without_biases(nn.Stack([lsa], 1))
    mixed = nn.Stack([layer(), layer(rows=N + 1)], 1)
    with pytest.raises(ValueError, match=r"got biases of \[4, 5\] rows"):
        nn.without_biases(mixed)
    with pytest.raises(TypeError, match="without_biases: stack must be a Stack"):
        nn.without_biases(lsa)
    other = nn.Stack([nnx.Linear(M, M, rngs=nnx.Rngs(0))], 1)
    with pytest.raises(TypeError, match="layer must be LSA or ELSA layers"):
        nn.without_biases(other)
