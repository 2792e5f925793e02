"""How many steps are run at once, so that a process looks up about once a second."""

import time

import jax.numpy as jnp
import numpy as np

from elsa.training.program import Program
from elsa.training.state import TrainState

_SECONDS = 1.0  # of a piece: a signal waits for its end, and for no more
_GROWTH = 16  # at most, from one piece to the next: the speed of few steps says little of many


class Pieces:
    """Trains a run's models piece by piece.

    The first piece is one step, with the compilation; the next ones grow as far as the speed of
    those before allows. No bit depends on their lengths.

    Args:
      program: of the run.
    """

    def __init__(self, program: Program):
        self._program, self._most = program, 1

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
        count = min(self._most, every - step % every)
        start = time.monotonic()
        state, losses = self._program.piece(
            self._program.with_part(state), jnp.int32(step), jnp.int32(count)
        )
        loss = np.asarray(losses, np.float64)
        seconds = max(time.monotonic() - start, 1e-9)
        self._most = max(1, min(_GROWTH * self._most, int(_SECONDS * count / seconds), every))
        step += count
        return state, step, None if step % every else loss
