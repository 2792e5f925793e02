"""A stack between named blocks, on the smallest example: r = A v, then v <- v + r, repeated."""

import jax
import numpy as np
import pytest

from elsa import BlockLayout, heads
from elsa.nn import ELSA, BlockStack, Stack
from elsa.nn.running import ReadBlocks, run_stack
from tests.helpers import relative_error

GIVEN = BlockLayout({"A": (0, 0, 3, 3), "v": (1, 3, 3, 1)}, shape=(4, 5))
OWN = GIVEN.extended({"r": (0, 5, 3, 1), "out": (4, 6, 1, 3)}, (5, 9))
LAYERS = [
    [heads.product(OWN, "A", "v", "r")],
    [heads.move(OWN, "r", "v"), heads.move(OWN, "r", "r", scale=-1.0)],
    [heads.transpose(OWN, "v", "out")],
]


def make(depth, skip="residual", dtype=None):
    first, second, last = (ELSA.from_heads(layer, OWN.shape, dtype=dtype) for layer in LAYERS)
    return BlockStack(Stack([first, second], depth, epilogue=[last], skip=skip), GIVEN, OWN, LAYERS)


def blocks(seed=0):
    rng = np.random.default_rng(seed)
    return {"A": rng.normal(size=(3, 3)) / 3, "v": rng.normal(size=3)}


@pytest.mark.parametrize("depth, skip", [(0, "residual"), (4, "residual"), (3, "head")])
def test_what_is_packed_is_run_and_read(depth, skip):
    stack, given = make(depth, skip), blocks()
    power = np.linalg.matrix_power(np.eye(3) + given["A"], depth) @ given["v"]
    prompts = stack.prompts(**given)
    assert prompts.shape == (stack.num_layers + 1, 5, 9) == (2 * depth + 2, 5, 9)
    read = stack.readout.unpack(prompts)
    # A handful of 3 x 3 products: 1e-14 leaves a factor of 10 above their rounding.
    assert relative_error(read["v"][-1, :, 0], power) <= 1e-14
    assert relative_error(read["out"][-1, 0], power) <= 1e-14
    last = stack.run(stack.pack(**given))
    np.testing.assert_array_equal(last, prompts[-1])


def test_packing_appends_zeros():
    stack, given = make(1), blocks()
    h = np.asarray(stack.pack(**given))
    np.testing.assert_array_equal(h[:4, :5], GIVEN.pack(**given))
    assert not h[4:].any() and not h[:, 5:].any()


def test_observers_read_blocks_and_equal_ones_are_one_key():
    stack, given = make(2), blocks()
    watch = ReadBlocks(OWN, ("r", "v"))
    assert watch == ReadBlocks(OWN, ("r", "v")) and hash(watch) == hash(ReadBlocks(OWN, ("r", "v")))
    last, seen = stack.run(stack.pack(**given), watch)
    read = OWN.unpack(stack.prompts(**given))
    assert list(seen) == ["r", "v"]
    for name in seen:
        assert relative_error(seen[name], read[name]) <= 1e-14
    assert last.shape == OWN.shape


def test_stacks_of_one_shape_share_a_compiled_program():
    before = run_stack._cache_size()
    for seed in range(3):
        stack = make(6)
        stack.run(stack.pack(**blocks(seed)))
        stack.run(stack.pack(**blocks(seed)), ReadBlocks(OWN, ("v",)))
    assert run_stack._cache_size() == before + 2  # without and with the observer


def test_listings():
    stack = make(5)
    assert stack.num_layers == 11
    assert stack.num_heads == 5 * 3 + 1
    assert make(5, "head").num_heads == 5 * (3 + 2) + 2
    assert make(0).num_heads == 1
    assert [[head.formula for head in layer] for layer in stack.layers] == [
        ["r += A v"],
        ["v += r", "r += -r"],
        ["out += v^T"],
    ]
    assert [layer.wq.shape for layer in stack.weights] == [(1, 9, 3), (2, 9, 3), (1, 9, 1)]
    assert stack.dtype == np.float64


def test_the_dtype_is_the_layers():
    stack = make(1, dtype=np.float32)
    assert stack.dtype == np.float32
    assert stack.pack(**blocks()).dtype == np.float32
    assert stack.prompts(**blocks()).dtype == np.float32


def test_jit_vmap_and_grad():
    stack, given = make(2), blocks()
    matrix = np.eye(3) + given["A"]
    expected = matrix @ matrix @ given["v"]

    def final(A, v):
        return OWN.block(stack.run(stack.pack(A=A, v=v)), "v")[:, 0]

    batch = jax.jit(jax.vmap(final, in_axes=(None, 0)))(given["A"], np.stack([given["v"]] * 2))
    assert relative_error(batch, np.stack([expected] * 2)) <= 1e-14
    jacobian = jax.jacobian(final, argnums=1)(given["A"], given["v"])
    assert relative_error(jacobian, matrix @ matrix) <= 1e-14


def test_pack_refuses_what_the_layout_refuses():
    stack, given = make(1), blocks()
    with pytest.raises(KeyError, match="BlockStack: unknown block 'w'"):
        stack.pack(**given, w=1.0)
    with pytest.raises(ValueError, match=r"Stack: block 'v' must have shape \(3, 1\), got \(4,"):
        stack.prompts(**{**given, "v": np.zeros(4)})
    with pytest.raises(ValueError, match=r"got \(7, 3, 3\); jax.vmap makes many calls of one"):
        stack.prompts(**{**given, "A": np.zeros((7, 3, 3))})
    with pytest.raises(ValueError, match="BlockStack: A must be finite, got nan"):
        stack.prompts(**{**given, "A": np.full((3, 3), np.nan)})


def test_a_prompt_of_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"elsa: wq must have shape \(m=5, p\), got \(9, 3\)"):
        make(1).run(np.zeros((4, 5)))
