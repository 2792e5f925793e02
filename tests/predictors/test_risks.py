"""What the predictors reach on samples is what the closed forms predict."""

import dataclasses

import jax
import numpy as np
import pytest

from elsa import predictors, theory
from tests.helpers import wide
from tests.theory import helpers

# (d, n, s2): one row, one dimension, fewer rows than columns, no noise
SETTINGS = [(1, 1, 0.3), (4, 2, 0.0), (3, 6, 0.5)]


def draw(d, n, s2):
    rng = np.random.default_rng(6)
    return rng, helpers.random_setting(rng, n, d, s2, task_floor=0.1)


@pytest.mark.parametrize("d, n, s2", SETTINGS)
def test_one_step_from_zero_and_from_a_learnt_start(d, n, s2):
    rng, centred = draw(d, n, s2)
    mean, init = rng.normal(size=d), rng.normal(size=d)
    gamma = rng.normal(size=(d, d)) / 4
    weight = theory.pgd_optimum(centred).weight
    setting = dataclasses.replace(centred, task_mean=mean)

    def sample(rng, batch):
        return helpers.independent(rng, batch, setting)

    cases = [
        (
            lambda drawn: predictors.preconditioned_step(drawn, weight),
            theory.pgd_risk(weight, setting),
        ),
        (
            lambda drawn: predictors.gd_beta(drawn, init, gamma),
            theory.gd_beta_risk(init, gamma, setting),
        ),
    ]
    helpers.assert_risks(sample, cases, seed=0)


@pytest.mark.parametrize("n, rho, s2", [(1, 0.5, 0.0), (5, 0.8, 0.3)])
def test_a_weight_for_each_example(n, rho, s2):
    corr, sizes = helpers.autoregressive(n, rho), {"dim": 3, "noise_var": s2}
    omega, risk = theory.drift_optimum(corr, **sizes)

    def sample(rng, batch):
        return helpers.drifting(rng, batch, corr, **sizes)

    helpers.assert_risks(
        sample, [(lambda drawn: predictors.weighted_step(drawn, omega), risk)], seed=1
    )


@pytest.mark.parametrize("d, n, s2", wide(SETTINGS, keep=[(1, 1, 0.3), (4, 2, 0.0)]))
def test_the_posterior_mean(d, n, s2):
    rng, centred = draw(d, n, s2)
    mean, batch = rng.normal(size=d), 100_000
    setting = dataclasses.replace(centred, task_mean=mean)
    drawn = helpers.independent(rng, batch, setting)
    squares = np.asarray(predictors.bayes(drawn, setting.cov_task, s2, mean) - drawn.query_y) ** 2
    expected, error = theory.bayes_risk(setting, jax.random.key(2), batch)
    spread = np.hypot(error, squares.std(ddof=1) / batch**0.5)
    helpers.assert_within_four_errors((squares.mean(), spread), expected)


def test_without_noise_enough_examples_settle_it():
    rng, setting = draw(3, 8, 0.0)
    drawn = helpers.independent(rng, 1_000, setting)
    by_bayes = predictors.bayes(drawn, setting.cov_task, 0.0)
    for predicted in (by_bayes, predictors.least_squares(drawn)):
        np.testing.assert_allclose(predicted, drawn.query_y, rtol=1e-8, atol=1e-8)
    assert theory.bayes_risk(setting, jax.random.key(0), 10) == (0.0, 0.0)


def test_ridge_with_the_variance_of_the_noise_is_the_posterior_mean_of_a_white_prior():
    rng, setting = draw(4, 3, 0.4)
    drawn = helpers.independent(rng, 50, dataclasses.replace(setting, cov_task=np.eye(4)))
    np.testing.assert_allclose(
        predictors.ridge(drawn, 0.4), predictors.bayes(drawn, np.eye(4), 0.4), rtol=1e-10
    )
