"""Blocks go into a prompt and out of it by one program, wherever they lie."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from elsa import BlockLayout
from elsa.prompts import moving

BOXES = {"X": (0, 1, 3, 2), "y": (3, 0, 1, 3), "lam": (4, 4, 1, 1)}
MOVED = {"X": (2, 0, 3, 2), "y": (0, 2, 1, 3), "lam": (1, 1, 1, 1)}


def given(layout):
    rng = np.random.default_rng(0)
    return {name: jnp.asarray(rng.normal(size=layout.shape_of(name))) for name in layout}


def test_layouts_with_blocks_of_equal_sizes_share_a_program_each_way():
    first, second = (BlockLayout(boxes, (5, 5), transposed="y") for boxes in (BOXES, MOVED))
    blocks, programs = given(first), (moving._placed_anywhere, moving._taken_anywhere)
    first.unpack(first.pack(**blocks))
    sizes = [program._cache_size() for program in programs]
    found = second.unpack(second.pack(**blocks))
    assert [program._cache_size() for program in programs] == sizes
    for name, block in blocks.items():
        np.testing.assert_array_equal(found[name], block)


@pytest.mark.parametrize("batch", [(), (2, 3)])
def test_the_blocks_named_are_the_same_in_numpy_in_jax_and_in_a_program(batch):
    layout = BlockLayout(BOXES, (5, 5), transposed=["y"])
    h = np.random.default_rng(1).normal(size=(*batch, 5, 5))
    expected = {"y": h[..., 3:4, 0:3].swapaxes(-1, -2), "X": h[..., 0:3, 1:3]}
    unpack = jax.jit(lambda prompt: layout.unpack(prompt, ["y", "X"]))
    for out in (layout.unpack(h, ["y", "X"]), layout.unpack(jnp.asarray(h), ["y", "X"]), unpack(h)):
        assert out.keys() == {"y", "X"}
        for name, block in expected.items():
            np.testing.assert_array_equal(out[name], block)
    np.testing.assert_array_equal(layout.unpack(h, "X")["X"], expected["X"])


def test_no_blocks_are_asked_for_and_unknown_ones_are_refused():
    layout = BlockLayout(BOXES, (5, 5))
    assert layout.unpack(jnp.ones((5, 5)), []) == {}
    with pytest.raises(KeyError, match="lam"):
        layout.unpack(jnp.ones((5, 5)), ["lan"])
