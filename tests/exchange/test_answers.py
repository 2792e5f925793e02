"""A stack that comes back from a file gives the same answers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from elsa import BlockLayout, constructions
from elsa.nn import ELSA, LSA, BlockStack, Stack
from tests.exchange.cases import (
    COMPILED,
    RIDGE,
    about,
    compiled,
    drawn,
    layer,
    reference,
    through_a_file,
)
from tests.helpers import ridge_problem, wide

KEPT = ["depth 0", "no layers", "one axis", "untied, skip head", "load layer", "epilogue", "dense"]


@pytest.mark.parametrize("name", wide(COMPILED, keep=KEPT))
def test_a_compiled_stack_comes_back(name, tmp_path):
    case, stack = COMPILED[name], compiled(name)
    loaded = through_a_file(stack, tmp_path)
    blocks = drawn(case.inputs)
    out, expected = loaded(**blocks), reference(case, blocks)
    assert list(out) == list(stack.readout)
    for block in out:
        assert out[block].shape == case.inputs[block]
        np.testing.assert_allclose(out[block], expected[block], rtol=1e-12, atol=1e-14)
    assert (loaded.layout, loaded.readout) == (stack.layout, stack.readout)
    if stack.stages.plan.schedule.depth:  # depth 0 stores a layer that never runs
        assert (loaded.num_layers, loaded.num_heads) == (stack.num_layers, stack.num_heads)
    for ours, theirs in zip(loaded.weights, stack.weights, strict=True):
        for mine, other in zip(ours, theirs, strict=True):
            np.testing.assert_array_equal(mine, other)


@pytest.mark.parametrize(
    "make, num_queries, options",
    [
        (constructions.ridge_elsa, 0, {}),
        (constructions.ridge_elsa, 2, {"skip": "head"}),
        (constructions.ridge_elsa_one_layer, 2, {}),
    ],
)
def test_a_construction_on_the_natural_prompt_comes_back(make, num_queries, options, tmp_path):
    blocks, step_size = ridge_problem(5, 3, num_queries)
    stack = make(5, 3, 4, step_size, num_queries=num_queries, **options)
    loaded, expected = through_a_file(stack, tmp_path), stack(**blocks)
    out = loaded(**blocks)
    assert list(out) == list(expected)
    for block in out:
        np.testing.assert_array_equal(out[block], expected[block])
    assert loaded.holds == {}
    assert loaded.name == stack.name and loaded.num_heads == stack.num_heads


@pytest.mark.parametrize("num_queries", [0, 2])
def test_a_designed_prompt_is_packed_as_the_file_says(num_queries, tmp_path):
    blocks, step_size = ridge_problem(5, 3, num_queries, lam=0.25)
    stack = constructions.ridge_lsa(5, 3, 4, step_size, num_queries=num_queries)
    loaded, expected = through_a_file(stack, tmp_path), stack(**blocks)
    held = {"ridge": "sqrt(lam) I", "fit": "X w", "w": "sqrt(lam) w", "prediction": "query_x w"}
    assert loaded.holds == held
    X, w, root = blocks["X"], blocks["w"], 0.5
    packed = {"X": X, "y": blocks["y"], "ridge": root * np.eye(3), "fit": X @ w, "w": root * w}
    if num_queries:
        packed |= {"query_x": blocks["query_x"], "prediction": blocks["query_x"] @ w}
    out = loaded(**packed)
    np.testing.assert_allclose(out.pop("w"), root * expected.pop("w"), rtol=1e-13)
    assert list(out) == list(expected)
    for block in out:
        np.testing.assert_allclose(out[block], expected[block], rtol=1e-13)


def test_prompts_of_a_trainable_stack_come_back(tmp_path):
    h = np.random.default_rng(0).normal(size=(4, 3))
    for stack in (
        Stack([layer(ELSA, 1)], 2, prologue=[layer(LSA, 2)]),
        Stack([layer(ELSA, 2)], 2, skip="head"),
        Stack([layer(LSA, 3, 1)], 3, tied=False),
    ):
        loaded = through_a_file(stack, tmp_path)
        assert type(loaded) is Stack and loaded.skip == stack.skip
        np.testing.assert_array_equal(loaded(h), stack(h))


def test_a_trainable_stack_with_names_comes_back(tmp_path):
    layout = BlockLayout({"x": (0, 0, 3, 2), "y": (0, 2, 2, 1)})
    readout = BlockLayout({"guess": (2, 0, 1, 2)}, (4, 3), transposed=("guess",))
    stack = BlockStack(Stack([layer(ELSA, 1)], 3), layout, readout, ())
    loaded = through_a_file(stack, tmp_path)
    blocks = drawn({"x": (3, 2), "y": (2, 1)})
    expected = readout.unpack(stack.run(stack.pack(**blocks)))
    np.testing.assert_array_equal(loaded(**blocks)["guess"], expected["guess"])


@pytest.mark.parametrize("kind", ["float64", "float32", "float16", "bfloat16"])
def test_weights_keep_their_dtype(kind, tmp_path):
    stack = compiled("tied", dtype=kind)
    loaded = through_a_file(stack, tmp_path)
    assert about(tmp_path / "stack.safetensors")["dtype"] == kind
    assert loaded.dtype == kind
    for ours, theirs in zip(loaded.weights, stack.weights, strict=True):
        for mine, other in zip(ours, theirs, strict=True):
            assert mine.dtype == kind
            np.testing.assert_array_equal(mine, other)


def test_answers_have_the_axes_of_the_questions(tmp_path):
    loaded = through_a_file(compiled("tied"), tmp_path)
    blocks = drawn(RIDGE)
    flat = loaded(**{**blocks, "w": blocks["w"][:, 0]})["w"]
    np.testing.assert_array_equal(flat, loaded(**blocks)["w"][:, 0])


def test_a_loaded_stack_can_be_mapped_compiled_and_differentiated(tmp_path):
    loaded = through_a_file(compiled("tied"), tmp_path)
    blocks = drawn({name: (3, *shape) for name, shape in RIDGE.items()})
    batch = jax.jit(jax.vmap(lambda one: loaded(**one)["w"]))(blocks)
    first = {name: block[0] for name, block in blocks.items()}
    np.testing.assert_allclose(batch[0], loaded(**first)["w"], rtol=1e-13)
    gradient = jax.grad(lambda y: loaded(**{**first, "y": y})["w"].sum())(jnp.asarray(first["y"]))
    expected = jax.grad(lambda y: reference(COMPILED["tied"], {**first, "y": y})["w"].sum())(
        jnp.asarray(first["y"])
    )
    np.testing.assert_allclose(gradient, expected, rtol=1e-12)
