"""Random straight-line programs: what must not change when heads, rows or channels are rearranged.

A program is drawn from a seed: products, transposes, sums and scalings of three blocks, every
product divided by the inner size and every new value kept near norm 1, so that plain evaluation
stays finite. Its layers are then run by hand in NumPy, as they are and rearranged.
"""

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import elsa
from elsa.compiler.emitting import lower
from elsa.heads.head import HeadWeights, stack_dense

SHAPES = [
    {"A": (3, 2), "B": (2, 3), "C": (3, 3)},
    {"A": (1, 4), "B": (4, 1), "C": (4, 4)},
    {"A": (2, 2), "B": (2, 2), "C": (2, 1)},
    {"A": (1, 1), "B": (1, 3), "C": (5, 1)},
]
DEPTH = 2


def program(shapes, seed):
    """A step drawn from a seed: a list of instructions, run on whatever arrays it is given."""
    rng = np.random.default_rng(seed)
    sizes, instructions = list(shapes.values()), []
    for _ in range(rng.integers(3, 8)):
        kind = rng.choice(["product", "transpose", "sum", "scale"], p=[0.5, 0.2, 0.2, 0.1])
        a, b = (int(i) for i in rng.integers(0, len(sizes), 2))
        if kind == "product" and sizes[a][1] == sizes[b][0]:
            instructions.append(("product", a, b, 1.0 / sizes[a][1]))
            sizes.append((sizes[a][0], sizes[b][1]))
        elif kind == "sum" and sizes[a] == sizes[b]:
            instructions.append(("sum", a, b, float(rng.uniform(-0.5, 0.5))))
            sizes.append(sizes[a])
        elif kind == "scale":
            instructions.append(("scale", a, a, float(rng.uniform(-0.9, 0.9))))
            sizes.append(sizes[a])
        else:
            instructions.append(("transpose", a, a, 1.0))
            sizes.append(sizes[a][::-1])
    names = list(shapes)

    def step(A, B, C):
        values = [A, B, C]
        for kind, a, b, number in instructions:
            if kind == "product":
                values.append(number * (values[a] @ values[b]))
            elif kind == "sum":
                values.append(0.5 * values[a] + number * values[b])
            else:
                values.append(values[a].T if kind == "transpose" else number * values[a])
        out = {}
        for index, name in enumerate(names):
            fitting = [v for v, size in zip(values, sizes, strict=True) if size == shapes[name]]
            # The last value of the block's shape, mixed with the block itself.
            out[name] = 0.5 * values[index] + 0.4 * fitting[-1]
        return out

    return step


def drawn(shapes, seed):
    rng = np.random.default_rng(seed)
    return {
        name: rng.normal(size=shape) / (shape[0] ** 0.5 + shape[1] ** 0.5)
        for name, shape in shapes.items()
    }


def evaluated(step, blocks):
    state, largest = dict(blocks), {name: np.abs(block).max() for name, block in blocks.items()}
    for _ in range(DEPTH):
        state = {name: np.asarray(value) for name, value in step(**state).items()}
        largest = {name: max(largest[name], np.abs(state[name]).max()) for name in state}
    return state, largest


def by_hand(layers, h):
    """H <- H + sum over heads, for dense weights in the order they run."""
    for weights in layers:
        heads = zip(*weights, strict=True)
        h = h + sum(
            (h @ wq + bq) @ ((h @ wk + bk).T @ (h @ wv + bv)) for wq, wk, wv, bq, bk, bv in heads
        )
    return h


def in_order(stack, layers):
    """Layers as stored -> layers as they run."""
    first, last = stack.stages.heads.parts
    stop = len(layers) - last
    return [*layers[:first], *layers[first:stop] * stack.stages.plan.schedule.depth, *layers[stop:]]


def close(stack, h, expected, largest):
    for name, reference in expected.items():
        found = np.asarray(stack.readout.block(h, name))
        # Some tens of products, each of a few roundings of 1e-16 of what the block has held.
        assert np.abs(found - reference).max() <= 1e-12 * max(largest[name], 1.0), name


cases = given(st.sampled_from(SHAPES), st.integers(0, 10_000))


@cases
def test_rearranging_heads_rows_and_channels_changes_rounding_only(shapes, seed):
    step, blocks = program(shapes, seed), drawn(shapes, seed)
    expected, largest = evaluated(step, blocks)
    stack = elsa.compile(step, shapes, DEPTH)
    size = n, m = stack.stages.placed.shape
    h = np.asarray(stack.pack(**blocks))
    layers = list(stack.layers)
    if not layers:
        return  # every block is returned as it came

    close(
        stack,
        by_hand(in_order(stack, [stack_dense(x, size) for x in layers]), h),
        expected,
        largest,
    )

    turned = [stack_dense(heads[::-1], size) for heads in layers]
    close(stack, by_hand(in_order(stack, turned), h), expected, largest)

    merged = [stack_dense(lower.merged(heads), size) for heads in layers]
    close(stack, by_hand(in_order(stack, merged), h), expected, largest)

    grown = [stack_dense(heads, (n + 2, m + 3)) for heads in layers]
    wide = by_hand(in_order(stack, grown), np.pad(h, ((0, 2), (0, 3))))
    assert np.all(wide[n:] == 0) and np.all(wide[:, m:] == 0)
    close(stack, wide[:n, :m], expected, largest)

    order = np.random.default_rng(seed).permutation(m)
    moved = [_permuted(stack_dense(heads, size), order) for heads in layers]
    there = by_hand(in_order(stack, moved), h[:, order])
    close(stack, there[:, np.argsort(order)], expected, largest)


@cases
def test_executions_skips_and_orders_agree_with_the_step(shapes, seed):
    step, blocks = program(shapes, seed), drawn(shapes, seed)
    expected, largest = evaluated(step, blocks)
    for options in (
        {},
        {"reassociate": False},
        {"execution": "dense", "skip": "head"},
        {"execution": "dense", "tied": False},
    ):
        out = elsa.compile(step, shapes, DEPTH, **options)(**blocks)
        for name, reference in expected.items():
            error = np.abs(np.asarray(out[name]) - reference).max()
            assert error <= 1e-12 * max(largest[name], 1.0), (options, name)


@cases
def test_any_layout_costs_one_layer_at_most_and_ignores_what_lies_beside(shapes, seed):
    step, blocks = program(shapes, seed), drawn(shapes, seed)
    rng = np.random.default_rng(seed)
    places, row = {}, 0
    stored = [name for name in shapes if rng.integers(2)]
    for name in rng.permutation(list(shapes)):
        height, width = shapes[name][::-1] if name in stored else shapes[name]
        row += int(rng.integers(0, 2))
        places[str(name)] = (row, int(rng.integers(0, 4)), height, width)
        row += height
    columns = max(col + width for _, col, _, width in places.values())
    layout = elsa.BlockLayout(places, (row + 1, columns + 1), stored)
    plain = elsa.compile(step, shapes, DEPTH)
    stack = elsa.compile(step, shapes, DEPTH, layout=layout, execution="dense")
    assert stack.num_layers <= plain.num_layers + 1
    inside = np.asarray(layout.pack(**{name: np.ones(shape) for name, shape in shapes.items()}))
    noisy = np.asarray(layout.pack(**blocks)) + (1.0 - inside) * rng.normal(size=layout.shape)
    expected, largest = evaluated(step, blocks)
    out = stack.from_prompt(jnp.asarray(noisy))
    for name, reference in expected.items():
        error = np.abs(np.asarray(out[name]) - reference).max()
        assert error <= 1e-12 * max(largest[name], 1.0), name


def _permuted(weights, order):
    """The weights for a prompt whose channels lie in another order."""
    return HeadWeights(
        weights.wq[:, order],
        weights.wk[:, order],
        weights.wv[:, order][:, :, order],
        weights.bq,
        weights.bk,
        weights.bv[:, :, order],
    )


@pytest.mark.parametrize("seed", range(3))
def test_the_programs_drawn_are_no_trivial_ones(seed):
    stack = elsa.compile(program(SHAPES[0], seed), SHAPES[0], DEPTH)
    assert stack.num_layers >= DEPTH and stack.num_heads > 2 * DEPTH
