"""Normal variables to the bit, and Gram matrices with the batch as either axis."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from elsa.base import arithmetic
from elsa.tasks import draws, wishart
from tests.helpers import relative_error


@pytest.mark.parametrize("generator", ["threefry2x32", "rbg", "unsafe_rbg"])
def test_normal_variables_are_those_of_jax_to_the_bit(generator):
    key = jax.random.key(3, impl=generator)
    drawn = jax.jit(lambda key: [draws.normal(key, (7, 3, 5)), jax.random.normal(key, (7, 3, 5))])
    np.testing.assert_array_equal(*drawn(key))


@pytest.mark.parametrize("has_centre", [False, True])
def test_gram_matrices_of_both_ways_agree(has_centre):
    rng = np.random.default_rng(0)
    covariates, weight, noise, last = (
        jnp.asarray(rng.normal(size=shape)) for shape in [(9, 4, 4), (9, 4), (9, 4), (9,)]
    )
    drawn = wishart.Triangle(covariates, noise, last)
    centre = wishart.Centre(weight + 1.0, last + 2.0) if has_centre else None
    found = wishart.joint_gram(drawn, weight, 0.5, centre=centre)
    with arithmetic.as_of(1):
        before = wishart.joint_gram(drawn, weight, 0.5, centre=centre)
    assert relative_error(found, before) <= 1e-14  # sums of four products
    np.testing.assert_array_equal(found, jnp.swapaxes(found, 1, 2))
