"""What the predictors reach on samples is what the closed forms predict."""

import jax
import numpy as np
import pytest

from elsa import predictors, theory
from tests.theory import helpers

# (d, n, s2): one row, one dimension, fewer rows than columns, no noise
SETTINGS = [(1, 1, 0.3), (4, 2, 0.0), (3, 6, 0.5)]


def setting(d):
    rng = np.random.default_rng(6)
    cov_x = helpers.random_covariance(rng, d) + 0.2 * np.eye(d)
    return rng, cov_x, helpers.random_covariance(rng, d) + 0.1 * np.eye(d)


@pytest.mark.parametrize("d, n, s2", SETTINGS)
def test_one_step_from_zero_and_from_a_learnt_start(d, n, s2):
    rng, cov_x, cov_task = setting(d)
    mean, init = rng.normal(size=d), rng.normal(size=d)
    gamma = rng.normal(size=(d, d)) / 4
    weight, _ = theory.pgd_optimum(cov_x, cov_task, n, s2)
    second_moment = cov_task + np.outer(mean, mean)

    def sample(rng, batch):
        return helpers.independent(rng, batch, cov_x, cov_task, n, s2, mean)

    cases = [
        (
            lambda drawn: predictors.preconditioned_step(drawn, weight),
            theory.pgd_risk(weight, cov_x, second_moment, n, s2),
        ),
        (
            lambda drawn: predictors.gd_beta(drawn, init, gamma),
            theory.gd_beta_risk(init, gamma, mean, cov_task, cov_x, n, s2),
        ),
    ]
    helpers.assert_risks(sample, cases, seed=0)


@pytest.mark.parametrize("n, rho, s2", [(1, 0.5, 0.0), (5, 0.8, 0.3)])
def test_a_weight_for_each_example(n, rho, s2):
    corr, d = helpers.autoregressive(n, rho), 3
    omega, risk = theory.drift_optimum(corr, d, s2)

    def sample(rng, batch):
        return helpers.drifting(rng, batch, corr, d, s2)

    helpers.assert_risks(
        sample, [(lambda drawn: predictors.weighted_step(drawn, omega), risk)], seed=1
    )


@pytest.mark.parametrize("d, n, s2", SETTINGS)
def test_the_posterior_mean(d, n, s2):
    rng, cov_x, cov_task = setting(d)
    mean, batch = rng.normal(size=d), 100_000
    drawn = helpers.independent(rng, batch, cov_x, cov_task, n, s2, mean)
    squares = np.asarray(predictors.bayes(drawn, cov_task, s2, mean) - drawn.query_y) ** 2
    expected, error = theory.bayes_risk(cov_x, cov_task, n, s2, jax.random.key(2), batch)
    spread = np.hypot(error, squares.std(ddof=1) / batch**0.5)
    helpers.assert_within_four_errors((squares.mean(), spread), expected)


def test_without_noise_enough_examples_settle_it():
    rng, cov_x, cov_task = setting(3)
    drawn = helpers.independent(rng, 1_000, cov_x, cov_task, 8, 0.0)
    for predicted in (predictors.bayes(drawn, cov_task, 0.0), predictors.least_squares(drawn)):
        np.testing.assert_allclose(predicted, drawn.query_y, rtol=1e-8, atol=1e-8)
    assert theory.bayes_risk(cov_x, cov_task, 8, 0.0, jax.random.key(0), 10) == (0.0, 0.0)


def test_ridge_with_the_variance_of_the_noise_is_the_posterior_mean_of_a_white_prior():
    rng, cov_x, _ = setting(4)
    drawn = helpers.independent(rng, 50, cov_x, np.eye(4), 3, 0.4)
    np.testing.assert_allclose(
        predictors.ridge(drawn, 0.4), predictors.bayes(drawn, np.eye(4), 0.4), rtol=1e-10
    )
