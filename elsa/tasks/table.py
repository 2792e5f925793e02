"""Real regression data: scikit-learn's diabetes table, and tables in units of their spread."""

import dataclasses

import numpy as np
from jaxtyping import Float, Int

from elsa.base import checks


@dataclasses.dataclass(frozen=True, eq=False)
class Table:
    """Covariates and labels of one regression problem, with the names of the columns.

    x: [n, d].  y: [n].  columns: d names.  target: name of y.  name: what the data is, for reports.
    """

    x: Float[np.ndarray, "n d"]
    y: Float[np.ndarray, " n"]
    columns: tuple[str, ...]
    target: str
    name: str


def diabetes() -> Table:
    """scikit-learn's diabetes data, unscaled: 442 patients, 10 covariates, disease progression."""
    from sklearn.datasets import load_diabetes  # scikit-learn takes a second to import

    data = load_diabetes(scaled=False)
    return Table(
        np.asarray(data.data, dtype=np.float64),
        np.asarray(data.target, dtype=np.float64),
        tuple(data.feature_names),
        "progression",
        "diabetes",
    )


def standardised(table: Table) -> Table:
    """Covariates with mean 0 and population standard deviation 1, labels with mean 0.

    Raises:
      ValueError: naming a column that is constant, which cannot be scaled, or labels so large that
        float64 does not hold their differences.
    """
    checks.instance("standardised", Table, "a Table", table=table)
    checks.finite("standardised", x=table.x, y=table.y)
    exponents, mean, spread = moments(table.x)
    flat = spread <= 1e-12 * np.maximum(np.abs(np.ldexp(table.x, -exponents)).max(axis=0), 1e-300)
    if flat.any():
        name = table.columns[int(np.argmax(flat))]
        raise ValueError(
            f"standardised: column {name!r} of {table.name} is constant and cannot be scaled to "
            "standard deviation 1; leave it out"
        )
    x = (np.ldexp(table.x, -exponents) - mean) / spread
    exponent, centre, _ = moments(table.y)
    with np.errstate(over="ignore"):
        y = np.ldexp(np.ldexp(table.y, -exponent) - centre, exponent)
    if not np.isfinite(y).all():
        raise ValueError(
            f"standardised: the labels {table.target!r} of {table.name} are as large as "
            f"{np.abs(table.y).max():.3g}, and float64 does not hold them about their mean; divide "
            "them by a number"
        )
    return dataclasses.replace(table, x=x, y=y)


def moments(
    values: Float[np.ndarray, "n *d"],
) -> tuple[Int[np.ndarray, "*d"], Float[np.ndarray, "*d"], Float[np.ndarray, "*d"]]:
    """Mean and population standard deviation of each column in a unit of its own, a power of two.

    In it the largest number is between 1/2 and 1, so that no square is beyond float64's range,
    and all else has the bits that it has in any other.

    Returns:
      Exponents of the units, means and standard deviations: a value v is ldexp(v, -exponent).
    """
    exponents = np.asarray(np.frexp(np.abs(values).max(axis=0))[1])
    scaled = np.ldexp(values, -exponents)
    return exponents, np.asarray(scaled.mean(axis=0)), np.asarray(scaled.std(axis=0))
