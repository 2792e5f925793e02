"""Real regression data: scikit-learn's diabetes table, and tables in units of their spread."""

import dataclasses

import numpy as np
from jaxtyping import Bool, Float

from elsa.base import checks
from elsa.tasks.scaling import Scaling


@dataclasses.dataclass(frozen=True, eq=False)
class Table:
    """Covariates and labels of one regression problem, with the names of the columns.

    x: [n, d].  y: [n].  columns: d names.  target: name of y.  name: what the data is, for reports.
    scaling: of a table that `standardised` made, how it came from the one before: it transforms new
      rows, and gives coefficients in their units.
    """

    x: Float[np.ndarray, "n d"]
    y: Float[np.ndarray, " n"]
    columns: tuple[str, ...]
    target: str
    name: str
    scaling: Scaling | None = None


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

    `scaling` of the table returned does the same to new rows, and takes weights back to the units
    of the table given:

        data = tasks.standardised(table)
        data.scaling.transform(rows)
        coefficients, intercept = data.scaling.linear(weights)

    Raises:
      ValueError: naming a column that is constant, which cannot be scaled, or labels so large that
        float64 does not hold their differences.
    """
    checks.instance("standardised", Table, "a Table", table=table)
    checks.finite("standardised", x=table.x, y=table.y)
    scaling = Scaling.of(table.x, table.y)
    if scaling.constant.any():
        if len(table.y) == 1:
            raise ValueError(
                f"standardised: {table.name} has 1 row, and a column of one value cannot be scaled "
                "to standard deviation 1; give it more rows"
            )
        name = table.columns[int(np.argmax(scaling.constant))]
        raise ValueError(
            f"standardised: column {name!r} of {table.name} is constant and cannot be scaled to "
            "standard deviation 1; leave it out, of a file by drop (data.drop in a config)"
        )
    y = scaling.transform_labels(table.y)
    if not np.isfinite(y).all():
        raise ValueError(
            f"standardised: the labels {table.target!r} of {table.name} are as large as "
            f"{np.abs(table.y).max():.3g}, and float64 does not hold them about their mean; divide "
            "them by a number"
        )
    return dataclasses.replace(table, x=scaling.transform(table.x), y=y, scaling=scaling)


def split(where: str, table: Table, share: float) -> tuple[Table, Table]:
    """The rows that are kept, in their order, and a share of them at random, always the same."""
    checks.shapes(where, held_out=(share, ""))
    checks.finite(where, held_out=share)
    rows = len(table.y)
    count = round(share * rows)
    if not 0.0 <= share < 1.0 or count >= rows:
        raise ValueError(f"{where}: held_out must be a share of the rows below 1, got {share}")
    chosen = held_out_rows(rows, count)
    kept, others = (
        dataclasses.replace(table, x=table.x[own], y=table.y[own]) for own in (~chosen, chosen)
    )
    return kept, others


def held_out_rows(rows: int, count: int) -> Bool[np.ndarray, " rows"]:
    """Which of the rows `split` holds out."""
    chosen = np.zeros(rows, bool)
    chosen[np.random.default_rng(0).permutation(rows)[:count]] = True
    return chosen
