import jax
import numpy as np
import pytest

from elsa import predictors, theory
from tests.helpers import table, wide
from tests.theory import helpers

# (d, n, s2): one dimension, one row, fewer rows than columns, square, tall, much noise
SETTINGS = [(1, 1, 0.1), (4, 1, 0.0), (5, 3, 0.2), (3, 3, 0.0), (3, 12, 0.5), (2, 6, 8.0)]


def moment(d, n, j):
    return theory.wishart_moment(dim=d, context_length=n, power=j)


def sizes_of(d, n, s2):
    return {"dim": d, "context_length": n, "noise_var": s2}


@pytest.mark.parametrize("d, n", [(1, 1), (1, 7), (4, 1), (3, 5), (6, 2)])
def test_moments_of_low_order_in_one_dimension_and_seen_from_the_other_side(d, n):
    third = n * d * (n**2 + d**2 + 3 * n * d + 3 * n + 3 * d + 4)
    found = [moment(d, n, j) for j in range(4)]
    assert found == [d, n * d, n * d * (n + d + 1), third]
    assert moment(n, d, 6) == moment(d, n, 6)
    # one dimension: G is chi-squared with n degrees of freedom
    assert moment(1, n, 9) == np.prod([n + 2 * i for i in range(9)], dtype=object)


def test_moments_of_higher_order_against_samples():
    rng, batch = np.random.default_rng(0), 200_000
    x = rng.normal(size=(batch, 4, 3))
    gram = x.swapaxes(1, 2) @ x
    power = gram @ gram @ gram
    for j in (4, 5):
        power = power @ gram
        traces = np.trace(power, axis1=1, axis2=2)
        sampled = traces.mean(), traces.std(ddof=1) / batch**0.5
        helpers.assert_within_four_errors(sampled, moment(3, 4, j))


@pytest.mark.parametrize("d, n, s2", SETTINGS)
def test_one_step_is_the_best_multiple_of_the_identity(d, n, s2):
    setting, sizes = helpers.isotropic(d, n, s2), sizes_of(d, n, s2)
    weight, risk = theory.pgd_optimum(setting)
    (c,), same = theory.multi_step_optimum(**sizes, steps=1)
    assert (c, same) == pytest.approx((weight[0, 0], risk), rel=1e-13)
    assert theory.multi_step_risk([0.07], **sizes) == pytest.approx(
        theory.pgd_risk(0.07 * np.eye(d), setting), rel=1e-13
    )


@pytest.mark.parametrize(
    "d, n, s2, steps",
    wide(
        [(*setting, steps) for setting in SETTINGS for steps in (2, 4)],
        keep=[(1, 1, 0.1, 4), (4, 1, 0.0, 2), (5, 3, 0.2, 4), (3, 12, 0.5, 2)],
    ),
)
def test_sampled_risks_of_the_polynomial_and_of_the_descent(d, n, s2, steps):
    sizes = sizes_of(d, n, s2)
    best, risk = theory.multi_step_optimum(**sizes, steps=steps)
    other = best * np.linspace(1.0, 1.2, steps)
    rates = theory.multi_step_sizes(**sizes, steps=steps)
    assert rates.shape == (steps,) and np.all(rates > 0) and np.all(np.diff(rates) < 0)

    def sample(rng, batch):
        return helpers.independent(rng, batch, helpers.isotropic(d, n, s2))

    exact = theory.multi_step_risk(other, **sizes)

    def predict(coefficients):
        return lambda drawn: predictors.polynomial_step(drawn, coefficients)

    helpers.assert_risks(sample, [(predict(best), risk), (predict(other), exact)], seed=7)
    drawn = sample(np.random.default_rng(1), 50)
    descended = predictors.gradient_descent(drawn, steps, rates, lam=s2)
    np.testing.assert_allclose(descended, predict(best)(drawn), rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("d, n, s2", SETTINGS)
def test_the_optimum_has_the_risk_it_says_and_no_better_neighbour(d, n, s2):
    rng, sizes = np.random.default_rng(0), sizes_of(d, n, s2)
    ladder = []
    for steps in (1, 2, 3, 5):
        c, risk = theory.multi_step_optimum(**sizes, steps=steps)
        assert theory.multi_step_risk(c, **sizes) == pytest.approx(risk, rel=1e-12)
        for _ in range(5):
            near = c * (1 + 0.01 * rng.normal(size=steps))
            assert theory.multi_step_risk(near, **sizes) > risk
        ladder.append(risk)
    assert sorted(ladder, reverse=True) == ladder and len(set(ladder)) == len(ladder)


def test_many_steps_approach_the_posterior_mean():
    sizes = sizes_of(5, 20, 0.25)
    mean, error = theory.bayes_risk(theory.Setting(**sizes), jax.random.key(0), 50_000)
    risk = theory.multi_step_optimum(**sizes, steps=12).risk
    assert abs(risk - mean) < 4 * error + 3e-4 and risk > mean - 4 * error
    left = [theory.multi_step_optimum(**sizes, steps=k).risk - mean for k in (3, 6, 12)]
    assert left[1] < 0.2 * left[0] and left[2] < 0.01 * left[1] + 4 * error


@table(
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
@table("function", [theory.multi_step_optimum, theory.multi_step_sizes])
def test_bad_arguments(function, change, error, message):
    good = {"dim": 3, "context_length": 4, "noise_var": 0.1, "steps": 2}
    with pytest.raises(error, match=f"{function.__name__}: {message}"):
        function(**(good | change))


def risk_of(coefficients, noise_var=0.1):
    return theory.multi_step_risk(coefficients, **sizes_of(3, 4, noise_var))


@table(
    "call, error, message",
    [
        (lambda: moment(3, 4, -1), ValueError, "power must be at least 0, got -1"),
        (lambda: moment(0, 4, 1), ValueError, "dim must be at least 1, got 0"),
        (lambda: moment(3, 4, 0.5), TypeError, "power must be an integer"),
        (lambda: risk_of([]), ValueError, "coefficients must have shape"),
        (lambda: risk_of([np.nan]), ValueError, "must be finite"),
        (lambda: risk_of([0.1], -0.1), ValueError, "noise_var must be at"),
    ],
)
def test_bad_numbers(call, error, message):
    with pytest.raises(error, match=message):
        call()
