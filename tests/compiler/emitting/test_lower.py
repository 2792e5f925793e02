"""From assignments to heads: what is subtracted, merged, or left idle."""

import numpy as np
import pytest

from tests.compiler.helpers import assert_agrees

SQUARE = {"A": (3, 3), "B": (3, 3), "C": (3, 3)}


@pytest.mark.parametrize("tied", [True, False])
def test_a_value_that_cancels_to_nothing_is_zero(tied):
    def step(A, B, C, *, t=0):
        return {"A": (A + B) @ C - A @ C - B @ C, "B": B * (0.5 + 0.1 * t)}

    assert_agrees(step, SQUARE, depth=3, tied=tied, dense=True, reassociate="gram")


@pytest.mark.parametrize("tied", [True, False])
def test_a_value_that_cancels_to_itself_costs_an_idle_head(tied):
    def step(A, B, C):
        return {"A": (A + B) @ C - A @ C - B @ C + A}

    stack = assert_agrees(step, SQUARE, depth=2, tied=tied, dense=True, reassociate="gram")
    assert stack.num_heads == stack.num_layers


@pytest.mark.parametrize("tied", [True, False])
def test_a_block_may_become_a_constant(tied):
    def step(A, B, C, *, t=0):
        return {"A": np.eye(3) * (1.0 + t), "B": A + B @ C}

    assert_agrees(step, SQUARE, depth=3, tied=tied, dense=True)
