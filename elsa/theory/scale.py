"""The best multiple w I of a symmetric setting, from the three second moments it depends on."""

from typing import NamedTuple

from elsa.base import checks
from elsa.theory import matrices


class ScaleMoments(NamedTuple):
    """Second moments of the label y and of p = x^T X^T y_context, the prediction at w = 1.

    label: E y^2.
    cross: E[p y].
    square: E[p^2].
    """

    label: float
    cross: float
    square: float

    @property
    def scale(self) -> float:
        """w* = E[p y] / E[p^2]."""
        return self.cross / self.square

    @property
    def risk(self) -> float:
        """E y^2 - E[p y]^2 / E[p^2]."""
        return self.label - self.cross * self.scale


def radial(dim: int) -> tuple[float, float, float, float]:
    """E |g|^2, |g|^4, |g|^6, |g|^8 for g ~ N(0, I_d)."""
    m2 = float(dim)
    m4 = m2 * (dim + 2)
    m6 = m4 * (dim + 4)
    return m2, m4, m6, m6 * (dim + 6)


def amplification(alignment: float, dim: int) -> float:
    """k = a^2 d + 1."""
    return alignment**2 * dim + 1.0


def effective_length_risk(dim: int, effective_length: float, noise_var: float) -> float:
    """d + s2 - m d / (m + d + s2), the risk after m examples, to leading order in d."""
    return dim + noise_var - effective_length * dim / (effective_length + dim + noise_var)


def check(where: str, alignment: float, noise_var: float, **counts: int) -> None:
    """Refuses counts below 1, a negative variance and an alignment outside [0, 1]."""
    matrices.sizes(where, noise_var=noise_var, **counts)
    checks.shapes(where, alignment=(alignment, ""))
    checks.finite(where, alignment=alignment)
    if not 0.0 <= alignment <= 1.0:
        raise ValueError(f"{where}: alignment must lie in [0, 1], got {alignment}")
