"""All models of a run as one tree of arrays."""

from typing import Any, NamedTuple

from jaxtyping import Array, Bool, Float, Int


class Skipped(NamedTuple):
    """Steps that were left out because a number in them was not finite.

    in_a_row: up to the last step.
    lately: since the last evaluation.
    """

    in_a_row: Int[Array, "seeds points"]
    lately: Int[Array, "seeds points"]


class TrainState(NamedTuple):
    """All models of a run; every leaf starts with the axes [seeds, points].

    params: trained arrays.
    mean: their average over the last steps, where the run averages; else ().
    fixed: arrays that training leaves alone.
    optimizer: state of Adam.
    active: False for a model that has stopped.
    diverged: True for a model whose loss, gradient or next parameters were not finite; it stopped
      one step before, or before the steps that were left out.
    best: the loss of the last evaluation that fell by the fraction asked for.
    stale: evaluations since then; of a model that diverged -t, t the step, counted from 1, in which
      it did (checkpoints have no array of its own for it, so that earlier ones fit).
    skipped: where a run may leave steps out, how many it did; else ().
    part: within a stretch between two evaluations the losses of its steps so far; else ().
    """

    params: Any
    mean: Any
    fixed: Any
    optimizer: Any
    active: Bool[Array, "seeds points"]
    diverged: Bool[Array, "seeds points"]
    best: Float[Array, "seeds points"]
    stale: Int[Array, "seeds points"]
    skipped: Skipped | tuple[()] = ()
    part: Float[Array, "steps seeds points"] | tuple[()] = ()
