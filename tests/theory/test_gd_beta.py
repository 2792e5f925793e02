import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from elsa import theory
from tests.helpers import table
from tests.theory import helpers

# (n, d, noise_var, rank of Psi)
SETTINGS = [(1, 1, 0.0, 1), (2, 4, 0.3, 4), (7, 1, 0.5, 1), (5, 3, 0.0, 2), (6, 2, 0.2, 0)]


def draw(n, d, noise_var, rank):
    rng = np.random.default_rng(2)
    centred = helpers.random_setting(rng, n, d, noise_var, rank)
    point = rng.normal(size=d), rng.normal(size=(d, d)) * 0.5
    return point, dataclasses.replace(centred, task_mean=rng.normal(size=d))


def written_out(init, gamma, setting):
    """The risk through the form Q, which is quadratic in the start."""
    psi, H, delta = setting.cov_task, setting.cov_x, setting.task_mean - init
    n, noise_var = setting.context_length, setting.noise_var
    W = gamma / n
    spread = jnp.trace(H @ W @ H @ W.T)
    Q = H - n * (H @ W @ H + H @ W.T @ H) + n * (n + 1) * H @ W.T @ H @ W @ H + n * spread * H
    return noise_var * (1 + n * spread) + jnp.trace(Q @ psi) + delta @ Q @ delta


@pytest.mark.parametrize("sizes", SETTINGS)
def test_risk_and_gradients_are_those_of_the_quadratic_form(sizes):
    point, setting = draw(*sizes)
    risk = functools.partial(written_out, setting=setting)
    value, gradients = jax.jit(jax.value_and_grad(risk, argnums=(0, 1)))(*point)
    assert theory.gd_beta_risk(*point, setting) == pytest.approx(float(value), rel=1e-12)
    found = theory.gd_beta_gradient(*point, setting)
    for ours, expected in zip(found, gradients, strict=True):
        np.testing.assert_allclose(ours, expected, rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize("seed, sizes", list(enumerate(SETTINGS)))
def test_sampled_risks_agree(seed, sizes):
    point, setting = draw(*sizes)
    best = theory.gd_beta_optimum(setting)

    def sample(rng, batch):
        return helpers.independent(rng, batch, setting)

    def step(init, gamma):
        def predict(drawn):
            residual = drawn.y - drawn.x @ init
            change = helpers.step(gamma / setting.context_length)(drawn._replace(y=residual))
            return drawn.query_x @ init + change

        return predict

    cases = [
        (step(*point), theory.gd_beta_risk(*point, setting)),
        (step(best.init, best.preconditioner), best.risk),
    ]
    helpers.assert_risks(sample, cases, seed=seed)


@pytest.mark.parametrize("sizes", SETTINGS)
def test_the_optimum_is_stationary_has_the_risk_it_says_and_is_no_matter_of_the_mean(sizes):
    _, setting = draw(*sizes)
    init, gamma, risk = theory.gd_beta_optimum(setting)
    np.testing.assert_array_equal(init, setting.task_mean)
    assert theory.gd_beta_risk(init, gamma, setting) == pytest.approx(risk, rel=1e-12, abs=1e-14)
    for gradient in theory.gd_beta_gradient(init, gamma, setting):
        np.testing.assert_allclose(gradient, 0.0, atol=1e-12)
    far = dataclasses.replace(setting, task_mean=100 * setting.task_mean)
    assert theory.gd_beta_optimum(far).risk == risk
    assert risk == theory.pgd_optimum(setting.centred()).risk


@pytest.mark.parametrize("sizes", SETTINGS[::2])
def test_the_hessian_at_the_optimum_and_its_extreme_eigenvalues(sizes):
    _, setting = draw(*sizes)
    dim = sizes[1]
    init, gamma, _ = theory.gd_beta_optimum(setting)

    def risk(flat):
        return written_out(flat[:dim], flat[dim:].reshape(dim, dim), setting)

    expected = jax.jit(jax.hessian(risk))(np.concatenate([init, gamma.ravel()]))
    hessian = theory.gd_beta_hessian(setting)
    np.testing.assert_allclose(hessian, expected, rtol=1e-9, atol=1e-11)
    values = np.linalg.eigvalsh(hessian)
    np.testing.assert_allclose(
        theory.gd_beta_rates(setting), values[[0, -1]], rtol=1e-9, atol=1e-13
    )


def test_gradient_descent_settles_at_the_rate_of_the_slowest_direction():
    _, setting = draw(5, 2, 0.4, 2)
    slow, fast = theory.gd_beta_rates(setting)
    init, gamma, risk = theory.gd_beta_optimum(setting)
    hessian = theory.gd_beta_hessian(setting)
    direction = np.linalg.eigh(hessian)[1][:, 0]
    b, g = init + 1e-4 * direction[:2], gamma + 1e-4 * direction[2:].reshape(2, 2)
    start = np.linalg.norm([*(b - init), *(g - gamma).ravel()])
    step, steps = 0.5 / fast, 50
    for _ in range(steps):
        d_b, d_g = theory.gd_beta_gradient(b, g, setting)
        b, g = b - step * d_b, g - step * d_g
    left = np.linalg.norm([*(b - init), *(g - gamma).ravel()]) / start
    assert left == pytest.approx((1 - step * slow) ** steps, rel=1e-3)  # second order in 1e-4
    assert theory.gd_beta_risk(b, g, setting) >= risk


def test_descent_from_zero_reaches_the_optimum():
    setting = dataclasses.replace(helpers.WORKED, task_mean=[1.0, -2.0])
    b, g = np.zeros(2), 0.01 * np.eye(2)
    for _ in range(3_000):
        d_b, d_g = theory.gd_beta_gradient(b, g, setting)
        b, g = b - 0.01 * d_b, g - 0.01 * d_g
    init, gamma, risk = theory.gd_beta_optimum(setting)
    np.testing.assert_allclose(b, init, atol=1e-6)
    np.testing.assert_allclose(g, gamma, atol=1e-6)
    assert theory.gd_beta_risk(b, g, setting) == pytest.approx(risk, rel=1e-9)


def test_a_start_may_be_a_column_and_its_gradient_is_one():
    gamma, plain = 0.3 * np.eye(2), [0.0, 0.0]
    setting = dataclasses.replace(helpers.WORKED, task_mean=[[1.0], [-2.0]])
    assert theory.gd_beta_optimum(setting).init.shape == (2,)
    assert theory.gd_beta_gradient(np.zeros((2, 1)), gamma, setting).init.shape == (2, 1)
    assert theory.gd_beta_gradient(plain, gamma, setting).init.shape == (2,)
    of_column = theory.gd_beta_risk(np.zeros((2, 1)), gamma, setting)
    flat = dataclasses.replace(setting, task_mean=[1.0, -2.0])
    assert of_column == theory.gd_beta_risk(plain, gamma, flat)


@table(
    "change, message",
    [
        ({"init": np.ones(3)}, r"init must have shape \(2,\), got \(3,\)"),
        ({"init": np.ones((1, 2))}, r"init must have shape \(2,\), got \(1, 2\)"),
        ({"init": [np.nan, 0.0]}, "init must be finite"),
        ({"preconditioner": np.eye(3)}, "preconditioner must have shape"),
    ],
)
@table("function", [theory.gd_beta_risk, theory.gd_beta_gradient])
def test_bad_arguments(function, change, message):
    good = {"init": np.ones(2), "preconditioner": np.eye(2), "setting": helpers.WORKED}
    with pytest.raises(ValueError, match=f"{function.__name__}: {message}"):
        function(**(good | change))
