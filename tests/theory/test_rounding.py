import jax.numpy as jnp
import numpy as np
import pytest

from elsa import theory


def test_unit_roundoff_is_half_the_distance_from_one_to_the_next_number():
    assert theory.unit_roundoff(np.float64) == 2.0**-53
    assert theory.unit_roundoff("float32") == 2.0**-24
    assert theory.unit_roundoff(jnp.bfloat16) == 2.0**-8
    with pytest.raises(TypeError, match="unit_roundoff: dtype must be a floating-point type"):
        theory.unit_roundoff(np.int32)


def test_gamma_bounds_a_sum_of_products_in_the_worst_order():
    rng, k = np.random.default_rng(0), 50
    a, b = rng.normal(size=(2, 2000, k)).astype(np.float32)
    total = np.zeros(2000, np.float32)
    for j in range(k):  # one after the other, each rounded to float32
        total = total + a[:, j] * b[:, j]
    terms = a.astype(np.float64) * b
    lost = np.abs(total - terms.sum(1)) / np.abs(terms).sum(1)
    assert 0 < lost.max() <= theory.gamma(k, theory.unit_roundoff(np.float32))


def test_gamma_composes_and_grows():
    unit = 2.0**-8
    one, two, both = (theory.gamma(k, unit) for k in (10, 20, 30))
    assert one + two + one * two <= both
    assert theory.gamma(0, unit) == 0.0


@pytest.mark.parametrize(
    "terms, unit, message",
    [(-1, 2.0**-8, "terms must be at least 0"), (256, 2.0**-8, r"must lie in .*no bound holds")],
)
def test_gamma_refuses(terms, unit, message):
    with pytest.raises(ValueError, match=message):
        theory.gamma(terms, unit)


@pytest.mark.parametrize("n, d", [(1, 1), (2, 5), (30, 4)])
def test_the_bound_of_one_step_holds_in_float32_and_is_no_wild_guess(n, d):
    rng, lam, eta = np.random.default_rng(1), 0.3, 0.05
    X, y, w = (rng.normal(size=(500, *shape)) for shape in ((n, d), (n, 1), (d, 1)))
    X, y, w = (array.astype(np.float32) for array in (X, y, w))
    lam, eta = np.float32(lam), np.float32(eta)

    def step(X, y, w):
        return w - eta * (np.swapaxes(X, 1, 2) @ (X @ w - y) + lam * w)

    exact = step(*(array.astype(np.float64) for array in (X, y, w)))
    lost = np.abs(step(X, y, w) - exact) / eta
    bound = theory.ridge_step_bound(X, y, w, lam=float(lam), step_size=float(eta), unit=2.0**-24)
    assert (lost <= bound).all()
    assert bound.max() < 1e3 * lost.max()
