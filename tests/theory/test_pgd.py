import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize
from hypothesis import given
from hypothesis import strategies as st

from elsa import theory
from tests.helpers import table
from tests.theory import helpers

# (n, d, noise_var, rank of Sb)
SETTINGS = [(1, 1, 0.0, 1), (1, 4, 0.3, 4), (7, 1, 0.5, 1), (3, 5, 0.0, 5), (6, 3, 0.2, 2)]


def draw(n, d, noise_var, rank, seed=0):
    rng = np.random.default_rng(seed)
    return rng, helpers.random_setting(rng, n, d, noise_var, rank)


def written_out(W, setting):
    """The risk in white coordinates by the entries, L = M + s2 - 2 n tr(St Wbar) + n |..|^2."""
    values, vectors = np.linalg.eigh(setting.cov_x)
    h = (vectors * np.sqrt(values)) @ vectors.T
    st, wbar, n = h @ setting.cov_task @ h, h @ W @ h, setting.context_length
    floor = jnp.trace(st) + setting.noise_var
    middle = (n + 1) * st + floor * jnp.eye(len(h))
    return floor + n * jnp.einsum("ij,jk,ik->", wbar, middle, wbar) - 2 * n * jnp.sum(st * wbar.T)


@pytest.mark.parametrize("sizes", SETTINGS)
def test_risk_and_gradient_are_those_of_the_formula_in_white_coordinates(sizes):
    rng, setting = draw(*sizes)
    W = rng.normal(size=(setting.dim, setting.dim)) / (setting.context_length + 2)
    value, gradient = jax.value_and_grad(functools.partial(written_out, setting=setting))(W)
    assert theory.pgd_risk(W, setting) == pytest.approx(float(value), rel=1e-12)
    np.testing.assert_allclose(theory.pgd_gradient(W, setting), gradient, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("sizes", SETTINGS)
def test_the_optimum_has_the_risk_it_says_no_gradient_and_no_better_neighbour(sizes):
    rng, setting = draw(*sizes)
    W, risk = theory.pgd_optimum(setting)
    assert theory.pgd_risk(W, setting) == pytest.approx(risk, rel=1e-12, abs=1e-13)
    gradient = theory.pgd_gradient(W, setting)
    scale = np.linalg.norm(theory.pgd_gradient(np.zeros_like(W), setting))
    assert np.linalg.norm(gradient) <= 1e-12 * scale
    for _ in range(20):
        near = W + 0.05 * np.linalg.norm(W) * rng.normal(size=W.shape)
        assert theory.pgd_risk(near, setting) > risk


def test_an_isotropic_optimum_is_a_multiple_of_the_identity():
    for n, d, noise_var in [(1, 1, 0.0), (20, 5, 0.0), (3, 8, 0.4)]:
        W, risk = theory.pgd_optimum(helpers.isotropic(d, n, noise_var))
        scale = 1 / (n + 1 + d + noise_var)
        np.testing.assert_allclose(W, scale * np.eye(d), rtol=1e-13, atol=1e-16)
        assert risk == pytest.approx(d + noise_var - n * d * scale, rel=1e-13)


@pytest.mark.parametrize("seed, sizes", list(enumerate(SETTINGS)))
def test_sampled_risks_agree(seed, sizes):
    rng, setting = draw(*sizes)
    best, risk = theory.pgd_optimum(setting)
    other = best + 0.3 * np.linalg.norm(best) * rng.normal(size=best.shape)

    def sample(rng, batch):
        return helpers.independent(rng, batch, setting)

    cases = [(helpers.step(best), risk), (helpers.step(other), theory.pgd_risk(other, setting))]
    helpers.assert_risks(sample, cases, seed=seed)


@pytest.mark.parametrize("rank", [1, 2])
def test_no_product_of_thin_factors_beats_the_truncated_optimum(rank):
    rng, setting = draw(4, 3, 0.3, 3)

    def risk(flat):
        left, right = flat.reshape(2, 3, rank)
        d_weight = theory.pgd_gradient(left @ right.T, setting)
        gradient = np.stack([d_weight @ right, d_weight.T @ left])
        return theory.pgd_risk(left @ right.T, setting), gradient.ravel()

    found = [
        scipy.optimize.minimize(risk, rng.normal(size=6 * rank), jac=True, tol=1e-12).fun
        for _ in range(5)
    ]
    W, least = theory.pgd_optimum(setting, rank=rank)
    assert np.linalg.matrix_rank(W) == rank
    assert theory.pgd_risk(W, setting) == pytest.approx(least, rel=1e-12)
    assert min(found) == pytest.approx(least, rel=1e-7)


def test_rank_zero_predicts_nothing_and_full_rank_is_no_constraint():
    _, setting = draw(6, 4, 0.2, 4)
    W, risk = theory.pgd_optimum(setting, rank=0)
    assert not W.any() and risk == pytest.approx(np.trace(setting.cov_x @ setting.cov_task) + 0.2)
    free, least = theory.pgd_optimum(setting)
    full, same = theory.pgd_optimum(setting, rank=4)
    np.testing.assert_array_equal(full, free)
    assert same == least
    ladder = [theory.pgd_optimum(setting, rank=r)[1] for r in range(5)]
    assert sorted(ladder, reverse=True) == ladder


def test_singular_covariances():
    sizes = {"context_length": 5, "noise_var": 0.0}
    laws = {"cov_x": np.diag([2.0, 0.0]), "cov_task": np.diag([1.0, 3.0])}
    W, risk = theory.pgd_optimum(theory.Setting(dim=2, **laws, **sizes))
    _, alone = theory.pgd_optimum(theory.Setting(dim=1, cov_x=[[2.0]], **sizes))
    assert risk == pytest.approx(alone) and np.count_nonzero(W) == 1
    silent = theory.Setting(dim=2, cov_task=np.zeros((2, 2)), **sizes)
    W, risk = theory.pgd_optimum(silent)  # no signal, no noise
    assert risk == 0.0 and not W.any()


def test_long_contexts_recover_the_noise():
    long = dataclasses.replace(helpers.WORKED, context_length=10**9)
    assert theory.pgd_optimum(long).risk == pytest.approx(0.5, rel=1e-7)


def test_rotating_the_covariates_leaves_the_risk():
    rng, setting = draw(6, 3, 0.2, 3)
    rotation = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    cov_x, cov_task = (rotation @ m @ rotation.T for m in (setting.cov_x, setting.cov_task))
    turned = dataclasses.replace(setting, cov_x=cov_x, cov_task=cov_task)
    risk = theory.pgd_optimum(setting).risk
    assert theory.pgd_optimum(turned).risk == pytest.approx(risk, rel=1e-12)


def test_float32_and_jax_arrays_are_taken():
    cov_x, cov_task = (jnp.asarray(m, jnp.float32) for m in (helpers.SX, helpers.SB))
    single = dataclasses.replace(helpers.WORKED, cov_x=cov_x, cov_task=cov_task)
    W, risk = theory.pgd_optimum(single)
    assert W.dtype == np.float64 and isinstance(risk, float)
    assert risk == pytest.approx(1.49930013, rel=1e-7)


@given(
    n=st.integers(1, 50),
    d=st.integers(1, 6),
    rank=st.integers(0, 6),
    noise_var=st.sampled_from([0.0, 1e-3, 0.5, 20.0]),
    seed=st.integers(0, 2**32 - 1),
)
def test_the_square_is_complete_at_every_shape(n, d, rank, noise_var, seed):
    """L(W) - L* = n |(Wbar - Wbar*) C^{1/2}|_F^2, whatever W."""
    rng = np.random.default_rng(seed)
    setting = helpers.random_setting(rng, n, d, noise_var, min(rank, d), floor=0.1)
    cov_x, cov_task = setting.cov_x, setting.cov_task
    best, least = theory.pgd_optimum(setting)
    W = rng.normal(size=(d, d))
    values, vectors = np.linalg.eigh(cov_x)
    h = (vectors * np.sqrt(values)) @ vectors.T
    middle = (n + 1) * h @ cov_task @ h + (np.trace(cov_x @ cov_task) + noise_var) * np.eye(d)
    gap = h @ (W - best) @ h
    excess = n * np.trace(gap @ middle @ gap.T)
    assert theory.pgd_risk(W, setting) == pytest.approx(least + excess, rel=1e-10, abs=1e-12)
    assert least >= noise_var


@table(
    "call, error, message",
    [
        (
            lambda s: theory.pgd_risk(np.eye(3), s),
            ValueError,
            r"pgd_risk: weight must have shape \(d=2, d=2\), got \(3, 3\)",
        ),
        (
            lambda s: theory.pgd_gradient([[1.0, np.nan], [np.nan, 1.0]], s),
            ValueError,
            "pgd_gradient: weight must be finite, got nan",
        ),
        (
            lambda s: theory.pgd_optimum(s, rank=3),
            ValueError,
            "pgd_optimum: rank must be at most d = 2, got 3",
        ),
        (
            lambda s: theory.pgd_optimum(s, rank=-1),
            ValueError,
            "pgd_optimum: rank must be at least 0, got -1",
        ),
        (
            lambda s: theory.pgd_optimum(s, rank=1.5),
            TypeError,
            "pgd_optimum: rank must be an integer",
        ),
    ],
)
def test_bad_arguments(call, error, message):
    with pytest.raises(error, match=message):
        call(helpers.WORKED)
