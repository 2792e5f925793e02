import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LinearRegression, Ridge

from elsa import predictors
from elsa.tasks import Prompt
from tests.helpers import table, wide
from tests.theory.helpers import random_covariance

# (batch, n, d): one row, one channel, fewer rows than channels, square, tall
SIZES = [(2, 1, 1), (1, 1, 4), (3, 6, 1), (4, 3, 5), (2, 3, 3), (3, 9, 3)]


def prompts(batch, n, d, seed=0):
    rng = np.random.default_rng(seed)
    x, query_x = rng.normal(size=(batch, n, d)), rng.normal(size=(batch, d))
    if n == d:
        x = x + 3 * np.eye(d)  # a square draw may be ill-conditioned
    return Prompt(x, rng.normal(size=(batch, n)), query_x, np.full(batch, np.nan))


def each(prompt, weights):
    """weights(X, y) -> w of one task, in NumPy."""
    tasks = zip(prompt.x, prompt.y, prompt.query_x, strict=True)
    return np.array([query @ weights(X, y) for X, y, query in tasks])


def close(actual, expected, rtol=1e-10):
    assert actual.shape == expected.shape
    np.testing.assert_allclose(actual, expected, rtol=rtol, atol=rtol * np.abs(expected).max())


def descend(X, y, etas, lam=0.0, w=None):
    w = np.zeros(X.shape[1]) if w is None else w
    for eta in etas:
        w = w - eta * (X.T @ (X @ w - y) + lam * w)
    return w


@pytest.mark.parametrize("lam", [0.3, 20.0])
@pytest.mark.parametrize("size", SIZES)
def test_ridge_is_scikit_learns(size, lam):
    prompt = prompts(*size)
    expected = each(prompt, lambda X, y: Ridge(alpha=lam, fit_intercept=False).fit(X, y).coef_)
    close(predictors.ridge(prompt, lam), expected)


@pytest.mark.parametrize("size", SIZES)
def test_least_squares_is_the_pseudo_inverse_and_the_limit_of_ridge(size):
    prompt = prompts(*size)
    found = predictors.least_squares(prompt)
    close(found, each(prompt, lambda X, y: np.linalg.pinv(X) @ y))
    close(found, predictors.ridge(prompt, 0.0))
    if size[1] > size[2]:
        regression = LinearRegression(fit_intercept=False)
        close(found, each(prompt, lambda X, y: regression.fit(X, y).coef_))


@pytest.mark.parametrize("noise_var", [0.0, 0.4])
@pytest.mark.parametrize("rank", [1, None])
@pytest.mark.parametrize("size", SIZES)
def test_bayes_is_the_posterior_mean(size, rank, noise_var):
    prompt = prompts(*size)
    rng, dim = np.random.default_rng(1), size[2]
    psi, mean = random_covariance(rng, dim, rank), rng.normal(size=dim)
    if rank is None:
        psi = psi + 0.2 * np.eye(dim)
    if noise_var == 0.0 and size[1] > (rank or dim):  # labels that the prior can have made
        tasks = mean + rng.normal(size=(size[0], dim)) @ psi
        prompt = prompt._replace(y=np.einsum("bnd,bd->bn", prompt.x, tasks))

    def posterior(X, y):
        covariance = X @ psi @ X.T + noise_var * np.eye(len(X))
        return mean + psi @ X.T @ np.linalg.pinv(covariance, rcond=1e-12) @ (y - X @ mean)

    close(predictors.bayes(prompt, psi, noise_var, mean), each(prompt, posterior), rtol=1e-8)


def test_bayes_with_a_sure_prior_and_with_a_white_one():
    prompt, mean = prompts(3, 5, 2), np.array([1.0, -2.0])
    close(predictors.bayes(prompt, np.zeros((2, 2)), 0.1, mean), prompt.query_x @ mean)
    assert not np.any(predictors.bayes(prompt, np.zeros((2, 2)), 0.1))
    close(predictors.bayes(prompt, 2.0 * np.eye(2), 0.5), predictors.ridge(prompt, 0.25))


@pytest.mark.parametrize("size", SIZES)
def test_gradient_descent_is_the_loop(size):
    prompt, w = prompts(*size), np.linspace(-1.0, 1.0, size[2])
    found = predictors.gradient_descent(prompt, 7, 0.02, 0.5, w)
    close(found, each(prompt, lambda X, y: descend(X, y, 7 * [0.02], 0.5, w)))
    etas = [0.05, 0.01, 0.03]
    found = predictors.gradient_descent(prompt, 3, etas)
    close(found, each(prompt, lambda X, y: descend(X, y, etas)))
    close(predictors.gradient_descent(prompt, 0, 0.1, init=w), prompt.query_x @ w)
    assert not np.any(predictors.gradient_descent(prompt, 0, 0.1))


@pytest.mark.parametrize("size", [(2, 4, 2), (3, 2, 4)])
def test_gradient_descent_settles_on_ridge(size):
    prompt = prompts(*size)
    found = predictors.gradient_descent(prompt, 3_000, 0.05, 0.5)
    close(found, predictors.ridge(prompt, 0.5), rtol=1e-9)


@pytest.mark.parametrize("size", SIZES)
def test_polynomials_of_the_gram_matrix(size):
    prompt, c = prompts(*size), [0.3, -0.1, 0.02]

    def weights(X, y):
        G = X.T @ X
        return (c[0] * np.eye(len(G)) + c[1] * G + c[2] * G @ G) @ X.T @ y

    close(predictors.polynomial_step(prompt, c), each(prompt, weights))
    eta = 0.05  # two steps of descent from zero: eta (2 I - eta G) X^T y
    close(
        predictors.polynomial_step(prompt, [2 * eta, -(eta**2)]),
        predictors.gradient_descent(prompt, 2, eta),
    )


@pytest.mark.parametrize("size", SIZES)
def test_one_step_in_its_three_forms(size):
    prompt = prompts(*size)
    _, n, d = size
    rng = np.random.default_rng(2)
    W, b0, omega = rng.normal(size=(d, d)), rng.normal(size=d), rng.normal(size=n)
    close(predictors.preconditioned_step(prompt, W), each(prompt, lambda X, y: W @ X.T @ y))
    close(
        predictors.weighted_step(prompt, omega, W),
        each(prompt, lambda X, y: W @ X.T @ np.diag(omega) @ y),
    )
    close(predictors.weighted_step(prompt, omega), each(prompt, lambda X, y: X.T @ (omega * y)))
    close(
        predictors.gd_beta(prompt, b0, W),
        each(prompt, lambda X, y: b0 - W @ X.T @ (X @ b0 - y) / n),
    )


def test_a_worked_prompt():
    """Numbers worked out apart from this library."""
    x, y = [[1.0, 0.0], [0.5, -1.0], [2.0, 1.0]], [1.0, -0.5, 2.0]
    prompt = Prompt(*(np.array([a]) for a in (x, y, [0.3, 0.7], 0.0)))
    gamma, psi = np.array([[0.3, 0.1], [0.0, 0.4]]), np.array([[1.0, 0.3], [0.3, 0.5]])
    step = predictors.gd_beta(prompt, [0.5, 0.0], gamma)
    np.testing.assert_allclose(step, 0.394583333, rtol=1e-8)
    posterior = predictors.bayes(prompt, psi, 0.5, [1.0, -2.0])
    np.testing.assert_allclose(posterior, -0.00565383281, rtol=1e-8)
    descent = predictors.gradient_descent(prompt, 3, 8 / 33, 0.5)
    np.testing.assert_allclose(descent, 0.3 * 0.808470379 + 0.7 * 0.600272699, rtol=1e-8)
    solution = 0.3 * 0.670103093 + 0.7 * 0.597938144
    np.testing.assert_allclose(predictors.ridge(prompt, 0.5), solution, rtol=1e-8)


CALLS = {
    "ridge": lambda p, s: predictors.ridge(p, s),
    "least_squares": lambda p, s: s * predictors.least_squares(p),
    "bayes": lambda p, s: predictors.bayes(p, s * jnp.eye(3), s, s * jnp.ones(3)),
    "gradient_descent": lambda p, s: predictors.gradient_descent(p, 3, s / 50, s, s * jnp.ones(3)),
    "polynomial_step": lambda p, s: predictors.polynomial_step(p, s * jnp.ones(3) / 100),
    "preconditioned_step": lambda p, s: predictors.preconditioned_step(p, s * jnp.eye(3)),
    "weighted_step": lambda p, s: predictors.weighted_step(p, s * jnp.ones(p.x.shape[1])),
    "gd_beta": lambda p, s: predictors.gd_beta(p, s * jnp.ones(3), s * jnp.eye(3)),
}
TWO_FORMS = {"ridge", "least_squares", "bayes", "gradient_descent"}  # for n < d and for n >= d


OF_SIZE = [(name, n) for name in CALLS for n in ((2, 5) if name in TWO_FORMS else (5,))]


@pytest.mark.parametrize(
    "name, n",
    wide(OF_SIZE, keep=[case for case in OF_SIZE if case[1] == 5] + [("ridge", 2), ("bayes", 2)]),
)
def test_under_jit_grad_and_vmap(name, n):
    call, prompt, scale = CALLS[name], Prompt(*map(jnp.asarray, prompts(4, n, 3))), 0.7
    plain = call(prompt, scale)
    assert plain.shape == (4,) and np.all(np.isfinite(plain))
    close(jax.jit(call)(prompt, scale), plain, rtol=1e-11)
    slope = jax.jit(jax.grad(lambda s: jnp.sum(call(prompt, s))))(scale)
    either = [np.sum(call(prompt, scale + step)) for step in (1e-6, -1e-6)]
    np.testing.assert_allclose(slope, (either[0] - either[1]) / 2e-6, rtol=1e-6, atol=1e-7)
    stacked = jax.vmap(call, in_axes=(0, None))(
        jax.tree.map(lambda a: jnp.stack([a, a]), prompt), scale
    )
    close(stacked, np.stack([plain, plain]), rtol=1e-11)


@pytest.mark.parametrize("name", CALLS)
def test_the_prompts_dtype_is_kept_and_the_order_of_examples_is_no_matter(name):
    prompt = prompts(2, 5, 3)
    shuffled = prompt._replace(x=prompt.x[:, ::-1], y=prompt.y[:, ::-1])
    close(CALLS[name](shuffled, 0.7), CALLS[name](prompt, 0.7))
    single = Prompt(*(np.asarray(a, np.float32) for a in prompt))
    found = CALLS[name](single, np.float32(0.7))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, CALLS[name](prompt, 0.7), rtol=1e-3, atol=1e-4)


@given(
    st.sampled_from([1, 4]),
    st.sampled_from([1, 4, 6]),
    st.floats(0.1, 10.0),
    st.integers(0, 2**32 - 1),
)
def test_ridge_either_side_is_the_solution_of_the_normal_equations(n, d, lam, seed):
    prompt = prompts(2, n, d, seed)
    expected = each(prompt, lambda X, y: np.linalg.solve(X.T @ X + lam * np.eye(d), X.T @ y))
    close(predictors.ridge(prompt, lam), expected, rtol=1e-9)


GOOD = prompts(2, 4, 3)


@table("name", CALLS)
@table(
    "change, message",
    [
        ({"x": np.ones((4, 3))}, "x must have 3 axes"),
        ({"y": np.ones((2, 5))}, r"y must have shape \(batch=2, n=4\), got \(2, 5\)"),
        ({"query_x": np.ones((2, 2))}, r"query_x must have shape \(batch=2, d=3\)"),
        ({"y": np.full((2, 4), np.inf)}, "y must be finite"),
        ({"x": np.ones((2, 0, 3)), "y": np.ones((2, 0))}, "n must be at least 1, got 0"),
    ],
)
def test_bad_prompts(name, change, message):
    with pytest.raises(ValueError, match=f"{name}: {message}"):
        CALLS[name](GOOD._replace(**change), 0.7)
