"""Every algorithm of the library as attention weights: exact, and in as few layers as claimed."""

import dataclasses
import itertools
from collections.abc import Callable

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import elsa
from elsa import algorithms
from tests.compiler.helpers import TOLERANCE, by_hand, error, path, shapes_of
from tests.helpers import wide


@dataclasses.dataclass(frozen=True)
class Case:
    """An algorithm on well-posed inputs.

    make: (n, d, k, rng) -> step, blocks.
    layers: the most layers that T steps may take.
    gram: the most where products may be distributed and regrouped, if that is another number.
    number: the most for matrices of one entry, if that is another number: data of one entry is
      multiplied into a sum, as in Z (X^T X + lam), but not twice.
    """

    make: Callable
    layers: Callable[[int], int]
    tied: bool = True
    gram: Callable[[int], int] | None = None
    number: Callable[[int], int] | None = None

    def bound(self, depth, reassociate=True, width=2):
        most = self.gram if reassociate == "gram" else self.number if width == 1 else None
        return (most or self.layers)(depth)


def unit(rng, *shape):
    """A normal matrix of spectral norm 1."""
    matrix = rng.normal(size=shape)
    return matrix / np.linalg.norm(matrix, 2)


def with_singular_values(rng, n, d, low, high):
    U, _, Vt = np.linalg.svd(rng.normal(size=(n, d)), full_matrices=False)
    return U * rng.uniform(low, high, size=min(n, d)) @ Vt


def definite(rng, d, low, high):
    V = np.linalg.qr(rng.normal(size=(d, d)))[0]
    return V * rng.uniform(low, high, size=d) @ V.T


def regression(rng, n, d, k=1, names=("y", "w")):
    shapes = {names[0]: (n, k), names[1]: (d, k)}
    blocks = {name: rng.normal(size=shape) for name, shape in shapes.items()}
    return {"X": unit(rng, n, d), **blocks, "lam": rng.uniform(0.01, 1.0, size=(1, 1))}


def ridge_descent(n, d, k, rng):
    return algorithms.gradient_descent(0.9), regression(rng, n, d)


def multi_output(n, d, k, rng):
    return algorithms.multi_output_ridge(0.9), regression(rng, n, d, k, ("Y", "W"))


def heavy_ball(n, d, k, rng):
    blocks = regression(rng, n, d) | {"v": rng.normal(size=(d, 1))}
    return algorithms.heavy_ball(step_size=0.8, momentum=0.6), blocks


def multi_output_heavy_ball(n, d, k, rng):
    blocks = regression(rng, n, d, k) | {"v": rng.normal(size=(d, k))}
    return algorithms.heavy_ball(step_size=0.8, momentum=0.6), blocks


def chebyshev(n, d, k, rng):
    blocks = regression(rng, n, d) | {"p": rng.normal(size=(d, 1))}
    lam = float(blocks["lam"][0, 0])
    return algorithms.chebyshev(smallest=lam, largest=1.0 + lam), blocks


def labels(n, d, k, rng):
    shapes = {"y": (n, 1), "query_x": (k, d), "prediction": (k, 1)}
    return {"X": unit(rng, n, d)} | {name: rng.normal(size=s) for name, s in shapes.items()}


def preconditioned(n, d, k, rng):
    step = algorithms.preconditioned_gradient_descent(0.9 * unit(rng, d, d))
    return step, labels(n, d, k, rng)


def gd_plus_plus(n, d, k, rng):
    return algorithms.gd_plus_plus(step_size=0.9, curvature=0.4), labels(n, d, k, rng)


def inverse(n, d, k, rng):
    """A general and its transpose divided by |A|_1 |A|_inf."""
    A = with_singular_values(rng, d, d, 0.3, 3.0)
    return algorithms.newton_schulz_inverse(), {
        "A": A,
        "Z": A.T / (np.abs(A).sum(axis=0).max() * np.abs(A).sum(axis=1).max()),
    }


def definite_inverse(n, d, k, rng):
    A = definite(rng, d, 0.3, 3.0)
    Z = np.eye(d) / np.abs(A).sum(axis=0).max()
    return algorithms.newton_schulz_inverse(), {"A": A, "Z": Z}


def ridge_inverse(n, d, k, rng):
    blocks = regression(rng, n, d)
    A = blocks["X"].T @ blocks["X"] + blocks["lam"] * np.eye(d)
    return algorithms.newton_schulz_ridge(), blocks | {"Z": np.eye(d) / np.abs(A).sum(axis=0).max()}


def powers(n, d, k, rng):
    return algorithms.matrix_power(5), {"A": unit(rng, d, d), "P": rng.normal(size=(d, k))}


def polynomial(n, d, k, rng):
    step = algorithms.matrix_polynomial([0.4, -0.2, 0.0, 0.3])
    return step, {"A": unit(rng, d, d), "P": rng.normal(size=(d, k))}


def power_iteration(n, d, k, rng):
    A = definite(rng, d, 0.5, 1.0)
    return algorithms.power_iteration(scale=1.02), {"A": A, "v": rng.normal(size=(d, k))}


def oja(n, d, k, rng):
    W = np.linalg.qr(rng.normal(size=(d, min(d, k))))[0]
    return algorithms.oja_flow(0.3), {"C": definite(rng, d, 0.1, 1.0), "W": W}


def sylvester(n, d, k, rng):
    shapes = {"C": (d, k), "X": (d, k)}
    blocks = {name: rng.normal(size=shape) for name, shape in shapes.items()}
    return algorithms.sylvester(0.4), {"A": unit(rng, d, d), "B": unit(rng, k, k), **blocks}


def lyapunov(n, d, k, rng):
    shapes = {"Q": (d, d), "X": (d, d)}
    blocks = {name: rng.normal(size=shape) for name, shape in shapes.items()}
    return algorithms.lyapunov(0.4), {"A": unit(rng, d, d), **blocks}


def factorisation(n, d, k, rng):
    return algorithms.matrix_factorisation(0.3), {
        "M": unit(rng, n, d),
        "U": 0.9 * unit(rng, n, k),
        "V": 0.9 * unit(rng, d, k),
    }


def polar(n, d, k, rng):
    return algorithms.polar(), {"Y": with_singular_values(rng, n, d, 0.05, 1.7)}


CASES = {
    "gradient_descent": Case(ridge_descent, lambda T: T + 4),
    "multi_output_ridge": Case(multi_output, lambda T: T + 4),
    "heavy_ball": Case(heavy_ball, lambda T: T + 4),
    "heavy_ball, several outputs": Case(multi_output_heavy_ball, lambda T: T + 4),
    "chebyshev": Case(chebyshev, lambda T: T + 4, tied=False),
    "preconditioned_gradient_descent": Case(preconditioned, lambda T: T),
    "gd_plus_plus": Case(gd_plus_plus, lambda T: T),
    "newton_schulz_inverse": Case(inverse, lambda T: T + 2),
    "newton_schulz_inverse, definite": Case(definite_inverse, lambda T: T + 2),
    "newton_schulz_ridge": Case(ridge_inverse, lambda T: T + 3, number=lambda T: 2 * T + 1),
    # A (A P) is one head, A A is no product of the step; so is R V, and not U V^T V - M V
    "matrix_power": Case(powers, lambda T: 3 * T + 1, gram=lambda T: T + 2),
    "matrix_polynomial": Case(polynomial, lambda T: 2 * T + 1, gram=lambda T: T + 2),
    "power_iteration": Case(power_iteration, lambda T: T),
    "oja_flow": Case(oja, lambda T: 2 * T + 3),
    "sylvester": Case(sylvester, lambda T: 2 * T + 3),
    "lyapunov": Case(lyapunov, lambda T: 2 * T + 3),
    "matrix_factorisation": Case(factorisation, lambda T: 2 * T, gram=lambda T: T + 4),
    "polar": Case(polar, lambda T: T + 1),
}


def test_every_algorithm_has_a_case():
    assert {name.split(",")[0] for name in CASES} == set(algorithms.__all__)


@pytest.mark.parametrize("name", CASES)
@given(
    size=st.tuples(st.integers(1, 7), st.integers(1, 5), st.integers(1, 4)),
    depth=st.integers(1, 50),
    seed=st.integers(0, 2**32 - 1),
    skip=st.sampled_from(["residual", "head"]),
    reassociate=st.sampled_from([True, "gram", False]),
)
@pytest.mark.slow
def test_any_well_posed_problem_agrees_with_its_step(name, size, depth, seed, skip, reassociate):
    agrees(CASES[name], size, depth, seed, skip=skip, reassociate=reassociate)


# n rows, d columns, k outputs or queries: one of each, one row, fewer rows than columns, tall.
EDGES = [((1, 1, 1), 1, "head"), ((1, 4, 2), 3, "residual")]
DEEP = ((3, 5, 1), 50, "residual")
# untied, of a state that is multiplied with itself, of data on both sides
OF_EACH_KIND = ["gradient_descent", "chebyshev", "newton_schulz_ridge", "oja_flow", "sylvester"]


@pytest.mark.parametrize(
    "name, size, depth, skip",
    wide(
        [(name, *sizes) for name in CASES for sizes in (*EDGES, DEEP)],
        keep=[
            *((name, *DEEP) for name in CASES),
            *((name, *sizes) for name in OF_EACH_KIND for sizes in EDGES),
        ],
    ),
)
def test_algorithms_agree_with_their_step(name, size, depth, skip):
    agrees(CASES[name], size, depth, seed=7, skip=skip)


def agrees(case, size, depth, seed, **options):
    step, blocks = case.make(*size, np.random.default_rng(seed))
    states = path(step, blocks, depth, takes_t=not case.tied)
    stack = elsa.compile(step, shapes_of(blocks), depth, tied=case.tied, **options)
    assert error(stack(**blocks), states) <= TOLERANCE
    assert error(by_hand(stack, blocks), states) <= TOLERANCE
    if options.get("reassociate", True):
        most = case.bound(depth, options.get("reassociate", True), width=size[1])
        assert stack.num_layers <= most


@pytest.mark.parametrize("name", wide(CASES, keep=[*OF_EACH_KIND, "matrix_factorisation"]))
def test_dense_execution_is_the_weights_by_hand(name):
    case = CASES[name]
    step, blocks = case.make(7, 3, 2, np.random.default_rng(1))
    shapes, states = shapes_of(blocks), path(step, blocks, 3, takes_t=not case.tied)
    stack = elsa.compile(step, shapes, 3, tied=case.tied, execution="dense")
    out = stack(**blocks)
    assert error(out, states) <= TOLERANCE
    for block, value in by_hand(stack, blocks).items():
        np.testing.assert_allclose(out[block], value, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize(
    "name, depth",
    wide(
        itertools.product(CASES, [1, 2, 50]),
        keep=[*itertools.product(CASES, [50]), *itertools.product(OF_EACH_KIND, [1])],
    ),
)
def test_the_number_of_layers_is_bounded(name, depth):
    case = CASES[name]
    step, blocks = case.make(9, 4, 2, np.random.default_rng(0))
    stack = elsa.compile(step, shapes_of(blocks), depth, tied=case.tied)
    assert stack.num_layers <= case.bound(depth)


@pytest.mark.parametrize(
    "name",
    wide(
        CASES,
        keep=[*OF_EACH_KIND[:3], *(name for name, case in CASES.items() if case.gram is not None)],
    ),
)
def test_the_number_of_layers_is_bounded_where_products_are_distributed(name):
    case = CASES[name]
    step, blocks = case.make(9, 4, 2, np.random.default_rng(0))
    stack = elsa.compile(step, shapes_of(blocks), 5, tied=case.tied, reassociate="gram")
    assert stack.num_layers <= case.bound(5, "gram")


@pytest.mark.parametrize(
    "name, execution",
    wide(
        itertools.product(OF_EACH_KIND[:4], ["auto", "dense"]),
        keep=[*itertools.product(OF_EACH_KIND[:4], ["auto"]), ("chebyshev", "dense")],
    ),
)
def test_float32_loses_what_the_step_itself_loses(name, execution):
    """Twice what the step loses in float32, and some units of rounding of its own."""
    case = CASES[name]
    step, blocks = case.make(6, 3, 2, np.random.default_rng(2))
    exact = path(step, blocks, 8, takes_t=not case.tied)
    rounded = {block: np.asarray(value, np.float32) for block, value in blocks.items()}
    with jax.enable_x64(False):
        same = path(step, rounded, 8, takes_t=not case.tied)[-1]
    stack = elsa.compile(
        step, shapes_of(blocks), 8, tied=case.tied, execution=execution, dtype="float32"
    )
    out = stack(**blocks)
    assert all(value.dtype == np.float32 for value in out.values())
    eps = np.finfo(np.float32).eps
    assert error(out, exact) <= 2 * error({n: same[n] for n in out}, exact) + 30 * eps
