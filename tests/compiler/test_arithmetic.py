"""Sums, scalings and products with numbers that differ from step to step."""

import jax.numpy as jnp
import numpy as np
import pytest

from tests.compiler.helpers import assert_agrees


@pytest.mark.parametrize("shape", [(), (3,), (4, 2), (4, 3), (3, 3)])
def test_a_number_of_t_is_added_to_every_entry(shape):
    """Depth 3 and sides of length 3: numbers of t are not to be taken for numbers of a side."""

    def step(w, *, t):
        return {"w": 0.5 * w + 0.1 * t}

    assert_agrees(step, {"w": shape}, depth=3, tied=False)


@pytest.mark.parametrize("shape", [(3,), (4, 2), (4, 3), (3, 3)])
def test_a_choice_by_t_takes_the_whole_block(shape):
    def step(w, u, *, t):
        return {"w": jnp.where(t > 1, w, 0.5 * u), "u": jnp.where(t > 0, 2.0 * t, u)}

    assert_agrees(step, {"w": shape, "u": shape}, depth=3, tied=False)


def test_constant_arrays_of_t_are_multiplied_entry_by_entry():
    def step(w, *, t):
        return {"w": w * (np.arange(3.0)[None] + t) + np.arange(4.0)[:, None] * t}

    assert_agrees(step, {"w": (4, 3)}, depth=3, tied=False)
