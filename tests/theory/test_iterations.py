"""Errors of heavy ball, Chebyshev and Newton-Schulz against the iterations themselves."""

import numpy as np
import pytest

from elsa import theory
from tests.helpers import table


def _quadratic(kappa, dim=7, seed=0):
    """Eigenvalues in [1, kappa], both ends among them, and a start in their eigenvectors."""
    rng = np.random.default_rng(seed)
    inner = rng.uniform(1.0, kappa, size=dim - 2)
    return np.array([1.0, *inner, kappa]), rng.normal(size=dim)


# Iterations to 1e-10 in the worst case over spectra in [1, kappa]: heavy ball from rest,
# Chebyshev, Newton-Schulz from 2/(L + m). The numbers follow from the bounds by solving each for t.
@pytest.mark.parametrize(
    "kappa, heavy_ball, chebyshev, newton_schulz",
    [(10, 42, 37, 7), (100, 143, 119, 11), (1000, 472, 375, 14), (10_000, 1553, 1186, 17)],
)
def test_steps_to_ten_digits(kappa, heavy_ball, chebyshev, newton_schulz):
    residual = theory.contraction(kappa)
    assert theory.steps_until(lambda t: theory.heavy_ball_bound(kappa, t), 1e-10) == heavy_ball
    assert theory.steps_until(lambda t: theory.chebyshev_bound(kappa, t), 1e-10) == chebyshev
    assert theory.steps_until(lambda t: theory.newton_schulz_bound(residual, t), 1e-10) == (
        newton_schulz
    )


@pytest.mark.parametrize("kappa", [1.0, 3.0, 50.0])
def test_heavy_ball_factors_are_the_recursion_and_stay_below_the_bound(kappa):
    eigenvalues, start = _quadratic(kappa)
    size, momentum = theory.best_heavy_ball(1.0, kappa)
    error, before, seen = start, start, [start]
    for _ in range(60):
        error, before = (
            error - size * eigenvalues * error + momentum * (error - before),
            error,
        )
        seen.append(error)
    factors = theory.heavy_ball_factors(eigenvalues, size, momentum, 60)
    np.testing.assert_allclose(factors * start, seen, rtol=1e-9, atol=1e-14)
    bound = theory.heavy_ball_bound(kappa, np.arange(61))
    # At kappa = 1 the bound is 0 from step 1 on, and the recursion rounds to 1e-16.
    assert np.all(np.abs(factors).max(axis=1) <= bound * (1 + 1e-9) + 1e-14)


@pytest.mark.parametrize("kappa", [1.0, 3.0, 50.0])
def test_chebyshev_factors_are_the_semi_iteration_and_the_bound_is_attained(kappa):
    eigenvalues, start = _quadratic(kappa)
    theta, delta = (kappa + 1.0) / 2.0, (kappa - 1.0) / 2.0
    error, seen = start, [start]
    if delta == 0.0:
        seen += [np.zeros_like(start)] * 40
    else:
        sigma = theta / delta
        rho, move = 1.0 / sigma, -eigenvalues * error / theta
        for _ in range(40):
            error = error + move
            seen.append(error)
            after = 1.0 / (2.0 * sigma - rho)
            move = after * rho * move - 2.0 * after / delta * eigenvalues * error
            rho = after
    factors = theory.chebyshev_factors(eigenvalues, 1.0, kappa, 40)
    np.testing.assert_allclose(factors * start, seen, rtol=1e-8, atol=1e-13)
    worst = np.abs(factors).max(axis=1)  # both ends of the interval attain it
    np.testing.assert_allclose(worst, theory.chebyshev_bound(kappa, np.arange(41)), rtol=1e-9)


def test_newton_schulz_factors_are_the_iteration():
    eigenvalues, start = _quadratic(20.0)
    scales = np.array([1.0 / 20.0, 2.0 / 21.0])
    factors = theory.newton_schulz_factors(eigenvalues, scales, 6)
    for scale, found in zip(scales, factors, strict=True):
        inverse = np.full_like(eigenvalues, scale)
        for t in range(7):
            # w_t - w* = (Z_t A - I) w*, and the start is -w*, so the factor is 1 - z a.
            np.testing.assert_allclose(found[t], 1.0 - inverse * eigenvalues, rtol=1e-9, atol=1e-14)
            inverse = 2.0 * inverse - inverse**2 * eigenvalues
    errors = theory.relative_errors(factors, np.stack([start, start]))
    residuals = np.abs(1.0 - scales[:, None] * eigenvalues).max(axis=1)
    for residual, curve in zip(residuals, errors, strict=True):
        assert np.all(curve[1:] <= theory.newton_schulz_bound(residual, np.arange(1, 7)) + 1e-15)


def test_gradient_descent_factors_give_the_error_curve():
    eigenvalues, start = _quadratic(30.0)
    size = theory.best_step_size(1.0, 30.0)
    factors = theory.gradient_descent_factors(eigenvalues, size, 25)
    curve = theory.error_curve(eigenvalues, start, size, np.arange(26))
    np.testing.assert_allclose(theory.relative_errors(factors, start), curve, rtol=1e-12)


def test_settled_at_is_the_first_index_from_which_the_curve_stays_below():
    curves = np.array(
        [[1.0, 0.1, 1.0, 0.1, 0.1], [0.1] * 5, [1.0] * 5, [0.1, 0.1, np.nan, 0.1, 0.0]]
    )
    np.testing.assert_array_equal(theory.settled_at(curves, 0.5), [3, 0, 5, 3])


@table(
    "call, match",
    [
        (lambda: theory.accelerated_rate(0.5), "condition_number must be at least 1"),
        (lambda: theory.best_heavy_ball(0.0, 1.0), "smallest must be finite and above 0"),
        (lambda: theory.best_heavy_ball(2.0, 1.0), "largest must be at least smallest=2"),
        (lambda: theory.newton_schulz_bound(1.0, np.arange(2)), "residual must lie in"),
        (lambda: theory.newton_schulz_bound(-0.1, np.arange(2)), "residual must be at least 0"),
        (lambda: theory.steps_until(lambda t: 0.5**t, 1.0), "tolerance must lie in"),
        (lambda: theory.relative_errors(np.ones((2, 3)), np.zeros(3)), "got norm 0"),
        (lambda: theory.chebyshev_factors(np.ones(2), 0.0, 1.0, 3), "smallest must be finite"),
        (lambda: theory.heavy_ball_factors(np.ones(2), 1.0, 0.5, -1), "last must be at least 0"),
    ],
)
def test_numbers_out_of_range_are_refused(call, match):
    with pytest.raises(ValueError, match=match):
        call()
