import jax
import jax.numpy as jnp
import numpy as np
import pytest

from elsa import BlockLayout
from elsa.prompts import edits
from tests.helpers import table

LAYOUT = BlockLayout({"X": (0, 0, 4, 2), "y": (0, 3, 4, 1), "w": (4, 3, 2, 1)}, shape=(7, 6))


def test_moved_blocks_go_together_and_the_others_stay():
    moved = edits.moved(LAYOUT, ["y", "w"], rows=1, channels=2)
    assert (moved.box("y").row, moved.box("y").col) == (1, 5)
    assert (moved.box("w").row, moved.box("w").col) == (5, 5)
    assert moved.box("X") == LAYOUT.box("X") and moved.shape == LAYOUT.shape


def test_mirroring_keeps_columns_together_and_twice_is_nothing():
    mirrored = edits.mirrored(LAYOUT)
    assert mirrored.box("y").col == mirrored.box("w").col == 2
    assert mirrored.box("X").col == 4
    assert edits.mirrored(mirrored) == LAYOUT


def test_exchanged_blocks_stand_side_by_side():
    exchanged = edits.exchanged(LAYOUT, "X", "y")
    assert exchanged.box("y").col == 0 and exchanged.box("X").col == 1
    with pytest.raises(ValueError, match="block 'y' must lie left of 'X'"):
        edits.exchanged(LAYOUT, "y", "X")


def test_a_turned_block_holds_the_transpose_and_twice_is_nothing():
    layout = BlockLayout({"X": (0, 0, 4, 2)}, shape=(7, 6))
    turned, X = edits.turned(layout, "X"), np.arange(8.0).reshape(4, 2)
    np.testing.assert_array_equal(turned.pack(X=X)[:2, :4], X.T)
    assert edits.turned(turned, "X") == layout


@table(
    "change, error, message",
    [
        (lambda: edits.moved(LAYOUT, ["X"], rows=4), ValueError, "leaves the prompt"),
        (lambda: edits.moved(LAYOUT, ["X"], channels=2), ValueError, "overlap"),
        (lambda: edits.moved(LAYOUT, ["x"]), KeyError, "unknown block 'x'.*'X'"),
        (lambda: edits.turned(LAYOUT, "X"), ValueError, "overlap"),
    ],
)
def test_a_place_that_is_not_free_is_refused(change, error, message):
    with pytest.raises(error, match=message):
        change()


def test_edits_change_their_block_of_a_batch_and_nothing_else():
    h = jnp.asarray(np.random.default_rng(0).normal(size=(3, 8, 9)))  # larger than the layout
    edited = jax.jit(
        lambda h: edits.edited(h, LAYOUT, {"X": lambda X: 2.0 * X, "w": lambda w: w[..., ::-1, :]})
    )(h)
    expected = np.array(h)
    expected[:, :4, :2] *= 2.0
    expected[:, 4:6, 3] = expected[:, 4:6, 3][:, ::-1]
    np.testing.assert_array_equal(edited, expected)
    with pytest.raises(ValueError, match="'X' and 'changed X' must have the same shape"):
        edits.edited(h, LAYOUT, {"X": lambda X: X[..., :1, :]})


def test_outside_is_what_no_block_covers():
    h = LAYOUT.pack(X=np.ones((4, 2)), y=np.ones((4, 1)), w=np.ones((2, 1)))
    np.testing.assert_array_equal(edits.outside(LAYOUT), np.asarray(h) == 0)
