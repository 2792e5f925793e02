"""Matrix iterations against closed forms: eigenvalues, singular values, Kronecker systems."""

import numpy as np
import pytest

from elsa import algorithms
from tests.helpers import table


def iterate(step, depth, state, **fixed):
    for _ in range(depth):
        state = {name: np.asarray(v) for name, v in (state | step(**fixed, **state)).items()}
    return state


def orthogonal(rng, n, k):
    return np.linalg.qr(rng.normal(size=(n, n)))[0][:, :k]


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("d", [1, 4])
def test_the_residual_of_newton_schulz_squares(symmetric, d):
    rng = np.random.default_rng(d)
    A = rng.normal(size=(d, d)) + 3 * np.eye(d)
    A = A @ A.T if symmetric else A
    Z = A.T / (np.abs(A).sum(axis=0).max() * np.abs(A).sum(axis=1).max())
    residual = np.eye(d) - A @ Z
    for _ in range(4):
        Z = iterate(algorithms.newton_schulz_inverse(), 1, {"Z": Z}, A=A)["Z"]
        residual = residual @ residual
        np.testing.assert_allclose(np.eye(d) - A @ Z, residual, rtol=1e-9, atol=1e-13)
    Z = iterate(algorithms.newton_schulz_inverse(), 20, {"Z": Z}, A=A)["Z"]
    np.testing.assert_allclose(Z, np.linalg.inv(A), rtol=1e-11, atol=1e-13)


def test_newton_schulz_gives_the_known_numbers():
    """From A^T / (|A|_1 |A|_inf) = A / 52.5625; the numbers come from a separate calculation."""
    A = np.array([[5.75, 1.5], [1.5, 2.5]])
    Z = iterate(algorithms.newton_schulz_inverse(), 3, {"Z": A / 52.5625}, A=A)["Z"]
    expected = [[0.16729474, -0.0242460995], [-0.0242460995, 0.219827956]]
    np.testing.assert_allclose(Z, expected, rtol=2e-8)


@pytest.mark.parametrize("kappa, steps", [(10, 7), (100, 11), (1000, 14), (10000, 17)])
def test_newton_schulz_needs_as_many_steps_as_theory_says(kappa, steps):
    """From 2 / (L + m) I the worst relative error of Z is ((kappa - 1)/(kappa + 1))^(2^t)."""
    A, start = np.diag(np.linspace(1.0, kappa, 5)), 2 / (kappa + 1) * np.eye(5)
    inverse = np.linalg.inv(A)

    def error(depth):
        Z = iterate(algorithms.newton_schulz_inverse(), depth, {"Z": start}, A=A)["Z"]
        return np.linalg.norm(Z - inverse, 2) / np.linalg.norm(inverse, 2)

    assert error(steps) <= 1e-10 < error(steps - 1)
    rate = (kappa - 1) / (kappa + 1)
    np.testing.assert_allclose(error(3), rate**8, rtol=1e-9)


@pytest.mark.parametrize("n, d", [(1, 1), (2, 4), (9, 3)])
def test_newton_schulz_finds_the_ridge_solution(n, d):
    rng = np.random.default_rng(n)
    X, y, lam = rng.normal(size=(n, d)), rng.normal(size=(n, 1)), np.full((1, 1), 0.7)
    A = X.T @ X + 0.7 * np.eye(d)
    state = {"Z": np.eye(d) / np.abs(A).sum(axis=0).max(), "w": np.full((d, 1), 9.0)}
    first = iterate(algorithms.newton_schulz_ridge(), 1, state, X=X, y=y, lam=lam)
    np.testing.assert_allclose(first["w"], first["Z"] @ X.T @ y, rtol=1e-12)
    out = iterate(algorithms.newton_schulz_ridge(), 25, state, X=X, y=y, lam=lam)
    np.testing.assert_allclose(out["w"], np.linalg.solve(A, X.T @ y), rtol=1e-11)


@pytest.mark.parametrize("exponent", [1, 2, 7])
def test_matrix_power_multiplies_by_the_power(exponent):
    rng = np.random.default_rng(0)
    A, P = rng.normal(size=(3, 3)) / 2, rng.normal(size=(3, 2))
    out = iterate(algorithms.matrix_power(exponent), 2, {"P": P}, A=A)["P"]
    expected = np.linalg.matrix_power(A, 2 * exponent) @ P
    np.testing.assert_allclose(out, expected, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("coefficients", [[2.0], [0.0, 1.0], [0.5, -1.0, 0.0, 0.25]])
def test_matrix_polynomial_acts_on_every_eigenvector(coefficients):
    rng = np.random.default_rng(0)
    V, values = rng.normal(size=(3, 3)), np.array([0.3, -1.0, 1.7])
    A, P = V @ np.diag(values) @ np.linalg.inv(V), rng.normal(size=(3, 2))
    out = iterate(algorithms.matrix_polynomial(coefficients), 3, {"P": P}, A=A)["P"]
    powers = np.polynomial.polynomial.polyval(values, coefficients) ** 3
    expected = V @ np.diag(powers) @ np.linalg.solve(V, P)
    np.testing.assert_allclose(out, expected, rtol=1e-10, atol=1e-12)


def test_power_iteration_scales_every_eigenvector_by_its_own_power():
    V, values = np.array([[1.0, 1.0], [1.0, -1.0]]) / np.sqrt(2), np.array([2.0, -1.0])
    A, start = V @ np.diag(values) @ V.T, np.array([[0.3], [0.9]])
    out = iterate(algorithms.power_iteration(scale=0.5), 12, {"v": start}, A=A)["v"]
    expected = V @ (((0.5 * values) ** 12)[:, None] * (V.T @ start))
    np.testing.assert_allclose(out, expected, rtol=1e-12)
    plain = iterate(algorithms.power_iteration(), 3, {"v": start}, A=A)["v"]
    np.testing.assert_allclose(plain, np.linalg.matrix_power(A, 3) @ start, rtol=1e-12)


def test_oja_flow_contracts_as_theory_says_and_stays_at_the_principal_subspace():
    rng, values, eta, eps = np.random.default_rng(3), np.array([3.0, 2.0, 1.0, 0.2]), 0.1, 1e-7
    V = orthogonal(rng, 4, 4)
    C, top = V @ np.diag(values) @ V.T, V[:, :2]
    step = algorithms.oja_flow(eta)
    np.testing.assert_allclose(step(C=C, W=top)["W"], top, atol=1e-14)  # a fixed point
    for i in range(2):
        for j in range(4):
            towards = np.zeros((4, 2))
            towards[j, i] = 1.0
            moved = V.T @ (step(C=C, W=top + eps * V @ towards)["W"] - top) / eps
            rate = 1 + eta * (values[j] - values[i])
            if j < 2:  # within the subspace, where W^T W - I is twice the symmetric part
                towards, moved = towards[:2] + towards[:2].T, moved[:2] + moved[:2].T
                rate = 1 - eta * (values[i] + values[j])
            np.testing.assert_allclose(moved, rate * towards, atol=1e-6)  # eps is 1e-7
    W = iterate(step, 400, {"W": orthogonal(rng, 4, 2)}, C=C)["W"]
    np.testing.assert_allclose(W @ W.T, top @ top.T, atol=1e-12)


@pytest.mark.parametrize("n, k", [(1, 1), (3, 2), (2, 4)])
def test_sylvester_descends_the_normal_equations_of_the_kronecker_system(n, k):
    rng, eta = np.random.default_rng(n + k), 0.05
    A, B = rng.normal(size=(n, n)), rng.normal(size=(k, k))
    C, X = rng.normal(size=(n, k)), rng.normal(size=(n, k))
    K = np.kron(np.eye(k), A) + np.kron(B.T, np.eye(n))  # acts on columns stacked
    solution = np.linalg.solve(K, C.T.reshape(-1, 1))
    error = np.linalg.matrix_power(np.eye(n * k) - eta * K.T @ K, 6) @ (
        X.T.reshape(-1, 1) - solution
    )
    out = iterate(algorithms.sylvester(eta), 6, {"X": X}, A=A, B=B, C=C)["X"]
    np.testing.assert_allclose(out.T.reshape(-1, 1), solution + error, rtol=1e-9, atol=1e-10)


def test_lyapunov_is_sylvester_and_solves_the_equation():
    rng = np.random.default_rng(5)
    A, Q = rng.normal(size=(3, 3)) / 3 - np.eye(3), rng.normal(size=(3, 3))
    X = rng.normal(size=(3, 3))
    out = iterate(algorithms.lyapunov(0.1), 4, {"X": X}, A=A, Q=Q)["X"]
    other = iterate(algorithms.sylvester(0.1), 4, {"X": X}, A=A, B=A.T, C=-Q)["X"]
    np.testing.assert_allclose(out, other, rtol=1e-12)
    out = iterate(algorithms.lyapunov(0.1), 500, {"X": X}, A=A, Q=Q)["X"]
    np.testing.assert_allclose(A @ out + out @ A.T + Q, np.zeros((3, 3)), atol=1e-11)


def test_matrix_factorisation_moves_every_singular_value_on_its_own():
    rng, s, eta = np.random.default_rng(6), np.array([2.0, 1.0]), 0.1
    P, R = orthogonal(rng, 4, 2), orthogonal(rng, 3, 2)
    u, v = np.array([0.5, 0.2]), np.array([0.3, 0.9])
    step = algorithms.matrix_factorisation(eta)
    out = iterate(step, 30, {"U": P * u, "V": R * v}, M=P * s @ R.T)
    for _ in range(30):
        u, v = u - eta * (u * v - s) * v, v - eta * (u * v - s) * u
    np.testing.assert_allclose(out["U"], P * u, rtol=1e-10, atol=1e-13)
    np.testing.assert_allclose(out["V"], R * v, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("n, d", [(1, 1), (2, 4), (5, 3)])
def test_polar_moves_every_singular_value_on_its_own(n, d):
    rng = np.random.default_rng(n)
    U, s, Vt = np.linalg.svd(rng.normal(size=(n, d)), full_matrices=False)
    s = s * 1.7 / s.max()
    error = 1 - s**2
    Y = U * s @ Vt
    for _ in range(3):
        Y = iterate(algorithms.polar(), 1, {"Y": Y})["Y"]
        s, error = s * (3 - s**2) / 2, error**2 * (3 + error) / 4
        np.testing.assert_allclose(Y, U * s @ Vt, rtol=1e-11, atol=1e-13)
        np.testing.assert_allclose(1 - s**2, error, rtol=1e-9, atol=1e-14)
    np.testing.assert_allclose(iterate(algorithms.polar(), 30, {"Y": Y})["Y"], U @ Vt, atol=1e-13)


@table(
    "make, error, message",
    [
        (lambda: algorithms.matrix_power(0), ValueError, "exponent must be at least 1"),
        (lambda: algorithms.matrix_power(1.5), TypeError, "exponent must be an integer"),
        (lambda: algorithms.matrix_polynomial([]), ValueError, "at least c_0"),
        (lambda: algorithms.matrix_polynomial([1.0, np.nan]), ValueError, "must be finite"),
        (lambda: algorithms.power_iteration(scale=0.0), ValueError, "power_iteration: scale"),
        (lambda: algorithms.oja_flow(0.0), ValueError, "oja_flow: step_size"),
        (lambda: algorithms.sylvester(-1.0), ValueError, "sylvester: step_size"),
        (lambda: algorithms.lyapunov(np.nan), ValueError, "lyapunov: step_size"),
        (lambda: algorithms.matrix_factorisation(0.0), ValueError, "matrix_factorisation: step"),
    ],
)
def test_numbers_out_of_range_are_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()
