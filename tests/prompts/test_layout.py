"""Block layouts: what is packed comes back, and what cannot be packed is refused by name."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from elsa import BlockLayout
from tests.helpers import layouts, outside, table

REGRESSION = BlockLayout(
    {"X": (0, 0, 3, 2), "y": (0, 2, 3, 1), "lam": (4, 0, 1, 1), "w": (4, 2, 1, 2)},
    shape=(5, 4),
    transposed=["w"],
)


def blocks_of(layout, seed=0, dtype=np.float64):
    rng = np.random.default_rng(seed)
    return {name: rng.normal(size=layout.shape_of(name)).astype(dtype) for name in layout}


@given(layouts(), st.integers(0, 2**32 - 1))
def test_unpack_after_pack_is_the_identity(layout, seed):
    blocks = blocks_of(layout, seed)
    h = np.asarray(layout.pack(**blocks))
    assert h.shape == layout.shape
    back = layout.unpack(h)
    assert list(back) == list(layout)
    for name, block in blocks.items():
        np.testing.assert_array_equal(back[name], block)
        box = layout.box(name)
        lying = h[box.rows.start : box.rows.stop, box.channels.start : box.channels.stop]
        np.testing.assert_array_equal(lying, block.T if name in layout.transposed else block)
    assert not h[outside(layout)].any()


@given(layouts(), st.integers(0, 2**32 - 1))
def test_pack_after_unpack_keeps_the_blocks_and_clears_the_rest(layout, seed):
    h = np.random.default_rng(seed).normal(size=layout.shape)
    expected = np.where(outside(layout), 0.0, h)
    np.testing.assert_array_equal(layout.pack(**layout.unpack(h)), expected)


@given(layouts())
def test_bases_select_the_boxes(layout):
    h = np.random.default_rng(0).normal(size=layout.shape)
    for name in layout:
        lying = layout.row_basis(name).T @ h @ layout.channel_basis(name)
        block = layout.block(h, name)
        np.testing.assert_array_equal(lying, block.T if name in layout.transposed else block)


def test_unpack_takes_batches_and_traces():
    blocks = blocks_of(REGRESSION)
    h = np.asarray(REGRESSION.pack(**blocks))
    back = REGRESSION.unpack(np.stack([np.stack([h, 2 * h, 3 * h])] * 2))
    for name, block in blocks.items():
        assert back[name].shape == (2, 3, *block.shape)
        np.testing.assert_array_equal(back[name][1, 2], 3 * block)


def test_vectors_act_as_columns_and_numbers_as_one_by_one():
    blocks = blocks_of(REGRESSION)
    loose = {**blocks, "y": blocks["y"][:, 0].tolist(), "w": blocks["w"][:, 0], "lam": 2}
    expected = REGRESSION.pack(**{**blocks, "lam": np.full((1, 1), 2.0)})
    np.testing.assert_array_equal(REGRESSION.pack(**loose), expected)


def test_dtype_is_the_blocks_common_floating_one():
    assert REGRESSION.pack(**blocks_of(REGRESSION)).dtype == np.float64
    low = blocks_of(REGRESSION, dtype=np.float32)
    assert REGRESSION.pack(**low).dtype == np.float32
    assert REGRESSION.pack(**{**low, "lam": 1}).dtype == np.float32
    assert REGRESSION.pack(**{**low, "y": np.zeros(3)}).dtype == np.float64
    whole = {name: np.ones(REGRESSION.shape_of(name), int) for name in REGRESSION}
    assert REGRESSION.pack(**whole).dtype == np.float64
    half = {name: jnp.ones(REGRESSION.shape_of(name), jnp.bfloat16) for name in REGRESSION}
    assert REGRESSION.pack(**half).dtype == jnp.bfloat16
    with jax.enable_x64(False):
        assert REGRESSION.pack(**blocks_of(REGRESSION)).dtype == np.float32
        assert REGRESSION.pack(**whole).dtype == np.float32
    assert BlockLayout({}, (2, 3)).pack().dtype == np.float64


def test_pack_and_unpack_under_jit_vmap_and_grad():
    blocks = blocks_of(REGRESSION)

    def there_and_back(blocks):
        return REGRESSION.unpack(REGRESSION.pack(**blocks))

    batch = {name: np.stack([block, -block]) for name, block in blocks.items()}
    for name, block in jax.jit(jax.vmap(there_and_back))(batch).items():
        np.testing.assert_array_equal(block, batch[name])
    gradient = jax.grad(lambda blocks: (REGRESSION.pack(**blocks) ** 2).sum())(blocks)
    for name, block in gradient.items():
        np.testing.assert_array_equal(block, 2 * blocks[name])


def test_the_default_shape_is_the_smallest_that_holds_all_blocks():
    assert BlockLayout({"a": (1, 4, 2, 1), "b": (5, 0, 1, 2)}).shape == (6, 5)
    assert BlockLayout({}).shape == (0, 0)
    assert BlockLayout({"a": (0, 0, 2, 3)}, (np.int64(2), 4)).shape == (2, 4)


def test_layouts_are_values():
    blocks = {"a": (0, 0, 2, 3), "b": (2, 0, 1, 1)}
    layout = BlockLayout(blocks, (4, 4), ["b", "a"])
    assert layout == BlockLayout(blocks, (4, 4), ("a", "b", "a"))
    assert hash(layout) == hash(BlockLayout(blocks, (4, 4), ("a", "b")))
    assert layout != BlockLayout(blocks, (4, 4))
    assert layout != BlockLayout(blocks, (4, 5), ["b", "a"])
    assert layout != blocks
    assert eval(repr(layout)) == layout
    assert list(layout) == ["a", "b"]
    assert "a" in layout and "c" not in layout
    assert layout.shape_of("a") == (3, 2)
    grown = layout.extended({"c": (4, 4, 1, 2)}, (5, 6))
    assert grown == BlockLayout({**blocks, "c": (4, 4, 1, 2)}, (5, 6), ["a", "b"])


@pytest.mark.parametrize("name", ["self", "where", "h", "blocks", "shape", "x y", "λ"])
def test_a_block_may_have_any_name(name):
    layout = BlockLayout({name: (0, 0, 1, 2)})
    np.testing.assert_array_equal(layout.unpack(layout.pack(**{name: [[1, 2]]}))[name], [[1, 2]])


@table("box", [(0, 1, 2, 1), (2, 1, 9, 9), (0, 0, 1, 1), (0, 0, 9, 9), (1, 1, 1, 1)])
def test_overlapping_boxes_are_named(box):
    message = r"BlockLayout: blocks 'a' \(0, 0, 3, 2\) and 'b' \(.*\) overlap; boxes are \(row, col"
    with pytest.raises(ValueError, match=message):
        BlockLayout({"a": (0, 0, 3, 2), "b": box}, shape=(20, 20))


def test_boxes_may_touch():
    BlockLayout({"a": (0, 0, 3, 2), "b": (3, 0, 1, 2), "c": (0, 2, 4, 1), "d": (3, 3, 1, 1)})


@table("box", [(-1, 0, 1, 1), (0, -1, 1, 1), (2, 0, 2, 1), (0, 3, 1, 2)])
def test_a_box_outside_the_prompt_is_named(box):
    row, col, height, width = box
    message = (
        rf"BlockLayout: block 'a' at rows {row}:{row + height}, channels {col}:{col + width} "
        r"leaves the prompt of shape \(3, 4\)"
    )
    with pytest.raises(ValueError, match=message):
        BlockLayout({"a": box}, shape=(3, 4))


def test_a_negative_corner_is_outside_whatever_the_shape():
    with pytest.raises(ValueError, match="block 'a' at rows -1:1, channels 0:1 leaves the prompt"):
        BlockLayout({"a": (-1, 0, 2, 1)})


@table("box", [(0, 0, 0, 1), (0, 0, 1, 0), (0, 0, -1, 2)])
def test_an_empty_box_is_named(box):
    message = r"BlockLayout: block 'a' must have height and width of at least 1, got \(0, 0, "
    with pytest.raises(ValueError, match=message):
        BlockLayout({"a": box}, shape=(3, 4))


@table("box", [(0, 0, 1), (0, 0, 1, 1, 1), (0, 0, 2.5, 1), (0, 0, "2", 1), 3])
def test_a_box_is_four_integers(box):
    message = r"BlockLayout: block 'a' must be integers \(row, col, height, width\), got "
    with pytest.raises(ValueError, match=message):
        BlockLayout({"a": box}, shape=(3, 4))


@table("shape", [(3,), (3, 4, 1), (3.5, 4), 3])
def test_the_shape_is_two_integers(shape):
    with pytest.raises(ValueError, match=r"BlockLayout: shape must be integers \(n, m\), got "):
        BlockLayout({"a": (0, 0, 1, 1)}, shape=shape)


def test_transposed_must_name_blocks():
    with pytest.raises(ValueError, match=r"transposed names 'Y', which is no block of \['X'\]"):
        BlockLayout({"X": (0, 0, 1, 1)}, transposed=["X", "Y"])


def test_unknown_blocks_are_met_with_the_nearest_names():
    blocks = blocks_of(REGRESSION)
    message = r"pack: unknown block 'lamb', known are \['X', 'y', 'lam', 'w'\]; did you mean 'lam'"
    with pytest.raises(KeyError, match=message):
        REGRESSION.pack(**blocks, lamb=1.0)
    for ask in (REGRESSION.box, REGRESSION.shape_of, REGRESSION.row_basis):
        with pytest.raises(KeyError, match=r"BlockLayout: unknown block 'lan'.*did you mean 'lam'"):
            ask("lan")
    with pytest.raises(KeyError, match="BlockLayout: unknown block 'lan'"):
        REGRESSION.block(np.zeros((5, 4)), "lan")


def test_missing_blocks_are_listed():
    with pytest.raises(ValueError, match=r"pack: missing block \['y', 'w'\], got \['lam', 'X'\]"):
        REGRESSION.pack(lam=1.0, X=np.zeros((3, 2)))


@table(
    "name, value",
    [("X", np.zeros((2, 3))), ("X", np.zeros(6)), ("X", np.zeros((1, 3, 2))), ("y", [1.0, 2.0]),
     ("y", np.zeros((1, 3))), ("w", np.zeros((1, 2))), ("lam", [1.0, 2.0]), ("X", 1.0)],
)  # fmt: skip
def test_wrong_shapes_are_named(name, value):
    blocks = {**blocks_of(REGRESSION), name: value}
    expected, got = REGRESSION.shape_of(name), str(np.shape(value))[1:-1]
    message = rf"pack: block '{name}' must have shape \({expected[0]}, {expected[1]}\), got \({got}"
    with pytest.raises(ValueError, match=message):
        REGRESSION.pack(**blocks)
    with pytest.raises(ValueError, match=message):
        jax.jit(lambda blocks: REGRESSION.pack(**blocks))({**blocks, name: np.asarray(value)})


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_values_that_are_not_finite_are_named(bad):
    blocks = blocks_of(REGRESSION)
    blocks["X"][2, 1] = bad
    with pytest.raises(ValueError, match=rf"pack: X must be finite, got {bad} at index \(2, 1\)"):
        REGRESSION.pack(**blocks)
    assert not np.isfinite(jax.jit(lambda b: REGRESSION.pack(**b))(blocks)[2, 1])


@table("bad", [np.ones(3) * 1j, ["a", "b", "c"], [None] * 3, np.ones(3) > 0])
def test_values_that_are_no_real_numbers_are_refused(bad):
    with pytest.raises(TypeError, match="pack: y must hold real numbers, got dtype"):
        REGRESSION.pack(**{**blocks_of(REGRESSION), "y": bad})


def test_complex_tracers_are_refused():
    blocks = {**blocks_of(REGRESSION), "y": np.ones(3) * 1j}
    with pytest.raises(TypeError, match="pack: y must hold real numbers, got dtype complex128"):
        jax.jit(lambda blocks: REGRESSION.pack(**blocks))(blocks)


@table("shape", [(4, 5), (5,), (), (2, 5, 3)])
def test_a_prompt_of_another_shape_is_refused(shape):
    message = r"BlockLayout: the prompt must have shape \(\.\.\., 5, 4\), got \("
    with pytest.raises(ValueError, match=message):
        REGRESSION.unpack(np.zeros(shape))


def test_one_transposed_block_may_be_given_by_its_name():
    layout = BlockLayout({"Xy": (0, 0, 2, 3)}, transposed="Xy")
    assert layout.transposed == ("Xy",)
    assert layout.shape_of("Xy") == (3, 2)
