"""Where a run's models and prompts lie, on one device or many."""

from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array

from elsa.base import devices
from elsa.base.devices import MODEL, TASK
from elsa.tasks import CountedPrompt, PairPrompt
from elsa.training.moments import Moments
from elsa.training.state import TrainState

_MODELS = ("seeds", "points")  # the leading axes of a state, one of which is divided


class Placing(NamedTuple):
    """A run divided over a mesh: its models first, which need not talk to one another, then the
    prompts of a batch, whose gradients are summed over devices at each step.

    mesh: None on a single device, where nothing is placed and no program differs.
    divided: the axis of the models that lies along the mesh's axis `model`.
    """

    mesh: Mesh | None = None
    divided: str = "points"

    @classmethod
    def of(cls, seeds: int, points: int, batch: int) -> "Placing":
        """As many of the chosen devices as divide the models and the batch, and of these as many as
        may be along the models."""
        there = len(devices.chosen())
        found = [
            (models * tasks, models, divided, tasks)
            for divided, size in zip(_MODELS, (seeds, points), strict=True)
            for models in _divisors(size, there)
            for tasks in _divisors(batch, there // models)
        ]
        used, models, divided, tasks = max(found)
        return cls(devices.mesh(model=models, task=tasks), divided) if used > 1 else cls()

    def said(self) -> str:
        """A line about the devices, where they are more than one."""
        there = len(devices.chosen())
        if there == 1:
            return ""
        if self.mesh is None:
            return f"on 1 of {there} devices, which divide neither the models nor train.batch"
        models, tasks = self.mesh.shape[MODEL], self.mesh.shape[TASK]
        used = self.mesh.size
        among = f"{used}" if used == there else f"{used} of {there}"
        return f"on {among} devices: the models in {models}, the prompts of a batch in {tasks}"

    def along(self, axis: str) -> str | None:
        """`spmd_axis_name` of `jax.vmap` over this axis of the models."""
        return MODEL if self.mesh and axis == self.divided else None

    def of_piece(self) -> dict[str, Any]:
        """What `jax.jit` of `stretch.piece` is told of where states lie, before and after."""
        if self.mesh is None:
            return {}
        state = self._of_state(self.mesh)
        # each process reads the losses; within one, jax may leave them where they are
        loss = NamedSharding(self.mesh, PartitionSpec()) if _is_shared(self.mesh) else None
        return {"in_shardings": (state, None, None), "out_shardings": (state, loss)}

    def of_moments(self) -> dict[str, Any]:
        """The same of `moments.piece`, whose numbers every device has."""
        if self.mesh is None:
            return {}
        everywhere, state = NamedSharding(self.mesh, PartitionSpec()), self._of_state(self.mesh)
        places = (everywhere, state, None, None, None)
        return {"in_shardings": places, "out_shardings": everywhere}

    def everywhere(self, moments: Moments) -> Moments:
        """The numbers where `moments.piece` wants them: on every device."""
        if self.mesh is None:
            return moments
        there: Moments = jax.device_put(moments, NamedSharding(self.mesh, PartitionSpec()))
        return there

    def placed(self, state: TrainState) -> TrainState:
        """The state where its next piece wants it."""
        if self.mesh is None:
            return state
        places = self._of_state(self.mesh)
        if _is_shared(self.mesh):
            return TrainState(*map(_placed_here, state, places))
        there: TrainState = jax.device_put(state, places)
        return there

    def _of_state(self, mesh: Mesh) -> TrainState:
        models = [MODEL if axis == self.divided else None for axis in _MODELS]
        alike: Any = [NamedSharding(mesh, PartitionSpec(*models))] * len(TrainState._fields)
        part: Any = NamedSharding(mesh, PartitionSpec(None, *models))
        return TrainState(*alike)._replace(part=part)

    def prompts(self, batch: Any) -> Any:
        """Prompts under `jax.jit`, divided over the devices."""
        if self.mesh is None:
            return batch
        mesh = self.mesh

        def placed(leaf: Array) -> Array:
            rest = [PartitionSpec.UNCONSTRAINED] * (leaf.ndim - 1)
            sharding = NamedSharding(mesh, PartitionSpec(TASK, *rest))
            there: Array = jax.lax.with_sharding_constraint(leaf, sharding)
            return there

        divided = jax.tree.map(placed, batch)
        # which rows count is the same for all prompts
        if isinstance(batch, CountedPrompt | PairPrompt):
            return divided._replace(counts=batch.counts)
        return divided

    def gathered(self, state: TrainState) -> TrainState:
        """The state on one device again, where models can be called on arrays of that device.

        Where several processes share the mesh, all of them are to call it.
        """
        if self.mesh is None:
            return state
        if _is_shared(self.mesh):
            everywhere = NamedSharding(self.mesh, PartitionSpec())
            copied = jax.jit(lambda whole: whole, out_shardings=everywhere)(state)
            state = jax.tree.map(lambda leaf: leaf.addressable_data(0), copied)
        whole: TrainState = jax.tree.map(jax.numpy.asarray, jax.device_get(state))
        return whole


def _divisors(size: int, most: int) -> list[int]:
    return [count for count in range(1, most + 1) if size % count == 0]


def _is_shared(mesh: Mesh) -> bool:
    """Whether devices of other processes are among those of the mesh."""
    return len({device.process_index for device in mesh.devices.flat}) > 1


def _placed_here(part: Any, sharding: NamedSharding) -> Any:
    """This process's part of arrays that all processes have; nothing is sent."""

    def placed(leaf: Any) -> Any:
        if isinstance(leaf, jax.core.Tracer):  # only its shape is asked for
            return leaf
        if isinstance(leaf, jax.Array) and not leaf.is_fully_addressable:
            return leaf
        whole = np.asarray(leaf)
        return jax.make_array_from_callback(whole.shape, sharding, whole.__getitem__)

    return jax.tree.map(placed, part)
