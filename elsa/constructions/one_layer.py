"""One layer that is one step of gradient descent, from a start or beside an intercept."""

from collections.abc import Mapping

import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike, DTypeLike
from jaxtyping import Array, Real

from elsa.base import checks
from elsa.base.arrays import AnyShape, Numbers, Rows
from elsa.constructions.predicting import predicting
from elsa.heads import factors
from elsa.heads.head import Head, Term
from elsa.nn.block_stack import BlockStack
from elsa.prompts.named import named_format, natural_layout

PROMPTS = ("stacked", "natural")


def gd_beta_elsa(
    context_length: int,
    init: Real[ArrayLike, " d"] | Real[ArrayLike, "d 1"] | Numbers | Rows,
    preconditioner: Real[ArrayLike, "d d"] | Rows,
    *,
    prompt: str = "stacked",
    dtype: DTypeLike | None = None,
) -> BlockStack:
    """One layer that predicts <b0 - (G / n) X^T (X b0 - y), x>, for any start b0 and any matrix G.

    On the stacked prompt, with the query x in a row q and channels of its own, one head of key size
    d:

        Wq = F_x    Wk = F_X G^T / n  Bk = e_q b0^T    Wv = (f_y - F_X b0) f_p^T  Bv = e_q f_p^T

    The scores of the query are x G x_i / n on the examples, whose values are y_i - <x_i, b0>, and
    <x, b0> on its own row, whose value is 1. On the natural prompt the query shares its row with an
    example, and a head more adds <x, b0>, Wq = F_x b0, Bk = e_1, Bv = e_1 f_p^T.

    The best start and matrix are those of `theory.gd_beta_optimum`.

    Args:
      context_length: n; n < d is allowed.
      init: b0.
      preconditioner: G, symmetric or not.
      prompt: "stacked" or "natural".
      dtype: to compute in; jax's default floating dtype where None.

    Returns:
      A stack that takes X [n, d], y [n, 1] and query_x [1, d] and returns "prediction" [1, 1].

    Raises:
      TypeError, ValueError: for a length that is no integer or below 1, shapes that do not fit, NaN
        or infinity, or an unknown prompt.
    """
    where = "gd_beta_elsa"
    checks.size(where, context_length=(context_length, 1))
    checks.one_of(where, "prompt", prompt, PROMPTS)
    start, matrix = _checked(where, init, preconditioner)
    n, dim = int(context_length), len(start)
    shapes = {"X": (n, dim), "y": (n, 1), "query_x": (1, dim), "prediction": (1, 1)}
    stacked = prompt == "stacked"
    placed = named_format("stacked", dim).layout(n) if stacked else natural_layout(shapes)
    channels = {name: placed.box(name).channels for name in shapes}
    asked = {placed.box("query_x"): 1.0}
    key = [Term("channels", channels["X"], matrix.T / n)]
    value = [Term("channels", channels["X"], -start), Term("channels", channels["y"], np.eye(1))]
    one = np.eye(1)
    if stacked:
        row = placed.box("query_x").rows
        key.append(Term("rows", row, start.T))
        value.append(Term("rows", row, one))
    formula = (
        "prediction += query_x (G/n X^T (y - X b0) + b0)"
        if stacked
        else ("prediction += query_x G/n X^T (y - X b0)")
    )
    into = channels["prediction"]
    layer = [Head(formula, factors.channels(asked), tuple(key), tuple(value), into)]
    if not stacked:
        constant = factors.of(factors.channels(asked, start), right=one, over=range(1))
        layer.append(Head("prediction += query_x b0", *constant, into))

    def reference(X: Array, y: Array, query_x: Array) -> Mapping[str, AnyShape]:
        return {"prediction": query_x @ (start + matrix / n @ (X.T @ (y - X @ start)))}

    return predicting(where, layer, placed, reference, dtype)


def affine_elsa(
    context_length: int,
    weight: Real[ArrayLike, "d d"] | Rows,
    intercept_scale: float,
    *,
    dtype: DTypeLike | None = None,
) -> BlockStack:
    """One head with biases that predicts x^T W X^T y + k mean(y) on the stacked prompt.

    With e the last of d + 1 inner channels, q the query's row and c those of the examples,

        Wq = F_x [I, 0]  Bq = e_q e^T    Wk = F_X [W^T, 0]  Bk = (k / n) 1_c e^T    Wv = f_y f_p^T

    so that the query's scores are x^T W x_i + k / n. The best W and k for tasks with an intercept
    are those of `theory.affine_elsa_optimum`.

    Args:
      context_length: n; n < d is allowed.
      weight: W.
      intercept_scale: k.
      dtype: to compute in; jax's default floating dtype where None.

    Returns:
      A stack that takes X [n, d], y [n, 1] and query_x [1, d] and returns "prediction" [1, 1].

    Raises:
      TypeError, ValueError: for a length that is no integer or below 1, shapes that do not fit, NaN
        or infinity.
    """
    where = "affine_elsa"
    checks.size(where, context_length=(context_length, 1))
    checks.shapes(where, weight=(weight, "d d"), intercept_scale=(intercept_scale, ""))
    checks.finite(where, weight=weight, intercept_scale=intercept_scale)
    matrix, scale = np.asarray(weight, np.float64), float(intercept_scale)
    n, dim = int(context_length), len(matrix)
    placed = named_format("stacked", dim).layout(n)
    wide, last = np.eye(dim, dim + 1), np.eye(dim + 1)[-1:]
    query = (
        Term("channels", placed.box("query_x").channels, wide),
        Term("rows", placed.box("query_x").rows, last),
    )
    key = (
        Term("channels", placed.box("X").channels, matrix.T @ wide),
        Term("rows", placed.box("X").rows, np.repeat(scale / n * last, n, axis=0)),
    )
    value = factors.channels({placed.box("y"): 1.0})
    formula = "prediction += query_x W X^T y + k mean(y)"
    layer = [Head(formula, query, key, value, placed.box("prediction").channels)]

    def reference(X: Array, y: Array, query_x: Array) -> Mapping[str, AnyShape]:
        return {"prediction": query_x @ (matrix @ (X.T @ y)) + scale * y.mean()}

    return predicting(where, layer, placed, reference, dtype)


def multi_head_lsa(
    context_length: int,
    key_query: Real[ArrayLike, "m m d"],
    *,
    dtype: DTypeLike | None = None,
) -> BlockStack:
    """d + 1 heads without biases that predict sum_h (G V_h x)_h / n, G = [X, y]^T [X, y].

    On the stacked prompt, with F = [F_X, f_y] and f_h its columns, head h is

        Wq = F_x    Wk = F V_h / n    Wv = f_h f_p^T

    so that they make every function of x that is linear in x and in G. The best V for tasks with a
    prior mean is that of `theory.multi_head_optimum`.

    Args:
      context_length: n; n < d is allowed.
      key_query: V_1 .. V_m, m = d + 1.
      dtype: to compute in; jax's default floating dtype where None.

    Returns:
      A stack that takes X [n, d], y [n, 1] and query_x [1, d] and returns "prediction" [1, 1].

    Raises:
      TypeError, ValueError: for a length that is no integer or below 1, shapes that do not fit, NaN
        or infinity.
    """
    where = "multi_head_lsa"
    checks.size(where, context_length=(context_length, 1))
    sizes = checks.shapes(where, key_query=(key_query, "m m d"))
    checks.finite(where, key_query=key_query)
    if sizes["m"] != sizes["d"] + 1:
        raise ValueError(
            f"{where}: key_query must have shape (d+1, d+1, d), got {np.shape(key_query)}"
        )
    matrices, n, dim = np.asarray(key_query, np.float64), int(context_length), sizes["d"]
    placed = named_format("stacked", dim).layout(n)
    channels = {name: placed.box(name).channels for name in placed}
    layer = []
    for number, matrix in enumerate(matrices / n):
        key = (
            Term("channels", channels["X"], matrix[:dim]),
            Term("channels", channels["y"], matrix[dim:]),
        )
        read = [*channels["X"], *channels["y"]][number]
        value = (Term("channels", range(read, read + 1), np.eye(1)),)
        query = factors.channels({placed.box("query_x"): 1.0})
        formula = f"prediction += query_x V_{number + 1}^T [X, y]^T [X, y]_{number + 1} / n"
        layer.append(Head(formula, query, key, value, channels["prediction"]))

    def reference(X: Array, y: Array, query_x: Array) -> Mapping[str, AnyShape]:
        rows = jnp.concatenate([X, y], axis=1)
        read = jnp.einsum("ih,ic,hca->a", rows, rows, matrices / n)
        return {"prediction": query_x @ read[:, None]}

    return predicting(where, layer, placed, reference, dtype)


def _checked(where: str, init: AnyShape, preconditioner: AnyShape) -> tuple[np.ndarray, np.ndarray]:
    """b0 as a column and G, float64."""
    sizes = checks.shapes(where, preconditioner=(preconditioner, "d d"))
    checks.finite(where, init=init, preconditioner=preconditioner)
    start = checks.column(where, "init", np.asarray(init), (sizes["d"], 1))
    return np.asarray(start, np.float64), np.asarray(preconditioner, np.float64)
