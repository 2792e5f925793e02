"""A layout is refused exactly where the dense head would be wrong.

Layouts of all kinds are drawn, and refusal is compared with the error of the head made without
asking.
"""

import numpy as np
import pytest

from elsa import BlockLayout, heads
from elsa.heads import placement
from elsa.heads.table import PRIMITIVES
from tests.heads.cases import LINES, SHAPE, M, directly, filled, head_of
from tests.helpers import attention_reference, attention_rounding


@pytest.fixture
def unasked(monkeypatch):
    def make(line, layout):
        with monkeypatch.context() as patch:
            patch.setattr(placement, "require_landing_in_rows", lambda *_: None)
            patch.setattr(placement, "require_clean_contraction", lambda *_: None)
            return head_of(line, layout)

    return make


def is_wrong(line, layout, head):
    """True where the dense head differs from the blocks' product on a random filled prompt."""
    h = filled(np.random.default_rng(3), layout)
    weights = head.dense(layout.shape)
    error = np.abs(attention_reference(h, weights) - directly(line, layout, h))
    return bool((error > 1e6 * attention_rounding(h, weights)).any())


CONTRACTED = {"A": (0, 0, 3, 2), "B": (0, 2, 3, 1), "result": (0, 3, 2, 1)}
ROWS = {"A": (0, 0, 3, 2), "B": (0, 2, 2, 1), "result": (0, 3, 3, 1)}
TRIPLE = {"A": (0, 0, 3, 2), "B": (0, 2, 4, 2), "C": (0, 4, 4, 1), "result": (0, 5, 3, 1)}


@pytest.mark.parametrize(
    "line, boxes, message",
    [
        ("s A^T B", {**CONTRACTED, "P": (4, 0, 2, 2), "Q": (5, 2, 2, 1)},
         "blocks 'P' and 'Q' share channels with A and B and meet in other rows"),
        ("s A^T B", {**CONTRACTED, "P": (4, 0, 2, 4)},
         "blocks 'P' and 'P' share channels with A and B and meet in other rows"),
        ("s A^T B", {**CONTRACTED, "B": (1, 2, 3, 1)},
         "A and B must lie in the same rows to be contracted, got 0:3 and 1:4"),
        ("s A M", {"A": (0, 0, 3, 2), "result": (1, 2, 3, 1)},
         "the result lands in the rows of A, 0:3, but block 'result' lies in rows 1:4; move it"),
        ("s A M", {"A": (0, 0, 3, 2), "result": (0, 2, 3, 1), "P": (3, 1, 1, 1)},
         "block 'P' shares channels with 'A', so that its rows would receive a product too"),
        ("s A B", {**ROWS, "result": (2, 3, 3, 1)}, "the result lands in the rows of A, 0:3, but"),
        ("s A B", {**ROWS, "P": (5, 1, 2, 3)}, "block 'P' shares channels with 'A'"),
        ("s A B", {**ROWS, "B": (3, 1, 2, 1)}, "block 'B' shares channels with 'A'"),
        ("s A B^T", {**ROWS, "B": (0, 3, 1, 2), "result": (3, 0, 3, 1)},
         "the result lands in the rows of A, 0:3, but block 'result' lies in rows 3:6"),
        ("s A B^T", {**ROWS, "B": (3, 0, 1, 2)}, "block 'B' shares channels with 'A'"),
        ("s A B^T C", {**TRIPLE, "result": (1, 5, 3, 1)}, "the result lands in the rows of A"),
        ("s A B^T C", {**TRIPLE, "P": (3, 0, 1, 1)}, "block 'P' shares channels with 'A'"),
        ("s A B^T C", {**TRIPLE, "C": (1, 4, 4, 1)},
         "B and C must lie in the same rows to be contracted, got 0:4 and 1:5"),
        ("s A B^T C", {**TRIPLE, "P": (4, 3, 2, 2)},
         "blocks 'P' and 'P' share channels with B and C and meet in other rows"),
    ],
)  # fmt: skip
def test_a_layout_in_which_the_product_would_be_wrong_is_refused(line, boxes, message, unasked):
    layout = BlockLayout(boxes, SHAPE)
    where = PRIMITIVES[line].line.__name__
    with pytest.raises(ValueError, match=f"{where}: .*{message}"):
        head_of(line, layout)
    assert is_wrong(line, layout, unasked(line, layout))


@pytest.mark.parametrize(
    "line, boxes",
    [
        # Other blocks in the same channels do no harm where they meet nothing.
        ("s A^T B", {**CONTRACTED, "P": (4, 0, 2, 2), "Q": (6, 2, 2, 1)}),
        ("s A^T B", {"A": (0, 0, 3, 2), "B": (0, 2, 3, 1), "result": (3, 2, 2, 1)}),
        ("s A B", {**ROWS, "P": (5, 2, 3, 2)}),
        ("s A B^T", {"A": (0, 0, 3, 2), "B": (0, 2, 1, 2), "result": (0, 4, 3, 1),
                                "P": (1, 2, 2, 2)}),
        ("s A B^T C", {**TRIPLE, "P": (4, 2, 2, 1), "Q": (6, 4, 2, 1)}),
        ("s A B^T C", {**TRIPLE, "A": (5, 0, 3, 2), "result": (5, 4, 3, 1)}),
    ],
)  # fmt: skip
def test_shared_channels_are_admitted_where_the_product_stays_right(line, boxes):
    layout = BlockLayout(boxes, SHAPE)
    assert not is_wrong(line, layout, head_of(line, layout))


def anywhere(rng, shapes):
    """Random boxes without overlap on a small prompt, or None where the draw finds no room."""
    boxes = []
    for height, width in shapes.values():
        for _ in range(20):
            row, col = int(rng.integers(0, 8 - height)), int(rng.integers(0, 13 - width))
            row = row if rng.random() < 0.2 else 0  # sharing rows is what heads ask for
            box = (row, col, height, width)
            if all(
                row >= r + h or r >= row + height or col >= c + w or c >= col + width
                for r, c, h, w in boxes
            ):
                boxes.append(box)
                break
        else:
            return None
    return BlockLayout(dict(zip(shapes, boxes, strict=True)), (8, 12))


@pytest.mark.parametrize("line", LINES[3:])
def test_refused_is_exactly_what_would_be_wrong(line, unasked):
    rng = np.random.default_rng(11)
    seen = {True: 0, False: 0}
    for _ in range(400):
        shapes = PRIMITIVES[line].shapes(dict(zip("ndk", rng.integers(1, 4, size=3), strict=True)))
        layout = anywhere(rng, shapes | {"P": tuple(rng.integers(1, 4, size=2))})
        if layout is None:
            continue
        try:
            head, refused = head_of(line, layout), False
        except ValueError:
            head, refused = unasked(line, layout), True
        assert refused == is_wrong(line, layout, head), layout
        seen[refused] += 1
    assert min(seen.values()) >= 20, seen  # both kinds were met


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda lay: heads.move(lay, "A", "B"),
         r"move: blocks 'A' and 'B' must have the same shape, got \(3, 2\) and \(2, 4\)"),
        (lambda lay: heads.transpose(lay, "A", "B"),
         r"transpose: blocks 'A\^T' and 'B' must have the same shape, got \(2, 3\) and \(2, 4\)"),
        (lambda lay: heads.constant(lay, "A", np.zeros((2, 3))),
         r"constant: value must have the shape \(3, 2\) of block 'A', got \(2, 3\)"),
        (lambda lay: heads.constant(lay, "A", np.full((3, 2), np.nan)),
         "constant: value must be finite, got nan"),
        (lambda lay: heads.times_constant(lay, "A", np.eye(3), "A"),
         r"times_constant: matrix must have shape \(2, 2\), got \(3, 3\)"),
        (lambda lay: heads.times_constant(lay, "A", np.full((2, 2), np.inf), "A"),
         "times_constant: matrix must be finite, got inf"),
        (lambda lay: heads.times_constant(lay, {}, np.eye(2), "A"),
         "heads: a combination must name at least one block"),
        (lambda lay: heads.transposed_product(lay, "A", "A", "B"),
         r"transposed_product: block 'B' must have shape \(2, 2\) to take the result, got \(2, 4"),
        (lambda lay: heads.product(lay, "B", "A", "A"),
         "product: channels of B and rows of A must agree, got 4 and 3"),
        (lambda lay: heads.product(lay, "A", "B", "A"),
         r"product: block 'A' must have shape \(3, 4\) to take the result, got \(3, 2\)"),
        (lambda lay: heads.product_transposed(lay, "A", "B", "A"),
         "product_transposed: channels of A and channels of B must agree, got 2 and 4"),
        (lambda lay: heads.product_transposed(lay, "A", "A", "A"),
         r"product_transposed: block 'A' must have shape \(3, 3\) to take the result"),
        (lambda lay: heads.triple_product(lay, "A", "B", "A", "A"),
         "triple_product: channels of A and channels of B must agree, got 2 and 4"),
        (lambda lay: heads.triple_product(lay, "A", "A", "A", "B"),
         r"triple_product: block 'B' must have shape \(3, 2\) to take the result, got \(2, 4\)"),
        (lambda lay: heads.product(lay, {"A": 1, "B": 1}, "B", "A"),
         r"heads: blocks 'A' \(0, 0, 3, 2\) and 'B' \(0, 2, 2, 4\) cannot be combined: they must"),
        (lambda lay: heads.transposed_product(lay, {}, "A", "A"),
         "heads: a combination must name at least one block"),
    ],
)  # fmt: skip
def test_blocks_that_do_not_fit_are_named(make, message):
    layout = BlockLayout({"A": (0, 0, 3, 2), "B": (0, 2, 2, 4)}, SHAPE)
    with pytest.raises(ValueError, match=message):
        make(layout)


def test_times_constant_needs_a_row_for_every_channel():
    layout = BlockLayout({"A": (0, 0, 1, 3), "T": (0, 3, 1, 3)})
    message = "times_constant: the prompt must have at least 3 rows, one for each channel of A"
    with pytest.raises(ValueError, match=message):
        heads.times_constant(layout, "A", np.eye(3), "T")


@pytest.mark.parametrize("line", LINES[1:])
def test_unknown_blocks_are_named(line):
    layout = BlockLayout({"aa": (0, 0, 1, 1)})
    with pytest.raises(KeyError, match=r"BlockLayout: unknown block '(A|B|C|result)', known are"):
        PRIMITIVES[line].head(layout, M, 1.0)


def test_a_weight_that_is_not_finite_is_refused():
    layout = BlockLayout({"a": (0, 0, 2, 1), "b": (0, 1, 2, 1)})
    with pytest.raises(ValueError, match="scale must be finite"):
        heads.move(layout, "a", "b", scale=float("nan"))
