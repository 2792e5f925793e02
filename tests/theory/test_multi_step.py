import jax
import numpy as np
import pytest

from elsa import predictors, theory
from tests.theory import helpers

# (d, n, s2): one dimension, one row, fewer rows than columns, square, tall, much noise
SETTINGS = [(1, 1, 0.1), (4, 1, 0.0), (5, 3, 0.2), (3, 3, 0.0), (3, 12, 0.5), (2, 6, 8.0)]


@pytest.mark.parametrize("d, n", [(1, 1), (1, 7), (4, 1), (3, 5), (6, 2)])
def test_moments_of_low_order_in_one_dimension_and_seen_from_the_other_side(d, n):
    third = n * d * (n**2 + d**2 + 3 * n * d + 3 * n + 3 * d + 4)
    found = [theory.wishart_moment(d, n, j) for j in range(4)]
    assert found == [d, n * d, n * d * (n + d + 1), third]
    assert theory.wishart_moment(n, d, 6) == theory.wishart_moment(d, n, 6)
    # one dimension: G is chi-squared with n degrees of freedom
    assert theory.wishart_moment(1, n, 9) == np.prod([n + 2 * i for i in range(9)], dtype=object)


def test_moments_of_higher_order_against_samples():
    rng, batch = np.random.default_rng(0), 200_000
    x = rng.normal(size=(batch, 4, 3))
    gram = x.swapaxes(1, 2) @ x
    power = gram @ gram @ gram
    for j in (4, 5):
        power = power @ gram
        traces = np.trace(power, axis1=1, axis2=2)
        sampled = traces.mean(), traces.std(ddof=1) / batch**0.5
        helpers.assert_within_four_errors(sampled, theory.wishart_moment(3, 4, j))


@pytest.mark.parametrize("d, n, s2", SETTINGS)
def test_one_step_is_the_best_multiple_of_the_identity(d, n, s2):
    weight, risk = theory.pgd_optimum(np.eye(d), np.eye(d), n, s2)
    (c,), same = theory.multi_step_optimum(d, n, s2, 1)
    assert (c, same) == pytest.approx((weight[0, 0], risk), rel=1e-13)
    assert theory.multi_step_risk([0.07], d, n, s2) == pytest.approx(
        theory.pgd_risk(0.07 * np.eye(d), np.eye(d), np.eye(d), n, s2), rel=1e-13
    )


@pytest.mark.parametrize("steps", [2, 4])
@pytest.mark.parametrize("d, n, s2", SETTINGS)
def test_sampled_risks_of_the_polynomial_and_of_the_descent(d, n, s2, steps):
    best, risk = theory.multi_step_optimum(d, n, s2, steps)
    other = best * np.linspace(1.0, 1.2, steps)
    sizes = theory.multi_step_sizes(d, n, s2, steps)
    assert sizes.shape == (steps,) and np.all(sizes > 0) and np.all(np.diff(sizes) < 0)

    def sample(rng, batch):
        return helpers.independent(rng, batch, np.eye(d), np.eye(d), n, s2)

    exact = theory.multi_step_risk(other, d, n, s2)

    def predict(coefficients):
        return lambda drawn: predictors.polynomial_step(drawn, coefficients)

    helpers.assert_risks(sample, [(predict(best), risk), (predict(other), exact)], seed=7)
    drawn = sample(np.random.default_rng(1), 50)
    descended = predictors.gradient_descent(drawn, steps, sizes, lam=s2)
    np.testing.assert_allclose(descended, predict(best)(drawn), rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("d, n, s2", SETTINGS)
def test_the_optimum_has_the_risk_it_says_and_no_better_neighbour(d, n, s2):
    rng = np.random.default_rng(0)
    ladder = []
    for steps in (1, 2, 3, 5):
        c, risk = theory.multi_step_optimum(d, n, s2, steps)
        assert theory.multi_step_risk(c, d, n, s2) == pytest.approx(risk, rel=1e-12)
        for _ in range(5):
            near = c * (1 + 0.01 * rng.normal(size=steps))
            assert theory.multi_step_risk(near, d, n, s2) > risk
        ladder.append(risk)
    assert sorted(ladder, reverse=True) == ladder and len(set(ladder)) == len(ladder)


def test_many_steps_approach_the_posterior_mean():
    mean, error = theory.bayes_risk(np.eye(5), np.eye(5), 20, 0.25, jax.random.key(0), 50_000)
    risk = theory.multi_step_optimum(5, 20, 0.25, 12)[1]
    assert abs(risk - mean) < 4 * error + 3e-4 and risk > mean - 4 * error
    left = [theory.multi_step_optimum(5, 20, 0.25, k)[1] - mean for k in (3, 6, 12)]
    assert left[1] < 0.2 * left[0] and left[2] < 0.01 * left[1] + 4 * error


@pytest.mark.parametrize(
    "change, error, message",
    [
        ({"dim": 0}, ValueError, "dim must be at least 1, got 0"),
        ({"context_length": 0}, ValueError, "context_length must be at least 1, got 0"),
        ({"context_length": 2.0}, TypeError, "context_length must be an integer"),
        ({"noise_var": -1.0}, ValueError, "noise_var must be at least 0.0"),
        ({"noise_var": np.inf}, ValueError, "noise_var must be finite"),
        ({"steps": 0}, ValueError, "steps must be at least 1, got 0"),
        ({"steps": 1.5}, TypeError, "steps must be an integer, got 1.5"),
    ],
)
@pytest.mark.parametrize("function", [theory.multi_step_optimum, theory.multi_step_sizes])
def test_bad_arguments(function, change, error, message):
    good = {"dim": 3, "context_length": 4, "noise_var": 0.1, "steps": 2}
    with pytest.raises(error, match=f"{function.__name__}: {message}"):
        function(**(good | change))


@pytest.mark.parametrize(
    "call, error, message",
    [
        (lambda: theory.wishart_moment(3, 4, -1), ValueError, "power must be at least 0, got -1"),
        (lambda: theory.wishart_moment(0, 4, 1), ValueError, "dim must be at least 1, got 0"),
        (lambda: theory.wishart_moment(3, 4, 0.5), TypeError, "power must be an integer"),
        (lambda: theory.multi_step_risk([], 3, 4, 0.1), ValueError, "coefficients must have shape"),
        (lambda: theory.multi_step_risk([np.nan], 3, 4, 0.1), ValueError, "must be finite"),
        (lambda: theory.multi_step_risk([0.1], 3, 4, -0.1), ValueError, "noise_var must be at"),
    ],
)
def test_bad_numbers(call, error, message):
    with pytest.raises(error, match=message):
        call()
