import dataclasses
import itertools

import numpy as np
import pytest

from elsa import theory
from elsa.tasks import Prompt
from tests.helpers import table
from tests.theory import helpers

U, V = np.array([0.2, -0.1, 0.5]), np.array([[0.6, 0.1], [-0.2, 0.7], [0.05, -0.3]])
EXAMPLE = dataclasses.replace(helpers.WORKED, task_mean=[1.0, -2.0])


def layer(u, key_query, bias=0.0):
    """u^T G V x / n + b0 . x, written out."""

    def predict(drawn):
        tokens = np.concatenate([drawn.x, drawn.y[:, :, None]], axis=2)
        gram = tokens.swapaxes(1, 2) @ tokens / tokens.shape[1]
        return np.sum(((u @ gram) @ key_query + bias) * drawn.query_x, axis=1)

    return predict


def draw(n, d, noise_var, rank, seed=4):
    rng = np.random.default_rng(seed)
    centred = helpers.random_setting(rng, n, d, noise_var, rank)
    point = rng.normal(size=d + 1), 0.3 * rng.normal(size=(d + 1, d)), rng.normal(size=d)
    return point, dataclasses.replace(centred, task_mean=rng.normal(size=d))


def test_worked_examples():
    assert theory.linear_attention_risk(U, V, EXAMPLE) == pytest.approx(3.5291685, rel=5e-9)
    with_bias = theory.linear_attention_risk(U, V, EXAMPLE, bias=[0.5, 0.0])
    assert with_bias == pytest.approx(3.9291685, rel=5e-9)
    x, y = [[[1.0, 0.0], [0.5, -1.0], [2.0, 1.0]]], [[1.0, -0.5, 2.0]]
    prompt = Prompt(np.array(x), np.array(y), np.array([[0.3, 0.7]]), np.zeros(1))
    np.testing.assert_allclose(layer(U, V)(prompt), 0.250291667, rtol=5e-9)


# (n, d, noise_var, rank of Psi)
SETTINGS = [(1, 1, 0.0, 1), (2, 4, 0.3, 4), (7, 1, 0.5, 1), (5, 3, 0.0, 2), (6, 2, 0.2, 0)]


@pytest.mark.parametrize("seed, sizes", list(enumerate(SETTINGS)))
def test_sampled_risks_agree(seed, sizes):
    (u, key_query, bias), setting = draw(*sizes)

    def sample(rng, batch):
        return helpers.independent(rng, batch, setting)

    cases = [
        (layer(u, key_query), theory.linear_attention_risk(u, key_query, setting)),
        (layer(u, key_query, bias), theory.linear_attention_risk(u, key_query, setting, bias=bias)),
    ]
    helpers.assert_risks(sample, cases, seed=seed)


@pytest.mark.parametrize("sizes", SETTINGS)
def test_the_mean_over_tasks_is_that_of_a_product_rule(sizes):
    (u, key_query, _), setting = draw(*sizes)
    mean, H = setting.task_mean, setting.cov_x
    n, noise_var = setting.context_length, setting.noise_var
    values, vectors = np.linalg.eigh(setting.cov_task)
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    points, weights = np.polynomial.hermite_e.hermegauss(3)
    D, total = key_query @ H @ key_query.T, noise_var
    for index in itertools.product(range(3), repeat=mean.size):
        b = mean + root @ points[list(index)]
        corner = np.array([[b @ H @ b + noise_var]])
        K = np.block([[H, (H @ b)[:, None]], [(H @ b)[None], corner]])
        risk = b @ H @ b - 2 * b @ H @ key_query.T @ K @ u
        risk += (n + 1) / n * u @ K @ D @ K @ u + np.trace(D @ K) * (u @ K @ u) / n
        total += np.prod(weights[list(index)] / np.sqrt(2 * np.pi)) * risk
    found = theory.linear_attention_risk(u, key_query, setting)
    assert found == pytest.approx(total, rel=1e-11)


def test_the_rule_is_exact_to_degree_five_in_many_dimensions():
    """The signal E b^T H b alone, and weights that sum to one, where some are negative."""
    for d in (1, 2, 7, 20):
        zero = np.zeros((d + 1, d))
        laws = {"cov_x": 2.0 * np.eye(d), "task_mean": np.ones(d)}
        setting = theory.Setting(dim=d, context_length=3, noise_var=0.1, **laws)
        risk = theory.linear_attention_risk(np.ones(d + 1), zero, setting)
        assert risk == pytest.approx(0.1 + 4.0 * d, rel=1e-11)


@pytest.mark.parametrize("n, d, noise_var", [(1, 1, 0.0), (3, 5, 0.3), (20, 2, 0.1)])
def test_with_the_label_alone_it_is_one_preconditioned_step(n, d, noise_var):
    rng = np.random.default_rng(0)
    centred = helpers.random_setting(rng, n, d, noise_var, floor=0.1, task_floor=0.1)
    weight, mean, label = rng.normal(size=(d, d)) / n, rng.normal(size=d), np.eye(d + 1)[-1]
    setting = dataclasses.replace(centred, task_mean=mean)
    key_query = np.vstack([n * weight.T, np.zeros(d)])
    risk = theory.linear_attention_risk(label, key_query, setting)
    assert risk == pytest.approx(theory.pgd_risk(weight, setting), rel=1e-11)


@pytest.mark.parametrize("n, d, noise_var", [(4, 1, 0.2), (5, 3, 0.5), (2, 3, 0.0)])
def test_gd_beta_is_a_layer_with_a_bias(n, d, noise_var):
    """u = (-b0, 1) and V = [Gamma^T; 0] with the bias b0: the linear transformer block."""
    rng = np.random.default_rng(1)
    centred = helpers.random_setting(rng, n, d, noise_var, floor=0.1, task_floor=0.1)
    init, mean, gamma = rng.normal(size=d), rng.normal(size=d), rng.normal(size=(d, d))
    setting = dataclasses.replace(centred, task_mean=mean)
    u, key_query = np.append(-init, 1.0), np.vstack([gamma.T, np.zeros(d)])
    risk = theory.linear_attention_risk(u, key_query, setting, bias=init)
    assert risk == pytest.approx(theory.gd_beta_risk(init, gamma, setting), rel=1e-10)


# (n, c): best risk for d = 5, H = Psi = I, s2 = 0.25, b* = c (1, .., 1)
BEST = [(20, 0, 1.440476), (20, 3, 7.276947), (50, 0, 0.805556), (50, 3, 3.763012)]


@pytest.mark.parametrize("n, c, expected", BEST)
def test_the_best_layer_of_five_dimensions(n, c, expected):
    setting = theory.Setting(dim=5, context_length=n, noise_var=0.25, task_mean=c * np.ones(5))
    found = theory.linear_attention_optimum(setting)
    assert found.risk == pytest.approx(expected, abs=5.1e-7)
    gap = found.risk - theory.gd_beta_optimum(setting).risk
    assert gap > 2.9 if c else gap == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize("setting", [EXAMPLE, draw(3, 3, 0.2, 3)[1], draw(5, 1, 0.0, 1)[1]])
def test_the_best_layer_is_stationary_and_no_point_beats_it(setting):
    found = theory.linear_attention_optimum(setting)
    assert theory.linear_attention_risk(found.output, found.key_query, setting) == pytest.approx(
        found.risk, rel=1e-10
    )
    assert found.stationarity < 1e-7 and np.linalg.norm(found.output) == pytest.approx(1.0)
    assert found.risk == pytest.approx(found.local_risks[0], rel=1e-10)
    assert found.risk > theory.gd_beta_optimum(setting).risk
    rng = np.random.default_rng(0)
    shape = found.key_query.shape
    for size in (1e-3, 0.1, 1.0):
        u = found.output + size * rng.normal(size=shape[0])
        key_query = found.key_query + size * np.abs(found.key_query).max() * rng.normal(size=shape)
        assert theory.linear_attention_risk(u, key_query, setting) > found.risk


def test_central_differences_vanish_at_the_best_layer():
    found, step = theory.linear_attention_optimum(EXAMPLE), 1e-5
    flat = np.concatenate([found.output, found.key_query.ravel()])
    for direction in np.eye(flat.size):
        up, down = (
            theory.linear_attention_risk(p[:3], p[3:].reshape(3, 2), EXAMPLE)
            for p in (flat + step * direction, flat - step * direction)
        )
        assert abs(up - down) / (2 * step) < 1e-6  # rounding 1e-11, third derivatives 1e-7


def test_a_covariate_that_is_always_zero_is_not_seen():
    sizes = {"context_length": 4, "noise_var": 0.3}
    one = {"dim": 1, "cov_x": [[2.0]], "cov_task": [[0.5]], "task_mean": [1.0]}
    lone = theory.linear_attention_optimum(theory.Setting(**one, **sizes))
    two = {"dim": 2, "cov_x": np.diag([2.0, 0.0]), "cov_task": np.eye(2) / 2}
    two["task_mean"] = [1.0, 3.0]
    padded = theory.linear_attention_optimum(theory.Setting(**two, **sizes))
    assert padded.risk == pytest.approx(lone.risk, rel=1e-9)
    silent = theory.Setting(dim=1, context_length=4, noise_var=0.0, cov_task=[[0.0]])
    nothing = theory.linear_attention_optimum(silent)
    assert nothing.risk == 0.0 and not nothing.key_query.any()


@table(
    "change, message",
    [
        ({"output": np.ones(2)}, r"output must have shape \(3,\), got \(2,\)"),
        (
            {"key_query": np.ones((2, 2))},
            r"key_query must have shape \(d\+1=3, d=2\), got \(2, 2\)",
        ),
        ({"key_query": np.full((3, 2), np.nan)}, "key_query must be finite"),
        ({"bias": np.ones(3)}, r"bias must have shape \(2,\), got \(3,\)"),
    ],
)
def test_bad_arguments(change, message):
    good = {"output": U, "key_query": V, "setting": EXAMPLE}
    with pytest.raises(ValueError, match=f"linear_attention_risk: {message}"):
        theory.linear_attention_risk(**(good | change))
