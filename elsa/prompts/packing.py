"""A task's context and query as one prompt, normalised by the examples that are there."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from elsa.base import checks
from elsa.prompts.layout import BlockLayout
from elsa.prompts.named import PromptFormat
from elsa.prompts.roles import Role, role_indicator


class PackedPrompt(NamedTuple):
    """A prompt, and what its rows are.

    h: [rows, m].
    roles: R, [rows, roles], 1 / sqrt(rows of the role) where a row has the role, else 0: biases R b
      add up over the rows of a role to b^T b whatever their number.
    """

    h: Float[Array, "rows m"]
    roles: Float[Array, "rows roles"]


def packed(
    prompt_format: PromptFormat,
    known: tuple[Role, ...],
    x: Float[Array | np.ndarray, "n d"],
    y: Float[Array | np.ndarray, " n"],
    query_x: Float[Array | np.ndarray, " d"],
    *,
    lam: float = 0.0,
    step_size: float = 1.0,
) -> PackedPrompt:
    """One task's prompt; `jax.vmap` packs a batch.

    With k examples, X, y and lam are divided by sqrt(k), sqrt(k) and k, which leaves the ridge
    solution as it is and makes X^T X the mean over the examples: what was trained, or built, at one
    context length is normalised at every other. An example of zeros is absent, as
    `tasks.keep_last` leaves those that do not count.

    Args:
      prompt_format: how it is written.
      known: the roles, as `prompt_format.known_roles`.
      x, y, query_x: of the context and the query.
      lam: the regulariser of the whole context's sum of squares.
      step_size: eta, where the format holds it.

    Raises:
      ValueError: for shapes that do not fit, also those of a format for one context length.
    """
    checks.instance("packed", PromptFormat, "a format of prompts", prompt_format=prompt_format)
    where = f"packed ({prompt_format.name})"
    checks.at_least(where, lam=(lam, 0.0))
    checks.finite(where, lam=lam, x=x, y=y, query_x=query_x)
    checks.positive(where, step_size=step_size)
    x, y, query_x = jnp.asarray(x), jnp.asarray(y), jnp.asarray(query_x)
    sizes = checks.shapes(where, x=(x, "n d"), y=(y, "n"), query_x=(query_x, "d"))
    x, y, query_x = (jnp.asarray(part) for part in (x, y, query_x))
    layout = prompt_format.layout(sizes["n"])
    if layout.shape_of("X") != (sizes["n"], sizes["d"]):
        raise ValueError(
            f"{where}: the context must have the shape {layout.shape_of('X')} of the block X, got "
            f"{(sizes['n'], sizes['d'])}"
        )
    present = jnp.any(x != 0, axis=-1) | (y != 0)
    count = jnp.maximum(present.sum(), 1).astype(x.dtype)
    eye = jnp.eye(sizes["d"], dtype=x.dtype)
    values = {
        "X": x / jnp.sqrt(count),
        "y": (y / jnp.sqrt(count))[:, None],
        "query_x": query_x[None, :],
        "lam": (lam / count)[None, None],
        "lam I": lam / count * eye,
        "sqrt(lam) I": jnp.sqrt(lam / count) * eye,
        "sqrt(eta) I": jnp.sqrt(jnp.asarray(step_size, x.dtype)) * eye,
        "eta I": step_size * eye,
    }
    roles = _roles(layout, prompt_format, known, present, x.dtype)
    if "roles" in prompt_format.holds.values():
        values["roles"] = roles
    held = BlockLayout(
        {name: layout.box(name) for name in prompt_format.holds},
        layout.shape,
        [name for name in layout.transposed if name in prompt_format.holds],
    )
    h = held.pack(**{name: values[held_there] for name, held_there in prompt_format.holds.items()})
    return PackedPrompt(h, roles)


def _roles(
    layout: BlockLayout,
    prompt_format: PromptFormat,
    known: tuple[Role, ...],
    present: Bool[Array, " n"],
    dtype: np.dtype,
) -> Float[Array, "rows roles"]:
    """R, with rows left out that hold nothing but an absent example."""
    roles = prompt_format.roles(present.shape[0])
    matrix = jnp.asarray(role_indicator(roles, known), dtype)
    if "X" not in layout.transposed:
        example = np.array([not role for role in roles])
        box = layout.box("X")
        there = jnp.ones(layout.shape[0], bool).at[box.row : box.rows.stop].set(present)
        matrix = matrix * (there | ~example)[:, None]
    return matrix / jnp.sqrt(jnp.maximum(matrix.sum(axis=0, keepdims=True), 1.0))
