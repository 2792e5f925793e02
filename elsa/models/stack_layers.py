"""The layers of a trained stack: drawn, or those of a stack that was built, with noise."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from elsa.base import checks
from elsa.nn.attention_heads import AttentionHeads
from elsa.nn.layers import ELSA, LSA
from elsa.nn.masked_layers import MaskedLSA
from elsa.nn.role_layers import RoleELSA
from elsa.nn.stack import Stack
from elsa.prompts.layout import BlockLayout


def drawn(
    depth: int,
    channels: int,
    key_size: int,
    num_heads: int,
    *,
    roles: int | None,
    masked: bool,
    tied: bool,
    init_scale: Float[ArrayLike, ""],
    dtype: np.dtype,
    precision: str,
    rngs: nnx.Rngs,
) -> Stack:
    """Layers with normal weights.

    Args:
      roles: how many there are, for ELSA; None for LSA.
      masked: whether LSA layers leave rows out of their keys.
      others: as `StackModel`; init_scale is the standard deviation itself.
    """

    sizes = (channels, key_size, num_heads)
    options: dict[str, Any] = {"init_scale": init_scale, "dtype": dtype, "precision": precision}

    def layer(keys: nnx.Rngs) -> AttentionHeads:
        if roles is None:
            return (MaskedLSA if masked else LSA)(*sizes, **options, rngs=keys)
        return RoleELSA(roles, *sizes, **options, rngs=keys)

    if tied or depth == 0:
        return Stack([layer(rngs)], depth)
    return Stack.untied(layer, depth, rngs=rngs)


def from_stack(
    built: Stack,
    *,
    indicator: Float[np.ndarray, "n roles"] | None,
    tied: bool,
    noise: Float[ArrayLike, ""],
    dtype: np.dtype,
    precision: str,
    where: str,
    rngs: nnx.Rngs,
) -> Stack:
    """The layers of a stack with biases by position, as layers with biases by role.

    Args:
      built: a stack of LSA or ELSA layers.
      indicator: 1 where a row has a role, for ELSA; None for LSA.
      tied: False gives every step of a tied stack weights of its own; others have them.
      noise: standard deviation of what is added to every weight.
      where: opens the message of a refusal.

    Raises:
      ValueError: for biases where there is no indicator, or that differ within a role.
    """
    copies = built.depth if built.tied and built.depth and not tied else None

    def layer(given: AttentionHeads, copies: int | None = None) -> AttentionHeads:
        with jax.ensure_compile_time_eval():  # weights are looked at, also within jit
            made = _with_roles(given, indicator, dtype, precision, where)
        if copies is None:
            return made
        graph, state = nnx.split(made)
        # NumPy copies without a program for each shape
        return nnx.merge(
            graph,
            jax.tree.map(lambda a: jnp.asarray(np.repeat(np.asarray(a)[None], copies, 0)), state),
        )

    stack = Stack(
        [layer(part, copies) for part in built.body],
        built.depth,
        tied=built.tied and copies is None,
        prologue=[layer(part) for part in built.prologue],
        epilogue=[layer(part) for part in built.epilogue],
    )
    # within jit an operation on a concrete array of jax is traced, one of NumPy's arrays is not
    is_none = checks.is_concrete(noise) and not np.any(np.asarray(noise))
    return stack if is_none else _disturbed(stack, noise, rngs)


def _with_roles(
    given: AttentionHeads,
    indicator: Float[np.ndarray, "n roles"] | None,
    dtype: np.dtype,
    precision: str,
    where: str,
) -> AttentionHeads:
    weights = given.weights
    biases = weights[3:]
    if indicator is None:
        if any(np.any(array) for array in biases):
            raise ValueError(f"{where} has biases, which 'elsa' takes and 'lsa' does not")
        return LSA.from_weights(weights, dtype=dtype, precision=precision)
    if isinstance(given, ELSA):
        made = RoleELSA.from_positions(given, indicator, where=where)
        made.precision = precision
        return made
    empty = [np.zeros((*b.shape[:-2], indicator.shape[1], b.shape[-1])) for b in biases]
    return RoleELSA.from_weights(
        type(weights)(*weights[:3], *empty), dtype=dtype, precision=precision
    )


def _disturbed(stack: Stack, noise: Float[ArrayLike, ""], rngs: nnx.Rngs) -> Stack:
    """With noise on all weights, drawn at once: a draw for each array is slow to compile."""
    graph, state = nnx.split(stack)
    leaves, structure = jax.tree.flatten(state)
    ends = np.cumsum([leaf.size for leaf in leaves])
    drawn_at_once = jax.random.normal(rngs.params(), (ends[-1],), leaves[0].dtype)
    parts = jnp.split(drawn_at_once, ends[:-1])
    disturbed = [
        leaf + noise * part.reshape(leaf.shape) for leaf, part in zip(leaves, parts, strict=True)
    ]
    return nnx.merge(graph, jax.tree.unflatten(structure, disturbed))


def prediction_of(h: Array, readout: BlockLayout, query_x: Array) -> Array:
    """The block `prediction` of a prompt [rows, m], or query_x w where there is none."""
    if "prediction" in readout:
        prediction: Array = readout.block(h, "prediction")[0, 0]
        return prediction
    answer: Array = query_x @ readout.block(h, "w")[:, 0]
    return answer
