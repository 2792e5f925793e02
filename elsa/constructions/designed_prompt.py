"""Ridge regression on a designed prompt: bias-free heads, the regulariser below the data."""

from collections.abc import Mapping

import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike
from jaxtyping import Array

from elsa import heads
from elsa.base import checks
from elsa.constructions.bias_free import check_layout
from elsa.constructions.ridge_stack import RidgeStack, check_sizes
from elsa.nn.layers import LSA
from elsa.nn.stack import Stack
from elsa.prompts.layout import BlockLayout
from elsa.prompts.named import designed_layout

# Blocks of the prompt -> what packing writes there, where that is not the name's value.
_HOLDS = {
    "ridge": "sqrt(lam) I",
    "fit": "X w",
    "w": "sqrt(lam) w",
    "prediction": "query_x w",
}


class DesignedRidgeStack(RidgeStack):
    """The ridge stack of `ridge_lsa`: its prompt holds sqrt(lam) I and the fit, made by packing."""

    def _check_regulariser(self, lam: Array | np.ndarray) -> None:
        if checks.is_concrete(lam) and not np.all(np.asarray(lam) > 0):
            raise ValueError(
                f"ridge_lsa: lam must be above 0, got {np.asarray(lam).item():g}: the weights are "
                "read from the rows sqrt(lam) w of the prompt; ridge_lsa_state takes lam = 0"
            )

    def _encode(self, given: Mapping[str, Array]) -> dict[str, Array]:
        root = jnp.sqrt(given["lam"])
        blocks = {
            "X": given["X"],
            "ridge": root * jnp.eye(given["X"].shape[1], dtype=self.dtype),
            "y": given["y"],
            "fit": given["X"] @ given["w"],
            "w": root * given["w"],
        }
        if "query_x" in given:
            blocks["query_x"] = given["query_x"]
            blocks["prediction"] = given["query_x"] @ given["w"]
        return blocks

    def _decode(self, read: Mapping[str, Array], given: Mapping[str, Array]) -> dict[str, Array]:
        return {**read, "w": read["w"] / jnp.sqrt(given["lam"][0, 0])}


def ridge_lsa(
    context_length: int,
    dim: int,
    depth: int,
    step_size: float,
    *,
    num_queries: int = 0,
    layout: BlockLayout | None = None,
    dtype: DTypeLike | None = None,
) -> DesignedRidgeStack:
    """Gradient descent on the ridge loss by one bias-free layer a step.

    Ridge regression is least squares on the stacked data Z = [X; sqrt(lam) I], u = [y; 0], as
    |u - Z w|^2 = |y - X w|^2 + lam |w|^2. The prompt holds, as tokens, the rows of Z and, with
    channels of their own, the queries Q:

        channels      features        query    label   fit
        context       X               0        y       X w
        regulariser   sqrt(lam) I     0        0       sqrt(lam) w
        queries       0               Q        0       Q w

    Let F_X, F_Q, f_y, f_c select those channels, and c be the fit column. The residual and the head
    Wq = eta F_X, Wk = F_X, Wv = (f_y - f_c) f_c^T give

        H + eta (H F_X) (H F_X)^T (H (f_y - f_c)) f_c^T:    c <- c + eta Z Z^T (u - c)

    on the rows of Z. With c = Z w this is c <- Z (w + eta Z^T (u - Z w)) = Z w', where
    w' = w - eta (X^T X w - X^T y + lam w): the column stays Z times the iterate of gradient
    descent. A second head with Wq = eta F_Q adds eta Q Z^T (u - c) to the rows of the queries,
    which carries Q w to Q w'. Queries are zero in the feature channels, so that they never enter
    Z^T (u - c), and the label of a query reaches nothing.

    The readout divides: w = c_bottom / sqrt(lam), so lam > 0. Packing computes the start, Z w_0.
    Rounding that leaves the range of Z is never corrected, so that it adds up with the depth, and a
    small lam magnifies it; ridge_lsa_state and ridge_elsa forget it, and take lam = 0.

    This form is this library's own: the least layers and heads. `ridge_lsa_state` is the bias-free
    form that follows the designed input of Hagiwara (arXiv:2503.23814), Section 3.4.

    Args:
      context_length, dim: n and d of the data; n < d is allowed.
      depth: T, steps of gradient descent and layers of the stack.
      step_size: eta; below 2 over the largest eigenvalue of X^T X + lam I, which a call checks.
      num_queries: rows of query_x.
      layout: where X, ridge, y, fit, w (and query_x, prediction) lie. Layers without biases act on
        the channels and treat all rows alike, so that rows are free as long as X, y and fit share
        theirs, ridge and w theirs, query_x and prediction theirs.
      dtype: to compute in; jax's default floating dtype where None.

    Raises:
      TypeError, ValueError: for sizes that are not integers or too small, a step size that is not
        positive, a layout that bias-free heads cannot use, or float64 without jax's x64 switch.
    """
    shapes = check_sizes("ridge_lsa", context_length, dim, depth, step_size, num_queries)
    placed = layout if layout is not None else designed_layout(context_length, dim, num_queries)
    check_layout(
        "ridge_lsa", placed, _blocks(shapes), company=_COMPANY, apart=list(_COLUMNS.values())
    )
    rows = placed.shape[0]
    columns = BlockLayout(
        {
            name: (0, placed.box(block).col, rows, placed.box(block).width)
            for name, block in _COLUMNS.items()
            if block in placed
        },
        placed.shape,
    )
    error = {"label": 1.0, "fit": -1.0}
    layer = [
        heads.triple_product(columns, name, "features", error, "fit", scale=step_size)
        for name in ("features", "query")
        if name in columns
    ]
    stack = Stack([LSA.from_heads(layer, placed.shape, dtype=dtype)], depth)
    return DesignedRidgeStack(
        stack,
        placed,
        placed,
        [layer],
        inputs=shapes,
        step_size=step_size,
        name="ridge_lsa",
        holds=_HOLDS,
    )


# A bias-free head sees whole columns of the prompt: its name for them -> a block that lies there.
_COLUMNS = {"features": "X", "query": "query_x", "label": "y", "fit": "fit"}
_COMPANY = {
    "rows": [("X", "y", "fit"), ("ridge", "w"), ("query_x", "prediction")],
    "channels": [("X", "ridge"), ("fit", "w", "prediction")],
}


def _blocks(shapes: Mapping[str, tuple[int, int]]) -> dict[str, tuple[int, int]]:
    n, d = shapes["X"]
    blocks = {"X": (n, d), "ridge": (d, d), "y": (n, 1), "fit": (n, 1), "w": (d, 1)}
    if "query_x" in shapes:
        blocks |= {"query_x": shapes["query_x"], "prediction": (shapes["query_x"][0], 1)}
    return blocks
