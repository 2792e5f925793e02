"""Random words in one pass are jax's own."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from elsa.base import words

SIZE = 3_001  # enough to be drawn in one pass, and no whole number of a CPU's vectors


@pytest.mark.parametrize("x64", [True, False])
@pytest.mark.parametrize("law", [jax.random.normal, jax.random.exponential, jax.random.uniform])
def test_numbers_are_those_of_jax_to_the_bit(law, x64):
    with jax.enable_x64(x64):
        key = jax.random.key(7)
        quick = words.quick(key, SIZE)
        assert jax.random.key_impl(quick) != jax.random.key_impl(key)
        found, wanted = law(quick, (SIZE,)), law(key, (SIZE,))
        assert found.dtype == (np.float64 if x64 else np.float32)
        np.testing.assert_array_equal(found, wanted)


def test_keys_of_a_batch_and_of_the_older_kind_have_theirs():
    keys = jax.random.split(jax.random.key(3), 4)

    def both(key):
        quick = words.quick(key, SIZE)
        return jax.random.bits(quick, (SIZE,)), jax.random.bits(key, (SIZE,))

    np.testing.assert_array_equal(*jax.jit(jax.vmap(both))(keys))
    np.testing.assert_array_equal(*both(jax.random.PRNGKey(5)))


def test_a_key_is_left_alone_where_nothing_is_gained():
    key, other = jax.random.key(0), jax.random.key(0, impl="rbg")
    assert words.quick(key, 10) is key
    assert words.quick(other, SIZE) is other
    with jax.threefry_partitionable(False):
        assert words.quick(key, SIZE) is key
    with pytest.raises(TypeError, match=r"bit_width must be 32 or 64, got 8"):
        jax.random.bits(words.quick(key, SIZE), (SIZE,), jnp.uint8)
