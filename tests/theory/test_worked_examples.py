"""Every closed form at numbers that were worked out apart from this library, to nine digits."""

import dataclasses

import numpy as np
import pytest

from elsa import theory
from tests.theory.helpers import SB_NEW, WORKED, autoregressive

W = np.array([[0.1, 0.02], [-0.03, 0.2]])
BEST_W = [[0.0625, -0.00260416667], [-0.00260416667, 0.0712890625]]
GAMMA, MEAN, INIT = np.array([[0.3, 0.1], [0.0, 0.4]]), [1.0, -2.0], [0.5, 0.0]
WITH_MEAN = dataclasses.replace(WORKED, task_mean=MEAN)
LORA_1 = [[0.0697616459, -0.0284221162], [-0.0213520763, 0.137945106]]
BEST_GAMMA = [[0.3125, -0.0130208333], [-0.0130208333, 0.356445312]]
NEW_TASK = dataclasses.replace(WORKED, cov_task=SB_NEW)
AR3, AR = autoregressive(3, 0.8), {n: autoregressive(n, 0.9) for n in (10, 40, 160)}


def of(d, n, a, s2):
    return {"dim": d, "context_length": n, "alignment": a, "noise_var": s2}


def floor_of(limit):
    return limit(dim=4, alignment=0.6, noise_var=0.3)


NEAR, DRIFTING = of(4, 6, 0.6, 0.3), {"dim": 4, "noise_var": 0.3}

# (what, the call, expected)
CASES = [
    ("risk of a weight", lambda: theory.pgd_risk(W, WORKED), 2.962325),
    ("its gradient", lambda: theory.pgd_gradient(W, WORKED), [[35.8875, 18.61], [15.46, 12.3]]),
    ("best weight", lambda: theory.pgd_optimum(WORKED).weight, BEST_W),
    ("best risk", lambda: theory.pgd_optimum(WORKED).risk, 1.49930013),
    ("rank one risk", lambda: theory.pgd_optimum(WORKED, rank=1).risk, 1.58051645),
    (
        "rank one weight",
        lambda: theory.pgd_optimum(WORKED, rank=1).weight,
        [[0.0513418084, 0.0234038322], [0.0234038322, 0.010668486]],
    ),
    *(
        (f"lora rank {r}", lambda r=r: theory.lora_optimum(BASE, NEW_TASK, rank=r).risk, risk)
        for r, risk in enumerate([1.58981994, 1.4055445, 1.38155431])
    ),
    ("lora weight", lambda: theory.lora_optimum(BASE, NEW_TASK, rank=1).weight, LORA_1),
    ("retrieval scale", lambda: theory.retrieval_optimum(**NEAR).scale, 0.0406173842),
    ("retrieval risk", lambda: theory.retrieval_risk(**NEAR), 1.57051178),
    ("retrieval floor", lambda: floor_of(theory.retrieval_limit), 0.962125341),
    ("retrieval k n", lambda: theory.retrieval_approximation(**NEAR), 1.20813094),
    ("retrieval d = 10", lambda: theory.retrieval_risk(**of(10, 20, 0.3, 0.1)), 2.56946741),
    ("retrieval moments", lambda: theory.retrieval_moments(**NEAR), [4.3, 67.2, 1654.464]),
    ("alignment scale", lambda: theory.alignment_optimum(**NEAR).scale, 0.0337080565),
    ("alignment risk", lambda: theory.alignment_risk(**NEAR), 1.65392192),
    ("alignment floor", lambda: floor_of(theory.alignment_limit), 0.981839938),
    ("alignment d = 10", lambda: theory.alignment_risk(**of(10, 20, 0.3, 0.1)), 2.02805983),
    (
        "alignment moments",
        lambda: theory.alignment_moments(**NEAR),
        [5.48032787, 113.516066, 3367.62416],
    ),
    (
        "drift weights",
        lambda: theory.drift_optimum(AR3, **DRIFTING).sample_weights,
        [0.0598700234, 0.0799208331, 0.110753416],
    ),
    ("drift risk", lambda: theory.drift_optimum(AR3, **DRIFTING).risk, 3.61837793),
    (
        "unweighted",
        lambda: theory.unweighted_drift_optimum(AR3, **DRIFTING),
        [0.0834901625, 3.64810881],
    ),
    ("drift of weights", lambda: theory.drift_risk([0.05, 0.1, 0.2], AR3, **DRIFTING), 3.8374),
    ("gd beta risk", lambda: theory.gd_beta_risk(INIT, GAMMA, WITH_MEAN), 3.9027),
    (
        "gd beta d init",
        lambda: theory.gd_beta_gradient(INIT, GAMMA, WITH_MEAN).init,
        [-0.63, 2.191],
    ),
    (
        "gd beta d gamma",
        lambda: theory.gd_beta_gradient(INIT, GAMMA, WITH_MEAN).preconditioner,
        [[3.01, 4.774], [1.358, -1.6625]],
    ),
    ("gd beta init", lambda: theory.gd_beta_optimum(WITH_MEAN).init, MEAN),
    ("gd beta gamma", lambda: theory.gd_beta_optimum(WITH_MEAN).preconditioner, BEST_GAMMA),
    ("gd beta optimum", lambda: theory.gd_beta_optimum(WITH_MEAN).risk, 1.49930013),
]
BASE = theory.pgd_optimum(WORKED).weight


@pytest.mark.parametrize("call, expected", [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_closed_form(call, expected):
    np.testing.assert_allclose(call(), expected, rtol=5e-9)


# (n, d, a): exact, with k^2 n, with k n; s2 = 0.1
ALIGNMENT = [
    ((5, 5, 0.3), (2.340954, 1.7333, 2.1648)),
    ((20, 20, 0.3), (3.554746, 2.3725, 5.3825)),
    ((50, 50, 0.1), (16.088169, 15.5059, 20.1240)),
    ((100, 50, 0.3), (2.392890, 0.9146, 4.2743)),
    ((200, 200, 0.1), (21.370464, 20.1090, 50.1187)),
    ((800, 200, 0.1), (6.504204, 5.5080, 15.4917)),
    ((2000, 2000, 0.05), (55.906254, 54.1567, 285.8265)),
]


@pytest.mark.parametrize("setting, expected", ALIGNMENT)
def test_alignment_and_its_two_approximations(setting, expected):
    n, d, a = setting
    sizes = of(d, n, a, 0.1)
    exact, squared, first = expected
    assert theory.alignment_risk(**sizes) == pytest.approx(exact, abs=5.1e-7)
    assert theory.alignment_approximation(**sizes) == pytest.approx(squared, abs=5.1e-5)
    by_k = theory.alignment_approximation(**sizes, power=1)
    assert by_k == pytest.approx(first, abs=5.1e-5)


# (d, n): exact / approximation - 1 in per cent at a = 0, 0.1, 0.3, 0.6, 0.9; s2 = 0.1
RETRIEVAL = [
    ((5, 5), (8.5, 8.9, 11.9, 22.4, 40.3)),
    ((5, 20), (13.7, 14.3, 30.7, 118.9, 251.8)),
    ((20, 10), (1.6, 1.8, 2.6, 1.5, -2.2)),
    ((20, 20), (2.4, 2.7, 7.4, 27.7, 61.2)),
    ((20, 80), (3.8, 5.0, 38.5, 174.6, 360.5)),
    ((20, 400), (4.3, 10.2, 173.7, 629.4, 1002.6)),
    ((50, 25), (0.7, 0.8, 1.3, 0.6, -1.1)),
    ((50, 100), (1.3, 2.2, 21.0, 90.7, 194.0)),
    ((200, 100), (0.2, 0.3, 0.4, 0.1, -0.3)),
    ((200, 800), (0.4, 4.7, 56.7, 214.3, 420.2)),
]


@pytest.mark.parametrize("sizes, expected", RETRIEVAL)
def test_how_far_the_retrieval_approximation_is_off(sizes, expected):
    off = [
        theory.retrieval_risk(**at) / theory.retrieval_approximation(**at) - 1
        for at in (of(*sizes, a, 0.1) for a in (0.0, 0.1, 0.3, 0.6, 0.9))
    ]
    np.testing.assert_allclose(100 * np.array(off), expected, atol=0.051)


def test_drift_saturates_with_weights_and_gets_worse_without():
    sizes = {"dim": 8, "noise_var": 0.1}
    weighted = [theory.drift_optimum(corr, **sizes).risk for corr in AR.values()]
    np.testing.assert_allclose(weighted, [6.177336, 6.132205, 6.132205], atol=5.1e-7)
    unweighted = [theory.unweighted_drift_optimum(corr, **sizes).risk for corr in AR.values()]
    np.testing.assert_allclose(unweighted, [6.421380, 7.435574, 7.949861], atol=5.1e-7)
