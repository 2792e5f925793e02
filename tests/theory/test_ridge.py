import jax
import numpy as np
import pytest

from elsa import theory


def test_the_gradient_is_that_of_the_loss():
    rng = np.random.default_rng(0)
    X, y, w = (rng.normal(size=shape) for shape in ((6, 3), (6, 1), (3, 1)))
    by_jax = jax.grad(theory.ridge_loss, argnums=2)(X, y, w, 0.7)
    np.testing.assert_allclose(theory.ridge_gradient(X, y, w, 0.7), by_jax, rtol=1e-13)
    np.testing.assert_allclose(
        jax.jit(theory.ridge_gradient)(X, y, w, np.full((1, 1), 0.7)), by_jax, rtol=1e-13
    )


def test_the_loss_is_the_sum_written_out():
    X, y, w = np.array([[1.0, 2.0]]), np.array([[4.0]]), np.array([[1.0], [1.0]])
    assert float(theory.ridge_loss(X, y, w, 3.0)) == (1.0 + 3.0 * 2.0) / 2.0


@pytest.mark.parametrize("function", [theory.ridge_loss, theory.ridge_gradient])
def test_shapes_must_fit(function):
    with pytest.raises(ValueError, match=f"{function.__name__}: w must have shape"):
        function(np.ones((4, 2)), np.ones((4, 1)), np.ones((3, 1)), 1.0)
