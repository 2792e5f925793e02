"""Linear transformer blocks that are one step of gradient descent from a learnt start."""

from typing import NamedTuple

import jax.numpy as jnp
from flax import nnx
from jax.typing import ArrayLike, DTypeLike
from jaxtyping import Array, Float, Real

from elsa.base import checks
from elsa.base.arrays import Numbers, Rows
from elsa.base.precision import exact
from elsa.models import LinearTransformerBlock


class GdBeta(NamedTuple):
    """One step of gradient descent from a start, as `read_gd_beta` finds it in a block.

    init: b0.
    preconditioner: Gamma.
    residual: norm of what they do not explain, 0 where the block is exactly that step.
    """

    init: Float[Array, " d"]
    preconditioner: Float[Array, "d d"]
    residual: Float[Array, ""]


def gd_beta_block(
    init: Real[ArrayLike, " d"] | Numbers,
    preconditioner: Real[ArrayLike, "d d"] | Rows,
    *,
    context_length: int | None = None,
    dtype: DTypeLike | None = None,
) -> LinearTransformerBlock:
    """A block that predicts <b0 - (Gamma / n) X^T (X b0 - y), query_x>.

        Wkq = [[Gamma^T, 0], [0, 0]]     Wpv = diag(-1, .., -1, 1)     W2^T W1 = [[I, 0], [b0^T, 1]]

    The attention adds -X^T X Gamma^T x / n to the query's covariates and y^T X Gamma^T x / n to its
    label; the feed-forward layer reads both, and the covariates themselves, along (b0, 1)
    (Zhang, Wu, Bartlett, arXiv:2402.14951). It equals `predictors.gd_beta` to rounding.

    Args:
      init: b0.
      preconditioner: Gamma, symmetric or not.
      context_length: n; where None, each prompt's own number of rows, and prompts have to be given
        as rows.
      dtype: of the weights; jax's default floating dtype where None.

    Raises:
      ValueError: for shapes that do not fit, NaN or infinity, n < 1, or float64 without jax's x64
        switch.
      TypeError: for an n that is not an integer, or a dtype that is not floating point.
    """
    where = "gd_beta_block"
    arrays = {"init": init, "preconditioner": preconditioner}
    dim = checks.shapes(where, init=(init, "d"), preconditioner=(preconditioner, "d d"))["d"]
    checks.finite(where, **arrays)
    if context_length is not None:
        checks.size(where, context_length=(context_length, 1))
    kind = checks.float_dtype(where, dtype)
    start, gamma = (jnp.asarray(array, kind) for array in arrays.values())
    scale = None if context_length is None else 1.0 / context_length
    block = LinearTransformerBlock(dim, scale=scale, dtype=kind, rngs=nnx.Rngs(params=0))
    label = jnp.zeros(dim + 1, kind).at[-1].set(1.0)
    block.w_kq[...] = jnp.pad(gamma.T, ((0, 1), (0, 1)))[None]
    block.w_pv[...] = jnp.diag(2.0 * label - 1.0)[None]
    block.w1[...] = jnp.eye(dim + 1, dtype=kind).at[-1, :-1].set(start)[None]
    block.w2[...] = jnp.eye(dim + 1, dtype=kind)[None]
    return block


@exact
def read_gd_beta(block: LinearTransformerBlock) -> GdBeta:
    """The start and the preconditioner of a block, and the norm of what they do not explain.

    With (b0, .) the last row of W2^T W1, u = Wpv^T W1^T W2 e_label = (u_x, u_y) and the first d
    columns of Wkq = [V_x; v_y^T], and in terms of S = X^T X and the residual r = y - X b0 of the
    labels, the prediction is

        b0 . x + scale r^T X Gamma^T x                 the start, and all that is odd in r
               + scale [a^T S C x + |r|^2 e . x]       the rest, even in r

        Gamma^T = u_y V_x + (u_x + 2 u_y b0) v_y^T
        a = u_x + u_y b0,    C = V_x + b0 v_y^T,    e = u_y v_y

    b0 is the prediction without examples and Gamma all that is odd, so that exactly the even part
    is left unexplained: residual^2 = |a|^2 |C|^2 + |e|^2, Frobenius norms, and

        |prediction - one step| <= scale residual |x| (|S|^2 + |r|^4)^(1/2).

    At the risk's minimum over all blocks the even part is 0 and b0 the tasks' mean
    (arXiv:2402.14951; docs/theory.md).

    Returns:
      b0, Gamma for the block's own scale (1/n for `predictors.gd_beta`), and the residual.

    Raises:
      TypeError: for another module.
      ValueError: for several blocks, which are more than one step.
    """
    if not isinstance(block, LinearTransformerBlock):
        raise TypeError(
            f"read_gd_beta: block must be a LinearTransformerBlock, got {type(block).__name__}"
        )
    depth = block.w_kq.shape[0]
    if depth != 1:
        raise ValueError(f"read_gd_beta: block must have depth 1, one step, got depth {depth}")
    last_row = block.w_mlp[0, -1]
    init, output = last_row[:-1], block.w_pv[...][0].T @ last_row
    to_covariates, to_label = output[:-1], output[-1]
    key_query, of_label = block.w_kq[...][0, :-1, :-1], block.w_kq[...][0, -1, :-1]
    transposed = to_label * key_query + jnp.outer(to_covariates + 2.0 * to_label * init, of_label)
    left = to_covariates + to_label * init
    right = key_query + jnp.outer(init, of_label)
    squares = jnp.sum(left**2) * jnp.sum(right**2) + to_label**2 * jnp.sum(of_label**2)
    return GdBeta(init, transposed.T, _root(squares))


def _root(square: Float[Array, ""]) -> Float[Array, ""]:
    """The square root, with gradient 0 at 0."""
    positive = square > 0
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, square, 1.0)), 0.0)
