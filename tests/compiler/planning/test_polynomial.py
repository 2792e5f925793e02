"""Values as sums of chains: what is the same, what cancels, what equals its own transpose."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import elsa
from elsa.compiler.planning.polynomial import Expander, TooManyTermsError
from elsa.compiler.tracing.graph import Graph
from tests.compiler.helpers import assert_agrees

SYMMETRIC = np.array([[2.0, 1.0, 0.0], [1.0, 3.0, 0.5], [0.0, 0.5, 1.0]])


def values():
    """Expressions of square blocks A, B and a number s, and whether each equals its transpose."""
    graph = Graph()
    A, B, s = graph.leaf("A", (3, 3)), graph.leaf("B", (3, 3)), graph.leaf("s", (1, 1))
    C, S = graph.const(np.tri(3)), graph.const(SYMMETRIC)
    one = graph.coefficient(1.0)

    def add(*terms):
        return graph.add((one, term) for term in terms)

    def mul(a, b, *rest):
        return mul(graph.mul(a, b), *rest) if rest else graph.mul(a, b)

    return graph, {
        "A": (A, False),
        "A A'": (mul(A, A.T), True),
        "A' A + s I": (add(mul(A.T, A), graph.scale(s, graph.const(np.eye(3)))), True),
        "A + A'": (add(A, A.T), True),
        "A B + B' A'": (add(mul(A, B), mul(B.T, A.T)), True),
        "A S A'": (mul(A, S, A.T), True),
        "S": (add(S, S), True),
        "s S": (graph.scale(s, S), True),
        "A C A'": (mul(A, C, A.T), False),
        "A A": (mul(A, A), False),
        "A + B'": (add(A, B.T), False),
        "A B + B A": (add(mul(A, B), mul(B, A)), False),
        "A' A + C": (add(mul(A.T, A), C), False),
        "2 A + A'": (graph.add([(2 * one, A), (one, A.T)]), False),
    }


@pytest.mark.parametrize("name", values()[1])
def test_a_kept_value_that_equals_its_transpose_is_known_to(name):
    graph, expressions = values()
    ref, symmetric = expressions[name]
    expander = Expander(graph, frozenset([ref.node]))
    assert ref == ref.T or expander.is_symmetric(ref.node) == symmetric
    assert ref != ref.T or symmetric


def test_what_equals_its_transpose_is_stored_once():
    """K K e with K = X X^T + C, C symmetric, is one head A B^T D where K is stored."""

    def step(X, e):
        K = X @ X.T + SYMMETRIC
        return {"e": e - 0.01 * K @ (K @ e)}

    stack = assert_agrees(step, {"X": (3, 2), "e": (3, 1)}, depth=3, dense=True)
    assert stack.num_layers == 1 + 3
    assert set(stack.stages.plan.names.values()) == {"X", "e", "v1", "C"}


def test_terms_that_cancel_cost_nothing():
    def step(A, B, C):
        return {"C": (A + B) @ C - A @ C + 0.5 * (B.T @ A.T - (A @ B).T) @ C}

    shapes = {"A": (3, 3), "B": (3, 3), "C": (3, 2)}
    stack = assert_agrees(step, shapes, depth=3, reassociate="gram")
    assert stack.num_layers == 3
    assert {len(heads) for heads in stack.layers} == {2}  # B C, and what C was


def test_common_products_are_computed_once():
    """Products of data, once; for the transpose of C, which goes with C, those transposed too."""
    shapes = dict.fromkeys("ABCD", (3, 3))
    for turned, most in ((False, 1), (True, 4)):

        def step(A, B, C, D, turned=turned):
            shared = A @ B @ C
            return {
                "C": 0.5 * C + 0.1 * shared,
                "D": 0.5 * D + 0.1 * (shared.T if turned else shared),
            }

        stack = assert_agrees(functools.partial(step, turned=turned), shapes, depth=2)
        stored = [name for name in stack.stages.plan.names.values() if name not in shapes]
        assert len(stored) <= most, stored


@pytest.mark.parametrize("shape", [(), (1,), (1, 1)])
@pytest.mark.parametrize("block", [(), (3,), (3, 1), (1, 3), (3, 4)])
def test_numbers_scale_blocks_of_any_shape(shape, block):
    def step(s, u, A):
        out = 0.5 * (s * (u * A) + A * s.sum()) + s.reshape(()) * u.reshape(()) * A
        return {"A": out.reshape(A.shape)}

    with jax.numpy_rank_promotion("allow"):
        stack = assert_agrees(step, {"s": shape, "u": shape, "A": block})
    assert stack.num_layers <= 2 * 2 + 1


def test_a_product_of_too_many_terms_is_not_multiplied_out():
    graph = Graph()
    one = graph.coefficient(1.0)
    leaves = [graph.leaf(f"A{index}", (2, 2)) for index in range(18)]
    left = graph.add((one, leaf) for leaf in leaves[:9])
    right = graph.add((one, leaf) for leaf in leaves[9:])
    with pytest.raises(TooManyTermsError):
        Expander(graph, frozenset()).define(graph.mul(left, right))

    def step(w, **blocks):
        first = sum(blocks[f"A{index}"] for index in range(9))
        second = sum(blocks[f"A{index}"] for index in range(9, 18))
        return {"w": first @ second @ w}

    shapes = {f"A{index}": (2, 2) for index in range(18)} | {"w": (2, 1)}
    stack = assert_agrees(step, shapes)
    assert stack.layers_per_step == 1
    assert stack.num_layers <= 2 + 8 + 1  # eight sums, in the step's order, and their product


def test_powers_of_a_number_are_products():
    def step(s, w):
        return {"s": s**5 + 0.5 * jnp.square(s), "w": s**3 * w}

    assert_agrees(step, {"s": (), "w": (2, 2)}, depth=3)


def test_a_transposed_number_is_the_number():
    def step(s, w):
        return {"s": 0.5 * s.T + 0.1 * w.T @ w, "w": w @ s}

    stack = elsa.compile(step, {"s": (1, 1), "w": (3, 1)}, 2)
    assert stack.num_layers == 2
    assert_agrees(step, {"s": (1, 1), "w": (3, 1)})
