"""Least squares on the stacked prompt: every example a row, the query a row of its own."""

from collections.abc import Mapping

import jax
from jax.typing import DTypeLike
from jaxtyping import Array

from elsa import heads
from elsa.base import checks
from elsa.constructions.predicting import predicting
from elsa.nn.block_stack import BlockStack
from elsa.prompts.layout import BlockLayout
from elsa.prompts.named import named_format


def least_squares_lsa(
    context_length: int,
    dim: int,
    depth: int,
    step_size: float,
    *,
    dtype: DTypeLike | None = None,
) -> BlockStack:
    """Gradient descent on |y - X w|^2 / 2 from w = 0 by one bias-free layer a step.

    The prompt has the examples as rows and the query x in channels and a row of its own. With r the
    label's channel, y at the start, and p the prediction's, zero at the start, a layer adds

        r += -eta X X^T r     A B^T C    Wq = -eta F_X   Wk = F_X   Wv = f_r f_r^T
        p += eta x X^T r      A B^T C    Wq = eta F_x    Wk = F_X   Wv = f_r f_p^T

    so that r = y - X w and p = x w for the iterates w + eta X^T (y - X w), which no row holds. The
    form of von Oswald et al. (arXiv:2212.07677) and Ahn et al. (arXiv:2306.00297).

    Args:
      context_length, dim: n and d; n < d is allowed.
      depth: T, steps and layers.
      step_size: eta.
      dtype: to compute in; jax's default floating dtype where None.

    Returns:
      A stack that takes X [n, d], y [n, 1] and query_x [1, d] and returns "prediction" [1, 1].

    Raises:
      TypeError, ValueError: for sizes that are not integers or too small, or a step size that is
        not positive.
    """
    where = "least_squares_lsa"
    checks.size(where, context_length=(context_length, 1), dim=(dim, 1), depth=(depth, 0))
    checks.shapes(where, step_size=(step_size, ""))
    checks.positive(where, step_size=step_size)
    placed = named_format("stacked", dim).layout(context_length)
    rows = placed.shape[0]
    boxes = {name: box._replace(row=0, height=rows) for name, box in placed.blocks.items()}
    columns = BlockLayout(boxes, placed.shape)  # a bias-free head sees whole columns
    layer = [
        heads.triple_product(columns, "X", "X", "y", "y", scale=-step_size),
        heads.triple_product(columns, "query_x", "X", "y", "prediction", scale=step_size),
    ]

    def reference(X: Array, y: Array, query_x: Array) -> Mapping[str, Array]:
        def descend(w: Array, _: None) -> tuple[Array, None]:
            return w - step_size * (X.T @ (X @ w - y)), None

        start = X.T @ y * 0.0
        return {"prediction": query_x @ jax.lax.scan(descend, start, length=depth)[0]}

    return predicting(where, layer, placed, reference, dtype, depth=depth)
