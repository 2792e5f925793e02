"""Sound stacks in other clothes: changes of weights that change nothing that a stack does."""

from collections.abc import Callable

import jax.numpy as jnp
import numpy as np
from flax import nnx

from elsa.nn import BlockStack

Change = Callable[[np.random.Generator, BlockStack], None]


def as_built(rng: np.random.Generator, stack: BlockStack) -> None:
    """Nothing."""


def gauge(rng: np.random.Generator, stack: BlockStack) -> None:
    """Another inner basis of every head: Wq G, Wk G^-T, and a number traded with the values."""
    for layer in _layers(stack):
        heads, _, p = layer.wq.shape[-3:]
        basis = np.linalg.qr(rng.normal(size=(heads, p, p)))[0] * rng.uniform(0.5, 2.0)
        inverse = np.swapaxes(np.linalg.inv(basis), -1, -2)
        number = rng.uniform(0.5, 2.0, size=(heads, 1, 1))
        for names, by in ((("wq", "bq"), basis), (("wk", "bk"), inverse)):
            for name in names:
                _set(layer, name, lambda a, by=by: a @ by)
        _set_factor(layer, "q", number)
        _set_factor(layer, "v", 1.0 / number)


def other_order(rng: np.random.Generator, stack: BlockStack) -> None:
    """The heads of every layer in another order, skip heads last."""
    for layer in _layers(stack):
        count = layer.wq.shape[-3] - (stack.stack.skip == "head")
        order = [*rng.permutation(count).tolist(), *range(count, layer.wq.shape[-3])]
        for name in layer.fields:
            _set(layer, name, lambda a, order=order: a[..., order, :, :])


def split(rng: np.random.Generator, stack: BlockStack) -> None:
    """The first head of every layer as two heads that share its values."""
    for layer in _layers(stack):
        split_head(layer, rng.uniform(0.2, 0.8))


def split_head(layer, share: float) -> None:
    """The first head of a layer as two."""
    for name in layer.fields:
        own = np.asarray(getattr(layer, name)[...])
        parts = (share, 1.0 - share) if name[-1] == "v" else (1.0, 1.0)
        first = [own[..., :1, :, :] * part for part in parts]
        wide = np.concatenate([*first, own[..., 1:, :, :]], axis=-3)
        setattr(layer, name, nnx.Param(jnp.asarray(wide, own.dtype)))


CHANGES: dict[str, Change] = {
    "as built": as_built,
    "gauge": gauge,
    "other order": other_order,
    "split": split,
}


def _layers(stack: BlockStack) -> list:
    inner = stack.stack
    return [*inner.prologue, *inner.body, *inner.epilogue]


def _set(layer, name: str, change: Callable) -> None:
    if name in layer.fields:
        parameter = getattr(layer, name)
        parameter[...] = jnp.asarray(change(np.asarray(parameter[...])), parameter.dtype)


def _set_factor(layer, factor: str, number: np.ndarray) -> None:
    for name in (f"w{factor}", f"b{factor}"):
        _set(layer, name, lambda a: a * number)
