"""Named blocks of a prompt: the one place that knows rows and channels."""

import dataclasses
import operator
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Real

from elsa.base import checks
from elsa.base.arrays import AnyShape, Rows
from elsa.prompts.moving import placed, taken

_LARGEST = 2**31 - 1  # jax counts rows and channels in 32 bits


class Box(NamedTuple):
    """A rectangle of the prompt as it lies there: first row, first channel, height, width."""

    row: int
    col: int
    height: int
    width: int

    @property
    def rows(self) -> range:
        return range(self.row, self.row + self.height)

    @property
    def channels(self) -> range:
        return range(self.col, self.col + self.width)


def overlap(first: range, second: range) -> bool:
    """True where two ranges share an index."""
    checks.instance("overlap", range, "a range", first=first, second=second)
    return max(first.start, second.start) < min(first.stop, second.stop)


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class BlockLayout:
    """Where each named block lies in a prompt of n rows (tokens) and m columns (channels).

    `BlockLayout({"X": (0, 0, 100, 8), "y": (0, 8, 100, 1)}, shape=(100, 9))` says that block X
    fills rows 0..99 of channels 0..7, and y rows 0..99 of channel 8. What lies in no block is
    packed as zeros.

    Args:
      blocks: name -> (row, col, height, width), counted from 0.
      shape: (n, m) of the prompt; the smallest that holds all blocks by default.
      transposed: names of blocks that are stored transposed. Their box is given as it lies in the
        prompt; `pack` takes and `unpack` returns the block itself, so a block stored in a box of
        height 8 and width 100 is a 100 x 8 matrix to the caller.

    Raises:
      ValueError: for an empty box, a box that leaves the prompt, boxes that overlap, or a name in
        `transposed` that is not a block.
    """

    blocks: Mapping[str, Box]
    shape: tuple[int, int]
    transposed: tuple[str, ...]

    def __init__(
        self,
        blocks: Mapping[str, Sequence[int]],
        shape: tuple[int, int] | None = None,
        transposed: Iterable[str] = (),  # one name alone is a name, not its letters
    ) -> None:
        checks.mapping("BlockLayout", "a mapping of names to boxes", blocks=blocks)
        boxes = {name: _box(name, entry) for name, entry in blocks.items()}
        if shape is None:
            shape = (
                max((box.rows.stop for box in boxes.values()), default=0),
                max((box.channels.stop for box in boxes.values()), default=0),
            )
        object.__setattr__(self, "blocks", boxes)
        object.__setattr__(self, "shape", _integers("shape", shape, "nm"))
        checks.instance("BlockLayout", Iterable, "names of blocks", transposed=transposed)
        stored = (transposed,) if isinstance(transposed, str) else tuple(transposed)
        for name in stored:
            checks.instance("BlockLayout", str, "names of blocks", transposed=name)
        object.__setattr__(self, "transposed", tuple(sorted(set(stored))))
        self._check()

    def _check(self) -> None:
        n, m = self.shape
        for name in self.transposed:
            if name not in self.blocks:
                raise ValueError(
                    f"BlockLayout: transposed names {name!r}, which is no block of {list(self)}"
                )
        for name, box in self.blocks.items():
            if box.row < 0 or box.col < 0 or box.rows.stop > n or box.channels.stop > m:
                raise ValueError(
                    f"BlockLayout: block {name!r} at rows {box.row}:{box.rows.stop}, channels "
                    f"{box.col}:{box.channels.stop} leaves the prompt of shape {self.shape}"
                )
        placed = list(self.blocks.items())
        starts = np.array([box[:2] for box in self.blocks.values()]).reshape(-1, 2)
        ends = starts + np.array([box[2:] for box in self.blocks.values()]).reshape(-1, 2)
        for index, (name, box) in enumerate(placed):  # one box against all before it
            shared = (starts[:index] < ends[index]) & (starts[index] < ends[:index])
            if np.any(taken := shared.all(axis=1)):
                other, first = placed[int(taken.argmax())]
                raise ValueError(
                    f"BlockLayout: blocks {other!r} {tuple(first)} and {name!r} {tuple(box)} "
                    "overlap; boxes are (row, col, height, width)"
                )

    def __iter__(self) -> Iterator[str]:
        return iter(self.blocks)

    def __contains__(self, name: object) -> bool:
        return name in self.blocks

    def __eq__(self, other: object) -> bool:
        return isinstance(other, BlockLayout) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def _key(self) -> tuple[object, ...]:
        return tuple(self.blocks.items()), self.shape, self.transposed

    def __repr__(self) -> str:
        boxes = ", ".join(f"{name!r}: {tuple(box)}" for name, box in self.blocks.items())
        stored = f", transposed={self.transposed}" if self.transposed else ""
        return f"BlockLayout({{{boxes}}}, shape={self.shape}{stored})"

    def box(self, name: str) -> Box:
        """The box of a block as it lies in the prompt.

        Raises:
          KeyError: for an unknown name, with the nearest known ones.
        """
        if not isinstance(name, str) or name not in self.blocks:
            checks.known_names("BlockLayout", "block", [name], self.blocks)
        return self.blocks[name]

    def shape_of(self, name: str) -> tuple[int, int]:
        """The shape of the block itself, the caller's view: stored transposed or not."""
        box = self.box(name)
        return (box.width, box.height) if name in self.transposed else (box.height, box.width)

    def row_basis(self, name: str) -> Float[np.ndarray, "n height"]:
        """E_r = I_n[:, r] for the rows r of a block."""
        return np.eye(self.shape[0])[:, self.box(name).rows]

    def channel_basis(self, name: str) -> Float[np.ndarray, "m width"]:
        """F_c = I_m[:, c] for the channels c of a block."""
        return np.eye(self.shape[1])[:, self.box(name).channels]

    def pack(self, /, **blocks: AnyShape) -> Float[Array, "n m"]:
        """The prompt that holds the blocks, zero elsewhere.

        1-D arrays act as columns and numbers as 1 x 1. The dtype is the blocks' common floating
        one. One prompt at a time: `jax.vmap` packs a batch.

        Raises:
          KeyError: for an unknown block. ValueError: for a missing one, a wrong shape, or NaN or
          infinity in a concrete array.
        """
        checks.names("pack", "block", blocks, self.blocks)
        checks.finite("pack", **blocks)
        values = {
            name: checks.column("pack", name, array, self.shape_of(name))
            for name, array in blocks.items()
        }
        dtype = _float_of(values)
        checks.in_range("pack", dtype, **values)
        stored = {n: v.T if n in self.transposed else v for n, v in values.items()}
        if not any(isinstance(value, jax.Array) for value in stored.values()):
            whole = np.zeros(self.shape, dtype)  # outside jax, which would compile every placing
            for name, value in stored.items():
                row, col, height, width = self.blocks[name]
                whole[row : row + height, col : col + width] = value
            return jnp.asarray(whole)
        places = [self.blocks[name] for name in stored]
        return placed(list(stored.values()), places, self.shape, dtype)

    def block(
        self, h: Real[ArrayLike, "*batch n m"] | Rows, name: str
    ) -> Real[Array, "*batch a b"]:
        """One block of a prompt, or of a batch or trace of prompts.

        Raises:
          ValueError: where the last two axes of `h` are not the layout's shape.
        """
        self.box(name)
        return self.unpack(h, (name,))[name]

    def unpack(
        self, h: Real[ArrayLike, "*batch n m"] | Rows, names: Iterable[str] | None = None
    ) -> dict[str, Real[Array, "*batch a b"]]:
        """Blocks of a prompt, or of a batch or trace of prompts, by name; all where none is named.

        Raises:
          KeyError: for an unknown name.
          ValueError: where the last two axes of `h` are not the layout's shape.
        """
        checks.real("BlockLayout", h=h)
        prompt = h if isinstance(h, jax.Array) else np.asarray(h)
        asked = (
            (names,) if isinstance(names, str) else tuple(self.blocks if names is None else names)
        )
        boxes = [self.box(name) for name in asked]
        if prompt.shape[-2:] != self.shape:
            raise ValueError(
                f"BlockLayout: the prompt must have shape (..., {self.shape[0]}, "
                f"{self.shape[1]}), got {prompt.shape} for h"
            )
        found = taken(prompt, boxes, [name in self.transposed for name in asked])
        return {name: jnp.asarray(block) for name, block in zip(asked, found, strict=True)}

    def extended(
        self, blocks: Mapping[str, Sequence[int]], shape: tuple[int, int]
    ) -> "BlockLayout":
        """This layout with more blocks, in a prompt with rows and channels appended."""
        checks.mapping("BlockLayout", "a mapping of names to boxes", blocks=blocks)
        return BlockLayout({**self.blocks, **blocks}, shape, self.transposed)


def _box(name: str, entry: Sequence[int]) -> Box:
    box = Box(*_integers(f"block {name!r}", entry, Box._fields))
    if box.height < 1 or box.width < 1:
        raise ValueError(
            f"BlockLayout: block {name!r} must have height and width of at least 1, got {entry!r}"
        )
    return box


def _integers(what: str, entry: Sequence[int], fields: Sequence[str]) -> tuple[int, ...]:
    """The entry as integers, one a field; what only rounds to an integer is refused."""
    try:
        numbers = tuple(operator.index(number) for number in entry)
    except TypeError:  # no integer, or nothing that has entries
        numbers = ()
    if len(numbers) != len(fields):
        raise ValueError(
            f"BlockLayout: {what} must be integers ({', '.join(fields)}), got {entry!r}"
        )
    if any(abs(number) > _LARGEST for number in numbers):
        raise ValueError(
            f"BlockLayout: {what} must be integers of at most {_LARGEST}, got {entry!r}"
        )
    return numbers


def _float_of(values: Mapping[str, jax.Array | np.ndarray]) -> np.dtype:
    """The blocks' common dtype, or jax's default floating one where they are integers or none."""
    common = jnp.result_type(*values.values()) if values else jnp.int32
    return np.dtype(common if jnp.issubdtype(common, jnp.floating) else jnp.result_type(float))
