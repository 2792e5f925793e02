"""What a file holds, everything in it checked, and nothing built of it yet."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from safetensors import SafetensorError, safe_open

from elsa.base import checks, strict_json
from elsa.exchange.format import CHECKSUM, DTYPES, KEY, LOAD, PARTS, UNCHECKED, VERSION, checksum
from elsa.heads.head import HeadWeights
from elsa.nn.block_stack import Shapes
from elsa.nn.stack import SKIPS
from elsa.prompts.layout import BlockLayout

NAMED = ("layout", "readout", "inputs", "outputs", "holds")  # of a stack with named blocks
_MOST_STEPS = 2**31 - 1  # jax counts them in 32 bits
_WEIGHTS, _BIASES = HeadWeights._fields[:3], HeadWeights._fields[3:]
Arrays = dict[str, np.ndarray]  # by the names of `HeadWeights`, those that a layer has


class Contents(NamedTuple):
    """A file's stack, as plain values.

    name, skip, tied, depth, dtype: as the metadata has them.
    parts: the layers' arrays, of prologue, step and epilogue; in an untied step with one more axis
      in front.
    blocks: layout, readout, inputs, outputs, holds and loads, the arguments of a BlockStack; none
      for a stack without named blocks.
    """

    name: str
    skip: str
    tied: bool
    depth: int
    dtype: np.dtype
    parts: tuple[tuple[Arrays, ...], ...]
    blocks: dict[str, Any]


def contents(path: Path) -> Contents:
    """What a file that `export` wrote holds.

    Raises:
      FileNotFoundError, IsADirectoryError, PermissionError, ValueError: as `load`.
    """
    about, tensors = _read(path)
    try:
        return _understood(about, tensors)
    except (KeyError, OverflowError, TypeError, ValueError) as error:
        reason = error.args[0] if error.args else error
        raise ValueError(f"load: {path}: {reason}") from error


def _read(path: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Metadata and tensors of a file; the tensors are read once the metadata is found good."""
    if path.is_dir():
        raise IsADirectoryError(f"load: path must be a file, {path} is a folder")
    if not path.is_file():
        raise FileNotFoundError(f"load: path must be a file, {path} does not exist or is no file")
    try:
        with safe_open(path, framework="np") as file:
            about = _checked(path, file.metadata() or {})
            names = list(file.keys())
            for name in names:
                kind = file.get_slice(name).get_dtype()
                if kind not in DTYPES.values():
                    raise ValueError(
                        f"load: {path}: tensor {name} must be of dtype {about.get('dtype')}, got "
                        f"{kind}"
                    )
            tensors = {name: file.get_tensor(name) for name in names}
    except SafetensorError as error:
        raise ValueError(
            f"load: {path} is no safetensors file, or is damaged or cut short: {error}"
        ) from error
    if about["version"] != UNCHECKED and about.get(CHECKSUM) != checksum(about, tensors):
        raise ValueError(
            f"load: {path} is damaged: its checksum is not that of its content. Take another copy, "
            "or export the stack again"
        )
    return about, tensors


def _checked(path: Path, metadata: Mapping[str, str]) -> dict[str, Any]:
    """The metadata's entry, written by `export` in a version that is read here."""
    if KEY not in metadata:
        raise ValueError(
            f"load: {path} was not written by elsa.export: its metadata has no entry {KEY!r}, only "
            f"{sorted(metadata)[:20]}"
        )
    try:
        about: dict[str, Any] = strict_json.loads(metadata[KEY])
    except (ValueError, RecursionError) as error:
        raise ValueError(f"load: {path}: the metadata {KEY!r} is no JSON: {error}") from error
    version = about.get("version") if isinstance(about, dict) else None
    if type(version) is not int or version not in (UNCHECKED, VERSION):
        raise ValueError(
            f"load: {path} has format version {version!r}, but this elsa reads versions "
            f"{UNCHECKED} to {VERSION}"
        )
    return about


def _understood(about: Mapping[str, Any], tensors: Mapping[str, np.ndarray]) -> Contents:
    name, skip = _entry(about, "name", str), _entry(about, "skip", str)
    checks.one_of("metadata", "skip", skip, SKIPS)
    tied, depth = _entry(about, "tied", bool), _entry(about, "depth", int)
    kind = checks.floating("metadata", _entry(about, "dtype", str))
    if depth > _MOST_STEPS:
        raise ValueError(f"the metadata's 'depth' must be at most {_MOST_STEPS}, got {depth}")
    names = _order(about, depth)
    named = [key for key in NAMED if _entry(about, key, object) is not None]
    if named and len(named) < len(NAMED):
        absent = [key for key in NAMED if key not in named]
        raise ValueError(f"the metadata's {absent} are null, but {named} are not")
    blocks = _blocks(about) if named else {}
    _check_tensors(tensors, [n for part in names for n in part], kind)
    shape = blocks["readout"].shape if named else _prompt_shape(tensors)
    if named and not any(name.endswith(".bv") for name in tensors):
        _check_rows(blocks["readout"].shape[0], blocks["layout"])
    parts = tuple(
        tuple(_arrays(n, tensors, shape, untied=part == "step" and not tied) for n in layers)
        for part, layers in zip(PARTS, names, strict=True)
    )
    return Contents(name, skip, tied, depth, kind, parts, blocks)


def _entry(about: Mapping[str, Any], key: str, kind: Any) -> Any:
    """An entry of the metadata, its kind checked."""
    if key not in about:
        raise ValueError(f"the metadata lacks {key!r}, it has {list(about)}")
    value = about[key]
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        wanted = getattr(kind, "__name__", str(kind))
        raise ValueError(f"the metadata's {key!r} must be of type {wanted}, got {value!r}")
    return value


def _order(about: Mapping[str, Any], depth: int) -> list[list[str]]:
    """The layers' names, part by part."""
    order = _entry(about, "order", list)
    parts = [(_entry(p, "part", str), _entry(p, "times", int)) for p in order]
    wanted = list(zip(PARTS, (1, depth, 1), strict=True))
    if parts != wanted:
        raise ValueError(f"the metadata's 'order' must run the parts {wanted}, got {parts}")
    names = [_entry(part, "layers", list) for part in order]
    flat = [name for part in names for name in part]
    if len(set(flat)) < len(flat):
        raise ValueError(f"the metadata's 'order' names a layer twice: {flat}")
    return names


def _blocks(about: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a BlockStack that say where its blocks lie."""
    layout, readout = (_layout(_entry(about, key, dict), key) for key in ("layout", "readout"))
    if layout.shape[0] > readout.shape[0] or layout.shape[1] > readout.shape[1]:
        raise ValueError(
            f"the layout's prompt of shape {layout.shape} does not fit into the readout's, "
            f"{readout.shape}"
        )
    inputs = _shapes(_entry(about, "inputs", dict), layout, "inputs")
    outputs = _shapes(_entry(about, "outputs", dict), readout, "outputs")
    if set(inputs) != set(layout):
        raise ValueError(f"inputs {list(inputs)} and the layout's blocks {list(layout)} differ")
    loads = LOAD in _entry(_entry(about, "order", list)[0], "layers", list)
    holds = _entry(about, "holds", dict)
    return {
        "layout": layout,
        "readout": readout,
        "inputs": inputs,
        "outputs": outputs,
        "holds": holds,
        "loads": loads,
    }


def _layout(entry: Mapping[str, Any], key: str) -> BlockLayout:
    boxes, shape = _entry(entry, "blocks", dict), _entry(entry, "shape", list)
    try:
        return BlockLayout(boxes, tuple(shape), _entry(entry, "transposed", list))
    except (TypeError, ValueError) as error:
        raise ValueError(f"the metadata's {key!r} is no layout: {error}") from error


def _shapes(entry: Mapping[str, Any], layout: BlockLayout, key: str) -> Shapes:
    """Shapes of blocks, each with as many entries as its box."""
    shapes = {name: tuple(shape) for name, shape in entry.items()}
    for name, shape in shapes.items():
        rows, columns = layout.shape_of(name)
        if shape not in {(rows, columns)} | ({(rows,)} if columns == 1 else set()) | (
            {()} if rows == columns == 1 else set()
        ):
            raise ValueError(
                f"{key} gives block {name!r} the shape {shape}, the layout {(rows, columns)}"
            )
    return shapes


def _check_tensors(
    tensors: Mapping[str, np.ndarray], layers: Sequence[str], kind: np.dtype
) -> None:
    """Every layer's arrays are there, finite and of one dtype, and nothing else is."""
    required = [f"{layer}.{field}" for layer in layers for field in _WEIGHTS]
    for layer in layers:
        biases = [f"{layer}.{field}" for field in _BIASES]
        required += biases if any(bias in tensors for bias in biases) else []
    missing = [name for name in required if name not in tensors]
    spare = sorted(set(tensors) - set(required))
    if missing or spare:
        raise ValueError(f"tensors are missing: {missing}, or belong to no layer: {spare}")
    for name, array in tensors.items():
        if array.dtype != kind:
            raise ValueError(f"tensor {name} must be of dtype {kind}, got {array.dtype}")
        checks.finite("weights", **{name: array})


def _check_rows(rows: int, layout: BlockLayout) -> None:
    """Layers without biases leave rows of zeros as they are: rows that hold no input do nothing.

    With biases the file has a row for each of the prompt's; without them a prompt could have any
    number, and a call would make them all.
    """
    held = sum(box.height for box in layout.blocks.values())
    if rows > held:
        raise ValueError(
            f"the prompt has {rows} rows, but layers without biases need none beyond the {held} "
            "that hold inputs"
        )


def _prompt_shape(tensors: Mapping[str, np.ndarray]) -> tuple[int, int]:
    """(rows, channels) that the first layer, and the first with biases, are made for; 0: any."""
    rows = [array.shape[-2] for name, array in tensors.items() if name.endswith(".bv")]
    channels = [array.shape[-1] for name, array in tensors.items() if name.endswith(".wv")]
    return (rows or [0])[0], channels[0]


def _arrays(
    name: str, tensors: Mapping[str, np.ndarray], shape: tuple[int, int], *, untied: bool
) -> Arrays:
    """A layer's arrays, their shapes checked against each other and the prompt."""
    arrays = {
        field: tensors[f"{name}.{field}"]
        for field in HeadWeights._fields
        if f"{name}.{field}" in tensors
    }
    axes = {"wq": "m p", "wk": "m p", "wv": "m m", "bq": "n p", "bk": "n p", "bv": "n m"}
    lead = "t h " if untied else "h "
    sizes = checks.shapes(name, **{f: (a, lead + axes[f]) for f, a in arrays.items()})
    layer_shape = sizes.get("n", shape[0]), sizes["m"]
    if layer_shape != shape:
        raise ValueError(
            f"{name}: weights for prompts of shape {layer_shape}, but others for {shape}"
        )
    return arrays
