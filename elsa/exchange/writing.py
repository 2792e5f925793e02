"""From a stack to a file."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save

from elsa.base import checks, files
from elsa.exchange.format import CHECKSUM, DTYPES, KEY, LOAD, PARTS, VERSION, checksum
from elsa.nn import ELSA, LSA, BlockStack, Stack
from elsa.prompts.layout import BlockLayout


def export(stack: BlockStack | Stack, path: str | os.PathLike[str]) -> None:
    """Writes a stack's dense weights and all that is needed to run them into one safetensors file.

    The file is whole or not there: a write that fails leaves what stood at `path` before.

    Args:
      stack: compiled, of a construction, or a trained `elsa.nn.Stack` or `BlockStack`. A stack
        that packs its prompt itself (`ridge_lsa`, `ridge_lsa_state`) is exported from the packed
        prompt on; `holds` in the file says what its blocks hold.
      path: of the file; the folder is made. Where it is a symbolic link, the file that it points
        to is replaced.

    Raises:
      TypeError: for anything else, and for layers other than LSA and ELSA.
      ValueError: for weights that are not finite, of a dtype that files do not hold, or with axes
        beyond those of one stack.
      OSError: where the file cannot be written, or `path` is a folder or a device.
    """
    checks.instance("export", str | os.PathLike, "a path", path=path)
    if not Path(path).name:
        raise ValueError(f"export: path must name a file, got {os.fspath(path)!r}")
    if Path(path).is_dir():
        raise IsADirectoryError(f"export: path must name a file, {path} is a folder")
    if not isinstance(stack, BlockStack | Stack):
        raise TypeError(
            "export: stack must be a compiled stack, a construction, or an elsa.nn.Stack or "
            f"BlockStack, got {type(stack).__name__}; readback.attention_stack makes a trained "
            "linear attention or transformer one"
        )
    blocks = stack if isinstance(stack, BlockStack) else None
    inner = stack.stack if isinstance(stack, BlockStack) else stack
    if blocks is not None:
        blocks.require_weights("export")
    names = _layer_names(inner, blocks is not None and blocks.loads)
    tensors: dict[str, np.ndarray] = {}
    layers = (*inner.prologue, *inner.body, *inner.epilogue)
    for layer_name, layer in zip((n for part in names for n in part), layers, strict=True):
        untied = layer_name.startswith("step") and not inner.tied
        tensors |= _tensors(layer_name, layer, 4 if untied else 3)
    times = (1, inner.depth, 1)
    about: dict[str, Any] = {
        "version": VERSION,
        "name": type(stack).__name__ if blocks is None else blocks.name,
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
    about = {**about, CHECKSUM: checksum(about, tensors)}
    data = save(tensors, {KEY: json.dumps(about)})
    try:
        files.replace(Path(path), data)
    except files.WriteError as error:
        raise OSError(f"export: {error}") from error


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
    tensors = {}
    for field in layer.fields:
        array = np.ascontiguousarray(getattr(layer, field)[...])
        checks.finite("export", **{f"{name}.{field}": array})
        if array.ndim != axes:
            raise ValueError(
                f"export: {name}.{field} must have {axes} axes, got shape {array.shape}; export "
                "one stack at a time"
            )
        tensors[f"{name}.{field}"] = array
    return tensors


def _common_dtype(tensors: Mapping[str, np.ndarray]) -> np.dtype:
    kinds = {array.dtype for array in tensors.values()}
    if len(kinds) > 1:
        raise ValueError(f"export: weights must share one dtype, got {sorted(map(str, kinds))}")
    (kind,) = kinds
    if kind.name not in DTYPES:
        raise ValueError(f"export: weights must be one of {list(DTYPES)}, got {kind}")
    return kind


def _block_entries(stack: BlockStack | None) -> dict[str, Any]:
    """The named blocks; a file has no code that packs, and takes the layout's."""
    if stack is None:
        return dict.fromkeys(("layout", "readout", "inputs", "outputs", "holds"))
    takes, layout = stack.inputs, stack.layout
    return {
        "layout": _layout_entry(layout),
        "readout": _layout_entry(stack.readout),
        "inputs": {name: takes.get(name, layout.shape_of(name)) for name in layout},
        "outputs": stack.outputs,
        "holds": stack.holds,
    }


def _layout_entry(layout: BlockLayout) -> dict[str, Any]:
    return {
        "blocks": {name: list(box) for name, box in layout.blocks.items()},
        "shape": list(layout.shape),
        "transposed": list(layout.transposed),
    }
