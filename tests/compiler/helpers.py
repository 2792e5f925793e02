"""Compiling a step and comparing it with the step itself, by three executions."""

import inspect

import jax
import numpy as np

import elsa
from elsa.heads.head import stack_dense

TOLERANCE = 1e-10


def draw(shapes, seed=0, scale=1.0):
    """Normal blocks divided by sqrt(rows) + sqrt(columns), so that their norms are about 1."""
    rng, blocks = np.random.default_rng(seed), {}
    for name, shape in shapes.items():
        rows, columns = (*shape, 1, 1)[:2]
        blocks[name] = scale * rng.normal(size=shape) / (rows**0.5 + columns**0.5)
    return blocks


def shapes_of(blocks):
    return {name: np.shape(block) for name, block in blocks.items()}


def path(step, blocks, depth, *, takes_t=False):
    """The state after 0, 1, .., depth applications of the step itself."""
    states = [{name: np.asarray(value) for name, value in blocks.items()}]
    once = step if takes_t or depth < 4 else jax.jit(step)
    for t in range(depth):
        out = once(**states[-1], **({"t": t} if takes_t else {}))
        states.append(states[-1] | {name: np.asarray(value) for name, value in out.items()})
    return states


def by_hand(stack, blocks, *, h=None, dtype=np.float64):
    """The stack's heads in a NumPy loop: packed by `layout`, read by `readout`."""
    prompt = np.asarray(packed(stack.layout, blocks) if h is None else h, dtype)
    (n, m), (rows, channels) = prompt.shape, stack.readout.shape
    prompt = np.pad(prompt, ((0, rows - n), (0, channels - m)))
    for weights in layers_of(stack):
        own = type(weights)(*(np.asarray(array, dtype) for array in weights))
        prompt = layer(prompt, own, skip=stack.stages.heads.skip)
    return unpacked(stack.readout, prompt)


def packed(layout, blocks):
    """`BlockLayout.pack` in NumPy."""
    h = np.zeros(layout.shape)
    for name in layout:
        shape = layout.shape_of(name)
        block = np.reshape(blocks[name], shape)
        place(layout, h, name)[...] = block.T if name in layout.transposed else block
    return h


def unpacked(layout, h):
    """`BlockLayout.unpack` in NumPy."""
    found = {name: place(layout, h, name) for name in layout}
    return {name: part.T if name in layout.transposed else part for name, part in found.items()}


def place(layout, h, name):
    box = layout.box(name)
    return h[box.row : box.row + box.height, box.col : box.col + box.width]


def layers_of(stack):
    """The weights of every layer that runs, in order; a skip head is part of `stack.weights`."""
    schedule, layers = stack.stages.plan.schedule, stack.layers
    if stack.stages.heads.skip == "head":
        yield from weights_of(stack)
        return
    dense = [stack_dense(heads, stack.readout.shape) for heads in layers]
    first, last = stack.stages.heads.parts
    body = dense[first : len(dense) - last]
    repeats = schedule.depth if stack.stages.plan.variants == 1 else 1
    yield from (*dense[:first], *(body * repeats), *dense[len(dense) - last :])


def weights_of(stack):
    """`stack.weights`, one entry for every layer that runs."""
    schedule, weights = stack.stages.plan.schedule, stack.weights
    first = len(weights) - len(schedule.epilogue) - max(len(schedule.step), 1)
    last = len(weights) - len(schedule.epilogue)
    yield from weights[:first]
    for t in range(schedule.depth if schedule.step else 0):
        for own in weights[first:last]:
            yield own if own.wq.ndim == 3 else type(own)(*(array[t] for array in own))
    yield from weights[last:]


def layer(h, weights, *, skip="residual"):
    """Heads along the first axis, and the residual where the skip is none of them."""
    out = h if skip == "residual" else 0.0
    for wq, wk, wv, bq, bk, bv in zip(*weights, strict=True):
        out = out + (h @ wq + bq) @ ((h @ wk + bk).T @ (h @ wv + bv))
    return out


def error(out, states):
    """max |out - ref| over the largest magnitude the reference block had at any step."""
    worst = 0.0
    for name, value in out.items():
        reference = np.asarray(states[-1][name])
        assert np.isfinite(reference).all(), f"the step itself is not finite at {name}"
        size = max(np.abs(np.asarray(state[name])).max() for state in states)
        difference = np.abs(np.asarray(value).reshape(reference.shape) - reference).max()
        worst = max(worst, difference / size if size else difference)
        assert np.isfinite(difference), f"{name} is not finite"
    return worst


def assert_agrees(step, shapes, depth=2, *, blocks=None, seed=0, dense=False, **options):
    """Compiles a step and compares structured execution and the weights by hand with the step.

    With `dense`, jax's own dense execution too. Returns the structured stack.
    """
    blocks = draw(shapes, seed) if blocks is None else blocks
    takes_t = "t" in inspect.signature(step).parameters and "t" not in shapes
    states = path(step, blocks, depth, takes_t=takes_t and options.get("tied") is False)
    stack = elsa.compile(step, shapes, depth, **options)
    outs = [stack(**blocks), by_hand(stack, blocks)]
    if dense:
        outs.append(elsa.compile(step, shapes, depth, execution="dense", **options)(**blocks))
    for out in outs:
        assert set(out) == set(stack.stages.plan.outputs)
        assert error(out, states) <= TOLERANCE
    for name, value in outs[0].items():
        assert value.shape == np.shape(blocks[name]), name
    return stack
