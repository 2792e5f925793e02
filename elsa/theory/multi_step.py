"""The best that several steps on the same isotropic context can do, exactly.

x_i, x ~ N(0, I_d), task b ~ N(0, I_d), labels with noise of variance s2. k steps of any method that
starts at zero and only multiplies by G = X^T X predict x . p(G) X^T y, p(mu) = c_0 + c_1 mu + .. of
degree below k. Given X the risk is s2 plus the sum over the d eigenvalues mu of G of
(1 - mu p(mu))^2 + s2 mu p(mu)^2, so that its mean is quadratic in c, with m_j = E tr G^j,

    L(c) = d + s2 - 2 sum_i c_i m_{i+1} + sum_{ij} c_i c_j (m_{i+j+2} + s2 m_{i+j+1})

The moments are integers and the sums cancel, so all is done in fractions. Its minimum is reached by
gradient descent on the ridge objective with lam = s2 and k step sizes: `multi_step_sizes`.
Derivations: docs/theory.md.
"""

from collections.abc import Iterator
from fractions import Fraction

import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Float, Real

from elsa.base import checks
from elsa.base.arrays import Numbers, Rows
from elsa.theory import matrices
from elsa.theory.results import PolynomialStep

_MOST_STEPS = 200  # whose fractions take minutes


def wishart_moment(*, dim: int, context_length: int, power: int) -> int:
    """E tr (X^T X)^j for n independent rows N(0, I_d), an integer.

    From the expansion of the power sum in zonal polynomials (Macdonald, Symmetric Functions and
    Hall Polynomials, VI.10, Jack parameter 2), of which only shapes (a, b, 1, .., 1) of j boxes
    take part. With a box's arm, leg, coarm a' and coleg l',

        2 j sum over shapes of prod' (2 a' - l') prod (d + 2 a' - l')(n + 2 a' - l')
                             / prod (2 arm + leg + 1)(2 arm + leg + 2)

    where prod' leaves out the corner. The first three are n d, n d (n + d + 1) and
    n d (n^2 + d^2 + 3 n d + 3 n + 3 d + 4).

    Args:
      dim, context_length: d and n.
      power: j, from 0.

    Raises:
      ValueError: for d < 1, n < 1 or j < 0.
      TypeError: for a number that is not an integer.
    """
    where = "wishart_moment"
    matrices.sizes(where, noise_var=0.0, dim=dim, context_length=context_length)
    checks.integer(where, power=(power, 0))
    _few(where, "power", power, 2 * _MOST_STEPS)
    return _moment(int(dim), int(context_length), int(power))


def multi_step_risk(
    coefficients: Real[ArrayLike, " steps"] | Real[ArrayLike, "steps 1"] | Numbers | Rows,
    *,
    dim: int,
    context_length: int,
    noise_var: float,
) -> float:
    """Expected squared error of x . p(X^T X) X^T y for any polynomial p, exact.

    Args:
      coefficients: c of p, the constant first.
      dim, context_length, noise_var: d, n and s2.

    Raises:
      ValueError: for no coefficient or another shape, d < 1, n < 1, s2 < 0, NaN or infinity.
      TypeError: for a d or n that is not an integer.
    """
    where = "multi_step_risk"
    matrices.sizes(where, noise_var=noise_var, dim=dim, context_length=context_length)
    c = [Fraction(float(v)) for v in matrices.vector(where, "coefficients", coefficients)]
    linear, square = _quadratic(int(dim), int(context_length), noise_var, len(c))
    bent = sum(x * row[j] * y for x, row in zip(c, square, strict=True) for j, y in enumerate(c))
    straight = sum(x * m for x, m in zip(c, linear, strict=True))
    return float(int(dim) + Fraction(float(noise_var)) - 2 * straight + bent)


def multi_step_optimum(
    *, dim: int, context_length: int, noise_var: float, steps: int
) -> PolynomialStep:
    """The best polynomial of degree below k, shared by all contexts, and its risk, exact.

    No method of k steps that starts at zero and only multiplies by X^T X does better, and k steps
    of gradient descent do as well, `multi_step_sizes`. One step is `pgd_optimum` at Sx = Sb = I;
    many approach `bayes_risk`, slowly where n is near d.

    Args:
      dim, context_length, noise_var: d, n and s2.
      steps: k, at least 1; tens take seconds.

    Returns:
      The coefficients of p, the constant first, [k], each correctly rounded; and the risk. For
      k above ten or so, evaluating p in powers of X^T X loses digits.

    Raises:
      ValueError: for d, n or k below 1, s2 < 0, NaN or infinity.
      TypeError: for a d, n or k that is not an integer.
    """
    counts = {"dim": dim, "context_length": context_length, "steps": steps}
    matrices.sizes("multi_step_optimum", noise_var=noise_var, **counts)
    _few("multi_step_optimum", "steps", steps, _MOST_STEPS)
    linear, square = _quadratic(int(dim), int(context_length), noise_var, int(steps))
    c = _solve(square, linear)
    gain = sum(x * m for x, m in zip(c, linear, strict=True))
    risk = float(int(dim) + Fraction(float(noise_var)) - gain)
    return PolynomialStep(np.array([float(x) for x in c]), risk)


def multi_step_sizes(
    *, dim: int, context_length: int, noise_var: float, steps: int
) -> Float[np.ndarray, " steps"]:
    """The step sizes of gradient descent on the ridge objective that reach `multi_step_optimum`.

        w <- w - eta_t (X^T (X w - y) + s2 w),  eta_t = 1 / (z_t + s2)

    from zero, where z_1 .. z_k are the zeros of the polynomial of degree k that is orthogonal to
    those of lower degree under the mean density of the eigenvalues of X^T X times mu. They are
    real, positive and distinct. After k steps w = p(X^T X) X^T y with
    p(mu) = (1 - prod_t (1 - eta_t (mu + s2))) / (mu + s2), and that p is the optimum.

    Args:
      dim, context_length, noise_var, steps: as in `multi_step_optimum`.

    Returns:
      eta, [k], the largest first; their order does not matter but for rounding.

    Raises:
      ValueError, TypeError: as `multi_step_optimum`.
    """
    counts = {"dim": dim, "context_length": context_length, "steps": steps}
    matrices.sizes("multi_step_sizes", noise_var=noise_var, **counts)
    _few("multi_step_sizes", "steps", steps, _MOST_STEPS)
    dim, context_length, steps = int(dim), int(context_length), int(steps)
    moments = [Fraction(_moment(dim, context_length, j)) for j in range(1, 2 * steps + 1)]
    centres, squares = _recurrence(moments, steps)
    links = np.sqrt([float(b) for b in squares])
    jacobi = np.diag([float(a) for a in centres]) + np.diag(links, 1) + np.diag(links, -1)
    return 1.0 / (np.linalg.eigvalsh(jacobi) + float(noise_var))


def _few(where: str, name: str, count: int, most: int) -> None:
    """Refuses so many steps that their fractions would take too long."""
    if count > most:
        raise ValueError(
            f"{where}: {name} must be at most {most}, got {count}: the exact fractions grow with it"
        )


def _quadratic(
    dim: int, context_length: int, noise_var: float, steps: int
) -> tuple[list[Fraction], list[list[Fraction]]]:
    """The linear and the quadratic coefficients of the risk."""
    noise = Fraction(float(noise_var))
    moments = [Fraction(_moment(dim, context_length, j)) for j in range(2 * steps + 1)]
    weighted = [moments[j + 2] + noise * moments[j + 1] for j in range(2 * steps - 1)]
    return moments[1 : steps + 1], [weighted[i : i + steps] for i in range(steps)]


def _moment(dim: int, context_length: int, power: int) -> int:
    if power == 0:
        return dim
    total = Fraction(0)
    for shape in _shapes(power):
        columns = [sum(row > j for row in shape) for j in range(shape[0])]
        top, bottom = 1, 1
        for i, row in enumerate(shape):
            for j in range(row):
                content, arm, leg = 2 * j - i, row - j - 1, columns[j] - i - 1
                top *= (content if i or j else 1) * (dim + content) * (context_length + content)
                bottom *= (2 * arm + leg + 1) * (2 * arm + leg + 2)
        total += Fraction(2 * power * top, bottom)
    return total.numerator  # the denominator is 1


def _shapes(boxes: int) -> Iterator[tuple[int, ...]]:
    """Partitions (a, b, 1, .., 1): those without a box in the third row and second column."""
    yield (boxes,)
    for first in range(1, boxes):
        for second in range(1, min(first, boxes - first) + 1):
            yield (first, second, *[1] * (boxes - first - second))


def _solve(square: list[list[Fraction]], right: list[Fraction]) -> list[Fraction]:
    """Gauss-Jordan elimination; the matrix is positive definite, so that no pivot is 0."""
    rows = [[*row, value] for row, value in zip(square, right, strict=True)]
    for i, pivot in enumerate(rows):
        rows[i] = pivot = [value / pivot[i] for value in pivot]
        for j, row in enumerate(rows):
            if j != i and row[i]:
                rows[j] = [x - row[i] * p for x, p in zip(row, pivot, strict=True)]
    return [row[-1] for row in rows]


def _recurrence(moments: list[Fraction], steps: int) -> tuple[list[Fraction], list[Fraction]]:
    """alpha and beta of P_{j+1} = (mu - alpha_j) P_j - beta_j P_{j-1}, by Chebyshev's algorithm."""
    before, row = [Fraction(0)] * len(moments), moments
    alpha: list[Fraction] = [row[1] / row[0]]
    beta: list[Fraction] = []
    for _ in range(1, steps):
        link = beta[-1] if beta else Fraction(0)
        after = [
            row[i + 1] - alpha[-1] * row[i] - link * before[i + 1] for i in range(1, len(row) - 1)
        ]
        alpha.append(after[1] / after[0] - row[1] / row[0])
        beta.append(after[0] / row[0])
        before, row = row, after
    return alpha, beta
