import math

import numpy as np
import pytest

from elsa import theory
from tests.helpers import table
from tests.theory import helpers


def sizes_of(d, n, a, s2):
    return {"dim": d, "context_length": n, "alignment": a, "noise_var": s2}


SAMPLED = {
    "retrieval": (theory.retrieval_moments, theory.retrieval_optimum, helpers.retrieved),
    "alignment": (theory.alignment_moments, theory.alignment_optimum, helpers.aligned),
}
# (d, n, a, s2)
SETTINGS = [
    (1, 1, 0.5, 0.0),
    (4, 6, 0.6, 0.3),
    (5, 2, 0.3, 0.1),
    (2, 9, 1.0, 0.2),
    (3, 4, 0.0, 0.0),
]


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("name", SAMPLED)
def test_sampled_risks_agree(name, setting):
    moments, optimum, sampler = SAMPLED[name]
    d, sizes = setting[0], sizes_of(*setting)
    scale, risk = optimum(**sizes)
    label, cross, square = moments(**sizes)

    def sample(rng, batch):
        return sampler(rng, batch, **sizes)

    cases = []
    for w in (scale, 1.3 * scale):
        exact = label - 2 * w * cross + w**2 * square
        cases.append((helpers.step(w * np.eye(d)), exact))
    helpers.assert_risks(sample, cases, seed=3)
    assert risk == pytest.approx(label - cross**2 / square)


@pytest.mark.parametrize("d, n, a, s2", [*SETTINGS, (50, 200, 0.3, 0.1), (400, 30, 0.9, 1.0)])
def test_risks_are_the_simplified_forms(d, n, a, s2):
    A, k, k1 = a**2, a**2 * d + 1, 1 + a**2 * (d + 1)
    bottom = n * (k1**2 + 2 * A**2 * (d + 2)) + k1 * ((d + 3) * (1 - A) + s2) - 2 * (1 - A) ** 2
    retrieval = d + s2 - n * d * k1**2 / bottom
    assert theory.retrieval_risk(**sizes_of(d, n, a, s2)) == pytest.approx(retrieval, rel=1e-11)
    e1, two, three = 1 + A * (d + 2), (d + 2) * (d + 4), (d + 2) * (d + 4) * (d + 6)
    e2 = 1 + 2 * A * (d + 2) + A**2 * two
    e3 = 1 + 3 * A * (d + 2) + 3 * A**2 * two + A**3 * three
    g = 1 + 3 * A * (d + 2) + 2 * A**2 * two
    bottom = n * e3 + 2 * g + (d - 1) * e1 + k * s2 * (1 + 2 * A + A**2 * (d + 2))
    alignment = d * e1 / k + s2 - n * d * e2**2 / k / bottom
    assert theory.alignment_risk(**sizes_of(d, n, a, s2)) == pytest.approx(alignment, rel=1e-11)


@pytest.mark.parametrize("d, n, s2", [(1, 1, 0.0), (5, 20, 0.1), (8, 3, 2.0)])
def test_without_alignment_both_are_independent_data(d, n, s2):
    weight, risk = theory.pgd_optimum(helpers.isotropic(d, n, s2))
    for optimum in (theory.retrieval_optimum, theory.alignment_optimum):
        scale, same = optimum(**sizes_of(d, n, 0.0, s2))
        assert (scale, same) == pytest.approx((weight[0, 0], risk), rel=1e-12)


@pytest.mark.parametrize("d, a, s2", [(1, 1.0, 0.0), (4, 0.6, 0.3), (50, 0.2, 0.1), (3, 0.0, 0.5)])
def test_limits_of_long_contexts(d, a, s2):
    near = {"rel": 1e-7, "abs": 1e-8}  # what is left at this n is of order d / n
    for risk, limit in (
        (theory.retrieval_risk, theory.retrieval_limit),
        (theory.alignment_risk, theory.alignment_limit),
    ):
        least = limit(dim=d, alignment=a, noise_var=s2)
        assert risk(**sizes_of(d, 10**10, a, s2)) == pytest.approx(least, **near)
        assert least > s2 if a else least == pytest.approx(s2, abs=1e-14)


@pytest.mark.parametrize(
    "risk, approximation",
    [
        (theory.retrieval_risk, theory.retrieval_approximation),
        (theory.alignment_risk, theory.alignment_approximation),
    ],
)
def test_approximations_are_the_leading_order_in_the_dimension(risk, approximation):
    """At k = 2 fixed and n = d / 4 the relative error falls like 1 / d."""
    off = []
    for d in (100, 1_000, 10_000, 100_000):
        sizes = sizes_of(d, d // 4, math.sqrt(1 / d), 0.5)
        off.append(d * abs(risk(**sizes) / approximation(**sizes) - 1))
    assert max(off[1:]) < 1.1 * min(off[1:]) and off[-1] / 1e5 < 1e-4


def test_effective_sample_sizes():
    d, n, a, s2 = 7, 11, 0.4, 0.3
    k, sizes = a**2 * d + 1, sizes_of(d, n, a, s2)

    def left(m):
        return d + s2 - m * d / (m + d + s2)

    assert theory.retrieval_approximation(**sizes) == pytest.approx(left(k * n))
    assert theory.alignment_approximation(**sizes) == pytest.approx(left(k * k * n))
    assert theory.alignment_approximation(**sizes, power=1) == pytest.approx(left(k * n))


FUNCTIONS = [
    getattr(theory, f"{setting}_{what}")
    for setting in ("retrieval", "alignment")
    for what in ("moments", "optimum", "risk", "limit", "approximation")
]


@table("function", FUNCTIONS)
@table(
    "change, error, message",
    [
        ({"dim": 0}, ValueError, "dim must be at least 1, got 0"),
        ({"dim": 2.0}, TypeError, "dim must be an integer, got 2.0"),
        ({"context_length": 0}, ValueError, "context_length must be at least 1, got 0"),
        ({"alignment": 1.1}, ValueError, r"alignment must lie in \[0, 1\], got 1.1"),
        ({"alignment": -0.1}, ValueError, r"alignment must lie in \[0, 1\], got -0.1"),
        ({"alignment": np.nan}, ValueError, "alignment must be finite"),
        ({"noise_var": -1.0}, ValueError, "noise_var must be at least 0.0"),
        ({"noise_var": np.inf}, ValueError, "noise_var must be finite"),
        ({"alignment": [0.5]}, ValueError, "alignment must be a single number"),
    ],
)
def test_bad_arguments(function, change, error, message):
    good = sizes_of(4, 6, 0.5, 0.1)
    if function.__name__.endswith("limit"):
        good.pop("context_length")
        if "context_length" in change:
            change, message = {"dim": -3}, "dim must be at least 1, got -3"
    with pytest.raises(error, match=f"{function.__name__}: {message}"):
        function(**(good | change))


def test_an_unknown_power():
    with pytest.raises(ValueError, match=r"alignment_approximation: power must be one of \[1, 2\]"):
        theory.alignment_approximation(**sizes_of(4, 6, 0.5, 0.1), power=3)
