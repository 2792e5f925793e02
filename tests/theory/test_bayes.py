import dataclasses

import jax
import numpy as np
import pytest
import scipy.integrate
import scipy.stats

from elsa import theory
from tests.helpers import wide
from tests.theory import helpers

KEY = jax.random.key(0)


def directly(cov_x, cov_task, n, noise_var, samples, seed=0):
    """s2 + tr(Sx P), P = Sb - Sb X^T (X Sb X^T + s2 I)^+ X Sb, one context at a time."""
    rng = np.random.default_rng(seed)
    values, vectors = np.linalg.eigh(cov_x)
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    risks = []
    for _ in range(samples):
        X = rng.normal(size=(n, len(cov_x))) @ root.T
        gain = cov_task @ X.T @ np.linalg.pinv(X @ cov_task @ X.T + noise_var * np.eye(n))
        risks.append(noise_var + np.trace(cov_x @ (cov_task - gain @ X @ cov_task)))
    return np.mean(risks), np.std(risks, ddof=1) / samples**0.5


@pytest.mark.parametrize(
    "n, d, noise_var, rank", [(4, 3, 0.2, 3), (2, 3, 0.2, 3), (2, 4, 0.0, 4), (1, 4, 0.0, 2)]
)
def test_against_the_posterior_covariance_of_each_context(n, d, noise_var, rank):
    setting = helpers.random_setting(np.random.default_rng(3), n, d, noise_var, rank)
    mean, error = theory.bayes_risk(setting, KEY, 20_000)
    other, other_error = directly(setting.cov_x, setting.cov_task, n, noise_var, 2_000)
    assert 0 < error < other_error
    assert abs(mean - other) <= 4 * np.hypot(error, other_error)


@pytest.mark.parametrize(
    "n, prior, noise_var",
    wide([(1, 1.0, 0.3), (5, 1.0, 0.5), (40, 2.0, 1.5)], keep=[(1, 1.0, 0.3), (5, 1.0, 0.5)]),
)
def test_one_dimension_against_an_integral_over_the_chi_squared_law(n, prior, noise_var):
    def density(t):
        return scipy.stats.chi2.pdf(t * t, n) * 2 * t * prior / (1 + prior * t * t / noise_var)

    exact = noise_var + scipy.integrate.quad(density, 0, np.inf)[0]
    setting = theory.Setting(dim=1, context_length=n, noise_var=noise_var, cov_task=[[prior]])
    sampled = theory.bayes_risk(setting, KEY, 100_000)
    helpers.assert_within_four_errors(sampled, exact)
    if (n, prior, noise_var) == (5, 1.0, 0.5):
        assert exact == pytest.approx(0.628803447, rel=1e-9)


@pytest.mark.parametrize(
    "n, expected, error",
    wide([(20, 0.33712, 4e-5), (50, 0.27823, 6e-6)], keep=[(20, 0.33712, 4e-5)]),
)
def test_five_dimensions(n, expected, error):
    """Expected: 2e5 contexts sampled apart from this library."""
    mean, own_error = theory.bayes_risk(helpers.isotropic(5, n, 0.25), KEY, 50_000)
    assert abs(mean - expected) <= 4 * np.hypot(error, own_error)


def test_without_noise_what_the_context_does_not_span_is_left():
    for n, d in [(1, 4), (3, 4)]:  # a random subspace of n of d dimensions is seen
        mean, error = theory.bayes_risk(helpers.isotropic(d, n, 0.0), KEY, 1_000)
        assert mean == pytest.approx(d - n, rel=1e-12) and error < 1e-12
    for n in (4, 9):
        assert theory.bayes_risk(helpers.isotropic(4, n, 0.0), KEY, 10) == (0.0, 0.0)
    low = np.diag([1.0, 1.0, 0.0, 0.0])  # two directions, which two examples settle
    settled = theory.Setting(dim=4, context_length=2, noise_var=0.0, cov_task=low)
    assert theory.bayes_risk(settled, KEY, 10) == (0.0, 0.0)
    known = theory.Setting(dim=2, context_length=1, noise_var=0.7, cov_task=np.zeros((2, 2)))
    assert theory.bayes_risk(known, KEY, 10) == (0.7, 0.0)


def test_it_is_below_the_best_single_step_and_above_the_noise():
    mean, error = theory.bayes_risk(helpers.WORKED, KEY, 20_000)
    assert 0.5 < mean + 4 * error < theory.pgd_optimum(helpers.WORKED).risk


def test_a_little_noise_is_no_matter_of_rounding():
    mean, _ = theory.bayes_risk(helpers.isotropic(3, 8, 1e-12), KEY, 1_000)
    assert 1e-12 < mean < 5e-12  # s2 (1 + d / (n - d - 1)) for small s2
    below, _ = theory.bayes_risk(helpers.isotropic(4, 3, 1e-12), KEY, 1_000)
    assert below == pytest.approx(1.0, abs=1e-8)


def test_the_number_is_the_same_whatever_jax_computes_in():
    args = (helpers.isotropic(3, 4, 0.1), KEY, 100)
    with jax.enable_x64(False):
        single = theory.bayes_risk(*args)
    assert single == theory.bayes_risk(*args)


def test_chunks_repeat_and_differ(monkeypatch):
    args = (helpers.isotropic(2, 3, 0.1), KEY)
    assert theory.bayes_risk(*args, 500) == theory.bayes_risk(*args, 500)
    other = theory.bayes_risk(args[0], jax.random.key(1), 500)
    assert other[0] != theory.bayes_risk(*args, 500)[0]
    whole = theory.bayes_risk(*args, 20_000)
    monkeypatch.setattr("elsa.theory.bayes._CHUNK_ENTRIES", 6 * 500)  # 500 contexts at a time
    parts = theory.bayes_risk(*args, 20_000)
    assert parts[0] != whole[0]
    assert abs(parts[0] - whole[0]) <= 4 * np.hypot(parts[1], whole[1])


def test_the_mean_of_the_tasks_does_not_enter():
    far = dataclasses.replace(helpers.WORKED, task_mean=[3.0, -4.0])
    assert theory.bayes_risk(far, KEY, 500) == theory.bayes_risk(helpers.WORKED, KEY, 500)


@pytest.mark.parametrize(
    "samples, error, message",
    [
        (1, ValueError, "samples must be at least 2, got 1"),
        (1e4, TypeError, "samples must be an integer, got 10000.0"),
    ],
)
def test_bad_arguments(samples, error, message):
    with pytest.raises(error, match=f"bayes_risk: {message}"):
        theory.bayes_risk(helpers.WORKED, KEY, samples)
