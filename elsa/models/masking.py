"""Stacks in which no row attends to the query's."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from elsa.prompts import BlockLayout
from elsa.prompts.roles import Role


def refuse(where: str, layout: BlockLayout, *, has_biases: bool) -> None:
    """Refuses a mask where there is none to be had.

    Args:
      where: opens the message.
      layout: of the prompt.
      has_biases: of the stack.

    Raises:
      ValueError: for a stack with biases, or a query beside examples.
    """
    if has_biases:
        raise ValueError(f"{where}: masked=True is of layers without biases; take 'lsa'")
    query, examples = set(layout.box("query_x").rows), layout.box("X").rows
    if query & set(examples):
        raise ValueError(
            f"{where}: masked=True needs a query in a row of its own, as layout='stacked' has it; "
            f"here rows {sorted(query & set(examples))} hold examples, too"
        )


def attended(roles: Float[Array, "rows roles"], known: tuple[Role, ...]) -> Float[Array, "rows 1"]:
    """1 for all rows but the query's, of the roles of a packed prompt."""
    of_query = np.array([any(block == "query_x" for block, _ in role) for role in known])
    is_query = (roles[:, of_query] > 0).any(axis=1, keepdims=True)
    return jnp.where(is_query, 0.0, 1.0).astype(roles.dtype)
