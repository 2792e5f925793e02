import dataclasses

import numpy as np
import pytest

from elsa import theory
from tests.theory import helpers, one_layer


def diagonal(*spectrum):
    return theory.Setting(dim=4, context_length=16, noise_var=0.25, cov_x=np.diag(spectrum))


def test_the_numbers_of_four_dimensions():
    for spectrum, plain, preconditioned in [
        ((2.0, 1.0, 0.5, 0.25), 1.4436, 1.1127),
        ((4.0, 1.0, 0.25, 0.0625), 1.6797, 1.2620),
    ]:
        setting = diagonal(*spectrum)
        risks = theory.transposed_optimum(setting).risk, theory.pgd_optimum(setting).risk
        assert risks == pytest.approx((plain, preconditioned), abs=6e-5)


@pytest.mark.parametrize(
    "n, d, noise_var, rank", [(1, 1, 0.0, 1), (2, 4, 0.3, 4), (7, 1, 0.5, 1), (5, 3, 0.0, 2)]
)
def test_it_is_the_best_multiple_of_the_identity(n, d, noise_var, rank):
    rng = np.random.default_rng(4)
    centred = helpers.random_setting(rng, n, d, noise_var, rank)
    setting = dataclasses.replace(centred, task_mean=rng.normal(size=d))
    scale, risk = theory.transposed_optimum(setting)
    assert theory.pgd_risk(scale * np.eye(d), setting) == pytest.approx(risk, rel=1e-12)
    for other in (0.9 * scale, 1.1 * scale, -scale):
        assert theory.pgd_risk(other * np.eye(d), setting) > risk
    assert theory.pgd_optimum(setting).risk <= risk * (1 + 1e-12)

    def sample(rng, batch):
        return helpers.independent(rng, batch, setting)

    cases = [(helpers.step(scale * np.eye(d)), risk)]
    helpers.assert_risks(sample, cases, seed=3, batch=50_000)


def test_white_covariates_need_no_preconditioner():
    setting = helpers.isotropic(3, 5, 0.2)
    found = theory.transposed_optimum(setting)
    assert found.risk == pytest.approx(theory.pgd_optimum(setting).risk, rel=1e-14)
    silent = theory.Setting(dim=2, context_length=1, noise_var=0.0, cov_task=np.zeros((2, 2)))
    assert theory.transposed_optimum(silent) == (0.0, 0.0)


def test_no_layer_on_the_transposed_prompt_is_better():
    setting = theory.Setting(dim=2, context_length=3, noise_var=0.3, cov_x=np.diag([2.0, 0.3]))

    def sample(rng, batch):
        return one_layer.transposed(helpers.independent(rng, batch, setting))

    one_layer.assert_best_risk(sample, theory.transposed_optimum(setting).risk, seed=1)


def test_what_is_no_setting_is_refused():
    with pytest.raises(TypeError, match=r"setting must be a theory\.Setting"):
        theory.transposed_optimum(np.eye(2))
