import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize
from hypothesis import given
from hypothesis import strategies as st

from elsa import theory
from tests.theory import helpers

# (n, d, noise_var, rank of Sb)
SETTINGS = [(1, 1, 0.0, 1), (1, 4, 0.3, 4), (7, 1, 0.5, 1), (3, 5, 0.0, 5), (6, 3, 0.2, 2)]


def setting(n, d, noise_var, rank, seed=0):
    rng = np.random.default_rng(seed)
    cov_x = helpers.random_covariance(rng, d) + 0.2 * np.eye(d)
    return rng, (cov_x, helpers.random_covariance(rng, d, rank), n, noise_var)


def written_out(W, cov_x, cov_task, n, noise_var):
    """The risk in white coordinates by the entries, L = M + s2 - 2 n tr(St Wbar) + n |..|^2."""
    values, vectors = np.linalg.eigh(cov_x)
    h = (vectors * np.sqrt(values)) @ vectors.T
    st, wbar = h @ cov_task @ h, h @ W @ h
    floor = jnp.trace(st) + noise_var
    middle = (n + 1) * st + floor * jnp.eye(len(h))
    return floor + n * jnp.einsum("ij,jk,ik->", wbar, middle, wbar) - 2 * n * jnp.sum(st * wbar.T)


@pytest.mark.parametrize("sizes", SETTINGS)
def test_risk_and_gradient_are_those_of_the_formula_in_white_coordinates(sizes):
    rng, args = setting(*sizes)
    W = rng.normal(size=np.shape(args[0])) / (args[2] + 2)
    value, gradient = jax.value_and_grad(written_out)(W, *args)
    assert theory.pgd_risk(W, *args) == pytest.approx(float(value), rel=1e-12)
    np.testing.assert_allclose(theory.pgd_gradient(W, *args), gradient, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("sizes", SETTINGS)
def test_the_optimum_has_the_risk_it_says_no_gradient_and_no_better_neighbour(sizes):
    rng, args = setting(*sizes)
    W, risk = theory.pgd_optimum(*args)
    assert theory.pgd_risk(W, *args) == pytest.approx(risk, rel=1e-12, abs=1e-13)
    gradient = theory.pgd_gradient(W, *args)
    scale = np.linalg.norm(theory.pgd_gradient(np.zeros_like(W), *args))
    assert np.linalg.norm(gradient) <= 1e-12 * scale
    for _ in range(20):
        near = W + 0.05 * np.linalg.norm(W) * rng.normal(size=W.shape)
        assert theory.pgd_risk(near, *args) > risk


def test_an_isotropic_optimum_is_a_multiple_of_the_identity():
    for n, d, noise_var in [(1, 1, 0.0), (20, 5, 0.0), (3, 8, 0.4)]:
        W, risk = theory.pgd_optimum(np.eye(d), np.eye(d), n, noise_var)
        scale = 1 / (n + 1 + d + noise_var)
        np.testing.assert_allclose(W, scale * np.eye(d), rtol=1e-13, atol=1e-16)
        assert risk == pytest.approx(d + noise_var - n * d * scale, rel=1e-13)


@pytest.mark.parametrize("seed, sizes", list(enumerate(SETTINGS)))
def test_sampled_risks_agree(seed, sizes):
    rng, args = setting(*sizes)
    best, risk = theory.pgd_optimum(*args)
    other = best + 0.3 * np.linalg.norm(best) * rng.normal(size=best.shape)

    def sample(rng, batch):
        return helpers.independent(rng, batch, *args)

    cases = [(helpers.step(best), risk), (helpers.step(other), theory.pgd_risk(other, *args))]
    helpers.assert_risks(sample, cases, seed=seed)


@pytest.mark.parametrize("rank", [1, 2])
def test_no_product_of_thin_factors_beats_the_truncated_optimum(rank):
    rng, args = setting(4, 3, 0.3, 3)

    def risk(flat):
        left, right = flat.reshape(2, 3, rank)
        d_weight = theory.pgd_gradient(left @ right.T, *args)
        gradient = np.stack([d_weight @ right, d_weight.T @ left])
        return theory.pgd_risk(left @ right.T, *args), gradient.ravel()

    found = [
        scipy.optimize.minimize(risk, rng.normal(size=6 * rank), jac=True, tol=1e-12).fun
        for _ in range(5)
    ]
    W, least = theory.pgd_optimum(*args, rank=rank)
    assert np.linalg.matrix_rank(W) == rank
    assert theory.pgd_risk(W, *args) == pytest.approx(least, rel=1e-12)
    assert min(found) == pytest.approx(least, rel=1e-7)


def test_rank_zero_predicts_nothing_and_full_rank_is_no_constraint():
    _, args = setting(6, 4, 0.2, 4)
    W, risk = theory.pgd_optimum(*args, rank=0)
    assert not W.any() and risk == pytest.approx(np.trace(args[0] @ args[1]) + 0.2)
    free, least = theory.pgd_optimum(*args)
    full, same = theory.pgd_optimum(*args, rank=4)
    np.testing.assert_array_equal(full, free)
    assert same == least
    ladder = [theory.pgd_optimum(*args, rank=r)[1] for r in range(5)]
    assert sorted(ladder, reverse=True) == ladder


def test_singular_covariances():
    cov_x, cov_task = np.diag([2.0, 0.0]), np.diag([1.0, 3.0])
    W, risk = theory.pgd_optimum(cov_x, cov_task, 5, 0.0)
    _, alone = theory.pgd_optimum([[2.0]], [[1.0]], 5, 0.0)
    assert risk == pytest.approx(alone) and np.count_nonzero(W) == 1
    W, risk = theory.pgd_optimum(np.eye(2), np.zeros((2, 2)), 5, 0.0)  # no signal, no noise
    assert risk == 0.0 and not W.any()


def test_long_contexts_recover_the_noise():
    assert theory.pgd_optimum(helpers.SX, helpers.SB, 10**9, 0.5)[1] == pytest.approx(0.5, rel=1e-7)


def test_rotating_the_covariates_leaves_the_risk():
    rng, (cov_x, cov_task, n, noise_var) = setting(6, 3, 0.2, 3)
    rotation = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    turned = [rotation @ m @ rotation.T for m in (cov_x, cov_task)]
    _, risk = theory.pgd_optimum(cov_x, cov_task, n, noise_var)
    assert theory.pgd_optimum(*turned, n, noise_var)[1] == pytest.approx(risk, rel=1e-12)


def test_float32_and_jax_arrays_are_taken():
    args = [jnp.asarray(m, jnp.float32) for m in (helpers.SX, helpers.SB)]
    W, risk = theory.pgd_optimum(*args, 5, 0.5)
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
    cov_x = helpers.random_covariance(rng, d) + 0.1 * np.eye(d)
    cov_task = helpers.random_covariance(rng, d, min(rank, d)) if rank else np.zeros((d, d))
    args = (cov_x, cov_task, n, noise_var)
    best, least = theory.pgd_optimum(*args)
    W = rng.normal(size=(d, d))
    values, vectors = np.linalg.eigh(cov_x)
    h = (vectors * np.sqrt(values)) @ vectors.T
    middle = (n + 1) * h @ cov_task @ h + (np.trace(cov_x @ cov_task) + noise_var) * np.eye(d)
    gap = h @ (W - best) @ h
    excess = n * np.trace(gap @ middle @ gap.T)
    assert theory.pgd_risk(W, *args) == pytest.approx(least + excess, rel=1e-10, abs=1e-12)
    assert least >= noise_var


EYE = np.eye(2)
NAN = np.array([[1.0, np.nan], [np.nan, 1.0]])


@pytest.mark.parametrize(
    "change, error, message",
    [
        ({"weight": np.eye(3)}, ValueError, r"weight must have shape \(d=2, d=2\), got \(3, 3\)"),
        ({"weight": NAN}, ValueError, "weight must be finite, got nan"),
        ({"cov_x": np.ones((2, 3))}, ValueError, r"cov_x must have shape"),
        ({"cov_x": np.ones(2)}, ValueError, "cov_x must have 2 axes"),
        ({"cov_x": np.zeros((0, 0))}, ValueError, r"cov_x must have shape \(d, d\), got \(0, 0\)"),
        ({"cov_task": np.eye(3)}, ValueError, r"cov_task must have shape \(d=2, d=2\)"),
        ({"cov_task": [[1.0, 0.5], [0.0, 1.0]]}, ValueError, "cov_task must be symmetric"),
        ({"cov_task": -EYE}, ValueError, "cov_task must be positive semi-definite, .* -1"),
        ({"cov_x": 1j * EYE}, TypeError, "cov_x must hold real numbers"),
        ({"context_length": 0}, ValueError, "context_length must be at least 1, got 0"),
        ({"context_length": 2.0}, TypeError, "context_length must be an integer, got 2.0"),
        ({"noise_var": -0.1}, ValueError, "noise_var must be at least 0.0, got -0.1"),
        ({"noise_var": np.nan}, ValueError, "noise_var must be finite"),
        (
            {"noise_var": [0.1, 0.2]},
            ValueError,
            r"noise_var must be a single number, got shape \(2,\)",
        ),
    ],
)
@pytest.mark.parametrize("function", [theory.pgd_risk, theory.pgd_gradient, theory.pgd_optimum])
def test_bad_arguments(function, change, error, message):
    good = {"weight": EYE, "cov_x": EYE, "cov_task": EYE, "context_length": 5, "noise_var": 0.1}
    if function is theory.pgd_optimum:
        good.pop("weight")
        if "weight" in change:
            change, error, message = {"rank": 3}, ValueError, "rank must be at most d = 2, got 3"
    with pytest.raises(error, match=f"{function.__name__}: {message}"):
        function(**(good | change))
    if function is theory.pgd_optimum:
        with pytest.raises(ValueError, match="pgd_optimum: rank must be at least 0, got -1"):
            function(**good, rank=-1)
