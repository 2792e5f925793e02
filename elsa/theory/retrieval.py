"""One step on a context retrieved for its query: x_i near x.

Query x ~ N(0, I), context x_i | x ~ N(a x, (1 - a^2) I), independent given x, task b ~ N(0, I),
labels x_i . b and x . b with noise of variance s2. By rotation invariance the best W is w I.
Setting of Li, Rawat, Oymak (arXiv:2407.10005). Derivations: docs/theory.md.
"""

from elsa.theory import scale
from elsa.theory.results import ScaledStep
from elsa.theory.scale import ScaleMoments


def retrieval_moments(
    *, dim: int, context_length: int, alignment: float, noise_var: float
) -> ScaleMoments:
    """Exact E y^2, E[p y] and E[p^2] for p = x^T X^T y_context.

    With A = a^2, c = 1 - a^2, m2 = d, m4 = d (d + 2), m6 = d (d + 2)(d + 4) and S = X^T X,

        E y^2  = d + s2,    E[p y] = E[x^T S x] = n (A m4 + c m2)
        E[p^2] = E|S x|^2 + s2 E[x^T S x]
        E|S x|^2 = n (A^2 m6 + 6 A c m4 + 3 c^2 m2) + n (n - 1)(A^2 m6 + 2 A c m4 + c^2 m2)
                   + n (d - 1) c (A m4 + c m2)

    Args:
      dim, context_length: d and n.
      alignment: a, in [0, 1].
      noise_var: s2.

    Raises:
      ValueError: for d < 1, n < 1, an alignment outside [0, 1] or s2 < 0.
      TypeError: for a d or n that is not an integer.
    """
    counts = {"dim": dim, "context_length": context_length}
    scale.check("retrieval_moments", alignment, noise_var, **counts)
    return _moments(dim, context_length, alignment, noise_var)


def retrieval_optimum(
    *, dim: int, context_length: int, alignment: float, noise_var: float
) -> ScaledStep:
    """The best w of W = w I, E[p y] / E[p^2], and its risk; see `retrieval_moments`.

    Raises:
      ValueError, TypeError: as `retrieval_moments`.
    """
    counts = {"dim": dim, "context_length": context_length}
    scale.check("retrieval_optimum", alignment, noise_var, **counts)
    moments = _moments(dim, context_length, alignment, noise_var)
    return ScaledStep(moments.scale, moments.risk)


def retrieval_risk(*, dim: int, context_length: int, alignment: float, noise_var: float) -> float:
    """The least risk of one step on a retrieved context, exact for every d and n.

    With k1 = 1 + a^2 (d + 1),

        d + s2 - n d k1^2 / (n (k1^2 + 2 a^4 (d + 2)) + k1 ((d + 3)(1 - a^2) + s2) - 2 (1 - a^2)^2)

    Raises:
      ValueError, TypeError: as `retrieval_moments`.
    """
    counts = {"dim": dim, "context_length": context_length}
    scale.check("retrieval_risk", alignment, noise_var, **counts)
    return _moments(dim, context_length, alignment, noise_var).risk


def retrieval_limit(*, dim: int, alignment: float, noise_var: float) -> float:
    """`retrieval_risk` for n -> infinity: a floor above s2 unless a = 0.

        s2 + 2 d a^4 (d + 2) / (k1^2 + 2 a^4 (d + 2)),    k1 = 1 + a^2 (d + 1)

    For large d it is near s2 + 2 ((k - 1) / k)^2, k = a^2 d + 1.

    Raises:
      ValueError, TypeError: as `retrieval_moments`.
    """
    scale.check("retrieval_limit", alignment, noise_var, dim=dim)
    gain = 1.0 + alignment**2 * (dim + 1)
    excess = 2.0 * alignment**4 * (dim + 2)
    return noise_var + dim * excess / (gain**2 + excess)


def retrieval_approximation(
    *, dim: int, context_length: int, alignment: float, noise_var: float
) -> float:
    """d + s2 - k n d / (k n + d + s2), k = a^2 d + 1: k n examples instead of n.

    The leading order for d -> infinity with a^2 d and n / d fixed. It has no floor: as n grows, its
    absolute error tends to that of `retrieval_limit` above s2, below 2. Useless once k n >> d; for
    d >= 10 within about 5% for n <= d / 2, and at n = d within about 10% for a <= 0.3 (s2 = 0.1).

    Raises:
      ValueError, TypeError: as `retrieval_moments`.
    """
    counts = {"dim": dim, "context_length": context_length}
    scale.check("retrieval_approximation", alignment, noise_var, **counts)
    effective_length = scale.amplification(alignment, dim) * context_length
    return scale.effective_length_risk(dim, effective_length, noise_var)


def _moments(d: int, n: int, a: float, noise_var: float) -> ScaleMoments:
    m2, m4, m6, _ = scale.radial(d)
    near, rest = a**2, 1.0 - a**2
    cross = near * m4 + rest * m2
    same = near**2 * m6 + 6 * near * rest * m4 + 3 * rest**2 * m2
    pair = near**2 * m6 + 2 * near * rest * m4 + rest**2 * m2
    square = n * (same + (n - 1) * pair + (d - 1) * rest * cross + noise_var * cross)
    return ScaleMoments(label=d + noise_var, cross=n * cross, square=square)
