import dataclasses

import jax
import numpy as np
import pytest

from elsa import theory
from elsa.tasks import Prompt
from tests.helpers import table
from tests.theory import helpers, one_layer

# (n, d, noise_var, rank of Psi, intercept_var)
SETTINGS = [(1, 1, 0.0, 1, 1.0), (2, 4, 0.3, 4, 0.5), (7, 1, 0.5, 1, 4.0), (5, 3, 0.0, 2, 0.2)]
EXAMPLE = theory.Setting(dim=4, context_length=16, noise_var=0.25)


def draw(n, d, noise_var, rank):
    return helpers.random_setting(np.random.default_rng(6), n, d, noise_var, rank)


def affine(setting, intercept_var):
    """A sampler of prompts whose tasks have an intercept."""

    def sample(rng, batch):
        prompt = helpers.independent(rng, batch, setting)
        intercept = intercept_var**0.5 * rng.normal(size=batch)
        y = prompt.y + intercept[:, None]
        return Prompt(prompt.x, y, prompt.query_x, prompt.query_y + intercept)

    return sample


def test_the_numbers_of_the_settings_that_are_trained():
    quiet, unit = dataclasses.replace(EXAMPLE, noise_var=0.1), {"intercept_var": 1.0}
    other = theory.Setting(dim=3, context_length=8, noise_var=0.5)
    risks = [
        theory.affine_lsa_optimum(quiet, **unit).risk,
        theory.affine_elsa_optimum(quiet, **unit).risk,
        theory.affine_elsa_optimum(other, intercept_var=4.0).risk,
        theory.affine_lsa_optimum(EXAMPLE, **unit).risk,
        theory.affine_elsa_optimum(EXAMPLE, **unit).risk,
        theory.affine_floor(EXAMPLE, **unit),
    ]
    assert risks == pytest.approx([2.2041, 1.4081, 2.4398, 2.3736, 1.5835, 1.25], abs=6e-5)
    bayes = theory.affine_bayes_risk(EXAMPLE, jax.random.key(0), 4_000, **unit)
    assert abs(bayes.mean - 0.367) < 4 * bayes.standard_error + 5e-4


@pytest.mark.parametrize("seed, sizes", list(enumerate(SETTINGS)))
def test_sampled_risks_agree(seed, sizes):
    setting, intercept_var = draw(*sizes[:4]), sizes[4]
    lsa = theory.affine_lsa_optimum(setting, intercept_var=intercept_var)
    elsa = theory.affine_elsa_optimum(setting, intercept_var=intercept_var)

    def with_mean(drawn):
        return helpers.step(elsa.weight)(drawn) + elsa.intercept_scale * drawn.y.mean(axis=1)

    cases = [(helpers.step(lsa.weight), lsa.risk), (with_mean, elsa.risk)]
    helpers.assert_risks(affine(setting, intercept_var), cases, seed=seed, batch=50_000)


@pytest.mark.parametrize("roles, masked", [(False, True), (False, False), (True, False)])
def test_no_layer_is_better_with_or_without_the_roles_of_rows(roles, masked):
    setting = theory.Setting(dim=2, context_length=5, noise_var=0.3, cov_x=np.diag([1.0, 0.5]))
    optimum = theory.affine_elsa_optimum if roles else theory.affine_lsa_optimum
    sample = affine(setting, 0.8)

    def prompts(rng, batch):
        return one_layer.stacked(sample(rng, batch), roles=roles, masked=masked)

    one_layer.assert_best_risk(prompts, optimum(setting, intercept_var=0.8).risk, seed=7)


@pytest.mark.parametrize("n, d, noise_var", [(3, 1, 0.3), (2, 3, 0.5), (2, 2, 0.0)])
def test_the_posterior_mean_has_the_risk_of_bayes(n, d, noise_var):
    """Of w and c together, by the normal equations of the covariates [x, 1] in weight space."""
    setting, intercept_var = helpers.random_setting(np.random.default_rng(8), n, d, noise_var), 0.7
    drawn = affine(setting, intercept_var)(np.random.default_rng(9), 20_000)
    rows = np.concatenate([drawn.x, np.ones((*drawn.y.shape, 1))], axis=2)
    query = np.concatenate([drawn.query_x, np.ones((len(drawn.query_y), 1))], axis=1)
    prior = np.zeros((d + 1, d + 1))
    prior[:d, :d], prior[d, d] = setting.cov_task, intercept_var
    labels = rows @ prior @ rows.swapaxes(1, 2) + noise_var * np.eye(n)
    told = np.linalg.solve(labels, drawn.y[:, :, None])[:, :, 0]
    predicted = np.einsum("bi,bij,jk,bk->b", told, rows, prior, query, optimize=True)
    squares = (predicted - drawn.query_y) ** 2
    bayes = theory.affine_bayes_risk(
        setting, jax.random.key(1), 20_000, intercept_var=intercept_var
    )
    spread = np.hypot(squares.std(ddof=1) / len(squares) ** 0.5, bayes.standard_error)
    helpers.assert_within_four_errors((squares.mean(), spread), bayes.mean)


def test_what_is_seen_without_noise_is_known():
    setting = theory.Setting(dim=2, context_length=3, noise_var=0.0)
    bayes = theory.affine_bayes_risk(setting, jax.random.key(0), 50, intercept_var=2.0)
    assert abs(bayes.mean) < 1e-12
    nothing = dataclasses.replace(setting, cov_task=np.zeros((2, 2)))
    assert theory.affine_bayes_risk(nothing, jax.random.key(0), 2, intercept_var=0.0).mean == 0.0
    assert theory.affine_elsa_optimum(nothing, intercept_var=0.0).risk == 0.0


@table("sizes", SETTINGS)
def test_without_an_intercept_biases_buy_nothing(sizes):
    setting = draw(*sizes[:4])
    plain = theory.pgd_optimum(setting)
    for optimum in (theory.affine_lsa_optimum, theory.affine_elsa_optimum):
        found = optimum(setting, intercept_var=0.0)
        assert found.risk == plain.risk and np.array_equal(found.weight, plain.weight)
    assert theory.affine_floor(setting, intercept_var=0.0) == setting.noise_var


def test_without_an_intercept_bayes_is_that_of_linear_regression():
    setting = helpers.random_setting(np.random.default_rng(2), 4, 3, 0.3)
    ours = theory.affine_bayes_risk(setting, jax.random.key(0), 4_000, intercept_var=0.0)
    other = theory.bayes_risk(setting, jax.random.key(1), 4_000)
    spread = np.hypot(ours.standard_error, other.standard_error)
    helpers.assert_within_four_errors((ours.mean, spread), other.mean)


@table("sizes", SETTINGS)
def test_one_layer_lies_above_the_floor_and_biases_help(sizes):
    setting, given = draw(*sizes[:4]), {"intercept_var": sizes[4]}
    lsa = theory.affine_lsa_optimum(setting, **given).risk
    assert theory.affine_floor(setting, **given) <= lsa
    assert theory.affine_elsa_optimum(setting, **given).risk < lsa
    many = dataclasses.replace(setting, context_length=10**7)
    assert theory.affine_lsa_optimum(many, **given).risk == pytest.approx(
        theory.affine_floor(setting, **given), rel=1e-5
    )
    assert theory.affine_elsa_optimum(many, **given).risk == pytest.approx(
        setting.noise_var, abs=1e-5
    )


@table(
    "function",
    [
        theory.affine_lsa_optimum,
        theory.affine_elsa_optimum,
        theory.affine_floor,
        lambda setting, **given: theory.affine_bayes_risk(setting, jax.random.key(0), 2, **given),
    ],
)
def test_bad_arguments(function):
    with pytest.raises(ValueError, match=r"tasks without a mean.* setting\.centred\(\) has none"):
        function(dataclasses.replace(EXAMPLE, task_mean=np.ones(4)), intercept_var=1.0)
    with pytest.raises(ValueError, match="intercept_var"):
        function(EXAMPLE, intercept_var=-1.0)
    with pytest.raises(TypeError, match=r"setting must be a theory\.Setting"):
        function(4, intercept_var=1.0)


def test_bayes_needs_two_samples():
    with pytest.raises(ValueError, match="samples must be at least 2"):
        theory.affine_bayes_risk(EXAMPLE, jax.random.key(0), 1, intercept_var=1.0)
