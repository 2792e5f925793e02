"""A stack with named blocks in words: its counts, what it takes and returns, its heads."""

from typing import TYPE_CHECKING

from elsa.base.counting import counted
from elsa.heads.listing import heads_by_layer

if TYPE_CHECKING:
    from elsa.nn.block_stack import BlockStack


def one_line(stack: "BlockStack") -> str:
    """Name and counts."""
    n, m = stack.readout.shape
    return (
        f"{stack.name}: {counted(stack.num_layers, 'layer')}, "
        f"{counted(stack.num_heads, 'head')}, prompt {n} x {m}, "
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
    titles = ["prologue"] * len(inner.prologue) + [f"step, {inner.depth} times"] * len(inner.body)
    titles += ["epilogue"] * len(inner.epilogue)
    titles[:1] = ["load"] if stack.loads else titles[:1]
    return "\n".join(lines + heads_by_layer(titles, stack.layers, edited_heads(stack)))


def edited_heads(stack: "BlockStack") -> list[set[int]]:
    """The indices of the heads of each layer whose weights are no longer those of their formula."""
    return stack._as_built.edited(stack.stack)
