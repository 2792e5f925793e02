"""Few rows that are to a ridge problem what all rows of a stream are."""

from typing import TYPE_CHECKING

import numpy as np

from elsa.base.row_sums import moments
from elsa.base.rows import Rows, RowSource
from elsa.tasks import Scaling

if TYPE_CHECKING:
    from rich.console import Console

LIMIT = 1e8  # condition numbers of products of columns up to which six digits are right
_FLAT = 1e-12  # a spread below this share of the mean is rounding, as for `Scaling.of`
_ROUNDING = 16 * np.finfo(np.float64).eps


def standardised(
    where: str, rows: RowSource, target: int, screen: "Console | None"
) -> tuple[Scaling, np.ndarray, np.ndarray]:
    """The scaling of all rows, and rows X [m, d], labels y [m], m = d + 1, with their products.

    With S the products of columns and labels about their means, D their spreads and
    D^-1 S D^-1 = V diag(l) V^T, the rows are R = diag(l)^(1/2) V^T; eigenvalues that are rounding
    are taken to be 0, as they are where columns depend on one another.

    Raises:
      TypeError, ValueError: as `Rows`; for a target that is no column, or no covariates.
    """
    if isinstance(target, bool) or not isinstance(target, int | np.integer):
        raise TypeError(f"{where}: target must be the index of a column, got {target!r}")
    read = Rows(where, rows, screen=screen)
    num_rows, mean, scatter = moments(read)
    m = len(mean)
    if not -m <= target < m or m < 2:
        raise ValueError(
            f"{where}: target must be one of the columns of rows, beside at least one covariate: "
            f"{-m}..{m - 1}, got {target} and {m} columns"
        )
    order = np.append(np.delete(np.arange(m), target), target % m)
    mean, scatter = mean[order], scatter[np.ix_(order, order)]
    spread = np.sqrt(np.diag(scatter) / num_rows)
    flat = spread <= _FLAT * np.maximum(np.abs(mean), 1e-300)
    spread = np.where(flat, np.inf, spread)
    values, vectors = np.linalg.eigh(scatter / np.outer(spread, spread))
    values = np.where(values > _ROUNDING * m * values[-1], values, 0.0)
    root = np.sqrt(values)[:, None] * vectors.T
    labels = root[:, -1] * (0.0 if flat[-1] else spread[-1])
    units = np.zeros(m - 1, np.int64)  # exponents: the columns' own
    scaling = Scaling(units, mean[:-1], spread[:-1], 0, float(mean[-1]))
    return scaling, root[:, :-1], labels
