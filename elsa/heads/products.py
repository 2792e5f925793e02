"""Symbolic heads of extended linear self-attention: one function per line of the head table.

With E_r = I_n[:, r] and F_c = I_m[:, c] for rows r and channels c of a block, and s a scale:

    constant C to (r', c')        Bq = E_r'    Bk = E_r'   Bv = E_r' C F_c'^T    C
    move H[r,c] to (r', c')       Bq = s E_r'  Bk = E_r    Wv = F_c F_c'^T       s H[r,c]
    transpose H[r,c] to (r', c')  Bq = s E_r'  Wk = F_c    Bv = E_r F_c'^T       s H[r,c]^T
    A M, M constant               Wq = s F_a   Bk = E_q    Bv = E_q M F_c'^T     rows of A
    A^T B                         Bq = s E_r'  Wk = F_a    Wv = F_b F_c'^T       any rows r'
    A B, B = H[r,b]               Wq = s F_a   Bk = E_r    Wv = F_b F_c'^T       rows of A
    A B^T, B = H[r,b]             Wq = s F_a   Wk = F_b    Bv = E_r F_c'^T       rows of A
    A B^T C                       Wq = s F_a   Wk = F_b    Wv = F_c F_c'^T       rows of A

The layout gives the names their rows and channels and is asked, before a head is made, whether the
product is exact there: a product contracted over all rows needs its two channel blocks to meet in
no rows but their own, and a result that lands in the rows of A needs A's channels to hold nothing
else. Boxes are taken as they lie in the prompt: a block stored transposed is used as it is stored.
Hagiwara (arXiv:2503.23814), Properties 2 to 4.
"""

import numpy as np
from jax.typing import ArrayLike

from elsa.base import checks
from elsa.heads import placement
from elsa.heads.head import Head, Term
from elsa.prompts.layout import BlockLayout


def constant(layout: BlockLayout, target: str, value: ArrayLike) -> Head:
    """Writes a constant matrix: Q K^T V = E_r' E_r'^T E_r' C F_c'^T. The block is C as it lies.

    Raises:
      ValueError: where C has not the target's shape, or holds NaN or infinity.
    """
    placement.require_arguments("constant", layout, target)
    checks.finite("constant", value=value)
    stored = np.asarray(
        checks.column("constant", target, np.asarray(value), placement.lying_shape(layout, target))
    )
    rows, into = layout.box(target).rows, layout.box(target).channels
    eye = np.eye(len(rows))
    return Head(f"{target} += C", _rows(rows, eye), _rows(rows, eye), _rows(rows, stored), into)


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
    origin, place = layout.box(source), layout.box(target)
    eye = np.eye(origin.height)
    return Head(
        f"{target} += {placement.show(source, scale)}",
        _rows(place.rows, scale * eye),
        _rows(origin.rows, eye),
        _channels(origin.channels, np.eye(origin.width)),
        place.channels,
    )


def transpose(layout: BlockLayout, source: str, target: str, *, scale: float = 1.0) -> Head:
    """Writes `scale` times the transpose of a block into the place of another.

    Q K^T V = s E_r' (H F_c)^T E_r F_c'^T.

    Raises:
      ValueError: where the target's box has not the transposed shape.
    """
    placement.require_arguments("transpose", layout, target, scale)
    origin, place = layout.box(source), layout.box(target)
    checks.same_shape(
        "transpose",
        f"{source}^T",
        placement.lying_shape(layout, source)[::-1],
        target,
        placement.lying_shape(layout, target),
    )
    return Head(
        f"{target} += {placement.show(source, scale)}^T",
        _rows(place.rows, scale * np.eye(place.height)),
        _channels(origin.channels, np.eye(origin.width)),
        _rows(origin.rows, np.eye(origin.height)),
        place.channels,
    )


def times_constant(
    layout: BlockLayout, a: placement.Source, matrix: ArrayLike, target: str, *, scale: float = 1.0
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
    identity_rows = range(width)
    return Head(
        f"{target} += {placement.show(a, scale)} M",
        _combine(layout, a, scale),
        _rows(identity_rows, np.eye(width)),
        _rows(identity_rows, constant_matrix),
        place.channels,
    )


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
    place = layout.box(target)
    placement.require_shape(
        where,
        layout,
        target,
        (placement.common_box(layout, a).width, placement.common_box(layout, b).width),
    )
    placement.require_clean_contraction(where, layout, a, b)
    return Head(
        f"{target} += {placement.show(a, scale)}^T {placement.show(b)}",
        _rows(place.rows, scale * np.eye(place.height)),
        _combine(layout, a),
        _combine(layout, b),
        place.channels,
    )


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
    return Head(
        f"{target} += {placement.show(a, scale)} {b}",
        _combine(layout, a, scale),
        _rows(right.rows, np.eye(right.height)),
        _combine(layout, b),
        place.channels,
    )


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
    return Head(
        f"{target} += {placement.show(a, scale)} {b}^T",
        _combine(layout, a, scale),
        _combine(layout, b),
        _rows(right.rows, np.eye(right.height)),
        place.channels,
    )


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
    left, middle, right = (
        placement.common_box(layout, a),
        placement.common_box(layout, b),
        placement.common_box(layout, c),
    )
    placement.require_inner(
        where,
        f"channels of {placement.show(a)}",
        left.width,
        f"channels of {placement.show(b)}",
        middle.width,
    )
    placement.require_shape(where, layout, target, (left.height, right.width))
    placement.require_clean_contraction(where, layout, b, c)
    placement.require_landing_in_rows(where, layout, a, target)
    return Head(
        f"{target} += {placement.show(a, scale)} {placement.show(b)}^T {placement.show(c)}",
        _combine(layout, a, scale),
        _combine(layout, b),
        _combine(layout, c),
        layout.box(target).channels,
    )


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
    if n <= m:
        query, key = _rows(rows, np.eye(n)), _rows(rows, np.eye(n))
        return Head("H += H", query, key, _channels(channels, np.eye(m)), channels)
    query, key = _channels(channels, np.eye(m)), _rows(rows, np.eye(m))
    return Head("H += H", query, key, _rows(rows, np.eye(m)), channels)


def _rows(span: range, matrix: np.ndarray) -> tuple[Term, ...]:
    return (Term("rows", span, np.asarray(matrix, dtype=np.float64)),)


def _channels(span: range, matrix: np.ndarray) -> tuple[Term, ...]:
    return (Term("channels", span, np.asarray(matrix, dtype=np.float64)),)


def _combine(layout: BlockLayout, source: placement.Source, scale: float = 1.0) -> tuple[Term, ...]:
    """One term a block of the combination, each scaled."""
    return tuple(
        Term("channels", layout.box(name).channels, scale * share * np.eye(layout.box(name).width))
        for name, share in placement.shares(source).items()
    )
