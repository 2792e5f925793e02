"""Stacks of layers: against the loop by hand, tied and untied, and what jax traces."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from elsa import BlockLayout, heads
from elsa.heads.head import Head, Term
from elsa.nn import ELSA, LSA, Stack
from elsa.nn.skip_head import with_skip_head
from tests.helpers import program_size, relative_error, table

ROWS, CHANNELS, KEY_SIZE = 4, 3, 2
ROUNDING = 1e-13  # a few layers of well-scaled products in float64, relative


def random_head(rng, key_size, biases):
    """A head of weights 0.2 N(0, 1), drawn in NumPy, for which jax compiles nothing."""

    def factor(width):
        spans = {"channels": CHANNELS} | ({"rows": ROWS} if biases else {})
        return tuple(
            Term(axis, range(size), 0.2 * rng.normal(size=(size, width)))
            for axis, size in spans.items()
        )

    return Head("random", factor(key_size), factor(key_size), factor(CHANNELS), range(CHANNELS))


def elsa_layer(seed, num_heads=2, key_size=KEY_SIZE):
    rng = np.random.default_rng(seed)
    drawn = [random_head(rng, key_size, biases=True) for _ in range(num_heads)]
    return ELSA.from_heads(drawn, (ROWS, CHANNELS))


def lsa_layer(seed):
    rng = np.random.default_rng(seed)
    drawn = [random_head(rng, KEY_SIZE, biases=False) for _ in range(2)]
    return LSA.from_heads(drawn, (ROWS, CHANNELS))


def prompt(*batch, seed=0):
    return np.random.default_rng(seed).normal(size=(*batch, ROWS, CHANNELS))


def by_hand(layers, h):
    """Every prompt, the input first."""
    seen = [np.asarray(h)]
    for layer in layers:
        seen.append(seen[-1] + np.asarray(layer(seen[-1])))
    return np.stack(seen)


def copied(layers):
    """One layer whose parameters carry the layers' along a leading axis."""
    graph, _ = nnx.split(layers[0])
    states = [nnx.state(layer) for layer in layers]
    return nnx.merge(graph, jax.tree.map(lambda *leaves: jnp.stack(leaves), *states))


@pytest.mark.parametrize("depth", [0, 1, 3])
@pytest.mark.parametrize("period, around", [(1, (0, 0)), (1, (1, 0)), (2, (0, 1)), (2, (2, 2))])
def test_a_stack_is_its_layers_in_turn(depth, period, around):
    before, after = around
    prologue = [elsa_layer(10 + i) for i in range(before)]
    body = [elsa_layer(20 + i) for i in range(period)]
    epilogue = [elsa_layer(30 + i) for i in range(after)]
    stack = Stack(body, depth, prologue=prologue, epilogue=epilogue)
    h = prompt()
    expected = by_hand([*prologue, *body * depth, *epilogue], h)
    assert stack.num_layers == len(expected) - 1 == before + depth * period + after
    last, seen = stack(h, observe=lambda h: h)
    assert seen.shape == (stack.num_layers + 1, ROWS, CHANNELS)
    assert relative_error(seen, expected) <= ROUNDING
    np.testing.assert_array_equal(seen[-1], last)
    np.testing.assert_array_equal(seen[0], h)


def test_depth_zero_returns_the_prompt():
    h = prompt()
    stack = Stack([lsa_layer(0)], 0)
    assert stack.num_layers == 0
    np.testing.assert_array_equal(stack(h), h)


def test_a_batch_is_each_prompt_alone():
    stack, batch = Stack([lsa_layer(0), lsa_layer(1)], 3), prompt(5)
    last, seen = stack(batch, observe=lambda h: h)
    assert seen.shape == (7, 5, ROWS, CHANNELS)
    single = jax.jit(stack)
    for index, h in enumerate(batch):
        assert relative_error(last[index], single(h)) <= ROUNDING
    assert relative_error(jax.vmap(stack)(batch), last) <= ROUNDING


def test_observers_may_return_trees_and_see_the_batch():
    stack, h = Stack([elsa_layer(0)], 2, epilogue=[elsa_layer(1)]), prompt(3)
    expected = by_hand([*stack.body, *stack.body, *stack.epilogue], h)
    _, seen = stack(h, observe=lambda h: {"norm": (h**2).sum(), "corner": (h[:, 0, 0],)})
    assert relative_error(seen["norm"], (expected**2).sum(axis=(1, 2, 3))) <= ROUNDING
    assert relative_error(seen["corner"][0], expected[:, :, 0, 0]) <= ROUNDING


@pytest.mark.parametrize("period", [1, 2])
def test_tied_equals_untied_with_equal_weights(period):
    layers = [elsa_layer(i) for i in range(period)]
    tied = Stack(layers, 3, prologue=[elsa_layer(8)], epilogue=[elsa_layer(9)])
    untied = Stack(
        [copied([layer] * 3) for layer in layers],
        3,
        tied=False,
        prologue=[elsa_layer(8)],
        epilogue=[elsa_layer(9)],
    )
    h = prompt()
    (one, seen), (other, seen_untied) = (s(h, observe=lambda h: h) for s in (tied, untied))
    assert relative_error(other, one) <= ROUNDING
    assert relative_error(seen_untied, seen) <= ROUNDING


@pytest.mark.parametrize("period", [1, 2])
def test_untied_layers_run_in_order(period):
    layers = [[elsa_layer(10 * i + t) for t in range(3)] for i in range(period)]
    stack = Stack([copied(own) for own in layers], 3, tied=False)
    expected = by_hand([layers[i][t] for t in range(3) for i in range(period)], prompt())
    assert relative_error(stack(prompt(), observe=lambda h: h)[1], expected) <= ROUNDING
    assert stack.weights[0].wq.shape == (3, 2, CHANNELS, KEY_SIZE)


def test_untied_draws_every_layer_anew():
    stack = Stack.untied(
        lambda rngs: LSA(CHANNELS, KEY_SIZE, rngs=rngs),
        3,
        rngs=nnx.Rngs(0),
        epilogue=[lsa_layer(1)],
    )
    wq = np.asarray(stack.body[0].wq[...])
    assert wq.shape == (3, 1, CHANNELS, KEY_SIZE)
    assert len({array.tobytes() for array in wq}) == 3  # three different draws
    assert stack.num_layers == 4
    assert stack(prompt()).shape == (ROWS, CHANNELS)


def untied_pair(skip, depth=3):
    layers = [[elsa_layer(10 * i + t, key_size=1 + i) for t in range(depth)] for i in range(2)]
    return Stack([copied(own) for own in layers], depth, tied=False, skip=skip)


def wide_pair(skip):
    """Keys narrower and wider than the skip head's."""
    body = [elsa_layer(0, 1, key_size=1), elsa_layer(1, 3, key_size=7)]
    around = {"prologue": [elsa_layer(2)], "epilogue": [elsa_layer(3), elsa_layer(4)]}
    return Stack(body, 2, skip=skip, **around)


@pytest.mark.parametrize("make", [untied_pair, wide_pair])
def test_residual_and_head_skip_agree(make):
    h = prompt(2)
    residual, head = make("residual"), make("head")
    (one, seen), (other, seen_head) = (s(h, observe=lambda h: h) for s in (residual, head))
    assert relative_error(other, one) <= ROUNDING
    assert relative_error(seen_head, seen) <= ROUNDING
    for plain, grown in zip(residual.weights, head.weights, strict=True):
        assert grown.wv.shape[-3] == plain.wv.shape[-3] + 1


@pytest.mark.parametrize("shape", [(2, 5), (5, 2), (3, 3), (1, 1)])
def test_a_skip_head_alone_returns_the_prompt(shape):
    whole = BlockLayout({"H": (0, 0, *shape)})
    nothing = ELSA.from_heads([heads.move(whole, "H", "H", scale=0.0)], shape)
    h = np.random.default_rng(0).normal(size=shape)
    np.testing.assert_array_equal(Stack([nothing], 4, skip="head")(h), h)


def test_the_skip_head_leaves_the_layer_it_was_made_from():
    layer = elsa_layer(0)
    before = np.asarray(layer(prompt()))
    grown = with_skip_head(layer)
    np.testing.assert_array_equal(layer(prompt()), before)
    assert layer.wq.shape[0] == 2 and grown.wq.shape[0] == 3
    assert grown.wq.dtype == layer.wq.dtype


@pytest.mark.parametrize("tied", [True, False])
def test_a_stack_trains(tied):
    if tied:
        stack = Stack([lsa_layer(0)], 3)
    else:
        stack = Stack([copied([lsa_layer(t) for t in range(3)])], 3, tied=False)
    batch, target = prompt(8), prompt(8, seed=1)
    optimizer = nnx.Optimizer(stack, optax.adam(1e-3), wrt=nnx.Param)
    before = np.asarray(stack.body[0].wq[...])

    @nnx.jit
    def train_step(stack, optimizer):
        loss, gradients = nnx.value_and_grad(lambda s: ((s(batch) - target) ** 2).mean())(stack)
        optimizer.update(stack, gradients)
        return loss

    losses = [float(train_step(stack, optimizer)) for _ in range(10)]
    assert losses[-1] < losses[1] < losses[0]
    assert (np.asarray(stack.body[0].wq[...]) != before).all()


def test_the_traced_program_grows_with_neither_depth_nor_batch():
    body, around = [elsa_layer(0), elsa_layer(1)], [elsa_layer(2)]

    def size(depth, *batch, tied=True, observe=None):
        layers = body if tied else [copied([layer] * depth) for layer in body]
        stack = Stack(layers, depth, tied=tied, prologue=around, epilogue=around)
        return program_size(lambda h: stack(h, observe=observe), prompt(*batch))

    assert size(1) == size(2) == size(50)
    assert size(3, 2) == size(3, 64) == size(50, 1)
    assert size(2, tied=False) == size(9, tied=False)
    assert size(2, observe=jnp.sum) == size(50, observe=jnp.sum)


def test_a_stack_compiles_once_for_a_shape():
    stack = Stack([elsa_layer(0)], 5)
    graph, state = nnx.split(stack)
    run = jax.jit(lambda state, h: nnx.merge(graph, state)(h))
    run(state, prompt())
    run(jax.tree.map(lambda leaf: 2 * leaf, state), prompt(seed=1))
    assert run._cache_size() == 1


def test_gradients_flow_to_the_input_and_through_observations():
    stack, h = Stack([elsa_layer(0)], 3), jnp.asarray(prompt())

    def value(h):
        last, seen = stack(h, observe=lambda h: (h**2).sum())
        return last.sum() + seen.sum()

    def plainly(h):
        seen = [(h**2).sum()]
        for _ in range(3):
            h = h + stack.body[0](h)
            seen.append((h**2).sum())
        return h.sum() + sum(seen)

    assert relative_error(jax.jit(jax.grad(value))(h), jax.grad(plainly)(h)) <= ROUNDING


@table("depth, kind", [(-1, ValueError), (1.0, TypeError), (None, TypeError)])
def test_a_depth_that_is_no_count_is_refused(depth, kind):
    with pytest.raises(kind, match="Stack: depth must be"):
        Stack([lsa_layer(0)], depth)
    with pytest.raises(kind, match=r"Stack.untied: depth must be"):
        Stack.untied(lambda rngs: LSA(3, 2, rngs=rngs), depth, rngs=nnx.Rngs(0))


def test_untied_needs_a_layer():
    with pytest.raises(ValueError, match=r"Stack.untied: depth must be at least 1, got 0"):
        Stack.untied(lambda rngs: LSA(3, 2, rngs=rngs), 0, rngs=nnx.Rngs(0))


def test_an_empty_body_is_refused():
    with pytest.raises(ValueError, match="Stack: body must hold at least one layer, got none"):
        Stack([], 3)


def test_an_unknown_skip_is_refused():
    with pytest.raises(ValueError, match=r"Stack: skip must be one of \['residual', 'head'\], got"):
        Stack([lsa_layer(0)], 3, skip="none")


@table("place", ["body", "prologue", "epilogue"])
def test_a_skip_head_needs_biases(place):
    layers = {"body": [elsa_layer(0)], place: [lsa_layer(0)]}
    with pytest.raises(ValueError, match=r"Stack: skip='head' needs layers with biases .* got LSA"):
        Stack(**layers, depth=2, skip="head")


def test_untied_parameters_need_their_axis():
    message = r"tied=False needs parameters with a leading axis of depth=3, got .* in layer 1 of"
    with pytest.raises(ValueError, match=message):
        Stack([copied([lsa_layer(0)] * 3), lsa_layer(0)], 3, tied=False)
    with pytest.raises(ValueError, match=r"depth=4, got .* of shape \(3, 2, 3, 2\) in layer 0"):
        Stack([copied([lsa_layer(0)] * 3)], 4, tied=False)


def test_a_prompt_of_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"lsa: wq must have shape \(m=5, p\), got \(3, 2\)"):
        Stack([lsa_layer(0)], 3)(np.zeros((ROWS, 5)))
    with pytest.raises(ValueError, match="LSA: the prompt h must have shape"):
        Stack([lsa_layer(0)], 3)(np.zeros(CHANNELS))


def test_a_prompt_of_another_dtype_is_refused():
    stack = Stack([LSA(3, 2, dtype="float64", rngs=nnx.Rngs(0))], 2)
    with pytest.raises(TypeError, match="the layers' dtype float64, got float32"):
        stack(jnp.ones((4, 3), "float32"))
