import numpy as np
import pytest

from elsa import theory
from tests.helpers import table
from tests.theory import helpers

CORRELATIONS = {
    "one example": helpers.autoregressive(1, 0.5),
    "autoregressive": helpers.autoregressive(4, 0.8),
    "alternating": helpers.autoregressive(3, -0.7),
    "another task": np.eye(4),
    "two tasks": np.kron(np.array([[1.0, 0.2], [0.2, 1.0]]), np.ones((3, 3))),
}


def step(weights, dim):
    def predict(drawn):
        return helpers.step(np.eye(dim))(drawn._replace(y=drawn.y * weights))

    return predict


@pytest.mark.parametrize("dim, noise_var", [(1, 0.0), (4, 0.3)])
@pytest.mark.parametrize("name", CORRELATIONS)
def test_the_optimum_has_no_better_neighbour_and_the_unweighted_one_is_above(name, dim, noise_var):
    corr, sizes = CORRELATIONS[name], {"dim": dim, "noise_var": noise_var}
    omega, risk = theory.drift_optimum(corr, **sizes)
    assert theory.drift_risk(omega, corr, **sizes) == pytest.approx(risk, rel=1e-12)
    rng = np.random.default_rng(0)
    for _ in range(10):
        near = omega + 0.02 * rng.normal(size=omega.size)
        assert theory.drift_risk(near, corr, **sizes) > risk
    scale, flat = theory.unweighted_drift_optimum(corr, **sizes)
    equal = np.ones(omega.size)
    assert theory.drift_risk(scale * equal, corr, **sizes) == pytest.approx(flat, rel=1e-12)
    for off in (-0.02, 0.02):
        assert theory.drift_risk((scale + off) * equal, corr, **sizes) > flat
    assert flat >= risk * (1 - 1e-14)


@pytest.mark.parametrize("n, d, noise_var", [(1, 1, 0.0), (6, 4, 0.3), (3, 9, 0.0)])
def test_without_drift_it_is_the_step_on_one_task(n, d, noise_var):
    same, sizes = np.ones((n + 1, n + 1)), {"dim": d, "noise_var": noise_var}
    omega, risk = theory.drift_optimum(same, **sizes)
    weight, expected = theory.pgd_optimum(helpers.isotropic(d, n, noise_var))
    np.testing.assert_allclose(omega, weight[0, 0], rtol=1e-11)
    assert risk == pytest.approx(expected, rel=1e-12)
    scale, flat = theory.unweighted_drift_optimum(same, **sizes)
    assert (scale, flat) == pytest.approx((weight[0, 0], expected), rel=1e-12)


@pytest.mark.parametrize("dim, noise_var", [(1, 0.0), (3, 0.4)])
@pytest.mark.parametrize("name", ["one example", "autoregressive", "alternating", "two tasks"])
def test_sampled_risks_agree(name, dim, noise_var):
    corr, sizes = CORRELATIONS[name], {"dim": dim, "noise_var": noise_var}
    omega, risk = theory.drift_optimum(corr, **sizes)
    other = np.linspace(0.05, 0.3, omega.size)

    def sample(rng, batch):
        return helpers.drifting(rng, batch, corr, **sizes)

    exact = theory.drift_risk(other, corr, **sizes)
    helpers.assert_risks(sample, [(step(omega, dim), risk), (step(other, dim), exact)], seed=5)


def test_tasks_unrelated_to_the_query_are_not_used():
    omega, risk = theory.drift_optimum(np.eye(4), dim=3, noise_var=0.2)
    assert omega.shape == (3,) and not omega.any() and risk == pytest.approx(3.2)


@table(
    "change, error, message",
    [
        ({"task_corr": np.ones((2, 3))}, ValueError, "task_corr must have shape"),
        ({"task_corr": np.ones((1, 1))}, ValueError, "task_corr must hold at least 2 tasks"),
        ({"task_corr": 2 * np.eye(3)}, ValueError, "task_corr must have ones on its diagonal"),
        ({"task_corr": [[1.0, 2.0], [2.0, 1.0]]}, ValueError, "positive semi-definite"),
        ({"task_corr": [[1.0, 0.5], [0.2, 1.0]]}, ValueError, "task_corr must be symmetric"),
        ({"task_corr": np.full((2, 2), np.nan)}, ValueError, "task_corr must be finite"),
        ({"dim": 0}, ValueError, "dim must be at least 1, got 0"),
        ({"dim": 1.5}, TypeError, "dim must be an integer, got 1.5"),
        ({"noise_var": -1.0}, ValueError, "noise_var must be at least 0.0"),
    ],
)
@table("function", [theory.drift_optimum, theory.unweighted_drift_optimum])
def test_bad_arguments(function, change, error, message):
    good = {"task_corr": helpers.autoregressive(2, 0.5), "dim": 3, "noise_var": 0.1}
    with pytest.raises(error, match=f"{function.__name__}: .*{message}"):
        function(**(good | change))


@pytest.mark.parametrize(
    "weights, message",
    [
        (np.ones(3), r"drift_risk: sample_weights must have shape \(2,\), got \(3,\)"),
        ([1.0, np.inf], "drift_risk: sample_weights must be finite"),
    ],
)
def test_bad_weights(weights, message):
    with pytest.raises(ValueError, match=message):
        theory.drift_risk(weights, helpers.autoregressive(2, 0.5), dim=3, noise_var=0.1)
