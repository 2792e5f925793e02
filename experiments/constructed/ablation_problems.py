"""The tasks of the layout ablation: a batch of ridge problems, their prompts and their answers."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from elsa import BlockLayout, constructions, predictors, tasks, theory
from experiments.constructed.perturbations import Edit, Family

_solve = jax.jit(jax.vmap(predictors.ridge_weights, in_axes=(0, 0, None)))


@dataclasses.dataclass(frozen=True)
class Problems:
    """A batch of ridge problems. X: [B, n, d].  y: [B, n, 1].  lam: of all.  start: [B, d, 1]."""

    X: jax.Array
    y: jax.Array
    lam: float
    start: jax.Array

    @functools.cached_property
    def solution(self) -> np.ndarray:
        """The ridge solutions, [B, d, 1]."""
        return np.asarray(_solve(self.X, self.y, self.lam))

    @functools.cached_property
    def _spectrum(self) -> tuple[float, float]:
        """The smallest and the largest eigenvalue of X^T X + lam I in the batch."""
        values, _ = theory.ridge_modes(self.X, self.y[..., 0], self.lam)
        return float(values.min()), float(values.max())

    def step_size(self, share: float) -> float:
        """A share of the best one for the whole batch."""
        return share * theory.best_step_size(*self._spectrum)

    def depth(self, share: float, accuracy: float) -> int:
        """Steps that bring the error down by `accuracy`, at a share s <= 1 of the best step size.

        The slowest factor is then 1 - 2 s / (kappa + 1), as at the best step size of a problem with
        condition number (kappa + 1)/s - 1.
        """
        smallest, largest = self._spectrum
        return theory.steps_to_reach(accuracy, (largest / smallest + 1.0) / share - 1.0)

    def posed_by(self, edit: Edit | None) -> "Problems":
        """The problems that the prompts pose after a change of entries."""
        if edit is None or edit.problem is None:
            return self
        return Problems(*edit.problem(self.X, self.y, self.lam), self.start)

    def prompts(self, stack: constructions.RidgeStack) -> tuple[dict[str, jax.Array], jax.Array]:
        """The blocks that the stack's layout names, and the packed prompts."""

        def pack(X: jax.Array, y: jax.Array, w: jax.Array) -> tuple[dict[str, jax.Array], Any]:
            blocks = stack.encode(X=X, y=y, lam=self.lam, w=w)
            return blocks, stack.padded(stack.layout.pack(**blocks))

        return jax.vmap(pack)(self.X, self.y, self.start)

    def read(self, out: np.ndarray, layout: BlockLayout, family: Family) -> np.ndarray:
        """w, [..., d, 1], of the stack's last prompts; where it holds sqrt(lam) w, divided."""
        box = layout.box("w")
        w = out[..., box.row : box.rows.stop, box.col : box.channels.stop]
        return w / (self.lam**0.5 if family.holds_root else 1.0)


def problems(config: ConfigDict) -> Problems:
    """The tasks of a config, and random starts."""
    task, rng = config.task, np.random.default_rng(config.seed)
    if task.name == "spectrum":
        drawn = spectrum(config)
        prompt, lam = _sampled(drawn, config.seed, config.batch), drawn.lam
        X, y = prompt.x, prompt.y
    else:
        table = tasks.standardised(tasks.diabetes())
        rows = np.argsort(rng.random((config.batch, len(table.x))))[:, : task.context_length]
        X = jnp.asarray(table.x[rows][..., : task.dim] / task.context_length**0.5)
        y, lam = jnp.asarray(table.y[rows] / table.y.std()), task.diabetes_lam
    start = jnp.asarray(config.start * rng.normal(size=(config.batch, task.dim, 1)))
    return Problems(X, y[..., None], lam, start)


def spectrum(config: ConfigDict) -> tasks.PrescribedSpectrum:
    """The distribution of tasks where task.name is "spectrum"."""
    task = config.task
    return tasks.PrescribedSpectrum(
        task.dim, task.context_length, task.condition_number, noise_var=task.noise_var
    )


@functools.lru_cache(maxsize=1)  # the same for every case
def _sampled(drawn: tasks.PrescribedSpectrum, seed: int, batch: int) -> tasks.Prompt:
    sample: Callable[..., tasks.Prompt] = jax.jit(drawn.sample, static_argnums=1)
    return sample(jax.random.key(seed), batch)
