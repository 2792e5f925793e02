"""The roles of a prompt's rows: rows of one role have the same meaning and may be exchanged."""

import functools
from collections.abc import Collection, Sequence

import numpy as np
from jaxtyping import Float

from elsa.base import checks
from elsa.prompts.layout import BlockLayout

Role = tuple[tuple[str, int], ...]  # (block, row of the block) of blocks that hold no examples


def row_roles(layout: BlockLayout, examples: Collection[str]) -> list[Role]:
    """What each row of a prompt is, apart from the example that it may hold.

    Rows that hold nothing but an example of the context, or nothing at all, have the empty role and
    may be exchanged. Any other row is named by the blocks that lie in it: the third row of w is no
    other row.

    Args:
      layout: where the blocks lie.
      examples: blocks with a row for each example of the context; stored transposed, a block's
        rows are its covariates, and each is a role of its own.

    Raises:
      KeyError: for an example that is not a block of the layout.
    """
    checks.instance("row_roles", BlockLayout, "a BlockLayout", layout=layout)
    checks.instance("row_roles", Collection, "a list of blocks", examples=examples)
    checks.known_names("row_roles", "block", examples, layout)
    held: list[list[tuple[str, int]]] = [[] for _ in range(layout.shape[0])]
    for name, box in layout.blocks.items():
        if name in examples and name not in layout.transposed:
            continue
        for place, row in enumerate(box.rows):
            held[row].append((name, place))
    return [tuple(blocks) for blocks in held]


def role_indicator(roles: Sequence[Role], known: Sequence[Role]) -> Float[np.ndarray, "n roles"]:
    """1 at [i, k] where row i has role k, else 0.

    Args:
      roles: of each row.
      known: the roles, in the order of the columns.

    Raises:
      ValueError: for a row whose role is not known.
    """
    for name, argument in {"roles": roles, "known": known}.items():
        checks.instance("role_indicator", list | tuple, "a list of roles", **{name: argument})
        for role in argument:
            checks.instance("role_indicator", tuple, "roles, as of row_roles", **{name: role})
    if len(set(known)) < len(known):
        raise ValueError(f"role_indicator: known must hold every role once, got {known}")
    return _indicator(tuple(roles), tuple(known)).copy()


@functools.lru_cache(maxsize=64)
def _indicator(roles: tuple[Role, ...], known: tuple[Role, ...]) -> Float[np.ndarray, "n roles"]:
    column = {role: index for index, role in enumerate(known)}
    unknown = next((role for role in roles if role not in column), None)
    if unknown is not None:
        raise ValueError(
            f"role_indicator: known must hold the role of every row, got {known} without {unknown}"
        )
    matrix = np.zeros((len(roles), len(known)))
    matrix[np.arange(len(roles)), [column[role] for role in roles]] = 1.0
    return matrix
