"""Other weights of the same layers, to read what does not depend on how weights are written."""

import numpy as np

from elsa import readback
from elsa.heads.head import HeadWeights
from elsa.nn import BlockStack, Stack


def rewritten(weights, seed):
    """Other weights of the same layer: turned keys, other scales, one head split in two."""
    rng = np.random.default_rng(seed)
    wq, wk, wv, bq, bk, bv = (np.array(array, np.float64) for array in weights)
    turn = rng.normal(size=(len(wq), wq.shape[2], wq.shape[2])) + 2.0 * np.eye(wq.shape[2])
    back, scale = np.linalg.inv(turn).swapaxes(1, 2), rng.uniform(0.5, 2.0, size=(len(wq), 1, 1))
    made = [wq @ turn, wk @ back * scale, wv / scale, bq @ turn, bk @ back * scale, bv / scale]
    share = rng.normal()
    split = [np.concatenate([array, array[:1]]) for array in made]
    for place in (2, 5):
        split[place][0], split[place][-1] = share * made[place][0], (1 - share) * made[place][0]
    return HeadWeights(*split)


def stack_with(stack, change):
    """The stack with every layer's weights changed, those of each step by themselves."""
    inner = stack.stack

    def layer(given):
        weights = given.weights
        if weights.wq.ndim == 3:
            return type(given).from_weights(change(weights))
        steps = [change(HeadWeights(*own)) for own in zip(*weights, strict=True)]
        return type(given).from_weights(HeadWeights(*map(np.stack, zip(*steps, strict=True))))

    made = Stack(
        [layer(part) for part in inner.body],
        inner.depth,
        tied=inner.tied,
        prologue=[layer(part) for part in inner.prologue],
        epilogue=[layer(part) for part in inner.epilogue],
    )
    made.skip = inner.skip
    return BlockStack(
        made,
        stack.layout,
        stack.readout,
        stack.layers,
        inputs=stack.inputs,
        outputs=stack.outputs,
        name=stack.name,
        loads=stack.loads,
    )


def read(stack, **options):
    """The program of the stack with other weights, all of it explained."""
    found = readback.formulas(stack_with(stack, lambda weights: rewritten(weights, 1)), **options)
    assert max(layer.unexplained for layer in found.layers) <= 1e-12
    return found
