"""Symbolic heads: every line of the head table against the blocks multiplied directly.

A layout is refused exactly where the dense head would be wrong: the last test draws layouts of all
kinds and compares refusal with the error of the head made without asking.
"""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import elsa
from elsa import BlockLayout, heads, placement
from elsa.symbolic import stack_dense
from tests.helpers import assert_within, attention_reference, attention_rounding

SHAPE = (8, 16)  # of every prompt here, so that jax compiles little


def own_channels(rng, shapes, same_rows=()):
    """Every block in channels of its own, in random order, from a random row on.

    Blocks named together in `same_rows` start in one row.
    """
    starts = {name: int(rng.integers(0, SHAPE[0] - h + 1)) for name, (h, _) in shapes.items()}
    for first, *others in same_rows:
        starts |= dict.fromkeys(others, starts[first])
    spare, boxes, channel = SHAPE[1] - sum(w for _, w in shapes.values()), {}, 0
    for name in rng.permutation(list(shapes)):
        gap = int(rng.integers(0, spare + 1))
        spare, (height, width) = spare - gap, shapes[name]
        boxes[str(name)] = (starts[name], channel + gap, height, width)
        channel += gap + width
    return BlockLayout(boxes, SHAPE)


def filled(rng, layout):
    """A prompt with random blocks, zero elsewhere."""
    return np.asarray(layout.pack(**{n: rng.normal(size=layout.shape_of(n)) for n in layout}))


def landed(layout, target, value):
    """The prompt that holds `value` in the place of the target, zero elsewhere."""
    out, box = np.zeros(layout.shape), layout.box(target)
    out[box.row : box.row + box.height, box.col : box.col + box.width] = value
    return out


def lying(layout, h, name):
    """The block as it lies in the prompt."""
    box = layout.box(name)
    return h[box.row : box.row + box.height, box.col : box.col + box.width]


M = np.random.default_rng(7).normal(size=(4, 4))  # the constant matrix, cut to size

# Name of the line -> the head, the same from the blocks, shapes of A, B, C, T for sizes a to d,
# and the blocks that must share their rows.
TABLE = {
    "constant": (
        lambda lay, s: heads.constant(lay, "T", s * M[: lay.box("T").height, : lay.box("T").width]),
        lambda A, B, C, T: M[: T.shape[0], : T.shape[1]],
        lambda a, b, c, d: {"T": (a, b)},
        [],
    ),
    "move": (
        lambda lay, s: heads.move(lay, "A", "T", scale=s),
        lambda A, B, C, T: A,
        lambda a, b, c, d: {"A": (a, b), "T": (a, b)},
        [],
    ),
    "transpose": (
        lambda lay, s: heads.transpose(lay, "A", "T", scale=s),
        lambda A, B, C, T: A.T,
        lambda a, b, c, d: {"A": (a, b), "T": (b, a)},
        [],
    ),
    "times_constant": (
        lambda lay, s: heads.times_constant(
            lay, "A", M[: lay.box("A").width, : lay.box("T").width], "T", scale=s
        ),
        lambda A, B, C, T: A @ M[: A.shape[1], : T.shape[1]],
        lambda a, b, c, d: {"A": (a, b), "T": (a, c)},
        [("A", "T")],
    ),
    "transposed_product": (
        lambda lay, s: heads.transposed_product(lay, "A", "B", "T", scale=s),
        lambda A, B, C, T: A.T @ B,
        lambda a, b, c, d: {"A": (a, b), "B": (a, c), "T": (b, c)},
        [("A", "B")],
    ),
    "product": (
        lambda lay, s: heads.product(lay, "A", "B", "T", scale=s),
        lambda A, B, C, T: A @ B,
        lambda a, b, c, d: {"A": (a, b), "B": (b, c), "T": (a, c)},
        [("A", "T")],
    ),
    "product_transposed": (
        lambda lay, s: heads.product_transposed(lay, "A", "B", "T", scale=s),
        lambda A, B, C, T: A @ B.T,
        lambda a, b, c, d: {"A": (a, b), "B": (c, b), "T": (a, c)},
        [("A", "T")],
    ),
    "triple_product": (
        lambda lay, s: heads.triple_product(lay, "A", "B", "C", "T", scale=s),
        lambda A, B, C, T: A @ B.T @ C,
        lambda a, b, c, d: {"A": (a, b), "B": (c, b), "C": (c, d), "T": (a, d)},
        [("A", "T"), ("B", "C")],
    ),
}


def directly(line, layout, h):
    """The head's formula on the blocks, landed in the target."""
    blocks = {name: lying(layout, h, name) if name in layout else None for name in "ABCT"}
    return landed(layout, "T", TABLE[line][1](**blocks))


@pytest.mark.parametrize("line", TABLE)
@given(
    sizes=st.tuples(*(st.integers(1, 4) for _ in range(4))),
    scale=st.sampled_from([1.0, -1.0, 0.25, -3.7]),
    seed=st.integers(0, 2**32 - 1),
)
def test_every_head_computes_its_line_of_the_table(line, sizes, scale, seed):
    make, _, shapes, same_rows = TABLE[line]
    rng = np.random.default_rng(seed)
    layout = own_channels(rng, shapes(*sizes), same_rows)
    h = filled(rng, layout)
    weights = make(layout, scale).dense(SHAPE)
    out = elsa.elsa(h, *weights)
    assert_within(out, scale * directly(line, layout, h), attention_rounding(h, weights))


@pytest.mark.parametrize("line", ["move", "transpose", "product", "product_transposed"])
def test_the_biased_heads_read_their_blocks_only(line):
    """Noise outside the blocks reaches no head whose sums a bias confines to the block's rows."""
    make, _, shapes, same_rows = TABLE[line]
    rng = np.random.default_rng(1)
    layout = own_channels(rng, shapes(3, 2, 4, 1), same_rows)
    h = filled(rng, layout)
    noisy = h.copy()
    used = np.zeros(SHAPE, bool)
    for name in layout:
        box = layout.box(name)
        # Rows of A's channels are queries, each with a result of its own, for A B and A B^T.
        rows = slice(None) if name == "A" and "product" in line else slice(box.row, box.rows.stop)
        used[rows, box.col : box.channels.stop] = True
    noisy[~used] = rng.normal(size=SHAPE)[~used]
    weights = make(layout, 1.0).dense(SHAPE)
    bound = attention_rounding(noisy, weights)
    assert_within(elsa.elsa(noisy, *weights), directly(line, layout, h), bound)


def test_combinations_of_blocks():
    rng = np.random.default_rng(0)
    shapes = {"X": (5, 2), "Z": (5, 2), "y": (5, 1), "fit": (5, 1), "T": (5, 1)}
    shapes |= {"w": (2, 1), "v": (1, 2)}
    layout = own_channels(rng, shapes, [("X", "Z", "y", "fit", "T")])
    h = filled(rng, layout)
    X, Z, y, fit, w, v = (lying(layout, h, name) for name in ("X", "Z", "y", "fit", "w", "v"))
    error, mixed = {"y": 1, "fit": -1}, {"X": 0.5, "Z": -2.0}
    both = 0.5 * X - 2.0 * Z
    cases = [
        (heads.transposed_product(layout, mixed, error, "w", scale=3), "w", 3 * both.T @ (y - fit)),
        (heads.triple_product(layout, "X", mixed, error, "T"), "T", X @ both.T @ (y - fit)),
        (heads.triple_product(layout, mixed, "X", "y", "T", scale=-1), "T", -both @ X.T @ y),
        (heads.product(layout, mixed, "w", "T"), "T", both @ w),
        (heads.product_transposed(layout, mixed, "v", "T"), "T", both @ v.T),
        (heads.times_constant(layout, error, [[2.0]], "T"), "T", 2 * (y - fit)),
        (heads.times_constant(layout, mixed, M[:2, :1], "T", scale=2), "T", 2 * both @ M[:2, :1]),
    ]
    for head, target, expected in cases:
        weights = head.dense(SHAPE)
        bound = attention_rounding(h, weights)
        assert_within(elsa.elsa(h, *weights), landed(layout, target, expected), bound)


def test_a_target_may_be_a_source():
    rng = np.random.default_rng(0)
    layout = own_channels(rng, {"w": (3, 1), "lam": (1, 1), "X": (3, 3)}, [("w", "X")])
    h = filled(rng, layout)
    w, lam, X = (lying(layout, h, name) for name in ("w", "lam", "X"))
    for head, expected in [
        (heads.product(layout, "w", "lam", "w", scale=-0.1), -0.1 * w @ lam),
        (heads.transposed_product(layout, "X", "w", "w"), X.T @ w),
        (heads.triple_product(layout, "w", "w", "w", "w"), w @ w.T @ w),
    ]:
        weights = head.dense(SHAPE)
        bound = attention_rounding(h, weights)
        assert_within(elsa.elsa(h, *weights), landed(layout, "w", expected), bound)


def test_blocks_stored_transposed_are_taken_as_they_lie():
    layout = BlockLayout({"A": (0, 0, 2, 3), "B": (0, 3, 3, 2)}, transposed=["A"])
    h = np.random.default_rng(0).normal(size=layout.shape)
    weights = heads.transpose(layout, "A", "B").dense(layout.shape)
    expected = landed(layout, "B", h[:2, :3].T)
    assert_within(elsa.elsa(h, *weights), expected, attention_rounding(h, weights))
    with pytest.raises(ValueError, match=r"'A' and 'B' must have the same shape, got \(2, 3\)"):
        heads.move(layout, "A", "B")
    constant = heads.constant(layout, "A", np.arange(6.0).reshape(2, 3)).dense(layout.shape)
    np.testing.assert_array_equal(elsa.elsa(h, *constant)[:2, :3], [[0, 1, 2], [3, 4, 5]])


@pytest.mark.parametrize("shape", [(1, 1), (3, 3), (2, 5), (5, 2), (1, 6), (6, 1), (9, 4)])
def test_the_skip_head_returns_the_prompt_exactly(shape):
    """All factors but one are 0 or 1, so that nothing is rounded."""
    h = np.random.default_rng(0).normal(size=shape)
    head = heads.skip(shape)
    assert head.key_size == min(shape)
    np.testing.assert_array_equal(elsa.elsa(h, *head.dense(shape)), h)
    padded = stack_dense([head, *[heads.skip(shape)] * 2], shape)
    np.testing.assert_array_equal(elsa.elsa(h, *(array[2] for array in padded)), h)


# A head says what it computes, and what it is made of.


def test_formulas_are_readable():
    layout = own_channels(
        np.random.default_rng(0),
        {"X": (4, 2), "y": (4, 1), "fit": (4, 1), "w": (2, 1), "v": (2, 1), "row": (1, 2)},
        [("X", "y", "fit")],
    )
    error = {"y": 1, "fit": -1}
    for head, formula in [
        (heads.constant(layout, "w", [1, 2]), "w += C"),
        (heads.move(layout, "v", "w", scale=-1), "w += -v"),
        (heads.transpose(layout, "row", "w", scale=0.5), "w += 0.5 row^T"),
        (heads.times_constant(layout, "y", [[1]], "fit"), "fit += y M"),
        (heads.transposed_product(layout, "X", error, "w", scale=2), "w += 2 X^T (y - fit)"),
        (heads.product(layout, {"X": 2}, "w", "fit"), "fit += (2 X) w"),
        (heads.product_transposed(layout, "X", "row", "fit"), "fit += X row^T"),
        (heads.triple_product(layout, "X", "X", "y", "fit", scale=-1), "fit += -X X^T y"),
        (heads.skip((2, 3)), "H += H"),
    ]:
        assert head.formula == formula


def test_dense_weights_are_float64_and_say_where_biases_are_needed():
    rng = np.random.default_rng(0)
    for line, (make, _, shapes, same_rows) in TABLE.items():
        head = make(own_channels(rng, shapes(2, 3, 4, 1), same_rows), np.float32(0.1))
        weights, p = head.dense(SHAPE), head.key_size
        assert {array.dtype for array in weights} == {np.dtype(np.float64)}
        n, m = SHAPE
        expected = [(m, p), (m, p), (m, m), (n, p), (n, p), (n, m)]
        assert [array.shape for array in weights] == expected
        biases = any(array.any() for array in weights[3:])
        assert head.has_bias == biases == (line != "triple_product")


def test_stacking_pads_keys_without_changing_a_head():
    rng = np.random.default_rng(0)
    layout = own_channels(rng, {"A": (4, 2), "T": (4, 2), "v": (1, 2)}, [("A", "T")])
    h = filled(rng, layout)
    several = [
        heads.move(layout, "A", "T"),
        heads.times_constant(layout, "A", M[:2, :2], "T"),
        heads.constant(layout, "v", [[1, 2]]),
    ]
    stacked = stack_dense(several, SHAPE)
    assert stacked.wq.shape == (3, SHAPE[1], 4)
    for index, head in enumerate(several):
        one = type(stacked)(*(array[index] for array in stacked))
        expected = attention_reference(h, head.dense(SHAPE))
        assert_within(elsa.elsa(h, *one), expected, attention_rounding(h, one))


# Refusals. `unasked` makes the head without its exactness checks, to show that they are right.


@pytest.fixture
def unasked(monkeypatch):
    def make(line, layout):
        with monkeypatch.context() as patch:
            patch.setattr(placement, "require_landing_in_rows", lambda *_: None)
            patch.setattr(placement, "require_clean_contraction", lambda *_: None)
            return TABLE[line][0](layout, 1.0)

    return make


def is_wrong(line, layout, head):
    """True where the dense head differs from the blocks' product on a random filled prompt."""
    h = filled(np.random.default_rng(3), layout)
    weights = head.dense(layout.shape)
    error = np.abs(attention_reference(h, weights) - directly(line, layout, h))
    return bool((error > 1e6 * attention_rounding(h, weights)).any())


CONTRACTED = {"A": (0, 0, 3, 2), "B": (0, 2, 3, 1), "T": (0, 3, 2, 1)}
ROWS = {"A": (0, 0, 3, 2), "B": (0, 2, 2, 1), "T": (0, 3, 3, 1)}
TRIPLE = {"A": (0, 0, 3, 2), "B": (0, 2, 4, 2), "C": (0, 4, 4, 1), "T": (0, 5, 3, 1)}


@pytest.mark.parametrize(
    "line, boxes, message",
    [
        ("transposed_product", {**CONTRACTED, "P": (4, 0, 2, 2), "Q": (5, 2, 2, 1)},
         "blocks 'P' and 'Q' share channels with A and B and meet in other rows"),
        ("transposed_product", {**CONTRACTED, "P": (4, 0, 2, 4)},
         "blocks 'P' and 'P' share channels with A and B and meet in other rows"),
        ("transposed_product", {**CONTRACTED, "B": (1, 2, 3, 1)},
         "A and B must lie in the same rows to be contracted, got 0:3 and 1:4"),
        ("times_constant", {"A": (0, 0, 3, 2), "T": (1, 2, 3, 1)},
         "the result lands in the rows of A, 0:3, but block 'T' lies in rows 1:4; move it"),
        ("times_constant", {"A": (0, 0, 3, 2), "T": (0, 2, 3, 1), "P": (3, 1, 1, 1)},
         "block 'P' shares channels with 'A', so that its rows would receive a product too"),
        ("product", {**ROWS, "T": (2, 3, 3, 1)}, "the result lands in the rows of A, 0:3, but"),
        ("product", {**ROWS, "P": (5, 1, 2, 3)}, "block 'P' shares channels with 'A'"),
        ("product", {**ROWS, "B": (3, 1, 2, 1)}, "block 'B' shares channels with 'A'"),
        ("product_transposed", {**ROWS, "B": (0, 3, 1, 2), "T": (3, 0, 3, 1)},
         "the result lands in the rows of A, 0:3, but block 'T' lies in rows 3:6"),
        ("product_transposed", {**ROWS, "B": (3, 0, 1, 2)}, "block 'B' shares channels with 'A'"),
        ("triple_product", {**TRIPLE, "T": (1, 5, 3, 1)}, "the result lands in the rows of A"),
        ("triple_product", {**TRIPLE, "P": (3, 0, 1, 1)}, "block 'P' shares channels with 'A'"),
        ("triple_product", {**TRIPLE, "C": (1, 4, 4, 1)},
         "B and C must lie in the same rows to be contracted, got 0:4 and 1:5"),
        ("triple_product", {**TRIPLE, "P": (4, 3, 2, 2)},
         "blocks 'P' and 'P' share channels with B and C and meet in other rows"),
    ],
)  # fmt: skip
def test_a_layout_in_which_the_product_would_be_wrong_is_refused(line, boxes, message, unasked):
    layout = BlockLayout(boxes, SHAPE)
    with pytest.raises(ValueError, match=f"{line}: .*{message}"):
        TABLE[line][0](layout, 1.0)
    assert is_wrong(line, layout, unasked(line, layout))


@pytest.mark.parametrize(
    "line, boxes",
    [
        # Other blocks in the same channels do no harm where they meet nothing.
        ("transposed_product", {**CONTRACTED, "P": (4, 0, 2, 2), "Q": (6, 2, 2, 1)}),
        ("transposed_product", {"A": (0, 0, 3, 2), "B": (0, 2, 3, 1), "T": (3, 2, 2, 1)}),
        ("product", {**ROWS, "P": (5, 2, 3, 2)}),
        ("product_transposed", {"A": (0, 0, 3, 2), "B": (0, 2, 1, 2), "T": (0, 4, 3, 1),
                                "P": (1, 2, 2, 2)}),
        ("triple_product", {**TRIPLE, "P": (4, 2, 2, 1), "Q": (6, 4, 2, 1)}),
        ("triple_product", {**TRIPLE, "A": (5, 0, 3, 2), "T": (5, 4, 3, 1)}),
    ],
)  # fmt: skip
def test_shared_channels_are_admitted_where_the_product_stays_right(line, boxes):
    layout = BlockLayout(boxes, SHAPE)
    assert not is_wrong(line, layout, TABLE[line][0](layout, 1.0))


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


@pytest.mark.parametrize("line", list(TABLE)[3:])
def test_refused_is_exactly_what_would_be_wrong(line, unasked):
    rng = np.random.default_rng(11)
    seen = {True: 0, False: 0}
    for _ in range(400):
        shapes = TABLE[line][2](*rng.integers(1, 4, size=4))
        layout = anywhere(rng, shapes | {"P": tuple(rng.integers(1, 4, size=2))})
        if layout is None:
            continue
        try:
            head, refused = TABLE[line][0](layout, 1.0), False
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
         r"constant: block 'A' must have shape \(3, 2\), got \(2, 3\)"),
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


@pytest.mark.parametrize("line", list(TABLE)[1:])
def test_unknown_blocks_are_named(line):
    layout = BlockLayout({"aa": (0, 0, 1, 1)})
    with pytest.raises(KeyError, match=r"BlockLayout: unknown block '[ABCT]', known are"):
        TABLE[line][0](layout, 1.0)


def test_a_weight_that_is_not_finite_is_refused():
    layout = BlockLayout({"a": (0, 0, 2, 1), "b": (0, 1, 2, 1)})
    with pytest.raises(ValueError, match="weights must be finite"):
        heads.move(layout, "a", "b", scale=float("nan"))
