"""The steps between two evaluations, compiled once and run in pieces of any number of steps."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from elsa.training import descent
from elsa.training.settings import TrainSettings
from elsa.training.state import Skipped, TrainState

# (all models, number of the step) -> all models, and the loss of each in this step
Step = Callable[[TrainState, Array], tuple[TrainState, Array]]


def piece(
    one_step: Step,
    train: TrainSettings,
    state: TrainState,
    first: Int[Array, ""],
    count: Int[Array, ""],
) -> tuple[TrainState, Float[Array, "seeds points"]]:
    """`count` steps from step `first` on, within one stretch of `evaluate_every`.

    Every step is the same code for any number of them, and their losses are averaged once, when
    all stand in `state.part`: where a stretch is cut changes no bit, and compiles nothing anew.

    Args:
      one_step: of all models.
      train: settings of the run.
      state: its `part` holds the losses of the stretch's steps before `first`.
      first, count: the first step, counted from the run's start; how many.

    Returns:
      The state, and every model's mean loss over the stretch, NaN where all its steps were left
      out; of no meaning before the stretch's last step.
    """
    position = first % train.evaluate_every
    first = first.astype(jax.dtypes.canonicalize_dtype(int))  # the rate is computed of it
    if isinstance(state.skipped, Skipped):
        lately = jnp.where(position == 0, 0, state.skipped.lately)
        state = state._replace(skipped=state.skipped._replace(lately=lately))

    def body(index: Array, carry: tuple[TrainState, Array]) -> tuple[TrainState, Array]:
        models, losses = carry
        models, loss = one_step(models, first + index)
        return models, losses.at[position + index].set(loss.astype(losses.dtype))

    models, losses = jax.lax.fori_loop(0, count, body, (state._replace(part=()), state.part))
    loss = descent.finite_mean(losses) if train.skip_nonfinite else losses.mean(axis=0)
    ends = position + count == train.evaluate_every
    better = loss < models.best * (1.0 - train.min_improvement)
    # a stretch of which every step was left out says nothing of the loss
    stale = jnp.where(better, 0, jnp.where(jnp.isnan(loss), models.stale, models.stale + 1))
    waits = (stale < train.patience) if train.patience else jnp.ones_like(models.active)
    return models._replace(
        active=models.active & (waits | ~ends),
        best=jnp.where(better & models.active & ends, loss, models.best),
        stale=jnp.where(models.active & ends, stale, models.stale),
        part=losses,
    ), loss
