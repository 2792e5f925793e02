"""Functions of arrays that are one program for the caller, and no program in the caller's own."""

import jax
import jax.numpy as jnp
import numpy as np

from elsa.base.jit import at_once
from tests.helpers import equations


def test_numbers_run_one_program_and_a_caller_s_program_has_the_operations_themselves():
    seen = []

    @at_once
    def shifted(x, y):
        seen.append(x)
        return x @ y + 1.0

    x, y = jnp.arange(6.0).reshape(2, 3), jnp.ones((3, 2))
    for scale in (1.0, 2.0):
        np.testing.assert_array_equal(shifted(scale * x, y), scale * np.asarray(x) @ y + 1.0)
    assert len(seen) == 1  # jax looked at it once, for both calls
    names = [eqn.primitive.name for eqn in equations(jax.make_jaxpr(shifted)(x, y))]
    assert "dot_general" in names and "jit" not in names and "pjit" not in names
    batched = jax.vmap(shifted, in_axes=(0, None))(jnp.stack([x, 2 * x]), y)
    np.testing.assert_array_equal(batched[1], 2 * np.asarray(x) @ y + 1.0)
