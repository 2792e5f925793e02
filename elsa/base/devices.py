"""The devices that one process computes on: all that it sees, unless they are limited. Those of
other processes are among them only where several processes share what is computed.

A mesh has three axes: `model`, the models of a sweep; `task`, the prompts of a batch; `context`,
the rows of a prompt. What is computed does not depend on where, but for the order of sums: on
another number of devices numbers differ by rounding, on the same number they are equal bit by bit.
"""

import contextlib
import contextvars
from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Shaped

from elsa.base import checks

MODEL, TASK, CONTEXT = AXES = ("model", "task", "context")

_most: contextvars.ContextVar[int | None] = contextvars.ContextVar("most", default=None)
_of_all: contextvars.ContextVar[bool] = contextvars.ContextVar("of_all", default=False)


@contextlib.contextmanager
def limited(count: int | None) -> Iterator[None]:
    """Lets what is begun inside use so many devices, the first ones; all where it is None.

    Raises:
      TypeError, ValueError: for a count below 1, and one above the devices there are.
    """
    if count is not None:
        checks.size("limited", count=(count, 1))
        with of_all_processes():
            there = len(_visible())
        if count > there:
            raise ValueError(
                f"limited: count must be at most the {there} device{'s' * (there > 1)} that jax "
                f"shows this process, got {count}; on a CPU, JAX_NUM_CPU_DEVICES={count} makes more"
            )
    token = _most.set(count)
    try:
        yield
    finally:
        _most.reset(token)


@contextlib.contextmanager
def of_all_processes() -> Iterator[None]:
    """Lets what is begun inside use the devices of all processes that share a run.

    All of them must then compute it: it waits for the others.
    """
    token = _of_all.set(True)
    try:
        yield
    finally:
        _of_all.reset(token)


def chosen() -> list[jax.Device]:
    """The devices to compute on, in jax's order. With a `jax.default_device` it is that one."""
    return _visible()[: _most.get()]


def mesh(*, model: int = 1, task: int = 1, context: int = 1) -> Mesh:
    """A mesh of the chosen devices with the axes `model`, `task` and `context`.

    jax's compiler decides where intermediate results lie (`AxisType.Auto`).

    Args:
      model, task, context: devices along each axis; their product at most the devices chosen.

    Raises:
      TypeError, ValueError: for a size below 1, and a product of more devices than there are.
    """
    sizes = {MODEL: model, TASK: task, CONTEXT: context}
    checks.size("mesh", **{name: (size, 1) for name, size in sizes.items()})
    here, wanted = chosen(), model * task * context
    if wanted > len(here):
        raise ValueError(
            f"mesh: model * task * context must be at most the number of devices, {len(here)}, got "
            f"{model} * {task} * {context}; on a CPU, JAX_NUM_CPU_DEVICES={wanted} makes as many"
        )
    grid = np.array(here[:wanted], dtype=object).reshape(model, task, context)
    return Mesh(grid, AXES, axis_types=(AxisType.Auto,) * len(AXES))


def split(
    array: Shaped[Array, "..."], on: Mesh, *, zeros: bool = False, **axes: int
) -> Shaped[Array, "..."]:
    """An array divided over a mesh, whole along all axes that are not named.

        h = devices.split(h, devices.mesh(context=8), context=0)   # the rows over 8 devices

    What is computed of it under `jax.jit` is divided, too: a head's (H Wk)^T (H Wv) becomes a sum
    on each device and one all-reduce of an m x m matrix.

    Args:
      array: any.
      on: a mesh, as of `mesh`.
      zeros: whether zeros follow at the end of an axis that the devices do not divide, up to the
        next multiple of their number. Sums over rows do not see rows of zeros; means do, and a
        stack has to be made for as many rows as the result has.
      **axes: name of a mesh's axis -> the axis of the array that is divided along it.

    Raises:
      KeyError: for a name that the mesh has not.
      TypeError: for `zeros` that is no bool.
      ValueError: for an axis that the array has not, and one that the devices do not divide, unless
        zeros may follow.
    """
    checks.boolean("split", zeros=zeros)
    checks.known_names("split", "axis of the mesh", axes, on.axis_names)
    parts: list[str | None] = [None] * array.ndim
    added = [(0, 0)] * array.ndim
    for name, axis in axes.items():
        if not 0 <= axis < array.ndim:
            raise ValueError(
                f"split: {name} must be an axis of an array of {array.ndim} axes, got {axis}"
            )
        if parts[axis] is not None:
            raise ValueError(f"split: {parts[axis]} and {name} must be two axes, got {axis} twice")
        count, size = on.shape[name], array.shape[axis]
        more = -size % count
        if more and not zeros:
            raise ValueError(
                f"split: {name}={axis} must be an axis whose size the {count} devices divide, got "
                f"{size}; take a mesh of {np.gcd(size, count)}, or zeros=True, which puts {more} "
                "zeros at the end, if what is computed only sums over this axis"
            )
        parts[axis], added[axis] = name, (0, more)
    whole = jnp.pad(array, added) if any(more for _, more in added) else array
    divided: Array = jax.device_put(whole, NamedSharding(on, PartitionSpec(*parts)))
    return divided


def _visible() -> list[jax.Device]:
    default = jax.config.values["jax_default_device"]
    if isinstance(default, jax.Device):
        return [default]
    if _of_all.get():
        return list(jax.devices(default))
    return list(jax.local_devices(backend=default))
