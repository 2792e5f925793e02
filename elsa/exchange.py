"""Stacks as files: dense weights in safetensors, and in the metadata what it takes to run them.

The metadata has one entry, `elsa`, a JSON object:

    version   of this format, 1
    name      of the step that was compiled, or of the class of any other stack
    dtype     of the weights, and to compute in
    skip      "residual" adds the prompt to every layer's output; "head" has a head that returns it
    tied      false where the step's weights carry one more axis in front, one entry for each time
    depth     how often the step's layers run
    order     what runs: [{"part": "prologue", "layers": [names], "times": 1}, step, epilogue]
    layout    where the inputs lie: {"blocks": {name: [row, col, height, width]}, "shape": [n, m],
              "transposed": [names of blocks that lie transposed]}
    readout   where the blocks lie after the last layer; its shape is that of the prompt, which
              is the layout's with rows and channels appended
    inputs    name -> shape of what a call takes
    outputs   name -> shape of what it returns
    holds     name -> what the block holds, where that is not the value of its name

For a stack without named blocks the last five are null. Layer L has the tensors `L.wq`, `L.wk`,
`L.wv`, heads along the first axis, and `L.bq`, `L.bk`, `L.bv` unless it has no biases.
"""

import dataclasses
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from elsa import checks
from elsa.compiler import CompiledStack
from elsa.layout import BlockLayout
from elsa.nn import ELSA, LSA, BlockStack, Stack
from elsa.nn.stack import SKIPS
from elsa.report import files
from elsa.symbolic import HeadWeights

VERSION = 1
KEY = "elsa"
PARTS = ("prologue", "step", "epilogue")
_WEIGHTS, _BIASES = HeadWeights._fields[:3], HeadWeights._fields[3:]

Shapes = Mapping[str, tuple[int, ...]]


@dataclasses.dataclass(frozen=True, eq=False)
class Blocks:
    """The named blocks of a stack that goes through a file; the keys of the module's table.

    loads: True where the first layer moves the inputs from the caller's places to the stack's own.
    """

    layout: BlockLayout
    readout: BlockLayout
    inputs: Shapes
    outputs: Shapes
    holds: Mapping[str, str]
    loads: bool = False


class LoadedStack(BlockStack):
    """A stack from a file: `stack(**blocks) -> dict`, the weights on the whole prompt.

    Attributes:
      name: of the step that was compiled, or of the class of the stack that was exported.
      blocks: the named blocks; `blocks.holds` says what lies in a block that holds another value
        than its name says, as in a designed prompt.
    """

    def __init__(self, stack: Stack, name: str, blocks: Blocks) -> None:
        super().__init__(stack, blocks.layout, blocks.readout, ())
        self.name, self.blocks = name, blocks

    def __call__(self, /, **blocks: Float[ArrayLike, "..."]) -> dict[str, Array]:
        """The outputs; one task, `jax.vmap` for a batch.

        1-D arrays act as columns and numbers as 1 x 1; an output comes back with as many axes as
        its input had, or as the file says where it is no input.

        Raises:
          KeyError: for a block that is no input. ValueError: for a missing one, a wrong shape, or
          NaN or infinity in a concrete array.
        """
        h = self.run(self.pack(**blocks))
        out = {}
        for name, shape in self.blocks.outputs.items():
            axes = np.ndim(blocks[name]) if name in blocks else len(shape)
            block = self.readout.block(h, name)
            out[name] = block if axes == 2 else block.reshape(block.shape[:axes])
        return out

    @property
    def num_heads(self) -> int:
        """Heads of the layers that run, skip heads included."""
        inner = self.stack
        parts = (inner.prologue, 1), (inner.body, inner.depth), (inner.epilogue, 1)
        return sum(layer.wq.shape[-3] * times for layers, times in parts for layer in layers)

    def __str__(self) -> str:
        n, m = self.readout.shape
        shown = [
            f"{self.name}: {self.num_layers} layers, {self.num_heads} heads, prompt {n} x {m}, "
            f"{self.dtype}"
        ]
        for title, shapes in (("takes", self.blocks.inputs), ("returns", self.blocks.outputs)):
            for name, shape in shapes.items():
                held = f", holds {self.blocks.holds[name]}" if name in self.blocks.holds else ""
                shown.append(f"  {title} {name} {shape}{held}")
        return "\n".join(shown)


def export(stack: CompiledStack | BlockStack | Stack, path: str | os.PathLike[str]) -> None:
    """Writes a stack's dense weights and all that is needed to run them into one safetensors file.

    The file is whole or not there: a write that fails leaves what stood at `path` before.

    Args:
      stack: compiled, of a construction, or a trained `elsa.nn.Stack` or `BlockStack`. A stack
        that packs its prompt itself (`ridge_lsa`) is exported from the packed prompt on; `holds`
        in the file says what its blocks hold.
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


def load(path: str | os.PathLike[str]) -> LoadedStack | Stack:
    """The stack in a file that `export` wrote.

    Returns:
      A stack that is called as `stack(**blocks) -> dict`; where a stack without named blocks was
      exported, an `elsa.nn.Stack`, called with prompts.

    Raises:
      FileNotFoundError, IsADirectoryError: where there is no file.
      ValueError: for a file that is no safetensors file, is cut short, comes from elsewhere, has
        another version, lacks or contradicts something, or holds NaN; for float64 weights without
        jax's x64 switch.
    """
    place = Path(path)
    about, tensors = _read(place)
    try:
        return _rebuilt(about, tensors)
    except (KeyError, TypeError, ValueError) as error:
        reason = error.args[0] if error.args else error
        raise ValueError(f"load: {place}: {reason}") from error


# Writing.


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
        f"BlockStack, got {type(stack).__name__}"
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
    return ["load"] * loads + prologue, step, epilogue


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


# Reading.


def _read(path: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Metadata and tensors of a file, the metadata's version checked."""
    if path.is_dir():
        raise IsADirectoryError(f"load: {path} is a folder")
    try:
        with safe_open(path, framework="np") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise ValueError(
            f"load: {path} is no safetensors file, or is damaged or cut short: {error}"
        ) from error
    if KEY not in metadata:
        raise ValueError(
            f"load: {path} was not written by elsa.export: its metadata has no entry {KEY!r}, only "
            f"{sorted(metadata)}"
        )
    try:
        about = json.loads(metadata[KEY])
    except json.JSONDecodeError as error:
        raise ValueError(f"load: {path}: the metadata {KEY!r} is no JSON: {error}") from error
    version = about.get("version") if isinstance(about, dict) else None
    if version != VERSION:
        raise ValueError(
            f"load: {path} has format version {version!r}, but this elsa reads version {VERSION}"
        )
    return about, tensors


def _rebuilt(about: Mapping[str, Any], tensors: Mapping[str, np.ndarray]) -> LoadedStack | Stack:
    name, skip = _entry(about, "name", str), _entry(about, "skip", str)
    checks.one_of("metadata", "skip", skip, SKIPS)
    tied, depth = _entry(about, "tied", bool), _entry(about, "depth", int)
    kind = checks.float_dtype("metadata", _entry(about, "dtype", str))
    names = _order(about, depth)
    blocks = _blocks(about) if _entry(about, "layout", dict | None) is not None else None
    _check_tensors(tensors, [n for part in names for n in part], kind)
    shape = _prompt_shape(tensors) if blocks is None else blocks.readout.shape
    parts = [
        [_layer(n, tensors, shape, untied=part == "step" and not tied) for n in layers]
        for part, layers in zip(PARTS, names, strict=True)
    ]
    prologue, body, epilogue = parts
    stack = Stack(body, depth, tied=tied, prologue=prologue, epilogue=epilogue)
    stack.skip = skip  # a skip head is among the weights already
    return stack if blocks is None else LoadedStack(stack, name, blocks)


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
    found = [(_entry(p, "part", str), _entry(p, "times", int)) for p in order]
    wanted = list(zip(PARTS, (1, depth, 1), strict=True))
    if found != wanted:
        raise ValueError(f"the metadata's 'order' must run the parts {wanted}, got {found}")
    names = [_entry(part, "layers", list) for part in order]
    flat = [name for part in names for name in part]
    if len(set(flat)) < len(flat):
        raise ValueError(f"the metadata's 'order' names a layer twice: {flat}")
    return names


def _blocks(about: Mapping[str, Any]) -> Blocks:
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
    loads = "load" in _entry(_entry(about, "order", list)[0], "layers", list)
    return Blocks(layout, readout, inputs, outputs, _entry(about, "holds", dict), loads)


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


def _prompt_shape(tensors: Mapping[str, np.ndarray]) -> tuple[int, int]:
    """(rows, channels) that the first layer, and the first with biases, are made for; 0: any."""
    rows = [array.shape[-2] for name, array in tensors.items() if name.endswith(".bv")]
    channels = [array.shape[-1] for name, array in tensors.items() if name.endswith(".wv")]
    return (rows or [0])[0], channels[0]


def _layer(
    name: str, tensors: Mapping[str, np.ndarray], shape: tuple[int, int], *, untied: bool
) -> LSA | ELSA:
    """A layer from its tensors, their shapes checked against each other and the prompt."""
    arrays = {
        field: tensors[f"{name}.{field}"]
        for field in HeadWeights._fields
        if f"{name}.{field}" in tensors
    }
    axes = {"wq": "m p", "wk": "m p", "wv": "m m", "bq": "n p", "bk": "n p", "bv": "n m"}
    lead = "t h " if untied else "h "
    sizes = checks.shapes(name, **{f: (a, lead + axes[f]) for f, a in arrays.items()})
    own = sizes.get("n", shape[0]), sizes["m"]
    if own != shape:
        raise ValueError(f"{name}: weights for prompts of shape {own}, but others for {shape}")
    kind = arrays["wq"].dtype
    if "bq" in arrays:
        return ELSA.from_weights(HeadWeights(**arrays), dtype=kind)
    empty = np.zeros((*arrays["wq"].shape[:-2], 0, 0), kind)
    return LSA.from_weights(HeadWeights(**arrays, bq=empty, bk=empty, bv=empty), dtype=kind)
