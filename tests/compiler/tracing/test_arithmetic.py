"""Sums, scalings and products of blocks of every rank, and with numbers that differ by step."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import elsa
from tests.compiler.helpers import assert_agrees
from tests.helpers import table


@pytest.mark.parametrize("shape", [(), (3,), (4, 2), (4, 3), (3, 3)])
def test_a_number_of_t_is_added_to_every_entry(shape):
    """Depth 3 and sides of length 3: numbers of t are not to be taken for numbers of a side."""

    def step(w, *, t):
        return {"w": 0.5 * w + 0.1 * t}

    assert_agrees(step, {"w": shape}, depth=3, tied=False)


@pytest.mark.parametrize("shape", [(3,), (4, 2), (4, 3), (3, 3)])
def test_a_choice_by_t_takes_the_whole_block(shape):
    def step(w, u, *, t):
        return {"w": jnp.where(t > 1, w, 0.5 * u), "u": jnp.where(t > 0, 2.0 * t, u)}

    assert_agrees(step, {"w": shape, "u": shape}, depth=3, tied=False)


def test_constant_arrays_of_t_are_multiplied_entry_by_entry():
    def step(w, *, t):
        return {"w": w * (np.arange(3.0)[None] + t) + np.arange(4.0)[:, None] * t}

    assert_agrees(step, {"w": (4, 3)}, depth=3, tied=False)


# Shapes of two operands, 1-D arrays in all combinations.
PRODUCTS = [
    ((3,), (3,)),
    ((4, 3), (3,)),
    ((3,), (3, 4)),
    ((4, 3), (3, 2)),
    ((1, 3), (3,)),
    ((3,), (3, 1)),
    ((3, 1), (1,)),
    ((1,), (1, 3)),
    ((1,), (1,)),
    ((1, 1), (1, 3)),
]


def agrees(function, first, second, depth=1):
    """R = function(A, B) + R / 2, compiled and compared with the step."""
    with jax.numpy_rank_promotion("allow"):
        shapes = [jax.ShapeDtypeStruct(shape, float) for shape in (first, second)]
        result = jax.eval_shape(function, *shapes).shape
        step = lambda A, B, R: {"R": 0.5 * R + function(A, B)}  # noqa: E731, a step made here
        return assert_agrees(step, {"A": first, "B": second, "R": result}, depth)


@pytest.mark.parametrize("first, second", PRODUCTS)
def test_matrix_products_take_arrays_of_any_rank(first, second):
    assert agrees(jnp.matmul, first, second).num_layers == 1
    assert agrees(lambda a, b: jnp.dot(b.T, a.T), first, second).num_layers <= 2


@pytest.mark.parametrize(
    "formula, first, second",
    [
        ("ij,jk->ik", (4, 3), (3, 2)),
        ("ij,jk->ki", (4, 3), (3, 2)),
        ("ji,jk->ik", (3, 4), (3, 2)),
        ("ij,kj->ik", (4, 3), (2, 3)),
        ("ji,kj->ik", (3, 4), (2, 3)),
        ("ij,ij->", (4, 3), (4, 3)),
        ("ij,ji->", (4, 3), (3, 4)),
        ("i,j->ij", (3,), (4,)),
        ("i,j->ji", (3,), (4,)),
        ("i,i->", (3,), (3,)),
        ("ij,i->j", (3, 4), (3,)),
        ("ij,k->j", (3, 4), (2,)),
        (",ij->ji", (), (3, 4)),
        ("ii,jk->jk", (3, 3), (2, 4)),
    ],
)
def test_einsum(formula, first, second):
    agrees(lambda a, b: jnp.einsum(formula, a, b), first, second)


@pytest.mark.parametrize(
    "function, first, second",
    [
        (jnp.outer, (3,), (4,)),
        (jnp.vdot, (3,), (3,)),
        (jnp.inner, (4, 3), (2, 3)),
        (jnp.inner, (3,), (4, 3)),
        (jnp.tensordot, (4, 3), (4, 3)),
        (lambda a, b: jnp.tensordot(a, b, axes=((1,), (0,))), (4, 3), (3, 2)),
        (jnp.dot, (), (3, 4)),
        (jnp.dot, (3, 4), ()),
        (jnp.dot, (), ()),
        (lambda a, b: jnp.vdot(a[:, 0], b[:, 0]), (3, 1), (3, 1)),
        (lambda a, b: jnp.multiply(a[:, None], b[None]), (3,), (4,)),
        (jax.lax.dot, (4, 3), (3, 2)),
    ],
)
def test_products_of_the_library(function, first, second):
    agrees(function, first, second)


BROADCAST = [
    ((3, 4), (3, 1)),
    ((3, 4), (1, 4)),
    ((3, 4), (4,)),
    ((3, 4), ()),
    ((3, 4), (1,)),
    ((3, 4), (1, 1)),
    ((3, 1), (1, 4)),
    ((3,), (4, 1)),
    ((3,), ()),
    ((1, 1), ()),
]


@pytest.mark.parametrize("first, second", BROADCAST)
def test_sums_broadcast_as_in_jax(first, second):
    # Two: what two blocks add up to is made before it is written over a third.
    assert agrees(jnp.add, first, second).num_layers == 2
    assert agrees(lambda a, b: b - 2 * a, first, second).num_layers == 2


@pytest.mark.parametrize(
    "first, second",
    [((3, 4), ()), ((3, 4), (1,)), ((1, 1), (3, 4)), ((3, 1), (1, 4)), ((3,), (4, 1)), ((3,), ())],
)
def test_products_of_entries_compile_where_one_side_is_a_number_or_both_are_vectors(first, second):
    assert agrees(jnp.multiply, first, second).num_layers == 1


@table("first, second", [((3, 4), (4,)), ((3, 4), (3, 1)), ((3,), (3,))])
def test_other_products_of_entries_are_refused(first, second):
    with (
        jax.numpy_rank_promotion("allow"),
        pytest.raises(
            elsa.CompileError, match=r"`mul`.*an element-wise product of two data blocks"
        ),
    ):
        elsa.compile(lambda A, B: {"A": A * B}, {"A": first, "B": second})


def test_a_sum_over_a_dimension_of_one_is_no_sum():
    def step(A, r):
        return {"A": A.sum(axis=0, keepdims=True) * 0.5, "r": A.sum(axis=0) + r}

    assert_agrees(step, {"A": (1, 4), "r": (4,)})


def test_zero_numbers_drop_their_terms():
    def step(A, B, *, t):
        return {"A": 0.0 * A @ B + (0.0, 0.5, 0.0)[t] * A + B * (t == 2), "B": B * (1 - (t > 0))}

    assert_agrees(step, {"A": (3, 3), "B": (3, 3)}, depth=3, tied=False, dense=True)


@pytest.mark.parametrize("reassociate", [True, "gram", False])
def test_a_value_whose_terms_cancel_is_zero(reassociate):
    def step(A, w):
        nothing = 0.5 * w - 0.25 * (2.0 * w)
        return {"w": 0.5 * w + A @ nothing + 0.1 * A @ (w + nothing), "A": A + nothing @ w.T}

    assert_agrees(step, {"A": (3, 3), "w": (3, 1)}, reassociate=reassociate, dense=True)
