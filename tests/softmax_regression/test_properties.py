"""Random shapes: the matrix form against NumPy that forms the Kronecker product and the Hessian."""

import jax
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tests.helpers import relative_error
from tests.softmax_regression.cases import KINDS, drawn, norm_of


def by_rows(x, a1, a2, b, kind):
    """Loss, gradient and Hessian in vec(X), row after row, in the formulas of one row."""
    size = x.size
    loss, gradient, hessian = 0.0, np.zeros(size), np.zeros((size, size))
    for row, labels in zip(a1, b, strict=True):
        a = np.kron(row, a2)  # [n2, d1 d2]
        u = np.exp(a @ x.ravel())
        if kind == "normalized":
            f = u / u.sum()
            jacobian = np.diag(f) - np.outer(f, f)
            residual = f - labels
            g = jacobian @ residual
            middle = jacobian @ jacobian + np.diag(g) - np.outer(g, f) - np.outer(f, g)
        else:
            change = np.eye(len(u)) - np.outer(labels, np.ones(len(u)))
            residual = change @ u
            g = u * (change.T @ residual)
            middle = np.diag(u) @ change.T @ change @ np.diag(u) + np.diag(g)
        loss += residual @ residual / 2
        gradient += a.T @ g
        hessian += a.T @ middle @ a
    return loss, gradient, hessian


@jax.jit
def computed(x, v, problem):
    """Ours, in one program a shape."""
    return problem.loss(x), problem.gradient(x), problem.hvp(x, v)


@given(
    sizes=st.tuples(*[st.sampled_from([1, 2, 4])] * 4),
    kind=st.sampled_from(KINDS),
    logits=st.sampled_from([0.01, 1.0, 5.0]),
    seed=st.integers(0, 100),
)
def test_random_shapes_agree_with_dense_numpy(sizes, kind, logits, seed):
    x, v, problem = drawn(sizes, kind, logits=logits, seed=seed)
    loss, gradient, hessian = by_rows(x, problem.a1, problem.a2, problem.b, kind)
    size = norm_of(problem)
    terms = 1 if kind == "normalized" else np.exp(2 * logits)
    value, slope, product = computed(x, v, problem)
    assert relative_error(value, loss) <= 1e-12
    assert relative_error(np.ravel(slope), gradient, floor=1e-4 * size * terms) <= 1e-10
    push = size**2 * terms * np.linalg.norm(v)
    assert relative_error(np.ravel(product), hessian @ v.ravel(), floor=1e-4 * push) <= 1e-10
