import numpy as np
import pytest
import scipy.optimize

from elsa import theory
from tests.helpers import table
from tests.theory import helpers


def draw(n=4, d=3, noise_var=0.3, seed=1):
    rng = np.random.default_rng(seed)
    base = rng.normal(size=(d, d)) / n
    return rng, base, helpers.random_setting(rng, n, d, noise_var)


def test_rank_zero_keeps_the_base_and_full_rank_forgets_it():
    _, base, setting = draw()
    W, risk = theory.lora_optimum(base, setting, rank=0)
    np.testing.assert_array_equal(W, base)
    assert risk == pytest.approx(theory.pgd_risk(base, setting), rel=1e-12)
    best, least = theory.pgd_optimum(setting)
    W, risk = theory.lora_optimum(base, setting, rank=3)
    np.testing.assert_allclose(W, best, rtol=1e-9, atol=1e-12)
    assert risk == pytest.approx(least, rel=1e-12)


@pytest.mark.parametrize("n, d, noise_var", [(1, 1, 0.0), (1, 4, 0.3), (7, 3, 0.0), (5, 5, 0.4)])
def test_the_weight_has_the_rank_and_the_risk_it_says(n, d, noise_var):
    _, base, setting = draw(n, d, noise_var)
    risks = []
    for rank in range(d + 1):
        W, risk = theory.lora_optimum(base, setting, rank=rank)
        assert np.linalg.matrix_rank(W - base, tol=1e-10) == rank
        assert theory.pgd_risk(W, setting) == pytest.approx(risk, rel=1e-10, abs=1e-12)
        risks.append(risk)
    assert sorted(risks, reverse=True) == risks


@pytest.mark.parametrize("rank", [1, 2])
def test_no_correction_of_that_rank_does_better(rank):
    rng, base, setting = draw()

    def risk(flat):
        left, right = flat.reshape(2, 3, rank)
        d_weight = theory.pgd_gradient(base + left @ right.T, setting)
        gradient = np.stack([d_weight @ right, d_weight.T @ left])
        return theory.pgd_risk(base + left @ right.T, setting), gradient.ravel()

    found = [
        scipy.optimize.minimize(risk, rng.normal(size=6 * rank), jac=True, tol=1e-12).fun
        for _ in range(6)
    ]
    assert min(found) == pytest.approx(theory.lora_optimum(base, setting, rank=rank)[1], rel=1e-7)


def test_from_nothing_it_is_the_optimum_of_that_rank():
    _, _, setting = draw()
    for rank in range(4):
        W, risk = theory.lora_optimum(np.zeros((3, 3)), setting, rank=rank)
        expected, least = theory.pgd_optimum(setting, rank=rank)
        np.testing.assert_allclose(W, expected, rtol=1e-9, atol=1e-12)
        assert risk == pytest.approx(least, rel=1e-12)


def test_a_task_without_signal_or_noise_needs_no_correction():
    base = np.eye(2)
    nothing = theory.Setting(dim=2, context_length=3, noise_var=0.0, cov_task=np.zeros((2, 2)))
    W, risk = theory.lora_optimum(base, nothing, rank=2)
    np.testing.assert_array_equal(W, base)
    assert risk == 0.0


@table(
    "change, error, message",
    [
        ({"base_weight": np.eye(3)}, ValueError, r"base_weight must have shape \(d=2, d=2\)"),
        ({"rank": 3}, ValueError, "rank must be at most d = 2, got 3"),
        ({"rank": -1}, ValueError, "rank must be at least 0, got -1"),
        ({"rank": 1.5}, TypeError, "rank must be an integer, got 1.5"),
    ],
)
def test_bad_arguments(change, error, message):
    good = {"base_weight": np.eye(2), "setting": helpers.WORKED, "rank": 1}
    with pytest.raises(error, match=f"lora_optimum: {message}"):
        theory.lora_optimum(**(good | change))
