"""The algorithm that a stack is set beside, run as it is: no prompt matrix, no attention."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from elsa.base.precision import exact
from elsa.models import starts
from elsa.prompts.named import PromptFormat, named_format
from elsa.tasks import Prompt

DESCENT = "gradient_descent"
_NAMES = {DESCENT: "gradient descent", "newton_schulz_ridge": "Newton-Schulz"}


class Plain(NamedTuple):
    """An algorithm for ridge regression, on the mean over the examples.

    name: of the step.
    label: of a figure.
    source: of the step and its states.
    step_size: eta.
    lam: the regulariser of the whole context's sum of squares.
    """

    name: str
    label: str
    source: starts.Source
    step_size: float
    lam: float

    @property
    def first(self) -> int:
        """The step from which on there is an answer: where w is read from other states, it is none
        before the first."""
        return 1 if self.source.states else 0

    @exact
    def answers(self, prompt: Prompt, steps: int) -> Float[Array, "steps+1 batch"]:
        """The predictions after 0 .. steps steps."""
        step = self.source.step
        assert step is not None  # all of `starts.ALGORITHMS` have one
        update, n, dim = step(self.step_size), *prompt.x.shape[1:]
        eye, kind = jnp.eye(dim, dtype=prompt.x.dtype), prompt.x.dtype
        held = {"eta I": self.step_size * eye}
        state = {"w": jnp.zeros((dim, 1), kind)} | {
            name: held[self.source.holds[name]] for name in self.source.states
        }

        def one(x: Array, y: Array, query_x: Array) -> Array:
            lam = jnp.full((1, 1), self.lam / n, kind)
            data = {"X": x / n**0.5, "y": y[:, None] / n**0.5, "lam": lam}

            def body(now: dict[str, Array], _: None) -> tuple[dict[str, Array], Array]:
                after = {**now, **update(**data, **now)}
                return after, after["w"]

            _, found = jax.lax.scan(body, state, length=steps)
            return jnp.concatenate([state["w"][None], found])[:, :, 0] @ query_x

        return jax.vmap(one, out_axes=1)(prompt.x, prompt.y, prompt.query_x)


def beside(model: Mapping[str, Any], lam: float, step_size: float) -> Plain:
    """What a model is set beside: the step that it was compiled from, or else gradient descent.

    A construction on a prompt that has no place for the regulariser descends on least squares.

    Args:
      model: its settings, as `models.build` takes them.
      lam: the prompt's regulariser.
      step_size: eta.
    """
    name = DESCENT
    if model.get("init") == "compiled":
        name = model.get("algorithm") or next(iter(starts.ALGORITHMS))
    label = _NAMES.get(name, name.replace("_", " "))
    if model.get("init") == "construction" and not tells_lam(model["layout"]):
        return Plain(name, f"{label} on least squares", starts.ALGORITHMS[name], step_size, 0.0)
    return Plain(name, label, starts.ALGORITHMS[name], step_size, lam)


def tells_lam(layout: str) -> bool:
    """Whether a construction's prompt of this layout holds the regulariser."""
    if layout == "custom":
        return True  # where `constructions.ridge_elsa` is, which has a block for it
    form: PromptFormat = named_format(layout, 1)
    return any("lam" in held for held in form.holds.values())
