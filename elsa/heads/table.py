"""The lines of the head table, each with the same result by plain matrix arithmetic.

`direct` is written without heads, in NumPy, so that agreement is evidence; `random` draws blocks
to try a line on, `run` lets one head compute it, `roundings` counts what the bound of
`elsa.theory.gamma` needs. Hagiwara (arXiv:2503.23814), Properties 1 to 4.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from elsa import attention
from elsa.base import checks
from elsa.base.precision import exact
from elsa.heads import products
from elsa.heads.head import Head
from elsa.prompts.layout import BlockLayout

Blocks = dict[str, Float[np.ndarray, "draws _a _b"]]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Primitive:
    """One line of the head table. Shapes are words of the letters n, d, k.

    Attributes:
      blocks: inputs in the prompt, name -> shape.
      result: shape of the result, which a block "result" of the prompt takes; None where it is the
        prompt itself.
      direct: the blocks, and the constant as `constant`, to the result, the scale left out.
      line: layout, blocks, constant if there is one, "result" and, by keyword, the scale, to the
        head; None for the plain matrices of mask_move.
      constant: shape of the constant matrix that the weights hold.
      contracted: letters that are summed over, one for each product of the formula.
      together: blocks that must lie in the same rows, the result among them.
      scaled: whether a scale can be folded into the weights.
    """

    blocks: Mapping[str, str]
    result: str | None
    direct: Callable[..., np.ndarray]
    line: Callable[..., Head] | None
    constant: str | None = None
    contracted: str = ""
    together: tuple[tuple[str, str], ...] = ()
    scaled: bool = True

    def head(self, layout: BlockLayout, constant: np.ndarray, scale: float) -> Head:
        """The head for a layout of the blocks and "result"."""
        assert self.line is not None, "mask_move has no head"
        constants = [constant] if self.constant else []
        return self.line(layout, *self.blocks, *constants, "result", scale=scale)

    def shapes(self, sizes: Mapping[str, int]) -> dict[str, tuple[int, int]]:
        """Shapes of the blocks, and of the result where it is one.

        Raises:
          TypeError, ValueError: for sizes that are not integers from 1 on, one for each letter.
        """
        self._check_sizes("shapes", sizes)
        results = {"result": self.result} if self.result else {}
        return {name: _shape(axes, sizes) for name, axes in {**self.blocks, **results}.items()}

    def layout(self, sizes: Mapping[str, int]) -> BlockLayout:
        """Every block in channels of its own from row 0; the result one row lower where it may."""
        self._check_sizes("layout", sizes)
        boxes, channel = {}, 0
        lower = not any("result" in names for names in self.together)
        for name, (height, width) in self.shapes(sizes).items():
            row = int(lower and name == "result")
            boxes[name] = (row, channel, height, width)
            channel += width
        rows = max(row + height for row, _, height, _ in boxes.values())
        if self.constant and self.blocks:  # A M needs a row for each channel of A
            rows = max(rows, *_shape(self.constant, sizes))
        return BlockLayout(boxes, (rows, channel))

    def random(
        self, rng: np.random.Generator, sizes: Mapping[str, int], draws: int
    ) -> tuple[Blocks, np.ndarray]:
        """Standard normal blocks [draws, ...] and constant."""
        self._check_sizes("random", sizes)
        checks.instance("random", np.random.Generator, "a numpy.random.Generator", rng=rng)
        checks.size("random", draws=(draws, 1))
        blocks = {
            name: rng.normal(size=(draws, *_shape(axes, sizes)))
            for name, axes in self.blocks.items()
        }
        constant = rng.normal(size=_shape(self.constant, sizes) if self.constant else (0, 0))
        return blocks, constant

    def run(
        self,
        sizes: Mapping[str, int],
        blocks: Blocks,
        constant: np.ndarray,
        scales: Sequence[float],
        dtype: DTypeLike,
    ) -> tuple[np.ndarray, np.ndarray]:
        """What the head computes in `dtype`, as float64.

        Returns:
          The result [scales, draws, ...], and the largest absolute value it left anywhere else.
        """
        layout = self.layout(sizes)
        self._check_values("run", blocks, constant, scales)
        checks.floating("run", dtype)
        draws = max([len(block) for block in blocks.values()], default=1)
        h = np.zeros((draws, *layout.shape))
        for name, block in blocks.items():
            box = layout.box(name)
            h[:, box.rows.start : box.rows.stop, box.channels.start : box.channels.stop] = block
        apply: Callable[..., Array] = attention.elsa
        made: list[tuple[np.ndarray, ...]]
        if self.line is None:
            made, apply = [_mask_move_weights(layout)], _sandwich
        else:
            used = scales if self.scaled else [1.0]
            made = [tuple(self.head(layout, constant, s).dense(layout.shape)) for s in used]
        weights = [jnp.asarray(np.stack(arrays), dtype) for arrays in zip(*made, strict=True)]
        prompts = jax.vmap(apply, in_axes=(0, *(None for _ in weights)))
        every = jax.jit(jax.vmap(prompts, in_axes=(None, *(0 for _ in weights))))
        out = np.array(every(jnp.asarray(h, dtype), *weights), np.float64)
        if self.result is None:
            return out, np.zeros(())
        box = layout.box("result")
        place = (..., slice(box.row, box.rows.stop), slice(box.col, box.channels.stop))
        result = out[place].copy()
        out[place] = 0.0
        return result, np.asarray(np.abs(out).max())

    def error(
        self,
        result: Float[np.ndarray, "scales draws _a _b"],
        blocks: Blocks,
        constant: np.ndarray,
        scales: Sequence[float],
    ) -> float:
        """Largest |result - s A B| / (|s| |A| |B|), entry by entry, over scales and draws.

        Where nothing is summed this is the plain relative error of an entry; in a sum it is the
        error relative to its terms, which cancellation cannot inflate.
        """
        self._check_values("error", blocks, constant, scales, result=result)
        operands = {**blocks, **({"constant": constant} if self.constant else {})}
        factor = np.asarray(scales if self.scaled else [1.0])[:, None, None, None]
        expected = factor * self.direct(**operands)
        size = np.abs(factor) * self.direct(**{name: np.abs(a) for name, a in operands.items()})
        off = np.abs(result - expected)
        return float(
            np.max(np.divide(off, size, out=np.where(off > 0, np.inf, 0.0), where=size > 0))
        )

    def roundings(self, sizes: Mapping[str, int]) -> int:
        """k of the bound gamma_k: the sizes summed over, 2 for the scale (cast and multiplied), 1
        for casting the constant."""
        self._check_sizes("roundings", sizes)
        summed = sum(sizes[letter] for letter in self.contracted)
        return summed + 2 * self.scaled + (self.constant is not None)

    def _check_sizes(self, where: str, sizes: Mapping[str, int]) -> None:
        checks.mapping(where, "a mapping of letters to sizes", sizes=sizes)
        checks.size(where, **{f"sizes[{letter!r}]": (size, 1) for letter, size in sizes.items()})
        axes = (*self.blocks.values(), self.result or "", self.constant or "")
        letters = sorted({letter for shape in axes for letter in shape.split()})
        if not set(letters) <= set(sizes):
            raise ValueError(f"{where}: sizes must have the letters {letters}, got {list(sizes)}")

    def _check_values(
        self, where: str, blocks: Blocks, constant: Any, scales: Any, **result: Any
    ) -> None:
        """Refuses arrays of other axes than the formula's, and bad scales."""
        checks.mapping(where, "a mapping of blocks to arrays", blocks=blocks)
        checks.names(where, "block", blocks, self.blocks)
        arrays: dict[str, tuple[Any, str]] = {"scales": (scales, "scales")}
        arrays |= {name: (blocks[name], f"draws {axes}") for name, axes in self.blocks.items()}
        if self.constant:
            arrays["constant"] = (constant, self.constant)
        axes = f"{'scales' if self.scaled else 'one'} draws {self.result or self.blocks['H']}"
        arrays |= {name: (array, axes) for name, array in result.items()}
        checks.shapes(where, **arrays)
        checks.finite(where, **{name: array for name, (array, _) in arrays.items()})
        if not np.size(scales) or not np.all(scales):
            raise ValueError(f"{where}: scales must hold numbers other than 0, got {scales}")


def _shape(axes: str, sizes: Mapping[str, int]) -> tuple[int, int]:
    first, second = (sizes[letter] for letter in axes.split())
    return first, second


def _mask_move_weights(layout: BlockLayout) -> tuple[np.ndarray, np.ndarray]:
    """left, right that take the block A to the place of the block "result"."""
    origin, place = layout.box("A"), layout.box("result")
    return attention.mask_move(
        layout.shape,
        (origin.row, origin.rows.stop),
        (origin.col, origin.channels.stop),
        (place.row - origin.row, place.col - origin.col),
    )


@exact
def _sandwich(h: Array, left: Array, right: Array) -> Array:
    return left @ h @ right


def _product(*factors: str) -> Callable[..., np.ndarray]:
    """direct for a product of blocks; "B^T" is the transpose of B."""

    def direct(**blocks: np.ndarray) -> np.ndarray:
        values: list[Any] = [
            np.swapaxes(blocks[name[0]], -1, -2) if name.endswith("^T") else blocks[name]
            for name in factors
        ]
        result = values[0]
        for value in values[1:]:
            result = result @ value
        return np.asarray(result)

    return direct


def _constant(layout: BlockLayout, value: np.ndarray, target: str, *, scale: float) -> Head:
    return products.constant(layout, target, value)


def _skip(layout: BlockLayout, *_: str, scale: float) -> Head:
    return products.skip(layout.shape)


_IN_ROWS_OF_A = (("A", "result"),)
PRIMITIVES: dict[str, Primitive] = {
    "MskMov(A)": Primitive(
        blocks={"A": "n d"}, result="n d", direct=_product("A"), line=None, scaled=False
    ),
    "C": Primitive(
        blocks={},
        result="n d",
        direct=lambda constant: constant[None],
        line=_constant,
        constant="n d",
        scaled=False,
    ),
    "H": Primitive(
        blocks={"H": "n d"}, result=None, direct=_product("H"), line=_skip, scaled=False
    ),
    "s A": Primitive(blocks={"A": "n d"}, result="n d", direct=_product("A"), line=products.move),
    "s A^T": Primitive(
        blocks={"A": "n d"}, result="d n", direct=_product("A^T"), line=products.transpose
    ),
    "s A M": Primitive(
        blocks={"A": "n d"},
        result="n k",
        direct=_product("A", "constant"),
        line=products.times_constant,
        constant="d k",
        contracted="d",
        together=_IN_ROWS_OF_A,
    ),
    "s A^T B": Primitive(
        blocks={"A": "n d", "B": "n k"},
        result="d k",
        direct=_product("A^T", "B"),
        line=products.transposed_product,
        contracted="n",
        together=(("A", "B"),),
    ),
    "s A B": Primitive(
        blocks={"A": "n d", "B": "d k"},
        result="n k",
        direct=_product("A", "B"),
        line=products.product,
        contracted="d",
        together=_IN_ROWS_OF_A,
    ),
    "s A B^T": Primitive(
        blocks={"A": "n d", "B": "k d"},
        result="n k",
        direct=_product("A", "B^T"),
        line=products.product_transposed,
        contracted="d",
        together=_IN_ROWS_OF_A,
    ),
    "s A B^T C": Primitive(
        blocks={"A": "n d", "B": "k d", "C": "k n"},
        result="n n",
        direct=_product("A", "B^T", "C"),
        line=products.triple_product,
        contracted="dk",
        together=(*_IN_ROWS_OF_A, ("B", "C")),
    ),
}
"""Formula -> primitive; s is the scale, A, B, C are blocks, M and C of "C" are constants."""
