"""Gamma and chi-square variables against scipy's distribution functions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from elsa.base import arithmetic
from elsa.tasks.gamma import chi_square, gamma
from tests.tasks.helpers import assert_mean, fast

SHAPES = np.array([0.05, 0.5, 0.999, 1.0, 1.5, 4.0, 37.5, 5e5])


@pytest.mark.parametrize("x64", [True, False])
def test_gamma_variables_have_the_gamma_distribution(x64):
    with jax.enable_x64(x64):
        drawn = fast(lambda a: gamma(jax.random.key(1), a[None, :], (20_000, len(SHAPES))))
        values = np.asarray(drawn(jnp.asarray(SHAPES)))
    assert values.dtype == (np.float64 if x64 else np.float32)
    for column, shape in zip(values.T, SHAPES, strict=True):
        assert stats.kstest(column.astype(np.float64), stats.gamma(shape).cdf).pvalue > 1e-3
        deviation = column.astype(np.float64) - shape
        assert_mean(deviation, 0.0)
        assert_mean(deviation**2, shape)


def test_float32_keeps_a_million_degrees_of_freedom():
    """The standardised deviation has its own distribution, skewness 2 sqrt(2 / k) included."""
    degrees = 1e6
    with jax.enable_x64(False):
        drawn = fast(lambda k: chi_square(jax.random.key(2), k, (200_000,)))(degrees)
        assert drawn.dtype == np.float32
        values = np.asarray(drawn).astype(np.float64)
    assert stats.kstest(values, stats.chi2(degrees).cdf).pvalue > 1e-3
    standard = (values - degrees) / (2 * degrees) ** 0.5
    for power, moment in ((1, 0.0), (2, 1.0), (3, 2 * (2 / degrees) ** 0.5), (4, 3.0)):
        assert_mean(standard**power, moment)


def test_no_degrees_of_freedom_give_zero_and_columns_are_independent():
    draw = fast(lambda key: chi_square(key, 2 - jnp.arange(4), (5_000, 4)))
    values = np.asarray(draw(jax.random.key(3)))
    assert np.all(values[:, 2:] == 0) and np.all(values[:, :2] > 0)
    assert_mean((values[:, 0] - 2) * (values[:, 1] - 1), 0.0)


def test_a_mapped_shape_gives_what_it_gives_alone():
    key, shapes = jax.random.key(4), jnp.array([0.3, 1.0, 7.0])
    together = fast(jax.vmap(lambda a: gamma(key, a, (50,))))(shapes)
    draw = fast(lambda a: gamma(key, a, (50,)))
    alone = jnp.stack([draw(a) for a in shapes])
    np.testing.assert_allclose(together, alone, rtol=1e-13)


def test_every_version_of_the_arithmetic_draws_the_same_variables():
    """A function that is compiled once must not be kept for the other version."""
    degrees, texts, drawn = 30.0 - jnp.arange(4), [], []
    for version in (arithmetic.LATEST, 3):
        with arithmetic.as_of(version):
            drawn.append(chi_square(jax.random.key(5), degrees, (400, 4)))
            make = jax.make_jaxpr(lambda key: chi_square(key, degrees, (400, 4)))
            texts.append(str(make(jax.random.key(5))))
    np.testing.assert_allclose(*drawn, rtol=1e-13)
    assert texts[0] != texts[1]
