"""A stack with named blocks as treescope shows it in a notebook: its listing, blocks, weights."""

from typing import TYPE_CHECKING, Any

import numpy as np

from elsa.heads.head import HeadWeights

if TYPE_CHECKING:
    from elsa.nn.block_stack import BlockStack


def rendering(stack: "BlockStack", path: str | None, subtree_renderer: Any) -> Any:
    """What treescope draws: the printed listing; below it layout, readout, weights to unfold.

    Args:
      stack: any.
      path: Python for the stack, as treescope writes it; None where it has none.
      subtree_renderer: treescope's function of a part and its path.
    """
    from treescope import rendering_parts as parts

    title, *lines = str(stack).splitlines()
    below: list[Any] = [parts.text(line) for line in lines]
    for name, value in {
        "layout": stack.layout,
        "readout": stack.readout,
        "weights": _weights(stack),
    }.items():
        place = f"{path}.{name}" if path is not None and name != "weights" else None
        below.append(
            parts.siblings_with_annotations(f"{name}=", subtree_renderer(value, path=place))
        )
    return parts.build_custom_foldable_tree_node(
        label=parts.siblings(type(stack).__name__, " ", title),
        contents=parts.fold_condition(
            collapsed=parts.empty_part(), expanded=parts.indented_children(below)
        ),
        path=path,
        expand_state=parts.ExpandState.EXPANDED,
    )


def _weights(stack: "BlockStack") -> dict[str, dict[str, np.ndarray]] | str:
    """The arrays of each layer by their names in files, those that a layer has."""
    try:
        stack.require_weights("treescope")
    except ValueError as error:
        return str(error)
    inner = stack.stack
    found = {}
    for part in ("prologue", "body", "epilogue"):
        for index, layer in enumerate(getattr(inner, part)):
            name = f"{'step' if part == 'body' else part}.{index}"
            fields = [f for f in HeadWeights._fields if f in getattr(layer, "fields", ())]
            found[name] = {field: np.asarray(getattr(layer, field)[...]) for field in fields}
    return found
