"""The Gram matrix of rows that come in blocks."""

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from elsa.base.row_sums import require_finite, transposed_product
from elsa.base.rows import Rows, RowSource

if TYPE_CHECKING:
    from rich.console import Console


def streamed_gram(rows: RowSource, *, screen: "Console | None" = None) -> Float[np.ndarray, "m m"]:
    """G = sum_i h_i h_i^T of all rows, in one pass and memory that does not grow with them.

    It is what a stack of layers without biases sees of a context, at any depth. Products and sums
    are float64, whatever the rows come in.

    Args:
      rows: an array or a data frame [n, m], an iterable of blocks [k, m], or a function that makes
        one; `tasks` has `NpyRows` and `ParquetRows` for files. A block may be a tuple of arrays
        side by side, as (X, y).
      screen: where a long pass shows how far it is; silent where None.

    Raises:
      TypeError: for what gives no blocks, blocks without real numbers, or of several dtypes.
      ValueError: for blocks with different columns, NaN or infinity, naming block and row; no rows;
        or products beyond float64's range.
    """
    read, total = Rows("streamed_gram", rows, screen=screen), np.zeros(())
    with np.errstate(over="ignore", invalid="ignore"):
        for piece in read.pieces():
            total = total + transposed_product(piece, piece)
    require_finite("streamed_gram", total)
    return total
