"""The polynomial of a layer: what it adds, and that other weights of the same function have it."""

import itertools
import math

import numpy as np
import pytest
from flax import nnx

from elsa import BlockLayout, constructions
from elsa.heads.head import HeadWeights
from elsa.nn import ELSA, BlockStack, Stack
from elsa.nn.stack import SKIPS
from elsa.readback import polynomial
from tests.helpers import relative_error
from tests.readback.rewriting import rewritten


def empty(n, m):
    return BlockLayout({}, (n, m))


SIZES = [(1, 1), (1, 3), (3, 1), (3, 2)]


def drawn(n, m, seed, heads=2, p=2):
    rng = np.random.default_rng(seed)
    return HeadWeights(
        *(rng.normal(size=(heads, m, width)) for width in (p, p, m)),
        *(rng.normal(size=(heads, n, width)) for width in (p, p, m)),
    )


def monomials(weights, live):
    """(row, channel) -> {powers of the prompt's entries: coefficient}, term by term."""
    wq, wk, wv, bq, bk, bv = (np.asarray(array) for array in weights)
    n, m = bv.shape[1:]
    queries, keys = np.concatenate([wq, bq], axis=1), np.concatenate([wk, bk], axis=1)
    values = np.concatenate([wv, bv], axis=1)
    tensor = np.einsum("hap,hbp,hco->abco", queries, keys, values)
    found = {place: {} for place in itertools.product(range(n), range(m))}
    for i, j in itertools.product(range(n), repeat=2):
        mine, theirs = ([*range(m), m + row] for row in (i, j))
        for a, b, c in itertools.product(mine, theirs, theirs):
            entries = [(row, x) for row, x in ((i, a), (j, b), (j, c)) if x < m]
            if all(live[entry] for entry in entries):
                powers = tuple(sorted(entries))
                for o in range(m):
                    terms = found[i, o]
                    terms[powers] = terms.get(powers, 0.0) + tensor[a, b, c, o]
    return found


def norm_of(found, read):
    total = 0.0
    for place, terms in found.items():
        for powers, coefficient in terms.items():
            weight = math.prod(math.factorial(powers.count(entry)) for entry in set(powers))
            total += read[place] * weight * coefficient**2
    return math.sqrt(total)


@pytest.mark.parametrize("n, m", SIZES)
def test_it_is_what_the_layer_adds(n, m):
    weights, h = drawn(n, m, seed=1), np.random.default_rng(2).normal(size=(n, m))
    found = polynomial.layer_polynomial(weights, (n, m))
    assert relative_error(found(h), ELSA.from_weights(weights)(h)) <= 1e-13


@pytest.mark.parametrize("n, m", SIZES)
def test_its_norm_is_that_of_the_coefficients_of_monomials(n, m):
    rng, weights = np.random.default_rng(3), drawn(n, m, seed=4)
    found = polynomial.layer_polynomial(weights, (n, m))
    for live, read in [(None, None), (rng.random((n, m)) < 0.6, rng.random((n, m)) < 0.6)]:
        there, counts = (np.ones((n, m), bool) if k is None else k for k in (live, read))
        expected = norm_of(monomials(weights, there), counts)
        assert found.norm(live, read) == pytest.approx(expected, rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("n, m", SIZES)
def test_other_weights_of_the_same_layer_have_the_same_polynomial(n, m):
    weights = drawn(n, m, seed=5)
    first = polynomial.layer_polynomial(weights, (n, m))
    other = polynomial.layer_polynomial(rewritten(weights, seed=6), (n, m))
    assert first.minus(other).norm() <= 1e-13 * first.norm()


def test_what_meets_in_a_row_of_its_own_is_the_same_whoever_asks():
    """x Gamma x^T x b may be written with the bias among the queries, the keys or the values."""
    row, one = np.array([[0.0], [1.0]]), np.ones((1, 1))
    none, zero = np.zeros((2, 1)), np.zeros((1, 1))
    live = np.array([[False], [True]])
    ways = [(zero, row, one, none, one, none), (one, none, zero, row, one, none)]
    ways.append((one, none, one, none, zero, row))
    found = []
    for wq, bq, wk, bk, wv, bv in ways:
        weights = HeadWeights(*(a[None] for a in (wq, wk, wv, bq, bk, bv)))
        found.append(polynomial.layer_polynomial(weights, (2, 1)))
    for other in found[1:]:
        assert found[0].minus(other).norm(live, live) == 0.0
        assert found[0].minus(other).norm() > 0.1


def test_the_layers_of_a_stack_are_those_it_has_weights_for():
    blocks = {"num_queries": 1}
    residual = constructions.ridge_elsa(3, 2, 4, 0.1, **blocks)
    found = polynomial.layer_polynomials(residual)
    assert len(found) == 3  # two of the step, the output layer
    h = np.random.default_rng(7).normal(size=residual.readout.shape)
    layers = [residual.stack.layer(index) for index in (0, 1, 8)]
    for ours, layer in zip(found, layers, strict=True):
        assert relative_error(ours(h), layer(h)) <= 1e-13


@pytest.mark.parametrize("n, m", SIZES)
def test_a_head_that_returns_the_prompt_is_no_part_of_what_is_added(n, m):
    layer = ELSA.from_weights(drawn(n, m, seed=10))
    plain, kept = (BlockStack(Stack([layer], 1, skip=skip), *[empty(n, m)] * 2) for skip in SKIPS)
    (first,), (other,) = (polynomial.layer_polynomials(stack) for stack in (plain, kept))
    assert first.minus(other).norm() <= 1e-14 * first.norm()


def test_untied_layers_are_read_step_by_step():
    def layer(rngs):
        return ELSA(2, 3, 2, init_scale=1.0, rngs=rngs)

    inner = Stack.untied(layer, 2, rngs=nnx.Rngs(0))
    found = polynomial.layer_polynomials(BlockStack(inner, empty(2, 3), empty(2, 3)))
    h = np.random.default_rng(11).normal(size=(2, 3))
    for index, ours in enumerate(found):
        assert relative_error(ours(h), inner.layer(index)(h)) <= 1e-13
    assert len(found) == 2


def test_too_many_coefficients_are_refused_with_their_number():
    weights = drawn(900, 12, seed=8, heads=1, p=1)
    with pytest.raises(ValueError, match=r"\(m \(n \+ m\)\)\^2 = 119,771,136 coefficients"):
        polynomial.layer_polynomial(weights, (900, 12))


def test_prompts_and_masks_of_other_shapes_are_refused():
    found = polynomial.layer_polynomial(drawn(2, 2, seed=9), (2, 2))
    with pytest.raises(
        ValueError, match=r"Polynomial: h must be of the layer's prompts, \(2, 2\), got \(3, 2\)"
    ):
        found(np.ones((3, 2)))
    with pytest.raises(ValueError, match="parts: live"):
        found.norm(live=np.ones((1, 2), bool))
    with pytest.raises(ValueError, match="minus: other"):
        found.minus(polynomial.layer_polynomial(drawn(1, 2, seed=9), (1, 2)))
