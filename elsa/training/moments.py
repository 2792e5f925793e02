"""Moments of all models' errors over many batches, which are run in pieces of any number."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from elsa.training.state import TrainState

# (all models, number of the batch) -> mean square and mean fourth power of each one's errors
OfBatch = Callable[[TrainState, Array], tuple[Array, Array]]
# the same of many batches, [batches, seeds, points] each
Moments = tuple[Float[Array, "batches seeds points"], Float[Array, "batches seeds points"]]


def room(of_batch: OfBatch, state: TrainState, batches: int) -> Moments:
    """Zeros for the moments of so many batches."""
    shapes = jax.eval_shape(of_batch, state, jax.ShapeDtypeStruct((), jnp.int32))
    square, fourth = (jnp.zeros((batches, *each.shape), each.dtype) for each in shapes)
    return square, fourth


def piece(
    of_batch: OfBatch,
    found: Moments,
    state: TrainState,
    first: Int[Array, ""],
    done: Int[Array, ""],
    count: Int[Array, ""],
) -> tuple[Moments, tuple[Float[Array, "seeds points"], Float[Array, "seeds points"]]]:
    """`count` batches more of those from number `first` on.

    Every batch is the same code for any number of them, and all are averaged once, when they stand
    in `found`: where they are cut changes no bit, and compiles nothing anew.

    Args:
      of_batch: the moments of one batch.
      found: those of the batches that are done.
      state: all models.
      first, done, count: number of the first batch; how many are done, and how many come now.

    Returns:
      `found` with these, and the means over all batches; of no meaning before the last one.
    """

    def body(index: Array, so_far: Moments) -> Moments:
        square, fourth = of_batch(state, first + index)
        return so_far[0].at[index].set(square), so_far[1].at[index].set(fourth)

    squares, fourths = jax.lax.fori_loop(done, done + count, body, found)
    return (squares, fourths), (squares.mean(axis=0), fourths.mean(axis=0))
