"""Prompts by name: how an in-context regression task is written into rows and channels."""

import dataclasses
import functools
from collections.abc import Callable, Mapping

from elsa.base import checks
from elsa.base.known_names import PROMPTS as NAMES
from elsa.prompts.layout import BlockLayout
from elsa.prompts.roles import Role, row_roles

Boxes = Mapping[str, tuple[int, int, int, int]]
# What packing may write into a block; a block that is not among a format's `holds` starts at zero.
HELD = ("X", "y", "query_x", "lam", "lam I", "sqrt(lam) I", "sqrt(eta) I", "eta I", "roles")


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class PromptFormat:
    """A way to write a regression task with one query into a prompt.

    Attributes:
      name: of the format, which opens messages.
      layout: where the blocks lie, of the context length n; blocks that the layers write to and
        that start at zero are among them.
      holds: block -> what packing writes there, one of HELD.
      examples: blocks with a row for each example of the context.
      any_length: whether the channels stay the same at every context length.
    """

    name: str
    layout: Callable[[int], BlockLayout]
    holds: Mapping[str, str]
    examples: tuple[str, ...] = ("X", "y")
    any_length: bool = True

    def roles(self, context_length: int) -> list[Role]:
        """The role of each row, as `prompts.row_roles` says."""
        checks.size("roles", context_length=(context_length, 1))
        return row_roles(self.layout(context_length), self.examples)

    def known_roles(self, dim: int, context_length: int) -> tuple[Role, ...]:
        """All roles that occur at some context length, that of the examples first."""
        checks.size("known_roles", dim=(dim, 1), context_length=(context_length, 1))
        longest = max(context_length, dim + 1) if self.any_length else context_length
        found = dict.fromkeys(self.roles(longest))
        return (*(role for role in found if not role), *(role for role in found if role))


def named_format(name: str, dim: int) -> PromptFormat:
    """The prompt of that name, for d covariates and one query, n examples.

        stacked        n rows [x_i, 0, y_i, 0], then the query [0, x, 0, p] in channels of its own
        stacked_roles  stacked, and two channels that are constant on the examples, on the query
        natural        X, y, lam, w, x, r and p side by side, each in own channels from row 0 on
        designed       as `constructions.ridge_lsa`: sqrt(lam) I in rows of its own below the data
        source         as `constructions.ridge_lsa_state`: w, lam I and sqrt(eta) I below the data
        transposed     rows are covariates and the label: [X^T, x; y^T, p]

    p, the prediction, starts at zero, and so do the weights w, the residual r and the fit.

    Args:
      name: one of NAMES.
      dim: d.

    Raises:
      ValueError: for an unknown name, or a dim below 1.
      TypeError: for a dim that is not an integer.
    """
    checks.one_of("named_format", "name", name, NAMES)
    checks.size("named_format", dim=(dim, 1))
    return _named(name, int(dim))


@functools.lru_cache(maxsize=64)  # one format for each name: equal models have equal structure
def _named(name: str, dim: int) -> PromptFormat:
    data = {"X": "X", "y": "y", "query_x": "query_x"}

    def layout(context_length: int) -> BlockLayout:
        return _LAYOUTS[name](context_length, dim)

    if name == "stacked_roles":
        examples: tuple[str, ...] = ("X", "y", "roles")
        return PromptFormat(
            name=name, layout=layout, holds={**data, "roles": "roles"}, examples=examples
        )
    if name == "natural":
        examples = ("X", "y", "residual")
        return PromptFormat(
            name=name, layout=layout, holds={**data, "lam": "lam"}, examples=examples
        )
    if name == "designed":
        holds, examples = {**data, "ridge": "sqrt(lam) I"}, ("X", "y", "fit")
        return PromptFormat(name=name, layout=layout, holds=holds, examples=examples)
    if name == "source":
        holds = {**data, "ridge": "lam I", "step": "sqrt(eta) I"}
        return PromptFormat(name=name, layout=layout, holds=holds, examples=("X", "y", "fit"))
    return PromptFormat(name=name, layout=layout, holds=data, any_length=name != "transposed")


def custom_format(
    boxes: Boxes, *, shape: tuple[int, int] | None = None, transposed: tuple[str, ...] = ()
) -> PromptFormat:
    """A prompt whose blocks lie where the caller says, for one context length.

    Args:
      boxes: block -> (row, col, height, width); X, y, query_x and prediction, and lam, w or others
        that start at zero.
      shape: (rows, channels) of the prompt; the smallest that holds the blocks where None.
      transposed: blocks that are stored transposed.

    Raises:
      ValueError: where X, y, query_x or prediction is missing, or as `BlockLayout` says.
    """
    checks.mapping("custom_format", "a mapping of blocks to boxes", boxes=boxes)
    placed = BlockLayout(boxes, shape, transposed)
    missing = [name for name in ("X", "y", "query_x", "prediction") if name not in placed]
    if missing:
        raise ValueError(
            f"custom_format: boxes must have X, y, query_x and prediction, got {list(placed)}"
        )
    known = {name: name for name in ("X", "y", "query_x", "lam") if name in placed}
    return PromptFormat(
        name="custom",
        layout=lambda context_length: placed,
        holds=known,
        any_length=False,
    )


def natural_layout(shapes: Mapping[str, tuple[int, int]]) -> BlockLayout:
    """Every block in channels of its own, from row 0 on, in the order given."""
    blocks, channel = {}, 0
    for name, (height, width) in shapes.items():
        blocks[name] = (0, channel, height, width)
        channel += width
    return BlockLayout(blocks)


def designed_layout(context_length: int, dim: int, num_queries: int) -> BlockLayout:
    """The prompt of `constructions.ridge_lsa`: examples, rows of the regulariser, queries."""
    n, d = context_length, dim
    label = 2 * d if num_queries else d
    boxes = {
        "X": (0, 0, n, d),
        "ridge": (n, 0, d, d),
        "y": (0, label, n, 1),
        "fit": (0, label + 1, n, 1),
        "w": (n, label + 1, d, 1),
    }
    if num_queries:
        boxes["query_x"] = (n + d, d, num_queries, d)
        boxes["prediction"] = (n + d, label + 1, num_queries, 1)
    return BlockLayout(boxes)


def state_layout(context_length: int, dim: int, num_queries: int) -> BlockLayout:
    """The prompt of `constructions.ridge_lsa_state`, without the channels that start at zero."""
    n, d = context_length, dim
    queries = {"query_x": (n + d, num_queries, d)} if num_queries else {}
    rows = {"X": (0, n, d), **queries, "y": (0, n, 1)}
    rows |= {"ridge": (n, d, d), "step": (n, d, d), "w": (n, d, 1)}
    boxes, channel = {}, 0
    for name, (row, height, width) in rows.items():
        boxes[name] = (row, channel, height, width)
        channel += width
    return BlockLayout(boxes)


def with_fit(given: BlockLayout) -> BlockLayout:
    """A prompt with a channel for the fit appended, and one for the predictions."""
    n, m = given.shape
    added = {"fit": (given.box("X").row, m, given.box("X").height, 1)}
    if "query_x" in given:
        queries = given.box("query_x")
        added["prediction"] = (queries.row, m + 1, queries.height, 1)
    return given.extended(added, (n, m + len(added)))


def _stacked(n: int, d: int) -> BlockLayout:
    boxes = {"X": (0, 0, n, d), "query_x": (n, d, 1, d), "y": (0, 2 * d, n, 1)}
    return BlockLayout({**boxes, "prediction": (n, 2 * d + 1, 1, 1)})


def _stacked_roles(n: int, d: int) -> BlockLayout:
    return _stacked(n, d).extended({"roles": (0, 2 * d + 2, n + 1, 2)}, (n + 1, 2 * d + 4))


def _natural(n: int, d: int) -> BlockLayout:
    shapes = {"X": (n, d), "y": (n, 1), "lam": (1, 1), "w": (d, 1), "query_x": (1, d)}
    return natural_layout({**shapes, "residual": (n, 1), "prediction": (1, 1)})


def _transposed(n: int, d: int) -> BlockLayout:
    boxes = {"X": (0, 0, d, n), "y": (d, 0, 1, n), "query_x": (0, n, d, 1)}
    return BlockLayout({**boxes, "prediction": (d, n, 1, 1)}, transposed=("X", "y", "query_x"))


_LAYOUTS: dict[str, Callable[[int, int], BlockLayout]] = {
    "stacked": _stacked,
    "stacked_roles": _stacked_roles,
    "natural": _natural,
    "designed": lambda n, d: designed_layout(n, d, 1),
    "source": lambda n, d: with_fit(state_layout(n, d, 1)),
    "transposed": _transposed,
}
