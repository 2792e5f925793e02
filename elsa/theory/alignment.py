"""One step on covariates that are aligned with their task: x_j near b.

Task b ~ N(0, I); covariates, the query's included, x_j | b ~ N(a b, I), independent given b;
labels x_j . b / sqrt(k) with noise of variance s2, k = a^2 d + 1. By rotation invariance the best W
is w I.
Setting of Li, Rawat, Oymak (arXiv:2407.10005). Derivations: docs/theory.md.
"""

from elsa.base import checks
from elsa.theory import scale
from elsa.theory.results import ScaledStep
from elsa.theory.scale import ScaleMoments


def alignment_moments(
    *, dim: int, context_length: int, alignment: float, noise_var: float
) -> ScaleMoments:
    """Exact E y^2, E[p y] and E[p^2] for p = x^T X^T y_context.

    With A = a^2, m2..m8 = E|b|^2..E|b|^8, t = |b|^2, and v2 = 1 + A t and
    v4 = 3 + 6 A t + A^2 t^2 the moments of N(a sqrt(t), 1),

        E y^2  = (m2 + A m4) / k + s2,    E[p y] = (n / k)(m2 + 2 A m4 + A^2 m6)
        E[p^2] = (n / k) E[t v2 v4] + (n (n - 1) / k) E[t v2^3] + s2 n E[v2^2]
                 + (d - 1) n (E[t v2] / k + s2)

    Args:
      dim, context_length: d and n.
      alignment: a, in [0, 1].
      noise_var: s2.

    Raises:
      ValueError: for d < 1, n < 1, an alignment outside [0, 1] or s2 < 0.
      TypeError: for a d or n that is not an integer.
    """
    counts = {"dim": dim, "context_length": context_length}
    scale.check("alignment_moments", alignment, noise_var, **counts)
    return _moments(dim, context_length, alignment, noise_var)


def alignment_optimum(
    *, dim: int, context_length: int, alignment: float, noise_var: float
) -> ScaledStep:
    """The best w of W = w I, E[p y] / E[p^2], and its risk; see `alignment_moments`.

    Raises:
      ValueError, TypeError: as `alignment_moments`.
    """
    counts = {"dim": dim, "context_length": context_length}
    scale.check("alignment_optimum", alignment, noise_var, **counts)
    moments = _moments(dim, context_length, alignment, noise_var)
    return ScaledStep(moments.scale, moments.risk)


def alignment_risk(*, dim: int, context_length: int, alignment: float, noise_var: float) -> float:
    """The least risk of one step on aligned covariates, exact for every d and n.

    With e1 = 1 + A (d+2), e2 = 1 + 2 A (d+2) + A^2 (d+2)(d+4),
    e3 = 1 + 3 A (d+2) + 3 A^2 (d+2)(d+4) + A^3 (d+2)(d+4)(d+6),
    g = 1 + 3 A (d+2) + 2 A^2 (d+2)(d+4) and A = a^2,

        d e1 / k + s2 - (n d e2^2 / k) / (n e3 + 2 g + (d - 1) e1 + k s2 (1 + 2 A + A^2 (d + 2)))

    Raises:
      ValueError, TypeError: as `alignment_moments`.
    """
    counts = {"dim": dim, "context_length": context_length}
    scale.check("alignment_risk", alignment, noise_var, **counts)
    return _moments(dim, context_length, alignment, noise_var).risk


def alignment_limit(*, dim: int, alignment: float, noise_var: float) -> float:
    """`alignment_risk` for n -> infinity, d e1 / k + s2 - d e2^2 / (k e3): above s2 unless a = 0.

    Raises:
      ValueError, TypeError: as `alignment_moments`.
    """
    scale.check("alignment_limit", alignment, noise_var, dim=dim)
    m2, m4, m6, m8 = (moment / dim for moment in scale.radial(dim))
    A, k = alignment**2, scale.amplification(alignment, dim)
    e1, e2 = m2 + A * m4, m2 + 2 * A * m4 + A**2 * m6
    e3 = m2 + 3 * A * m4 + 3 * A**2 * m6 + A**3 * m8
    return noise_var + dim * (e1 * e3 - e2**2) / (k * e3)


def alignment_approximation(
    *, dim: int, context_length: int, alignment: float, noise_var: float, power: int = 2
) -> float:
    """d + s2 - m d / (m + d + s2) with m = k^2 n, k = a^2 d + 1: k^2 n examples instead of n.

    The leading order for d -> infinity with a^2 d and n / d fixed. Both here and in retrieval the
    signal grows by k; there E (x . x_i)^2, which carries the noise, grows by k as well, here not.
    Like `retrieval_approximation` it has no floor, and misses one of order 2 ((k - 1) / k)^2:
    useless once k^2 n >> d.

    Args:
      dim, context_length, alignment, noise_var: as in `alignment_moments`.
      power: 2; or 1 for m = k n, the form that holds for retrieval, which is too large here by a
        factor that grows with k (d = n = 50, a = 0.1, s2 = 0.1: 20.1 where 16.1 is exact). At d
        near 5 it happens to be as close as the other; neither is reliable there.

    Raises:
      ValueError, TypeError: as `alignment_moments`, and for a power other than 1 and 2.
    """
    counts = {"dim": dim, "context_length": context_length}
    scale.check("alignment_approximation", alignment, noise_var, **counts)
    checks.one_of("alignment_approximation", "power", power, (1, 2))
    effective_length = scale.amplification(alignment, dim) ** power * context_length
    return scale.effective_length_risk(dim, effective_length, noise_var)


def _moments(d: int, n: int, a: float, noise_var: float) -> ScaleMoments:
    m2, m4, m6, m8 = scale.radial(d)
    A, k = a**2, scale.amplification(a, d)
    t_v2 = m2 + A * m4
    t_v2_v4 = 3 * m2 + 9 * A * m4 + 7 * A**2 * m6 + A**3 * m8
    t_v2_cubed = m2 + 3 * A * m4 + 3 * A**2 * m6 + A**3 * m8
    v2_squared = 1 + 2 * A * m2 + A**2 * m4
    signal = (t_v2_v4 + (n - 1) * t_v2_cubed + (d - 1) * t_v2) / k
    return ScaleMoments(
        label=t_v2 / k + noise_var,
        cross=n / k * (m2 + 2 * A * m4 + A**2 * m6),
        square=n * (signal + noise_var * (v2_squared + d - 1)),
    )
