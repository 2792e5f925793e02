"""From a stack to a file."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save

from elsa.base import checks, files
from elsa.compiler import CompiledStack
from elsa.exchange.format import KEY, LOAD, PARTS, VERSION, Blocks, LoadedStack
from elsa.nn import ELSA, LSA, BlockStack, Stack
from elsa.prompts.layout import BlockLayout


def export(stack: CompiledStack | BlockStack | Stack, path: str | os.PathLike[str]) -> None:
    """Writes a stack's dense weights and all that is needed to run them into one safetensors file.

    The file is whole or not there: a write that fails leaves what stood at `path` before.

    Args:
      stack: compiled, of a construction, or a trained `elsa.nn.Stack` or `BlockStack`. A stack
        that packs its prompt itself (`ridge_lsa`, `ridge_lsa_state`) is exported from the packed
        prompt on; `holds` in the file says what its blocks hold.
      path: of the file; the folder is made.

    Raises:
      TypeError: for anything else, and for layers other than LSA and ELSA.
      ValueError: for weights that are not finite, or with axes beyond those of one stack.
      OSError: where the file cannot be written.
    """
    inner, name, blocks = _parts_of(stack)
    names = _layer_names(inner, blocks is not None and blocks.loads)
    tensors: dict[str, np.ndarray] = {}
    layers = (*inner.prologue, *inner.body, *inner.epilogue)
    for layer_name, layer in zip((n for part in names for n in part), layers, strict=True):
        untied = layer_name.startswith("step") and not inner.tied
        tensors |= _tensors(layer_name, layer, 4 if untied else 3)
    times = (1, inner.depth, 1)
    about: dict[str, Any] = {
        "version": VERSION,
        "name": name,
        "dtype": _common_dtype(tensors).name,
        "skip": inner.skip,
        "tied": inner.tied,
        "depth": inner.depth,
        "order": [
            {"part": part, "layers": layers, "times": count}
            for part, layers, count in zip(PARTS, names, times, strict=True)
        ],
    }
    about |= _block_entries(blocks)
    data = save(tensors, {KEY: json.dumps(about)})
    try:
        files.replace(Path(path), data)
    except files.WriteError as error:
        raise OSError(f"export: {error}") from error


def _parts_of(stack: Any) -> tuple[Stack, str, Blocks | None]:
    """The layers, the name and the named blocks."""
    if isinstance(stack, CompiledStack):
        program, shapes = stack.program, stack.program.inputs
        outputs = {name: shapes[name] for name in stack.readout}
        loads = bool(program.moves)
        blocks = Blocks(stack.layout, stack.readout, shapes, outputs, {}, loads)
        return stack.block_stack.stack, _qualified(program.step), blocks
    if isinstance(stack, LoadedStack):
        return stack.stack, stack.name, stack.blocks
    if isinstance(stack, BlockStack):
        inputs = {name: stack.layout.shape_of(name) for name in stack.layout}
        outputs = {name: stack.readout.shape_of(name) for name in stack.outputs}
        blocks = Blocks(stack.layout, stack.readout, inputs, outputs, stack.holds)
        return stack.stack, type(stack).__name__, blocks
    if isinstance(stack, Stack):
        return stack, type(stack).__name__, None
    raise TypeError(
        "export: stack must be a compiled stack, a construction, or an elsa.nn.Stack or "
        f"BlockStack, got {type(stack).__name__}; readback.attention_stack makes a trained "
        "linear attention or transformer one"
    )


def _qualified(step: Any) -> str:
    """`module.function`, as far as the step says."""
    name = getattr(step, "__qualname__", type(step).__name__)
    return f"{getattr(step, '__module__', type(step).__module__)}.{name}"


def _layer_names(stack: Stack, loads: bool) -> tuple[list[str], list[str], list[str]]:
    """Of the distinct layers, part by part."""
    prologue = [f"prologue.{index}" for index in range(len(stack.prologue) - loads)]
    step = [f"step.{index}" for index in range(len(stack.body))]
    epilogue = [f"epilogue.{index}" for index in range(len(stack.epilogue))]
    return [LOAD] * loads + prologue, step, epilogue


def _tensors(name: str, layer: Any, axes: int) -> dict[str, np.ndarray]:
    """A layer's arrays by their names in the file."""
    if not isinstance(layer, LSA | ELSA):
        raise TypeError(
            f"export: layer {name} is of type {type(layer).__name__}; only LSA and ELSA layers are "
            "attention weights and nothing else"
        )
    found = {}
    for field in layer.fields:
        array = np.ascontiguousarray(getattr(layer, field)[...])
        checks.finite("export", **{f"{name}.{field}": array})
        if array.ndim != axes:
            raise ValueError(
                f"export: {name}.{field} must have {axes} axes, got shape {array.shape}; export "
                "one stack at a time"
            )
        found[f"{name}.{field}"] = array
    return found


def _common_dtype(tensors: Mapping[str, np.ndarray]) -> np.dtype:
    kinds = {array.dtype for array in tensors.values()}
    if len(kinds) > 1:
        raise ValueError(f"export: weights must share one dtype, got {sorted(map(str, kinds))}")
    return kinds.pop()


def _block_entries(blocks: Blocks | None) -> dict[str, Any]:
    if blocks is None:
        return dict.fromkeys(("layout", "readout", "inputs", "outputs", "holds"))
    return {
        "layout": _layout_entry(blocks.layout),
        "readout": _layout_entry(blocks.readout),
        "inputs": dict(blocks.inputs),
        "outputs": dict(blocks.outputs),
        "holds": dict(blocks.holds),
    }


def _layout_entry(layout: BlockLayout) -> dict[str, Any]:
    return {
        "blocks": {name: list(box) for name, box in layout.blocks.items()},
        "shape": list(layout.shape),
        "transposed": list(layout.transposed),
    }
