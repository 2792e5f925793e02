"""The weights of a compiled step are parameters: they train, and an edit shows everywhere."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

import elsa
from elsa import algorithms, nn
from elsa.compiler import dense

SHAPES = {"X": (6, 2), "y": (6, 1), "lam": (1, 1), "w": (2, 1)}
RNG = np.random.default_rng(0)
BLOCKS = {name: RNG.normal(size=shape) / 4 for name, shape in SHAPES.items()} | {"lam": 0.1}


def descent(depth=3, **options):
    return elsa.compile(algorithms.gradient_descent(0.1), SHAPES, depth, **options)


def edited(stack, amount=1.0):
    """The stack with one weight of the repeated layer moved, where the step writes w."""
    wv = stack.stack.body[0].wv
    wv[...] = wv[...].at[0].multiply(1.0 + amount)
    return stack


def by_weights(stack, blocks=BLOCKS):
    return stack.readout.unpack(stack.run(stack.pack(**blocks)))["w"]


def runs_products(function, *arguments):
    """Whether the program is that of the products on the blocks."""
    return "name=answers" in str(jax.make_jaxpr(function)(*arguments))


def test_the_weights_are_leaves_and_a_new_stack_runs_products():
    stack = descent()
    sizes = [np.size(leaf) for leaf in jax.tree.leaves(stack)]
    assert sum(sizes) == stack.num_parameters == sum(np.size(a) for w in stack.weights for a in w)
    assert stack.is_as_built
    assert runs_products(lambda blocks: stack(**blocks), BLOCKS)
    np.testing.assert_allclose(stack(**BLOCKS)["w"], by_weights(stack), rtol=0, atol=1e-12)
    assert len(repr(stack)) < 200 and "\n" not in repr(stack)


def test_training_by_optax_lowers_the_loss_outside_and_inside_jit():
    """From 3 steps of gradient descent towards the ridge solution."""
    X, y = np.asarray(BLOCKS["X"]), np.asarray(BLOCKS["y"])
    goal = np.linalg.solve(X.T @ X + 0.1 * np.eye(2), X.T @ y)

    def loss(stack):
        return ((stack(**BLOCKS)["w"] - goal) ** 2).sum()

    def step(stack, optimizer):
        value, gradient = nnx.value_and_grad(loss)(stack)
        optimizer.update(stack, gradient)
        return value

    for advance in (step, nnx.jit(step)):
        stack = descent()
        optimizer = nnx.Optimizer(stack, optax.adam(3e-3), wrt=nnx.Param)
        first = loss(stack)
        for _ in range(20):
            advance(stack, optimizer)
        assert loss(stack) < first / 2
        assert not stack.is_as_built
        np.testing.assert_allclose(stack(**BLOCKS)["w"], by_weights(stack), rtol=0, atol=1e-14)


def test_an_edit_shows_in_whatever_uses_the_weights(tmp_path):
    stack, built = edited(descent()), descent()
    answer = np.asarray(stack(**BLOCKS)["w"])
    assert np.abs(answer - np.asarray(built(**BLOCKS)["w"])).max() > 1e-3
    np.testing.assert_allclose(answer, by_weights(stack), rtol=0, atol=1e-14)
    prompts = stack.prompts(**BLOCKS)
    np.testing.assert_allclose(stack.readout.block(prompts[-1], "w"), answer, atol=1e-14)
    trajectory = stack.trajectory(**BLOCKS)["w"]
    np.testing.assert_allclose(trajectory[-1], answer, rtol=0, atol=1e-14)
    layers = stack.stack
    one = nn.Stack(layers.body, 1, prologue=layers.prologue, epilogue=layers.epilogue)
    shorter = stack.readout.block(one(stack.pack(**BLOCKS)), "w")
    np.testing.assert_allclose(trajectory[1], shorter, rtol=0, atol=1e-14)
    np.testing.assert_array_equal(trajectory[0], BLOCKS["w"])
    with pytest.warns(UserWarning, match="verify: the weights of .* are no longer those"):
        far = stack.verify(jax.random.key(0))
    assert far > 1e-3 > built.verify(jax.random.key(0))
    assert str(stack).count("edited") == 1 and "edited" not in str(built)
    elsa.export(stack, tmp_path / "stack.safetensors")
    np.testing.assert_allclose(
        elsa.load(tmp_path / "stack.safetensors")(**BLOCKS)["w"], answer, rtol=0, atol=1e-14
    )
    with pytest.raises(ValueError, match=r"structured: the weights of .* are not as compiled"):
        stack.structured(**BLOCKS)


def test_an_edit_that_is_taken_back_is_no_edit():
    stack = descent()
    before = jax.tree.map(jnp.copy, nnx.state(stack))
    edited(stack)
    assert not stack.is_as_built
    nnx.update(stack, before)
    assert stack.is_as_built and runs_products(lambda b: stack(**b), BLOCKS)


def test_a_copy_by_split_and_merge_is_as_built_until_it_is_edited():
    stack = descent()
    graph, state = nnx.split(stack)
    copy = nnx.merge(graph, jax.tree.map(jnp.copy, state))
    assert copy.is_as_built and runs_products(lambda b: copy(**b), BLOCKS)
    edited(copy)
    assert stack.is_as_built and not copy.is_as_built


def test_vmap_and_jit_around_a_stack_run_products_unless_it_is_edited():
    stack, other = descent(), edited(descent())
    many = {name: np.stack([np.asarray(b), 2 * np.asarray(b)]) for name, b in BLOCKS.items()}
    for made in (stack, other):
        expected = [made(**BLOCKS)["w"], made(**{n: b[1] for n, b in many.items()})["w"]]
        batch = jax.jit(jax.vmap(lambda blocks, made=made: made(**blocks)["w"]))
        np.testing.assert_allclose(batch(many), np.stack(expected), rtol=0, atol=1e-13)
        assert runs_products(batch, many) == made.is_as_built


def test_a_stack_that_is_an_argument_runs_its_weights_and_says_so_where_that_is_dear():
    large = elsa.compile(
        algorithms.gradient_descent(1e-3), SHAPES | {"X": (4000, 2), "y": (4000, 1)}, 2
    )
    blocks = BLOCKS | {"X": np.ones((4000, 2)), "y": np.ones((4000, 1))}
    with pytest.warns(UserWarning, match=r"about \d+ times .* pass stack.structured"):
        answer = jax.jit(lambda stack: stack(**blocks)["w"])(large)
    np.testing.assert_allclose(answer, large(**blocks)["w"], rtol=1e-12)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        small = descent()
        jax.jit(lambda stack: stack(**BLOCKS)["w"])(small)
        named = jax.jit(large.structured)(**blocks)
    np.testing.assert_array_equal(named["w"], large(**blocks)["w"])


def test_weights_that_would_be_too_large_are_made_on_request_only(monkeypatch):
    monkeypatch.setattr("elsa.compiler.stack.MAX_BYTES", 1000)
    stack = descent()
    expected = descent(execution="dense")
    np.testing.assert_allclose(stack(**BLOCKS)["w"], expected(**BLOCKS)["w"], atol=1e-13)
    assert stack.num_layers == expected.num_layers and str(stack).startswith("step, 3 steps")
    assert stack.num_parameters == expected.num_parameters
    stack.trajectory(**BLOCKS)
    stack.structured(**BLOCKS)
    for refused in (
        lambda: stack.weights,
        lambda: stack.prompts(**BLOCKS),
        lambda: stack.scores(0, **BLOCKS),
        lambda: elsa.export(stack, "nowhere"),
        lambda: nnx.grad(lambda s: s(**BLOCKS)["w"].sum())(stack),
        lambda: jax.jit(lambda s: s(**BLOCKS)["w"])(stack),
    ):
        with pytest.raises(ValueError, match=r"the dense weights of .* were not made; compile"):
            refused()


def test_long_data_compiles_without_large_arrays():
    """Gradient descent at n = 2e5: 422 MB of weights that nobody asked for."""
    n, step = 200_000, algorithms.gradient_descent(1e-3)
    shapes = {"X": (n, 10), "y": (n, 1), "lam": (1, 1), "w": (10, 1)}
    stack = elsa.compile(step, shapes, 2, dtype=np.float32)
    assert sum(np.size(leaf) for leaf in jax.tree.leaves(stack)) < 100
    assert stack.stages.weights.num_bytes > dense.MAX_BYTES


def test_the_trajectory_of_edited_weights_needs_one_epilogue():
    def step(A, w, t=0):
        return {"w": (1.0 + t) * (A @ (A @ (A @ w)))}

    stack = elsa.compile(step, {"A": (2, 2), "w": (2, 1)}, 3, tied=False)
    blocks = {"A": np.eye(2), "w": np.ones((2, 1))}
    assert stack.trajectory(**blocks)["w"].shape == (4, 2, 1)
    wv = stack.stack.body[0].wv
    wv[...] = 2.0 * wv[...]
    if stack.stages.plan.schedule.epilogue:
        with pytest.raises(ValueError, match=r"trajectory: the last layers of .* depend on t"):
            stack.trajectory(**blocks)
    else:
        np.testing.assert_allclose(stack.trajectory(**blocks)["w"][-1], stack(**blocks)["w"])


def test_scores_are_those_of_the_layers_heads():
    stack = descent()
    prompts = np.asarray(stack.prompts(**BLOCKS))
    for layer, weights in ((0, stack.weights[0]), (2, stack.weights[1])):
        found = stack.scores(layer, **BLOCKS)
        for score, wq, bq, wk, bk in zip(
            found, weights.wq, weights.bq, weights.wk, weights.bk, strict=True
        ):
            expected = (prompts[layer] @ wq + bq) @ (prompts[layer] @ wk + bk).T
            np.testing.assert_allclose(score, expected, rtol=0, atol=1e-13)
    with pytest.raises(IndexError, match="scores: layer must be below 4, got 4"):
        stack.scores(4, **BLOCKS)
