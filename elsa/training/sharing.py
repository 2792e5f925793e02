"""Training whose steps several processes compute together.

Process 0 draws up the run, decides and writes, as a process of its own does. What it tells the
others is only what they are to compute next: the run's program and state at its beginning, then
piece after piece. Each has the same program, so that each sees the same collectives in the same
order, and awaits each piece. What comes after the steps process 0 computes on its own devices.
"""

import queue
from typing import Any

import jax
import numpy as np

from elsa.base import devices, stopping, strict_json
from elsa.base.together import Together, current
from elsa.base.wires import Message
from elsa.training.pieces import Pieces
from elsa.training.placing import Placing
from elsa.training.program import Program
from elsa.training.settings import RunSettings
from elsa.training.state import TrainState
from elsa.training.sweep import make_sweep

_LOOKS = 0.2  # seconds between two looks for a signal while nothing is to do


def pieces(program: Program) -> Pieces:
    """The run's steps, computed with the other processes where there are any."""
    together = current()
    return Pieces(program) if together is None else _Led(program, together)


class _Led(Pieces):
    """Steps that this process leads, and all processes compute.

    Args:
      program: of the run, for this process alone.
      together: the others.
    """

    def __init__(self, program: Program, together: Together):
        self._alone, self._together = program, together
        shared = _on_all(program.settings, program.given, program.sampler, program.arithmetic)
        super().__init__(shared)
        # where no device of another process divides the run, they have nothing to do
        self._has_others = not _is_here(shared.placing)
        self._begun = False

    def said(self) -> str:
        with devices.of_all_processes():
            text = super().said()
        return f"{text}, of {self._together.job.processes} processes" if text else ""

    def whole(self, state: TrainState) -> TrainState:
        self._tell({"do": "gather"})
        with self._together.lost_is_the_end():
            return self._program.placing.gathered(state)

    def close(self) -> None:
        self._tell({"do": "end"})

    def _computed(self, state: TrainState, step: int, count: int) -> tuple[TrainState, np.ndarray]:
        if not self._begun:
            self._begin(state)
            self._begun, state = True, self._program.placing.placed(state)
        self._tell({"do": "steps", "step": step, "count": count})
        with self._together.lost_is_the_end():
            return super()._computed(state, step, count)

    def _begin(self, state: TrainState) -> None:
        given, settings = dict(self._alone.given), self._alone.settings
        told = {
            "do": "begin",
            "x64": bool(jax.config.values["jax_enable_x64"]),
            "settings": strict_json.dumps(settings.to_dict(), where="config"),
            "given": list(given),
            "sampler": self._program.sampler,
            "arithmetic": self._program.arithmetic,
            "within": not isinstance(state.part, tuple),
        }
        self._tell(told, [*given.values(), *jax.tree.leaves(jax.device_get(state))])

    def _tell(self, text: dict[str, Any], arrays: list[Any] | None = None) -> None:
        if self._has_others:
            self._together.tell(text, arrays or [])


def follow() -> int:
    """Computes what process 0 says, until it leaves.

    A signal is told to process 0, which stops all at one step.

    Returns:
      The exit code.
    """
    together = current()
    assert together is not None
    try:
        with stopping.noted() as asked_to_stop:
            return _Following(together, asked_to_stop).until_left()
    except Exception as error:
        together.tell({"do": "failed", "why": f"{type(error).__name__}: {error}"})
        raise


class _Following:
    """The process's part in one run after another.

    Args:
      together: process 0.
      asked_to_stop: whether a signal came.
    """

    def __init__(self, together: Together, asked_to_stop: stopping.StopRequest):
        self._together, self._asked, self._has_told = together, asked_to_stop, False
        self._program: Program | None = None
        self._state: TrainState | None = None

    def until_left(self) -> int:
        while True:
            if self._asked.is_set() and not self._has_told:
                self._has_told = True
                self._together.tell({"do": "stop"})
            try:
                message = self._together.orders.get(timeout=_LOOKS)
            except queue.Empty:
                continue
            if message.text["do"] == "leave":
                return int(message.text["code"])
            with self._together.lost_is_the_end():
                self._do(message)

    def _do(self, message: Message) -> None:
        order = message.text["do"]
        if order == "begin":
            self._begin(message)
        elif order == "end":
            self._program = self._state = None
        elif self._program is not None and self._state is not None:
            if order == "steps":
                at = np.int32(message.text["step"]), np.int32(message.text["count"])
                state = self._program.with_part(self._state)
                self._state, loss = self._program.piece(state, *at)
                loss.block_until_ready()
            elif order == "gather":
                self._program.placing.gathered(self._state)

    def _begin(self, message: Message) -> None:
        told, arrays = message.text, message.arrays
        jax.config.update("jax_enable_x64", told["x64"])
        settings = RunSettings.from_config(strict_json.loads_object(told["settings"].encode()))
        given = dict(zip(told["given"], arrays, strict=False))
        program = _on_all(settings, given, told["sampler"], told["arithmetic"])
        if not any(device.process_index == jax.process_index() for device in _of(program.placing)):
            return  # none of this process's divides the run
        like = program.shapes(["part"] if told["within"] else [])
        state: TrainState = jax.tree.unflatten(jax.tree.structure(like), arrays[len(given) :])
        self._program, self._state = program, program.placing.placed(state)


def _on_all(settings: RunSettings, given: dict[str, Any], sampler: str, arithmetic: int) -> Program:
    """A run's program on the devices of all processes."""
    with devices.of_all_processes():
        program = Program(settings, make_sweep(settings), **given)
    program.sampler, program.arithmetic = sampler, arithmetic
    return program


def _of(placing: Placing) -> list[jax.Device]:
    return [] if placing.mesh is None else list(placing.mesh.devices.flat)


def _is_here(placing: Placing) -> bool:
    """Whether this process has all devices of the mesh."""
    return all(device.process_index == jax.process_index() for device in _of(placing))
