"""Ridge regression by bias-free heads on a prompt that holds the weights w themselves."""

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike
from jaxtyping import Array

from elsa import heads
from elsa.constructions.bias_free import check_layout
from elsa.constructions.ridge_stack import RidgeStack, check_sizes
from elsa.heads.head import Head
from elsa.nn.layers import LSA
from elsa.nn.stack import Stack
from elsa.prompts.layout import BlockLayout, overlap
from elsa.prompts.named import state_layout, with_fit

# Blocks of the prompt -> what packing writes there, where that is not the name's value.
_HOLDS = {
    "ridge": "lam I",
    "step": "sqrt(eta) I",
    "fit": "X w",
    "prediction": "query_x w",
}


class StateRidgeStack(RidgeStack):
    """The ridge stack of `ridge_lsa_state`: lam and sqrt(eta) lie in its prompt beside w.

    Attributes:
      root_step: sqrt(eta), which packing writes into the prompt; it is split and merged with the
        weights, which hold powers of it.
    """

    def __init__(self, *parts: Any, **names: Any) -> None:
        super().__init__(*parts, **names)
        self.root_step = nnx.Variable(jnp.asarray(self.step_size**0.5, self.dtype))

    def _encode(self, given: Mapping[str, Array]) -> dict[str, Array]:
        eye = jnp.eye(given["w"].shape[0], dtype=self.dtype)
        blocks = {"X": given["X"], "y": given["y"]}
        blocks |= {"ridge": given["lam"] * eye, "step": self.root_step[...] * eye, "w": given["w"]}
        return blocks | ({"query_x": given["query_x"]} if "query_x" in given else {})


def ridge_lsa_state(
    context_length: int,
    dim: int,
    depth: int,
    step_size: float,
    *,
    num_queries: int = 0,
    layout: BlockLayout | None = None,
    dtype: DTypeLike | None = None,
) -> StateRidgeStack:
    """Gradient descent on the ridge loss by one bias-free layer a step, w a block of the prompt.

    The prompt holds, each in channels of its own: the data X and y; the weights w, and in the same
    rows lam I and sqrt(eta) I; the queries Q; and two channels u and p that start at zero.

        channels   X   query   y   ridge   step          w   fit   prediction
        context    X   0       y   0       0             0   u     0
        state      0   0       0   lam I   sqrt(eta) I   w   0     0
        queries    0   Q       0   0       0             0   0     p

    Let F_X, F_Q, F_l, F_s, f_y, f_w, f_u, f_p select those channels, and f_e the first of F_s. A
    head without biases, (H Wq) (H Wk)^T (H Wv), writes into the rows where H Wq is not zero; its Wk
    and Wv meet in a sum over ALL rows. H (F_X - F_l) is X in the context's rows and -lam I in the
    state's, H (f_y - f_u + f_w) is y - u and w, and both are zero in those of the queries, so that

        (H (F_X - F_l))^T H (f_y - f_u + f_w) = X^T (y - u) - lam w =: g
        (H F_s)^T H f_w = sqrt(eta) w        (H f_e)^T H f_e = eta.

    The last is a known number, as a bias would give it, by which a head can take a column away. The
    heads of a layer, beside its residual:

        w += eta g      Wq = sqrt(eta) F_s   Wk = F_X - F_l       Wv = (f_y - f_u + f_w) f_w^T
        u += eta X g    Wq = eta F_X         Wk = F_X - F_l       Wv = (f_y - f_u + f_w) f_u^T
        u += X w        Wq = F_X             Wk = F_s/sqrt(eta)   Wv = f_w f_u^T
        u += -u         Wq = -f_u / eta      Wk = f_e             Wv = f_e f_u^T

    Where u = X w, g is minus the gradient of the ridge loss, so that w' = w + eta g is a step of
    gradient descent, and u' = X (w + eta g) = X w'. One layer in front, the third head alone, forms
    u = X w_0; one behind forms p = Q w, with F_Q and f_p in the place of F_X and f_u.

    A head multiplies three blocks, so that X^T X w takes two heads, one after the other. Two layers
    a step, u from w and then w from u, would do; one does, as u' and w' are formed from the same w.
    u is not accumulated: it is formed anew from w and from what the same layer adds to w, so that
    an error of u is gone after one layer, and w descends on the gradient at w, which corrects the
    rounding of w. Nothing drifts with the depth, nothing divides by lam, and X^T X, which squares
    the condition number before it is rounded, is never formed.

    What the prompt holds follows the designed input [X^T Y; 0 lam I; sqrt(eta) I u w] of Hagiwara
    (arXiv:2503.23814), Section 3.4. Where its blocks lie, that u is X w, and the heads are derived
    here.

    Args:
      context_length, dim: n and d of the data; n < d is allowed.
      depth: T, steps of gradient descent; the stack has T + 1 layers, one more with queries.
      step_size: eta; below 2 over the largest eigenvalue of X^T X + lam I, which a call checks.
      num_queries: rows of query_x.
      layout: where X, y, ridge, step, w (and query_x) lie, in the caller's prompt, which is zero
        elsewhere; fit and prediction are appended to it. Layers without biases treat all rows
        alike: X and y share their rows, ridge, step and w theirs, which do not meet those of X.
      dtype: to compute in; jax's default floating dtype where None.

    Raises:
      TypeError, ValueError: for sizes that are not integers or too small, a step size that is not
        positive, a layout that bias-free heads cannot use, or float64 without jax's x64 switch.
    """
    where = "ridge_lsa_state"
    shapes = check_sizes(where, context_length, dim, depth, step_size, num_queries)
    blocks = _blocks(shapes)
    input_layout = layout if layout is not None else state_layout(context_length, dim, num_queries)
    check_layout(where, input_layout, blocks, company=_COMPANY, apart=blocks)
    context, state = input_layout.box("X"), input_layout.box("w")
    if overlap(context.rows, state.rows):
        raise ValueError(
            f"{where}: the rows of X and y and those of ridge, step and w must not meet, as a head "
            f"sums over whole rows, got {(context.rows.start, context.rows.stop)} and "
            f"{(state.rows.start, state.rows.stop)}"
        )
    placed = with_fit(input_layout)
    first, step, last = _heads(placed, float(step_size))

    def emit(layers: list[list[Head]]) -> list[LSA]:
        return [LSA.from_heads(layer, placed.shape, dtype=dtype) for layer in layers]

    stack = Stack(emit([step]), depth, prologue=emit([first]), epilogue=emit(last))
    return StateRidgeStack(
        stack,
        input_layout,
        placed,
        [first, step, *last],
        inputs=shapes,
        step_size=step_size,
        name=where,
        holds=_HOLDS,
    )


_COMPANY = {"rows": [("X", "y"), ("ridge", "step", "w")]}


def _blocks(shapes: Mapping[str, tuple[int, int]]) -> dict[str, tuple[int, int]]:
    """The blocks of the caller's prompt."""
    d = shapes["X"][1]
    blocks = {"X": shapes["X"], "y": shapes["y"], "ridge": (d, d), "step": (d, d), "w": (d, 1)}
    return blocks | ({"query_x": shapes["query_x"]} if "query_x" in shapes else {})


def _heads(
    placed: BlockLayout, step_size: float
) -> tuple[list[Head], list[Head], list[list[Head]]]:
    """The first layer's heads, a step's, and those of the output module where there are queries."""
    rows, root = placed.shape[0], step_size**0.5
    boxes = {name: box._replace(row=0, height=rows) for name, box in placed.blocks.items()}
    columns = BlockLayout(boxes, placed.shape)  # a bias-free head sees whole columns
    unit = BlockLayout({"fit": boxes["fit"], "e": boxes["step"]._replace(width=1)}, placed.shape)
    data, error = {"X": 1.0, "ridge": -1.0}, {"y": 1.0, "fit": -1.0, "w": 1.0}

    def times_w(name: str, target: str) -> Head:
        return heads.triple_product(columns, name, {"step": 1.0 / root}, "w", target)

    step = [
        heads.triple_product(columns, "step", data, error, "w", scale=root),
        heads.triple_product(columns, "X", data, error, "fit", scale=step_size),
        times_w("X", "fit"),
        heads.triple_product(unit, "fit", "e", "e", "fit", scale=-1.0 / step_size),
    ]
    last = [[times_w("query_x", "prediction")]] if "query_x" in placed else []
    return [times_w("X", "fit")], step, last
