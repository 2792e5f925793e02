"""Symbolic heads of extended linear self-attention: one function for each line of the head table.

`factors` holds the table; here the only constants are C and the matrix of A M. The layout gives the
names their rows and channels and is asked, before a head is made, whether the product is exact
there: a product contracted over all rows needs its two channel blocks to meet in no rows but their
own, and a result that lands in the rows of A needs A's channels to hold nothing else. Boxes are
taken as they lie in the prompt: a block stored transposed is used as it is stored.
Hagiwara (arXiv:2503.23814), Properties 2 to 4.
"""

import numpy as np

from elsa.base import checks
from elsa.base.arrays import AnyShape
from elsa.heads import factors, placement
from elsa.heads.head import Head
from elsa.prompts.layout import BlockLayout, Box


def constant(layout: BlockLayout, target: str, value: AnyShape) -> Head:
    """Writes a constant matrix: Q K^T V = E_r' E_r'^T E_r' C F_c'^T. The block is C as it lies.

    Raises:
      ValueError: where C does not have the target's shape, or holds NaN or infinity.
    """
    placement.require_arguments("constant", layout, target)
    checks.finite("constant", value=value)
    shape = placement.lying_shape(layout, target)
    stored = np.asarray(value, np.float64)
    if stored.ndim > 2 or checks.matrix_shape(stored.shape) != shape:
        raise ValueError(
            f"constant: value must have the shape {shape} of block {target!r}, got {stored.shape}"
        )
    stored = stored.reshape(shape)
    rows, into = layout.box(target).rows, layout.box(target).channels
    made = factors.of(factors.rows(rows), right=stored, over=rows)
    return Head(f"{target} += C", *made, into)


def move(layout: BlockLayout, source: str, target: str, *, scale: float = 1.0) -> Head:
    """Writes `scale` times a block into the place of another, wherever the two lie.

    Q K^T V = s E_r' (E_r^T H F_c) F_c'^T.

    Raises:
      ValueError: where the two boxes differ in shape.
    """
    placement.require_arguments("move", layout, target, scale)
    checks.same_shape(
        "move",
        source,
        placement.lying_shape(layout, source),
        target,
        placement.lying_shape(layout, target),
    )
    place = layout.box(target)
    made = factors.of(factors.rows(place.rows, scale=scale), (_boxes(layout, source), False))
    return Head(f"{target} += {placement.show(source, scale)}", *made, place.channels)


def transpose(layout: BlockLayout, source: str, target: str, *, scale: float = 1.0) -> Head:
    """Writes `scale` times the transpose of a block into the place of another.

    Q K^T V = s E_r' (H F_c)^T E_r F_c'^T.

    Raises:
      ValueError: where the target's box does not have the transposed shape.
    """
    placement.require_arguments("transpose", layout, target, scale)
    checks.same_shape(
        "transpose",
        f"{source}^T",
        placement.lying_shape(layout, source)[::-1],
        target,
        placement.lying_shape(layout, target),
    )
    place = layout.box(target)
    made = factors.of(factors.rows(place.rows, scale=scale), (_boxes(layout, source), True))
    return Head(f"{target} += {placement.show(source, scale)}^T", *made, place.channels)


def times_constant(
    layout: BlockLayout, a: placement.Source, matrix: AnyShape, target: str, *, scale: float = 1.0
) -> Head:
    """Writes s A M, M a constant matrix, into the rows of A.

    Q K^T V = s (H F_a) E_q^T E_q M F_c'^T, where E_q is any |a| rows of the prompt.

    Raises:
      ValueError: where M does not fit, where the prompt has fewer rows than A has channels, or
        where the result would not land cleanly (see the module).
    """
    placement.require_arguments("times_constant", layout, target, scale, a=a)
    where = "times_constant"
    checks.finite(where, matrix=matrix)
    constant_matrix = np.asarray(matrix, dtype=np.float64)
    width = placement.common_box(layout, a).width
    place = layout.box(target)
    if constant_matrix.shape != (width, place.width):
        raise ValueError(
            f"{where}: matrix must have shape {(width, place.width)}, got {constant_matrix.shape}"
        )
    if layout.shape[0] < width:
        raise ValueError(
            f"{where}: the prompt must have at least {width} rows, one for each channel of "
            f"{placement.show(a)}, got {layout.shape[0]}"
        )
    placement.require_landing_in_rows(where, layout, a, target)
    query = factors.channels(_boxes(layout, a), scale=scale)
    made = factors.of(query, right=constant_matrix, over=range(width))
    return Head(f"{target} += {placement.show(a, scale)} M", *made, place.channels)


def transposed_product(
    layout: BlockLayout,
    a: placement.Source,
    b: placement.Source,
    target: str,
    *,
    scale: float = 1.0,
) -> Head:
    """Writes s A^T B, anywhere: Q K^T V = s E_r' (H F_a)^T (H F_b) F_c'^T.

    Raises:
      ValueError: where shapes do not fit, or where rows outside A and B would enter the sum.
    """
    placement.require_arguments("transposed_product", layout, target, scale, a=a, b=b)
    where = "transposed_product"
    left, right = (placement.common_box(layout, source) for source in (a, b))
    placement.require_shape(where, layout, target, (left.width, right.width))
    placement.require_clean_contraction(where, layout, a, b)
    place = layout.box(target)
    query = factors.rows(place.rows, scale=scale)
    made = factors.of(query, (_boxes(layout, a), True), (_boxes(layout, b), False))
    formula = f"{target} += {placement.show(a, scale)}^T {placement.show(b)}"
    return Head(formula, *made, place.channels)


def product(
    layout: BlockLayout, a: placement.Source, b: str, target: str, *, scale: float = 1.0
) -> Head:
    """Writes s A B into the rows of A: Q K^T V = s (H F_a) E_r^T (H F_b) F_c'^T, r the rows of B.

    Raises:
      ValueError: where shapes do not fit, or where the result would not land cleanly.
    """
    placement.require_arguments("product", layout, target, scale, a=a)
    where = "product"
    left, right, place = placement.common_box(layout, a), layout.box(b), layout.box(target)
    placement.require_inner(
        where, f"channels of {placement.show(a)}", left.width, f"rows of {b}", right.height
    )
    placement.require_shape(where, layout, target, (left.height, right.width))
    placement.require_landing_in_rows(where, layout, a, target)
    query = factors.channels(_boxes(layout, a), scale=scale)
    made = factors.of(query, (_boxes(layout, b), False))
    return Head(f"{target} += {placement.show(a, scale)} {b}", *made, place.channels)


def product_transposed(
    layout: BlockLayout, a: placement.Source, b: str, target: str, *, scale: float = 1.0
) -> Head:
    """Writes s A B^T into the rows of A: Q K^T V = s (H F_a) (H F_b)^T E_r F_c'^T, r the rows of B.

    Raises:
      ValueError: where shapes do not fit, or where the result would not land cleanly.
    """
    placement.require_arguments("product_transposed", layout, target, scale, a=a)
    where = "product_transposed"
    left, right, place = placement.common_box(layout, a), layout.box(b), layout.box(target)
    placement.require_inner(
        where, f"channels of {placement.show(a)}", left.width, f"channels of {b}", right.width
    )
    placement.require_shape(where, layout, target, (left.height, right.height))
    placement.require_landing_in_rows(where, layout, a, target)
    query = factors.channels(_boxes(layout, a), scale=scale)
    made = factors.of(query, (_boxes(layout, b), True))
    return Head(f"{target} += {placement.show(a, scale)} {b}^T", *made, place.channels)


def triple_product(
    layout: BlockLayout,
    a: placement.Source,
    b: placement.Source,
    c: placement.Source,
    target: str,
    *,
    scale: float = 1.0,
) -> Head:
    """Writes s A B^T C into the rows of A: Q K^T V = s (H F_a) (H F_b)^T (H F_c) F_c'^T.

    The only three-factor product of one head; it needs no bias.

    Raises:
      ValueError: where shapes do not fit, where rows outside B and C would enter the sum, or where
        the result would not land cleanly.
    """
    placement.require_arguments("triple_product", layout, target, scale, a=a, b=b, c=c)
    where = "triple_product"
    left, middle, right = (placement.common_box(layout, source) for source in (a, b, c))
    first, second = (f"channels of {placement.show(source)}" for source in (a, b))
    placement.require_inner(where, first, left.width, second, middle.width)
    placement.require_shape(where, layout, target, (left.height, right.width))
    placement.require_clean_contraction(where, layout, b, c)
    placement.require_landing_in_rows(where, layout, a, target)
    query = factors.channels(_boxes(layout, a), scale=scale)
    made = factors.of(query, (_boxes(layout, b), True), (_boxes(layout, c), False))
    formula = f"{target} += {placement.show(a, scale)} {placement.show(b)}^T {placement.show(c)}"
    return Head(formula, *made, layout.box(target).channels)


def skip(shape: tuple[int, int]) -> Head:
    """Returns the whole prompt: one head that replaces the residual.

    Bq Bk^T = I_n with p = n, Wv = I_m; or, where m < n, Wq = I_m and Bk^T Bv = I_m with p = m.
    Hagiwara (arXiv:2503.23814), Property 3.
    """
    if not isinstance(shape, tuple | list) or len(shape) != 2:
        raise TypeError(f"skip: shape must be two integers, got {shape!r}")
    checks.size("skip", **{f"shape[{axis}]": (size, 1) for axis, size in enumerate(shape)})
    n, m = shape
    channels, rows = range(m), range(min(n, m))
    prompt = {Box(0, 0, n, m): 1.0}
    if n <= m:
        made = factors.of(factors.rows(rows), (prompt, False))
    else:
        made = factors.of(factors.channels(prompt), over=rows)
    return Head("H += H", *made, channels)


def _boxes(layout: BlockLayout, source: placement.Source) -> factors.Blocks:
    return {layout.box(name): share for name, share in placement.shares(source).items()}
