"""Where a run's models start, when it is not at weights drawn for it."""

import os
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from elsa.base import checks
from elsa.training.loading import all_models
from elsa.training.program import Program
from elsa.training.state import TrainState
from elsa.training.stored import digest, named

_NOISE = 0x6E6F6973  # apart from all else that a seed draws


class Start(NamedTuple):
    """Arrays of a run's shapes and dtype.

    params: what training changes, by path.
    optimizer: Adam's leaves, in order; None where Adam starts anew.
    """

    params: dict[str, np.ndarray]
    optimizer: list[np.ndarray] | None = None

    @property
    def sums(self) -> dict[str, str]:
        """A digest for each array."""
        return {name: digest(array) for name, array in self.params.items()}

    def state(self, program: Program) -> TrainState:
        """The state of a run's models before their first step."""
        fresh = program.init()
        params = _filled(fresh.params, list(self.params.values()))
        fields: dict[str, Any] = {"params": params}
        if program.settings.train.average:
            fields["mean"] = jax.tree.map(jnp.copy, params)  # `advance` is given no array twice
        if self.optimizer is not None:
            fields["optimizer"] = _filled(fresh.optimizer, self.optimizer)
        started: TrainState = fresh._replace(**fields)
        return started


def from_init(init: Any, program: Program, *, noise: float = 0.0) -> Start:
    """The start that `fit` was given.

    Args:
      init: an nnx model, for all seeds and points; or the folder of a run, whose newest checkpoint
        has the same seeds and points, or one of either for all.
      program: of the run that starts.
      noise: standard deviation of what is added to every weight, for each seed its own, for all
        points the same.

    Raises:
      TypeError: for anything else.
      ValueError: where the arrays are others than the run's, with both structures; where a number
        is not finite.
      FileNotFoundError, KeyError, TrainingError: for a folder, as `load`.
    """
    if isinstance(init, nnx.Module):
        arrays = _by_name(nnx.split(init, nnx.Param, ...)[1])
        held = {name: np.asarray(array)[None, None] for name, array in arrays.items()}
        return Start(_disturbed(_fitted("fit: init", held, program), noise, program))
    if not isinstance(init, str | os.PathLike):
        raise TypeError(
            f"fit: init must be an nnx model or the folder of a run, got {type(init).__name__}"
        )
    try:
        there = all_models(init)
    except FileNotFoundError as error:
        raise FileNotFoundError(f"fit: init={str(init)!r}: {error}") from error
    found = _by_name(there.program.weights(there.state))
    return Start(_disturbed(_fitted(f"fit: init={str(init)!r}", found, program), noise, program))


def from_state(where: str, state: TrainState, program: Program) -> Start:
    """The start of a run that goes on from another one's weights and Adam moments.

    Raises:
      ValueError: where the arrays are others than the run's, with both structures.
    """
    params = _fitted(where, _by_name(state.params), program)
    like = jax.tree.leaves(jax.eval_shape(program.init).optimizer)
    # whatever else the transformation does, as clipping, holds no arrays
    moments = zip(jax.tree.leaves(state.optimizer), like, strict=True)
    return Start(params, [_spread(np.asarray(array), leaf) for array, leaf in moments])


def _fitted(where: str, found: Mapping[str, Any], program: Program) -> dict[str, np.ndarray]:
    """The arrays for every seed and point of the run, in its order and dtype."""
    wanted = _by_name(jax.eval_shape(program.init).params)
    there, here = _structure(found), _structure(wanted)
    for name in [*wanted, *found]:
        if there.get(name) != here.get(name):
            raise ValueError(
                f"{where}: {name} is {there.get(name, 'absent')} there, "
                f"{here.get(name, 'absent')} in this run's model. There: {_shown(there)}; "
                f"here: {_shown(here)}"
            )
    for name, array in found.items():
        sizes, own = np.shape(array)[:2], wanted[name].shape[:2]
        if any(size not in (1, mine) for size, mine in zip(sizes, own, strict=True)):
            raise ValueError(
                f"{where}: must have the {own[0]} seeds and {own[1]} points of this run, or one "
                f"of either for all, got {sizes[0]} seeds and {sizes[1]} points"
            )
    arrays = {name: _spread(np.asarray(found[name]), leaf) for name, leaf in wanted.items()}
    for name, array in arrays.items():
        checks.finite(where, **{name: array})
    return arrays


def _disturbed(
    arrays: dict[str, np.ndarray], noise: float, program: Program
) -> dict[str, np.ndarray]:
    """The arrays with noise, drawn from the run's seed."""
    if not noise:
        return arrays
    # the digests of a start that goes on must come again: NumPy's bits are those of every device
    drawn = np.random.default_rng([program.settings.seed, _NOISE])
    return {
        name: array
        + (noise * drawn.standard_normal((len(array), 1, *array.shape[2:]))).astype(array.dtype)
        for name, array in arrays.items()
    }


def _by_name(params: Any) -> dict[str, Any]:
    """The arrays by their path in the model."""
    return {name.removesuffix("/value"): array for name, array in named(params).items()}


def _spread(array: np.ndarray, like: Any) -> np.ndarray:
    """Repeated over the seeds and points that share it."""
    with np.errstate(over="ignore"):  # what overflows is refused by name
        return np.array(np.broadcast_to(array, like.shape), like.dtype)


def _filled(tree: Any, arrays: list[np.ndarray]) -> Any:
    return jax.tree.unflatten(jax.tree.structure(tree), [jnp.array(array) for array in arrays])


def _structure(arrays: Mapping[str, Any]) -> dict[str, list[int]]:
    """The shapes of one model's arrays."""
    return {name: list(np.shape(array)[2:]) for name, array in arrays.items()}


def _shown(structure: Mapping[str, list[int]]) -> str:
    return ", ".join(f"{name} {shape}" for name, shape in structure.items())
