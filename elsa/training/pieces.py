"""How much is computed at once, so that a process looks up about once a second."""

import time
from collections.abc import Iterator

import jax.numpy as jnp
import numpy as np

from elsa.training.program import Program
from elsa.training.state import TrainState

_SECONDS = 1.0  # of a piece: a signal waits for its end, and for no more
_GROWTH = 16  # at most, from one piece to the next: the speed of few steps says little of many


class Pace:
    """How many parts of equal work are computed at once.

    The first piece is one part, with the compilation; the next ones grow as far as the speed of
    those before allows.
    """

    def __init__(self) -> None:
        self._most = 1

    def count(self, left: int) -> int:
        """Of the next piece, at most so many."""
        return min(self._most, left)

    def took(self, count: int, seconds: float) -> None:
        """Learns from a piece that is computed."""
        fitting = int(_SECONDS * count / max(seconds, 1e-9))
        self._most = max(1, min(_GROWTH * self._most, fitting))

    def pieces(self, parts: int) -> Iterator[tuple[int, int]]:
        """Cuts so many parts into pieces, each of which is computed before the next is asked for.

        Yields:
          How many parts are done, and how many the piece has.
        """
        done = 0
        while done < parts:
            count, start = self.count(parts - done), time.monotonic()
            yield done, count
            self.took(count, time.monotonic() - start)
            done += count


class Pieces:
    """Trains a run's models piece by piece; no bit depends on the lengths of the pieces.

    Args:
      program: of the run.
    """

    def __init__(self, program: Program):
        self._program, self._pace = program, Pace()

    def said(self) -> str:
        """A line about the devices, where they are more than one."""
        return self._program.placing.said()

    def whole(self, state: TrainState) -> TrainState:
        """The state as this process can read it; `advance` goes on with the other one."""
        return state

    def close(self) -> None:
        """Ends what was begun for the pieces."""

    def advance(self, state: TrainState, step: int) -> tuple[TrainState, int, np.ndarray | None]:
        """One piece, to the end of the stretch at most; returns once it is computed.

        Args:
          state: all models, given away.
          step: steps trained so far.

        Returns:
          The state, the steps trained with this piece, and at the end of a stretch its mean losses,
          [seeds, points] in float64; else None.
        """
        every = self._program.settings.train.evaluate_every
        count = self._pace.count(every - step % every)
        start = time.monotonic()
        state, loss = self._computed(state, step, count)
        self._pace.took(count, time.monotonic() - start)
        step += count
        return state, step, None if step % every else loss

    def _computed(self, state: TrainState, step: int, count: int) -> tuple[TrainState, np.ndarray]:
        """So many steps from this one on, awaited."""
        state, losses = self._program.piece(
            self._program.with_part(state), jnp.int32(step), jnp.int32(count)
        )
        return state, np.asarray(losses, np.float64)
