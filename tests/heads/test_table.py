import jax.numpy as jnp
import numpy as np
import pytest

from elsa import theory
from elsa.heads.table import PRIMITIVES

SCALES = (1.0, -0.3)


@pytest.mark.parametrize("name", PRIMITIVES)
@pytest.mark.parametrize("n, d, k", [(1, 1, 1), (2, 5, 3)])
def test_a_head_computes_what_its_line_says_and_touches_nothing_else(name, n, d, k):
    primitive, sizes = PRIMITIVES[name], {"n": n, "d": d, "k": k}
    blocks, constant = primitive.random(np.random.default_rng(0), sizes, draws=4)
    result, elsewhere = primitive.run(sizes, blocks, constant, SCALES, np.float64)
    bound = 2.0 * theory.gamma(primitive.roundings(sizes), theory.unit_roundoff(np.float64))
    assert primitive.error(result, blocks, constant, SCALES) <= bound
    assert float(elsewhere) == 0.0


def test_direct_results_are_products_of_the_blocks():
    rng = np.random.default_rng(1)
    A, B, C = rng.normal(size=(3, 4)), rng.normal(size=(5, 4)), rng.normal(size=(5, 3))
    direct = PRIMITIVES["s A B^T C"].direct(A=A, B=B, C=C)
    np.testing.assert_allclose(direct, np.einsum("ij,kj,kl->il", A, B, C), rtol=1e-13)


def test_the_error_is_relative_to_the_terms_so_that_cancellation_does_not_count():
    primitive, scales = PRIMITIVES["s A B"], (1.0,)
    blocks = {"A": np.array([[[1.0, -1.0]]]), "B": np.array([[[1.0], [1.0]]])}  # A B = 0
    assert primitive.error(np.full((1, 1, 1, 1), 0.5), blocks, np.zeros((0, 0)), scales) == 0.25


def test_a_dtype_is_taken_as_it_is():
    primitive, sizes = PRIMITIVES["s A"], {"n": 2, "d": 2, "k": 1}
    blocks = {"A": np.full((1, 2, 2), 1.0 + 2.0**-7)}  # a bfloat16
    result, _ = primitive.run(sizes, blocks, np.zeros((0, 0)), (1.0,), jnp.bfloat16)
    np.testing.assert_array_equal(result[0], blocks["A"])
