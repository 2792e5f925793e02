"""Compiled stacks of six algorithms on ridge regression, and noise in their weights."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

import elsa
from elsa import algorithms, tasks
from elsa.nn import BlockStack


@dataclasses.dataclass(frozen=True, kw_only=True)
class Planted:
    """A compiled algorithm.

    make: makes the stack anew.
    lam: of the problem that it solves.
    blocks: those that do not start at zero.
    """

    make: Callable[[], BlockStack]
    lam: float
    blocks: Mapping[str, Any]


def prompts(config: ConfigDict) -> tasks.Prompt:
    """Problems whose covariates are divided by sqrt(n)."""
    task = config.task
    drawn = tasks.LinearRegression(task.dim, task.context_length, noise_var=task.noise_var)
    prompt = drawn.sample(jax.random.key(config.seed), config.batch)
    return prompt._replace(x=prompt.x / task.context_length**0.5)


def planted(config: ConfigDict, prompt: tasks.Prompt) -> dict[str, Planted]:
    """The algorithms by the names that `readback.algorithm_match` gives them.

    Their numbers are those that suit the spectrum of the problems, [m, L]: step size 1 / L and so
    on.
    """
    d, n, lam = config.task.dim, config.task.context_length, config.task.lam
    spectra = np.linalg.eigvalsh(np.swapaxes(prompt.x, 1, 2) @ np.asarray(prompt.x)) + lam
    smallest, largest = float(spectra.min()), float(spectra.max())
    data = {"X": (n, d), "y": (n, 1), "lam": (1, 1), "w": (d, 1)}
    context = {"X": (n, d), "y": (n, 1), "query_x": (1, d), "prediction": (1, 1)}
    falling = np.diag(1.5 / largest * 0.4 ** np.arange(d))

    def of(step: Any, shapes: dict[str, Any], *, tied: bool = True, **blocks: Any) -> Planted:
        def make() -> BlockStack:
            return elsa.compile(step, shapes, config.steps, tied=tied)

        return Planted(make=make, lam=lam if "lam" in shapes else 0.0, blocks=blocks)

    return {
        "gradient descent": of(algorithms.gradient_descent(1.0 / largest), data),
        "preconditioned": of(algorithms.preconditioned_gradient_descent(falling), context),
        "GD++": of(
            algorithms.gd_plus_plus(step_size=0.5 / largest, curvature=0.3 / largest), context
        ),
        "heavy ball": of(
            algorithms.heavy_ball(step_size=0.8 / largest, momentum=0.4), {**data, "v": (d, 1)}
        ),
        "Chebyshev": of(
            algorithms.chebyshev(smallest=smallest, largest=largest),
            {**data, "p": (d, 1)},
            tied=False,
        ),
        "Newton-Schulz": of(
            algorithms.newton_schulz_ridge(), {**data, "Z": (d, d)}, Z=np.eye(d) / largest
        ),
    }


def disturb(stack: BlockStack, noise: float, rng: np.random.Generator) -> None:
    """Every weight times 1 + noise z, z standard normal: what is zero stays zero."""
    inner = stack.stack
    for layer in (*inner.prologue, *inner.body, *inner.epilogue):
        for name in layer.fields:
            array = np.asarray(getattr(layer, name)[...])
            factor = 1.0 + noise * rng.normal(size=array.shape)
            getattr(layer, name)[...] = jnp.asarray(array * factor, array.dtype)
