"""First-order methods against closed forms, and against the recursions written out in NumPy."""

import math

import numpy as np
import pytest

from elsa import algorithms
from elsa.algorithms import chebyshev, gradient_descent, heavy_ball, multi_output_ridge
from tests.helpers import descend, ridge_problem, table

# X^T X + 0.5 I = [[5.75, 1.5], [1.5, 2.5]]; the numbers below come from a separate calculation.
EXAMPLE = {
    "X": np.array([[1.0, 0.0], [0.5, -1.0], [2.0, 1.0]]),
    "y": np.array([[1.0], [-0.5], [2.0]]),
    "lam": np.full((1, 1), 0.5),
}
SMALLEST, LARGEST = 1.91352425, 6.33647575
SOLUTION = np.array([[0.670103093], [0.597938144]])
ROOT = math.sqrt(LARGEST / SMALLEST)
Q = (ROOT - 1) / (ROOT + 1)


def iterate(step, state, depth, *, takes_t=False, **fixed):
    """The state after every step, the start first."""
    path = [state]
    for t in range(depth):
        state = state | step(**fixed, **state, **({"t": t} if takes_t else {}))
        path.append(state)
    return path


def spectrum_problem(values, seed=0):
    """X with X^T X of the given eigenvalues, y, and the solution without ridge."""
    rng, d = np.random.default_rng(seed), len(values)
    left, _ = np.linalg.qr(rng.normal(size=(d + 3, d)))
    right, _ = np.linalg.qr(rng.normal(size=(d, d)))
    X = left @ np.diag(np.sqrt(values)) @ right.T
    y = rng.normal(size=(d + 3, 1))
    return X, y, np.linalg.solve(X.T @ X, X.T @ y), right


def heavy_ball_start(step_size, momentum):
    """v = (eta - 2 / (L + m)) / beta times the gradient at w = 0: the first step is plain."""
    gradient = -EXAMPLE["X"].T @ EXAMPLE["y"]
    return (step_size - 2 / (LARGEST + SMALLEST)) / momentum * gradient


def test_the_example_has_the_spectrum_and_the_solution_it_is_said_to_have():
    A = EXAMPLE["X"].T @ EXAMPLE["X"] + 0.5 * np.eye(2)
    np.testing.assert_allclose(np.linalg.eigvalsh(A), [SMALLEST, LARGEST], rtol=1e-8)
    np.testing.assert_allclose(
        np.linalg.solve(A, EXAMPLE["X"].T @ EXAMPLE["y"]), SOLUTION, rtol=1e-8
    )


@pytest.mark.parametrize(
    "method, expected",
    [
        ("gradient descent", [0.808470379, 0.600272699]),
        ("heavy ball", [0.772710531, 0.612239489]),
        ("heavy ball, first step plain", [0.74803629, 0.599253046]),
        ("Chebyshev", [0.714200832, 0.598682168]),
    ],
)
def test_three_steps_from_zero_give_the_known_numbers(method, expected):
    zero, best = np.zeros((2, 1)), 2 / (LARGEST + SMALLEST)
    eta, beta = 4 / (math.sqrt(LARGEST) + math.sqrt(SMALLEST)) ** 2, Q**2
    ball = heavy_ball(step_size=eta, momentum=beta)
    step, state = {
        "gradient descent": (gradient_descent(best), {"w": zero}),
        "heavy ball": (ball, {"w": zero, "v": zero}),
        "heavy ball, first step plain": (ball, {"w": zero, "v": heavy_ball_start(eta, beta)}),
        "Chebyshev": (chebyshev(smallest=SMALLEST, largest=LARGEST), {"w": zero, "p": zero}),
    }[method]
    out = iterate(step, state, 3, takes_t=method == "Chebyshev", **EXAMPLE)[-1]["w"]
    np.testing.assert_allclose(out[:, 0], expected, rtol=2e-8)  # nine digits are given


@pytest.mark.parametrize("n, d", [(1, 1), (2, 5), (9, 3)])
def test_gradient_descent_is_the_recursion(n, d):
    blocks, eta = ridge_problem(n, d)
    fixed = {name: blocks[name] for name in ("X", "y", "lam")}
    path = iterate(gradient_descent(eta), {"w": blocks["w"]}, 5, **fixed)
    expected = descend(blocks, eta, 5)
    np.testing.assert_allclose([state["w"] for state in path], expected, rtol=1e-12, atol=1e-14)


def test_every_output_of_multi_output_ridge_is_a_gradient_descent():
    rng = np.random.default_rng(1)
    X, Y, W = rng.normal(size=(6, 3)) / 3, rng.normal(size=(6, 4)), rng.normal(size=(3, 4))
    lam = np.full((1, 1), 0.3)
    out = iterate(multi_output_ridge(0.2), {"W": W}, 4, X=X, Y=Y, lam=lam)[-1]["W"]
    for k in range(4):
        blocks = {"X": X, "y": Y[:, [k]], "lam": lam, "w": W[:, [k]]}
        np.testing.assert_allclose(out[:, [k]], descend(blocks, 0.2, 4)[-1], rtol=1e-12)


def test_heavy_ball_is_the_three_term_recursion():
    blocks, _ = ridge_problem(5, 3)
    eta, beta = 0.4, 0.6
    A = blocks["X"].T @ blocks["X"] + 0.5 * np.eye(3)
    c = blocks["X"].T @ blocks["y"]
    before, now = blocks["w"], blocks["w"]
    fixed = {name: blocks[name] for name in ("X", "y", "lam")}
    state = {"w": blocks["w"], "v": np.zeros((3, 1))}
    path = iterate(heavy_ball(step_size=eta, momentum=beta), state, 6, **fixed)
    for state in path[1:]:
        before, now = now, now - eta * (A @ now - c) + beta * (now - before)
        np.testing.assert_allclose(state["w"], now, rtol=1e-12)
        np.testing.assert_allclose(state["v"], now - before, rtol=1e-9, atol=1e-13)


def worst_error(step, smallest, largest, depth, *, takes_t=False, start=None):
    """max over eigenvalues in [smallest, largest] of |w_t - w*| / |w_0 - w*|, for each t."""
    values = np.linspace(smallest, largest, 4001)
    w, other = np.ones(4001), np.zeros(4001)
    if start is not None:
        other = start(values)
    worst = []
    for t in range(depth):
        # X = diag(sqrt(values)) and y = 0 decouple; the step is asked for the columns it needs.
        blocks = {"X": Diagonal(np.sqrt(values)), "y": 0.0, "lam": 0.0, "w": w}
        name = "p" if takes_t else "v"
        out = step(**blocks, **{name: other}, **({"t": t} if takes_t else {}))
        w, other = out["w"], out[name]
        worst.append(np.abs(w).max())
    return np.array(worst)


class Diagonal:
    """diag(values) as far as the steps use it: `X @ w` and `X.T @ r`."""

    def __init__(self, values):
        self.values = values

    @property
    def T(self):
        return self

    def __matmul__(self, other):
        return self.values * other


@pytest.mark.parametrize("kappa", [10.0, 1000.0])
def test_the_worst_error_of_heavy_ball_is_the_best_rate_with_a_linear_factor(kappa):
    root = math.sqrt(kappa)
    q, t = (root - 1) / (root + 1), np.arange(1, 60)
    eta = 4 / (root + 1) ** 2
    step = heavy_ball(step_size=eta, momentum=q**2)
    found = worst_error(step, 1.0, kappa, 59)
    np.testing.assert_allclose(found, (1 + (1 + q) * t) * q**t, rtol=1e-9)

    def plain_first(values):
        return (eta - 2 / (kappa + 1)) / q**2 * values

    found = worst_error(step, 1.0, kappa, 59, start=plain_first)
    expected = (1 + t * (1 - q**2) / (1 + q**2)) * q**t
    np.testing.assert_allclose(found, expected, rtol=1e-9)


@pytest.mark.parametrize("kappa", [1.0 + 1e-12, 10.0, 1000.0])
def test_the_worst_error_of_chebyshev_is_that_of_its_polynomial(kappa):
    root = math.sqrt(kappa)
    q, t = (root - 1) / (root + 1), np.arange(1, 40)
    step = chebyshev(smallest=1.0, largest=kappa)
    found = worst_error(step, 1.0, kappa, 39, takes_t=True)
    # the grid holds both ends, where the polynomial is extreme
    np.testing.assert_allclose(found, 2 * q**t / (1 + q ** (2 * t)), rtol=1e-9, atol=1e-14)


def test_chebyshev_is_the_recursion_of_its_coefficients():
    """theta, delta, sigma, rho as Saad, Iterative Methods (2003), Algorithm 12.1 writes them."""
    blocks, _ = ridge_problem(7, 4, lam=0.2)
    A = blocks["X"].T @ blocks["X"] + 0.2 * np.eye(4)
    c, w = blocks["X"].T @ blocks["y"], blocks["w"]
    theta, delta = (1.2 + 0.2) / 2, (1.2 - 0.2) / 2
    rho, p = delta / theta, (c - A @ w) / theta
    step = chebyshev(smallest=0.2, largest=1.2)
    fixed = {name: blocks[name] for name in ("X", "y", "lam")}
    state = {"w": w, "p": np.full((4, 1), 7.0)}  # which does not matter
    for now in iterate(step, state, 12, takes_t=True, **fixed)[1:]:
        w = w + p
        following = 1 / (2 * theta / delta - rho)
        p = following * rho * p + 2 * following / delta * (c - A @ w)
        rho = following
        np.testing.assert_allclose(now["w"], w, rtol=1e-10)


def test_chebyshev_solves_in_one_step_where_all_eigenvalues_are_equal():
    X, y, solution, _ = spectrum_problem([3.0, 3.0])
    step = chebyshev(smallest=3.0, largest=3.0)
    state = {"w": np.ones((2, 1)), "p": np.zeros((2, 1))}
    for now in iterate(step, state, 3, takes_t=True, X=X, y=y, lam=np.zeros((1, 1)))[1:]:
        np.testing.assert_allclose(now["w"], solution, rtol=1e-13)


@pytest.mark.parametrize("kappa, steps", [(10, 37), (100, 119), (1000, 375), (10000, 1186)])
def test_chebyshev_needs_as_many_steps_as_theory_says(kappa, steps):
    root = math.sqrt(kappa)
    q = (root - 1) / (root + 1)
    found = worst_error(chebyshev(smallest=1.0, largest=kappa), 1.0, kappa, steps, takes_t=True)
    assert found[-1] <= 1e-10 < found[-2]
    assert 2 * q**steps <= 1e-10 < 2 * q ** (steps - 1)


@table(
    "make, message",
    [
        (lambda: gradient_descent(0.0), "gradient_descent: step_size must be finite and above 0"),
        (lambda: multi_output_ridge(math.inf), "multi_output_ridge: step_size"),
        (lambda: heavy_ball(step_size=-1.0, momentum=0.5), "heavy_ball: step_size"),
        (lambda: heavy_ball(step_size=1.0, momentum=1.0), r"heavy_ball: momentum must lie in"),
        (lambda: heavy_ball(step_size=1.0, momentum=-0.1), "heavy_ball: momentum must be at least"),
        (lambda: heavy_ball(step_size=1.0, momentum=math.nan), "heavy_ball: momentum"),
        (lambda: chebyshev(smallest=0.0, largest=1.0), "chebyshev: smallest must be finite"),
        (
            lambda: chebyshev(smallest=2.0, largest=1.0),
            "chebyshev: largest must be at least smallest=2",
        ),
        (lambda: chebyshev(smallest=1.0, largest=math.inf), "chebyshev: largest must be finite"),
    ],
)
def test_numbers_out_of_range_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_two_numbers_that_could_be_swapped_go_by_name():
    for make in (heavy_ball, chebyshev, algorithms.gd_plus_plus):
        with pytest.raises(TypeError, match="positional argument"):
            make(0.1, 0.2)
