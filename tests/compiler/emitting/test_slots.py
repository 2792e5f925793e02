"""Places of values: reuse without loss of accuracy, names, and what the prompt grows by."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import elsa
from tests.compiler.helpers import TOLERANCE, assert_agrees, by_hand, draw, error, path


def chain(matrix, x, length):
    """matrix^length x, one layer for two factors."""
    return jax.lax.fori_loop(0, length, lambda _, x: matrix @ x, x)


def sharing(s, w, v, A, B):
    """The square of A w is large and dead early; B v, B B v, .. are small and need places."""

    def square(_, pair):
        return 1e-14 * jnp.ones((1, 1)) * (pair[1].T @ pair[1]), A @ w

    return {"s": s + jax.lax.fori_loop(0, 2, square, (s, w))[0], "v": chain(B, v, 12), "w": 0.5 * w}


def test_a_small_value_in_the_place_of_a_large_one_keeps_its_accuracy():
    shapes = {"s": (1, 1), "w": (3, 1), "v": (3, 1), "A": (3, 3), "B": (3, 3)}
    blocks = draw(shapes)
    blocks |= {"s": np.ones((1, 1)), "A": 1e6 * blocks["A"], "v": 1e-9 * blocks["v"]}
    for depth in (1, 2, 5):
        assert_agrees(sharing, shapes, depth=depth, blocks=blocks, dense=depth == 5)
    stack = elsa.compile(sharing, shapes, 2)
    columns = [p for p in stack.stages.placed.boxes.values() if p.width == 1 and p.height == 3]
    assert len(set(columns)) < len(columns), "no place is used twice; the test tests nothing"


def test_what_a_shrinking_step_stores_keeps_its_accuracy():
    """B v falls by 1e-4 a step; written over its last value it would keep 1e-16 / 1e-4 only."""

    def step(v, u, B):
        return {"v": 1e-4 * v, "u": chain(B, v, 3)}

    shapes = {"v": (3, 1), "u": (3, 1), "B": (3, 3)}
    blocks = draw(shapes) | {"u": np.zeros((3, 1))}
    stack = elsa.compile(step, shapes, 2)
    first = elsa.compile(step, shapes, 1)
    for depth, made in ((1, first), (2, stack)):
        states = path(step, blocks, depth)
        for out in (made(**blocks), by_hand(made, blocks)):
            reference = states[-1]["u"]
            assert np.abs(out["u"] - reference).max() <= 1e-11 * np.abs(reference).max()
            assert error(out, states) <= TOLERANCE


def test_places_are_used_again_so_that_a_long_step_does_not_grow_the_prompt():
    def step(A, v):
        return {"v": chain(A, v, 24)}

    short = elsa.compile(lambda A, v: {"v": chain(A, v, 8)}, {"A": (3, 3), "v": (3, 1)}, 2)
    long = assert_agrees(step, {"A": (3, 3), "v": (3, 1)}, depth=2)
    assert long.num_layers == 1 + 24
    assert long.readout.shape == short.readout.shape == (3, 3 + 1 + 3 + 2)


def test_inputs_that_no_step_changes_stay_as_they_are():
    def step(A, B, w):
        return {"w": A @ (B @ w)}

    shapes = {"A": (3, 3), "B": (3, 3), "w": (3, 1)}
    blocks = draw(shapes)
    stack = elsa.compile(step, shapes, 3, execution="dense")
    after = stack.run(stack.pack(**blocks))
    rows, channels = stack.layout.shape
    left = stack.layout.unpack(after[:rows, :channels])
    for name in ("A", "B"):
        np.testing.assert_array_equal(left[name], blocks[name])


def test_nothing_is_taken_away_from_a_place_that_is_empty():
    """One prologue product, one head a step and the state's own: nothing else."""

    def step(A, w):
        return {"w": A @ (A @ w)}

    stack = assert_agrees(step, {"A": (3, 3), "w": (3, 1)}, depth=4)
    assert [len(heads) for heads in stack.layers] == [1, 2]
    once = assert_agrees(step, {"A": (3, 3), "w": (3, 1)}, depth=1)
    assert [len(heads) for heads in once.layers] == [1, 2]


@pytest.mark.parametrize("name", ["v1", "v2", "v12"])
def test_stored_values_never_take_the_name_of_a_block(name):
    def step(**blocks):
        a, b = blocks[name], blocks["B"]
        return {name: (a - b) @ b @ (a - b) @ b @ (a + b), "B": b + a}

    shapes = {name: (3, 3), "B": (3, 3)}
    stack = elsa.compile(step, shapes, 2, reassociate=False)
    names = list(stack.stages.plan.names.values())
    assert len(set(names)) == len(names), names
    assert_agrees(step, shapes, reassociate=False)


def test_the_prompt_has_the_rows_of_its_tallest_value():
    """A is 1 x 4, but the loop stores columns of length 4."""

    def step(A, c, s):
        turned = jax.lax.fori_loop(0, 2, lambda _, column: np.tri(4) @ column, A.T * c)
        return {"s": s + np.ones((1, 4)) @ turned}

    stack = assert_agrees(step, {"A": (1, 4), "c": (1, 1), "s": (1, 1)}, dense=True)
    assert stack.layout.shape[0] == 1
    assert stack.readout.shape[0] == 4
