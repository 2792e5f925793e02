"""The standard form of a regression's rows, and the way back to the units they came in."""

import dataclasses
from typing import NamedTuple, Self

import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Bool, Float, Int, Real

from elsa.base import checks
from elsa.base.arrays import Numbers, Rows

_FLAT = 1e-12  # a standard deviation below this share of the largest entry is rounding


class Linear(NamedTuple):
    """y = <coefficients, x> + intercept, in the units of the rows.

    coefficients: [d].
    """

    coefficients: Float[np.ndarray, " d"]
    intercept: float


@dataclasses.dataclass(frozen=True, eq=False)
class Scaling:
    """x -> (x - mean) / spread for each column, y -> y - mean, learned from some rows.

    Every column is looked at in a unit of its own, a power of two in which its largest entry is
    between 1/2 and 1, so that no square is beyond float64's range.

    Attributes:
      exponents: of the units of the columns, [d]: a value v is 2^-exponent v in its unit.
      mean: of the columns, in their units, [d].
      spread: their population standard deviations, in their units, [d]; infinite for a constant
        column, so that it becomes zeros and has the coefficient 0.
      label_exponent, label_mean: of the labels.
    """

    exponents: Int[np.ndarray, " d"]
    mean: Float[np.ndarray, " d"]
    spread: Float[np.ndarray, " d"]
    label_exponent: int
    label_mean: float

    @classmethod
    def of(
        cls,
        x: Real[ArrayLike, "n d"] | Rows,
        y: Real[ArrayLike, " n"] | Numbers,
        weights: Real[ArrayLike, " n"] | Numbers | None = None,
    ) -> Self:
        """The scaling of these rows; a row of weight 2 counts as two of weight 1.

        Raises:
          ValueError: for shapes that do not fit, no rows, NaN or infinity, or weights below 0 or
            all of them 0.
        """
        where = "Scaling.of"
        checks.shapes(where, x=(x, "n d"), y=(y, "n"))
        checks.finite(where, x=x, y=y)
        rows = np.asarray(x, dtype=np.float64)
        checks.size(where, **{"rows of x": (len(rows), 1)})
        if weights is not None:
            checks.shapes(where, x=(x, "n d"), weights=(weights, "n"))
            checks.finite(where, weights=weights)
            weights = np.asarray(weights, dtype=np.float64)
            if weights.min() < 0 or not weights.any():
                raise ValueError(
                    f"{where}: weights must be at least 0, and one above 0, got {weights.min():g} "
                    f"to {weights.max():g}"
                )
        exponents, mean, spread = moments(rows, weights)
        largest = np.abs(np.ldexp(rows, -exponents)).max(axis=0)
        spread = np.where(spread <= _FLAT * np.maximum(largest, 1e-300), np.inf, spread)
        exponent, centre, _ = moments(np.asarray(y, dtype=np.float64), weights)
        return cls(exponents, mean, spread, int(exponent), float(centre))

    @property
    def constant(self) -> Bool[np.ndarray, " d"]:
        """Which columns are constant, [d]."""
        flat: np.ndarray = np.isinf(self.spread)
        return flat

    def transform(self, x: Real[ArrayLike, "rows d"] | Rows) -> Float[np.ndarray, "rows d"]:
        """Any rows, new ones too, in the standard form of those that were learned from.

        Raises:
          ValueError: for another number of columns, NaN or infinity.
        """
        where = "Scaling.transform"
        checks.shapes(where, x=(x, "rows d"))
        checks.finite(where, x=x)
        rows = np.asarray(x, dtype=np.float64)
        if rows.shape[1] != len(self.mean):
            raise ValueError(
                f"{where}: x must have the {len(self.mean)} columns that were learned from, got "
                f"{rows.shape[1]}"
            )
        standard: np.ndarray = (np.ldexp(rows, -self.exponents) - self.mean) / self.spread
        return standard

    def transform_labels(self, y: Real[ArrayLike, " rows"] | Numbers) -> Float[np.ndarray, " rows"]:
        """Labels minus the mean that was learned; infinite where float64 does not hold them.

        Raises:
          ValueError: for NaN or infinity, or anything but one axis.
        """
        checks.shapes("Scaling.transform_labels", y=(y, "rows"))
        checks.finite("Scaling.transform_labels", y=y)
        labels = np.ldexp(np.asarray(y, dtype=np.float64), -self.label_exponent)
        with np.errstate(over="ignore"):
            centred: np.ndarray = np.ldexp(labels - self.label_mean, self.label_exponent)
        return centred

    def linear(self, weights: Real[ArrayLike, " d"] | Numbers) -> Linear:
        """Coefficients and intercept in the rows' own units, of weights on rows in standard form.

            coefficient_j = w_j / spread_j      intercept = mean of y - sum_j mean_j w_j / spread_j

        Raises:
          ValueError: for another number of weights, NaN or infinity.
        """
        where = "Scaling.linear"
        checks.shapes(where, mean=(self.mean, "d"), weights=(weights, "d"))
        checks.finite(where, weights=weights)
        slopes = np.asarray(weights, dtype=np.float64) / self.spread
        with np.errstate(over="ignore"):  # a unit so small that float64 holds no coefficient
            intercept = np.ldexp(self.label_mean, self.label_exponent) - slopes @ self.mean
            return Linear(np.ldexp(slopes, -self.exponents), float(intercept))


def moments(
    values: Float[np.ndarray, "n *d"], weights: Float[np.ndarray, " n"] | None = None
) -> tuple[Int[np.ndarray, "*d"], Float[np.ndarray, "*d"], Float[np.ndarray, "*d"]]:
    """Mean and population standard deviation of each column in a unit of its own, a power of two.

    In it the largest number is between 1/2 and 1, so that no square is beyond float64's range,
    and all else has the bits that it has in any other.

    Returns:
      Exponents of the units, means and standard deviations: a value v is ldexp(v, -exponent).
    """
    exponents = np.asarray(np.frexp(np.abs(values).max(axis=0))[1])
    scaled = np.ldexp(values, -exponents)
    if weights is None:
        return exponents, np.asarray(scaled.mean(axis=0)), np.asarray(scaled.std(axis=0))
    shares = weights / weights.max()
    shares = shares / shares.sum()
    mean = np.asarray(shares @ scaled)
    return exponents, mean, np.asarray(np.sqrt(shares @ (scaled - mean) ** 2))
