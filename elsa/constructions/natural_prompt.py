"""Ridge regression on the natural prompt, which lists the problem's blocks side by side."""

import numpy as np
from jax.typing import DTypeLike

from elsa import heads
from elsa.constructions.ridge_stack import RidgeStack, check_sizes
from elsa.heads.head import Head
from elsa.nn.layers import ELSA
from elsa.nn.stack import Stack
from elsa.prompts.layout import BlockLayout
from elsa.prompts.named import natural_layout


def ridge_elsa(
    context_length: int,
    dim: int,
    depth: int,
    step_size: float,
    *,
    num_queries: int = 0,
    layout: BlockLayout | None = None,
    skip: str = "residual",
    dtype: DTypeLike | None = None,
) -> RidgeStack:
    """Gradient descent on the ridge loss by two multi-head ELSA layers a step.

    The prompt enumerates X, y, lam, w (and query_x), each in channels of its own from row 0 on, and
    one more channel, zero at the start, takes the residual r. With H <- H + sum of heads:

        first layer   r += (y - r) 1     A M     Wq = f_y - f_r  Bk = e_1    Bv = e_1 f_r^T
                      r += -X w          A B     Wq = -F_X       Bk = E_w    Wv = f_w f_r^T
        second layer  w += eta X^T r     A^T B   Bq = eta E_w    Wk = F_X    Wv = f_r f_w^T
                      w += -eta w lam    A B     Wq = -eta f_w   Bk = e_lam  Wv = f_lam f_w^T

    After the first layer r = y - X w, so that the second one adds -eta (X^T X w - X^T y + lam w),
    one step of gradient descent on |y - X w|^2 / 2 + lam |w|^2 / 2. The regulariser is data. The
    sum over rows of X^T r meets no query, because queries have channels of their own; their
    predictions are one head A B, query_x w, in a last layer, the output module. The rows of a
    block's channels that are not the block's have to be zero, as packing leaves them: a prompt that
    holds other things there needs a `layout`, whose first layer takes the blocks alone.

    This form follows the natural prompt of Hagiwara (arXiv:2503.23814), Section 3.5, two layers a
    step.

    Args:
      context_length, dim: n and d of the data; n < d is allowed.
      depth: T, steps of gradient descent; the stack has 2 T layers, one more with queries, and one
        more in front with a layout of the caller's own.
      step_size: eta; below 2 over the largest eigenvalue of X^T X + lam I, which a call checks.
      num_queries: rows of query_x.
      layout: where X, y, lam, w (and query_x) lie in the caller's prompt, stored transposed or not;
        a first layer of move and transpose heads brings them to the natural places.
      skip: "residual", or "head" for a skip by one more head in every layer.
      dtype: to compute in; jax's default floating dtype where None.

    Raises:
      TypeError, ValueError: for sizes that are not integers or too small, a step size that is not
        positive, a layout with other blocks, or float64 without jax's x64 switch.
    """
    shapes = check_sizes("ridge_elsa", context_length, dim, depth, step_size, num_queries)
    callers, private, load = _prompt("ridge_elsa", shapes, layout)
    residual = [
        heads.times_constant(private, {"y": 1.0, "residual": -1.0}, np.eye(1), "residual"),
        heads.product(private, "X", "w", "residual", scale=-1.0),
    ]
    update = [
        heads.transposed_product(private, "X", "residual", "w", scale=step_size),
        heads.product(private, "w", "lam", "w", scale=-step_size),
    ]
    return _assemble(
        "ridge_elsa",
        callers,
        private,
        prologue=load,
        body=[residual, update],
        depth=depth,
        step_size=step_size,
        skip=skip,
        dtype=dtype,
    )


def ridge_elsa_one_layer(
    context_length: int,
    dim: int,
    depth: int,
    step_size: float,
    *,
    num_queries: int = 0,
    layout: BlockLayout | None = None,
    skip: str = "residual",
    dtype: DTypeLike | None = None,
) -> RidgeStack:
    """Gradient descent on the ridge loss by one multi-head ELSA layer a step.

    The residual is carried as state, e = y - X w, so that both blocks move at once:

        w += eta (X^T e - lam w)
        e += -eta X X^T e + eta lam (y - e)      because X w = y - e

    The second line is X times the first, subtracted: e stays y - X w. X X^T e is one head A B^T C.
    One layer in front forms e = y - X w_0 from the natural prompt. This form is this library's own.

    Args and errors are those of `ridge_elsa`; the stack has T + 1 layers, one more with queries,
    and one more in front with a layout of the caller's own.
    """
    where = "ridge_elsa_one_layer"
    shapes = check_sizes(where, context_length, dim, depth, step_size, num_queries)
    callers, private, load = _prompt(where, shapes, layout)
    start = [
        heads.times_constant(private, "y", np.eye(1), "residual"),
        heads.product(private, "X", "w", "residual", scale=-1.0),
    ]
    fitted = {"y": 1.0, "residual": -1.0}
    step = [
        heads.transposed_product(private, "X", "residual", "w", scale=step_size),
        heads.product(private, "w", "lam", "w", scale=-step_size),
        heads.triple_product(private, "X", "X", "residual", "residual", scale=-step_size),
        heads.product(private, fitted, "lam", "residual", scale=step_size),
    ]
    return _assemble(
        where,
        callers,
        private,
        prologue=[*load, start],
        body=[step],
        depth=depth,
        step_size=step_size,
        skip=skip,
        dtype=dtype,
    )


def _prompt(
    where: str, shapes: dict[str, tuple[int, int]], layout: BlockLayout | None
) -> tuple[BlockLayout, BlockLayout, list[list[Head]]]:
    """The caller's layout, the stack's own in a prompt that holds both, and the load layer."""
    natural = natural_layout(shapes)
    callers = layout if layout is not None else natural
    callers_shapes = {name: callers.shape_of(name) for name in callers}
    if callers_shapes != shapes:
        raise ValueError(f"{where}: layout must have the blocks {shapes}, got {callers_shapes}")
    private_shapes = {**shapes, "residual": shapes["y"]}
    if "query_x" in shapes:
        private_shapes["prediction"] = (shapes["query_x"][0], 1)
    first = 0 if callers == natural else callers.shape[1]
    placed, channel = {}, first
    for name, (height, width) in private_shapes.items():
        placed[name] = (0, channel, height, width)
        channel += width
    rows = max(callers.shape[0], *(height for height, _ in private_shapes.values()))
    private = BlockLayout(placed, (rows, channel))
    if not first:
        return callers, private, []
    both = BlockLayout(
        {**{f"given {name}": box for name, box in callers.blocks.items()}, **placed},
        (rows, channel),
    )
    load = [
        (heads.transpose if name in callers.transposed else heads.move)(both, f"given {name}", name)
        for name in callers
    ]
    return callers, private, [load]


def _assemble(
    where: str,
    given: BlockLayout,
    private: BlockLayout,
    *,
    prologue: list[list[Head]],
    body: list[list[Head]],
    depth: int,
    step_size: float,
    skip: str,
    dtype: DTypeLike | None,
) -> RidgeStack:
    """Emits the layers, the output module last where there are queries."""
    output = (
        [[heads.product(private, "query_x", "w", "prediction")]] if "query_x" in private else []
    )

    def emit(layers: list[list[Head]]) -> list[ELSA]:
        return [ELSA.from_heads(layer, private.shape, dtype=dtype) for layer in layers]

    stack = Stack(emit(body), depth, prologue=emit(prologue), epilogue=emit(output), skip=skip)
    layers = [*prologue, *body, *output]
    inputs = {name: given.shape_of(name) for name in given}
    return RidgeStack(stack, given, private, layers, inputs=inputs, step_size=step_size, name=where)
