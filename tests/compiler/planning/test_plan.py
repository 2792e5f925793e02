"""Chains become heads: how few layers they take, also where they are long."""

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import elsa
from tests.compiler.helpers import assert_agrees, draw
from tests.helpers import wide

# Letters are data blocks, stored; ' is the transpose. Products that one head takes need one layer,
# others those that come before it. All blocks are 3 x 3, so every product has a shape.
ONE_HEAD = ["AB", "A'B", "AB'", "AB'C", "A", "A'"]
TWO_LAYERS = ["A'B'", "ABC", "A'BC", "ABCD", "AB'C'", "A'B'C'", "AB'CD'E"]
REGROUPED = ["ABCDE"]  # (AB) C (DE), where the step multiplies D by what stands on its left


def product(formula):
    """A B' C of the blocks, as written."""

    def step(**blocks):
        out, rest = None, formula
        while rest:
            flip = rest[1:2] == "'"
            factor = blocks[rest[0]].T if flip else blocks[rest[0]]
            out, rest = factor if out is None else out @ factor, rest[1 + flip :]
        return {"R": blocks["R"] + out}

    letters = sorted({letter for letter in formula if letter != "'"})
    return step, dict.fromkeys([*letters, "R"], (3, 3))


KEPT = ["AB", "AB'C", "A", "ABC", "A'B'", "AB'CD'E", *REGROUPED]


@pytest.mark.parametrize("formula", wide(ONE_HEAD + TWO_LAYERS + REGROUPED, keep=KEPT))
def test_a_product_takes_as_few_layers_as_the_table_allows(formula):
    step, shapes = product(formula)
    stack = assert_agrees(step, shapes, depth=1, reassociate="gram")
    assert stack.num_layers == (1 if formula in ONE_HEAD else 2)
    in_order = assert_agrees(step, shapes, depth=1)
    assert in_order.num_layers == stack.num_layers + (formula in REGROUPED)


@pytest.mark.parametrize(
    "formula, layers",
    [
        *[("CA", 1), ("CA'M", 1), ("CA'BM", 1), ("ACB", 1), ("ACBM", 1), ("ACB'", 1), ("AB'C", 1)],
        *[("ACB'D", 1), ("ACB'DM", 1), ("CAB", 2), ("CAB'", 2), ("A'CB", 2), ("AB'CD", 2)],
    ],
)
def test_constant_factors_cost_no_layer_where_a_head_has_room(formula, layers):
    """C and M are constants; the forms with room are C A' B M, A M B C, A M B' C and A M B' D C."""
    constants = {"C": np.tri(3), "M": np.arange(9.0).reshape(3, 3)}
    step, shapes = product(formula)
    data = {name: shape for name, shape in shapes.items() if name not in constants}
    assert assert_agrees(lambda **b: step(**b, **constants), data, depth=1).num_layers == layers


@pytest.mark.parametrize("exponent", wide([1, 2, 3, 5, 9, 17, 40, 200], keep=[1, 3, 5, 17]))
def test_powers_take_logarithmically_many_layers_once(exponent):
    def step(A, w):
        return {"w": jnp.linalg.matrix_power(A, exponent) @ w}

    shapes = {"A": (3, 3), "w": (3, 1)}
    blocks = draw(shapes) | {"A": np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]}
    stack = assert_agrees(step, shapes, depth=2, blocks=blocks, reassociate="gram")
    # one layer multiplies three stored values, one more is lost to a transpose
    assert stack.num_layers <= 2 + math.ceil(math.log(exponent, 3) - 1e-9) + 1
    # jax squares: A, A^2, A^4, .., and multiplies what the exponent has of them, one after another
    squarings, factors = math.floor(math.log2(exponent)), exponent.bit_count()
    in_order = elsa.compile(step, shapes, depth=2)
    assert in_order.num_layers <= 2 + squarings + factors


def test_long_products_of_different_matrices_compile():
    names = [f"A{index}" for index in range(24)]

    def step(w, **blocks):
        return {"w": jnp.linalg.multi_dot([*(blocks[name] for name in names), w])}

    shapes = dict.fromkeys(names, (2, 2)) | {"w": (2, 1)}
    blocks = {n: b * 3 for n, b in draw(shapes).items()}
    stack = assert_agrees(step, shapes, depth=2, blocks=blocks, reassociate="gram")
    assert stack.num_layers <= 2 + 4


@pytest.mark.parametrize("reassociate", [True, "gram"])
def test_polynomials_of_high_degree_take_a_layer_for_every_factor_at_most(reassociate):
    """No iteration is multiplied into the next, which would lose digits; two are, with "gram"."""

    def step(A, w):
        out = w
        for index in range(20):
            out = A @ out + 0.1 * index * w
        return {"w": out}

    shapes = {"A": (3, 3), "w": (3, 1)}
    stack = assert_agrees(step, shapes, depth=2, reassociate=reassociate)
    assert stack.num_layers <= (2 * 20 if reassociate is True else 1 + 2 * 11)


@pytest.mark.parametrize("length", wide([3, 20, 60, 150], keep=[3, 20]))
@pytest.mark.parametrize("reassociate", [True, "gram", False])
def test_long_loops_take_as_many_layers_as_they_have_iterations(length, reassociate):
    def step(A, v):
        return {"v": jax.lax.fori_loop(0, length, lambda _, v: v - 0.1 * (A @ v), v)}

    stack = elsa.compile(step, {"A": (3, 3), "v": (3, 1)}, 2, reassociate=reassociate)
    assert stack.num_layers == 2 * length
    if length in (20, 60):
        assert_agrees(step, {"A": (3, 3), "v": (3, 1)}, reassociate=reassociate)


@pytest.mark.slow
def test_many_steps_written_out_in_one_compile():
    def step(X, y, w):
        for _ in range(120):
            w = w - 0.1 * X.T @ (X @ w - y)
        return {"w": w}

    assert_agrees(step, {"X": (4, 3), "y": (4, 1), "w": (3, 1)}, depth=1)


@pytest.mark.parametrize(
    "depth, length",
    wide(itertools.product([1, 2, 3], [1, 2, 10]), keep=[(1, 1), (3, 1), (1, 2), (3, 2)]),
)
def test_a_loop_in_a_step_takes_the_layers_of_its_iterations(depth, length):
    """Residual and update, carried where the step is one iteration; X^T X and X^T y by "gram"."""

    def step(X, y, w):
        return {"w": jax.lax.fori_loop(0, length, lambda _, w: w - 0.1 * X.T @ (X @ w - y), w)}

    shapes = {"X": (5, 3), "y": (5, 1), "w": (3, 1)}
    stack = elsa.compile(step, shapes, depth)
    assert stack.num_layers == (1 + depth if length == 1 else 2 * depth * length)
    gram = elsa.compile(step, shapes, depth, reassociate="gram")
    assert gram.num_layers == 1 + depth * length
