"""What keeps a program's sums from being computed anew costs none where there is no program."""

import jax
import jax.numpy as jnp

from elsa.base import lanes
from tests.helpers import equations


def test_numbers_are_apart_already_and_a_program_has_a_loop_between():
    array = jnp.arange(6.0).reshape(2, 3)
    assert lanes.apart(array) is array
    assert "while" in {eqn.primitive.name for eqn in equations(jax.make_jaxpr(lanes.apart)(array))}
