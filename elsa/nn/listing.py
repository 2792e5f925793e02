"""A stack with named blocks in words: its counts, what it takes and returns, its heads."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from elsa.heads.head import Head

if TYPE_CHECKING:
    from elsa.nn.block_stack import BlockStack


def one_line(stack: "BlockStack") -> str:
    """Name and counts."""
    n, m = stack.readout.shape
    return (
        f"{stack.name}: {stack.num_layers} layers, {stack.num_heads} heads, prompt {n} x {m}, "
        f"{stack.dtype}"
    )


def listing(stack: "BlockStack") -> str:
    """Counts, inputs and outputs, then one line for each head in its formula."""
    lines, holds = [one_line(stack)], stack.holds
    for title, shapes in (("takes", stack.inputs), ("returns", stack.outputs)):
        for name, shape in shapes.items():
            held = f", holds {holds[name]}" if name in holds else ""
            lines.append(f"  {title} {name} {shape}{held}")
    inner = stack.stack
    first, last = len(inner.prologue), len(inner.prologue) + len(inner.body)
    return "\n".join(
        lines
        + heads_by_layer(
            stack.layers,
            edited_heads(stack),
            (first, last),
            step=f"step, {inner.depth} times",
            loads=stack.loads,
        )
    )


def edited_heads(stack: "BlockStack") -> list[set[int]]:
    """The numbers of the heads of each layer that no longer are what their formula says."""
    return stack._as_built.edited(stack.stack)


def heads_by_layer(
    layers: Sequence[Sequence[Head]],
    edited: Sequence[set[int]],
    body: tuple[int, int],
    *,
    step: str,
    loads: bool,
) -> list[str]:
    """A title for each layer and a line for each of its heads.

    Args:
      edited: for each layer the numbers of heads whose weights are others than the formula's.
      body: the first layer that is repeated, and the first after them.
      step: the title of those that are repeated.
      loads: whether the first layer moves the inputs to where the stack wants them.
    """
    first, last = body
    lines = []
    for index, heads in enumerate(layers):
        title = "prologue" if index < first else step if index < last else "epilogue"
        lines.append(f"  {'load' if loads and index == 0 else title}")
        changed = edited[index] if index < len(edited) else set()
        lines += [
            f"    {head.formula}    (p = {head.key_size})"
            + ", edited: its weights are others" * (number in changed)
            for number, head in enumerate(heads)
        ]
    return lines
