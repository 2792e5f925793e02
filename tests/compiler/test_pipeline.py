"""What `compile` takes, and what it says about arguments that do not fit."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import elsa
from tests.compiler.helpers import assert_agrees, draw
from tests.helpers import table

SQUARE = {"A": (3, 3)}
TWO = {"A": (3, 3), "B": (3, 3)}


def double(A):
    return {"A": 2 * A}


def with_t(A, *, t):
    return {"A": (1 + t) * A}


@table(
    "step, shapes, options, message",
    [
        (lambda A: {"B": A}, SQUARE, {}, r"unknown block returned by the step 'B', known are"),
        (lambda weight: {"wieght": weight}, {"weight": (2, 2)}, {}, "did you mean 'weight'"),
        (lambda A: {"A": A[:2]}, SQUARE, {}, r"'A' in its own shape \(3, 3\), got \(2, 3\)"),
        (lambda A: {"A": A[:, 0]}, {"A": (3, 1)}, {}, r"own shape \(3, 1\), got \(3,\)"),
        (lambda A, B: {"A": 2 * A}, TWO, {}, r"does not use the inputs \['B'\]"),
        (lambda A, B: {"A": A + 0 * B}, TWO, {}, r"does not use the inputs \['B'\]"),
        (lambda A, B: {"A": A @ B}, SQUARE, {}, r"missing \['B'\], unknown \[\]"),
        (double, TWO, {}, r"missing \[\], unknown \['B'\]"),
        (with_t, SQUARE, {}, "the step takes t, which needs tied=False"),
        (lambda A: A, SQUARE, {}, "must return a dict of updated arrays"),
        (lambda A: (A, A), SQUARE, {}, "must return a dict of updated arrays, got tuple"),
        (lambda A: {}, SQUARE, {}, "at least one updated block"),
        (lambda A: {0: A}, SQUARE, {}, "by name, got the key 0"),
        (lambda A: {"A": None}, SQUARE, {}, "an array for 'A', got NoneType"),
        (lambda A: {"A": [A, A]}, SQUARE, {}, "an array for 'A', got list"),
        (lambda A: {"A": "A"}, SQUARE, {}, "an array for 'A', got str"),
        (lambda: {}, {}, {}, "inputs must name at least one block"),
        (lambda A, /: {"A": A}, SQUARE, {}, "positional-only"),
        (
            lambda A, *, t: {"A": A @ A if t else A},
            SQUARE,
            {"tied": False, "depth": 3},
            "program at t=1 differs from that at t=0 in more than its numbers; write the special",
        ),
        (
            lambda A, *, t: {
                "A": 0.5 * A + np.ones((t + 1, 3)).sum(axis=0)[:, None] * A[t : t + 1]
            },
            SQUARE,
            {"tied": False, "depth": 2},
            "differs from that at t=0",
        ),
    ],
)
def test_a_step_that_does_not_fit_is_a_compile_error(step, shapes, options, message):
    with pytest.raises(elsa.CompileError, match=message):
        elsa.compile(step, shapes, **options)


@table(
    "arguments, error, message",
    [
        ({"depth": -1}, ValueError, "compile: depth must be at least 0, got -1"),
        ({"depth": 2.0}, TypeError, "compile: depth must be an integer"),
        ({"skip": "none"}, ValueError, "compile: skip must be one of"),
        ({"execution": "fast"}, ValueError, "compile: execution must be one of"),
        ({"dtype": int}, TypeError, "compile: dtype must be a floating-point type"),
        ({"inputs": {"A": (3, 3, 3)}}, ValueError, r"inputs\['A'\] must be the shape of a matrix"),
        ({"inputs": {"A": (0, 3)}}, ValueError, r"sizes of at least 1, got \(0, 3\)"),
        ({"inputs": {"A": None}}, ValueError, "got None"),
        ({"inputs": {"A": (2.0,)}}, ValueError, r"got \(2.0,\)"),
        ({"inputs": ["A"]}, TypeError, "inputs a dict of shapes, got function and list"),
        ({"step": {"A": 1}}, TypeError, "step must be a function"),
        ({"layout": {"A": (0, 0, 3, 3)}}, TypeError, "layout must be a BlockLayout, got dict"),
        (
            {"layout": elsa.BlockLayout({"A": (0, 0, 3, 2)})},
            ValueError,
            r"layout must have the blocks {'A': \(3, 3\)}, got {'A': \(3, 2\)}",
        ),
        (
            {"layout": elsa.BlockLayout({"B": (0, 0, 3, 3)})},
            ValueError,
            r"layout must have the blocks {'A': \(3, 3\)}, got {'B'",
        ),
    ],
)
def test_arguments_that_do_not_fit_are_refused(arguments, error, message):
    with pytest.raises(error, match=message):
        elsa.compile(**{"step": double, "inputs": SQUARE, **arguments})


def test_float64_needs_the_switch():
    with jax.enable_x64(False), pytest.raises(ValueError, match="jax_enable_x64"):
        elsa.compile(double, SQUARE, dtype="float64")


@pytest.mark.parametrize("shape", [3, np.int64(3), (3,), [3, 1], (np.int32(3), 2)])
def test_shapes_may_be_written_in_any_usual_way(shape):
    stack = elsa.compile(double, {"A": shape})
    assert stack.verify(jax.random.key(0)) == 0.0


def test_a_step_with_free_keywords_takes_the_inputs():
    assert_agrees(lambda **blocks: {"A": blocks["A"] @ blocks["B"]}, TWO)


def test_t_as_an_input_is_a_block():
    def step(A, t):
        return {"A": t * A, "t": 0.5 * t}

    assert_agrees(step, {"A": (3, 3), "t": ()}, tied=False)


@pytest.mark.parametrize("tied", [True, False])
def test_an_optional_t_keeps_its_default_in_a_tied_stack(tied):
    def step(A, t=3):
        return {"A": 0.1 * (1 + t) * A}

    stack = elsa.compile(step, SQUARE, 2, tied=tied)
    factor = 0.4**2 if tied else 0.1 * 0.2
    np.testing.assert_allclose(stack(A=np.eye(3))["A"], factor * np.eye(3), rtol=1e-14)


def test_a_jitted_step_may_take_t_as_number_or_as_static_argument():
    def step(A, *, t):
        return {"A": (0.5 + t) * A}

    def static(A, *, t):
        return {"A": [0.5, 1.5, 2.5][t] * A}

    blocks = draw(SQUARE)
    expected = 0.5 * 1.5 * 2.5 * blocks["A"]
    for made in (jax.jit(step), jax.jit(static, static_argnames="t")):
        out = elsa.compile(made, SQUARE, 3, tied=False)(**blocks)["A"]
        np.testing.assert_allclose(out, expected, rtol=1e-14)


def test_tied_and_untied_agree_where_no_number_depends_on_t():
    def step(X, y, w):
        return {"w": w - 0.3 * X.T @ (X @ w - y)}

    shapes = {"X": (4, 3), "y": (4, 1), "w": (3, 1)}
    blocks = draw(shapes)
    tied = assert_agrees(step, shapes, depth=5, blocks=blocks)
    untied = assert_agrees(step, shapes, depth=5, blocks=blocks, tied=False)
    other = assert_agrees(
        lambda X, y, w, *, t: step(X, y, w), shapes, depth=5, blocks=blocks, tied=False
    )
    assert tied.num_layers == untied.num_layers == other.num_layers
    np.testing.assert_array_equal(tied(**blocks)["w"], untied(**blocks)["w"])
    np.testing.assert_array_equal(tied(**blocks)["w"], other(**blocks)["w"])


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("execution", ["auto", "dense"])
def test_depth_0_returns_the_inputs(tied, execution):
    def step(A, B, *, t=0):
        return {"A": A @ B + t, "B": A}

    blocks = draw(TWO)
    stack = elsa.compile(step, TWO, 0, tied=tied, execution=execution)
    assert stack.num_layers == 0
    assert stack.num_heads == 0
    out = stack(**blocks)
    for name, block in blocks.items():
        np.testing.assert_array_equal(out[name], block)


@pytest.mark.parametrize("execution", ["auto", "dense"])
def test_a_step_that_changes_nothing_needs_no_layer(execution):
    def step(A, B):
        return {"A": A, "B": (B + 0.0) * 1.0}

    blocks = draw(TWO)
    stack = elsa.compile(step, TWO, 7, execution=execution)
    assert stack.num_layers == 0
    np.testing.assert_array_equal(stack(**blocks)["A"], blocks["A"])
    assert stack.trajectory(**blocks)["A"].shape == (8, 3, 3)


def test_constants_of_the_step_are_read_in_float64_whatever_jax_computes_in():
    def step(A):
        return {"A": A * 0.1 + np.full((3, 3), 0.3)}

    with jax.enable_x64(False):
        stack = elsa.compile(step, SQUARE, dtype="float32")
    (number,) = {
        p.coefficient[0]
        for layer in stack.stages.plan.schedule.step
        for a in layer
        for p in a.products
        if p.operands
    }
    assert number == 0.1
    assert stack(A=np.ones((3, 3)))["A"].dtype == jnp.float32
