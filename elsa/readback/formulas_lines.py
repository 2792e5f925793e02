"""One line of a program that was read from weights: a product of blocks and constants."""

import dataclasses
from collections.abc import Callable, Mapping

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

# Line of the head table -> its factors in order: numbers are operands, L and R constants.
KINDS: dict[str, tuple[str, ...]] = {
    "C": ("R",),
    "b": ("0", "R"),
    "A": ("L", "0", "R"),
    "A^T": ("L", "0^T", "R"),
    "b A": ("0", "1", "R"),
    "A^T B": ("L", "0^T", "1", "R"),
    "A B": ("0", "L", "1", "R"),
    "A B^T": ("0", "L", "1^T", "R"),
    "A B^T C": ("0", "L", "1^T", "2", "R"),
}


@dataclasses.dataclass(frozen=True, eq=False)
class Line:
    """`target += coefficient * product`.

    target: the block that it is added to.
    kind: the line of the head table, a key of `KINDS`.
    operands: names of the blocks, in the order of the kind's letters.
    coefficient: in front of the product; 1 where there are constants.
    left, right: the constants, named in the formula; None for the identity.
    formula: as a compiled stack lists its heads.
    share: size of what it adds, over that of all that the layer adds.
    """

    target: str
    kind: str
    operands: tuple[str, ...]
    coefficient: float
    left: Float[np.ndarray, "_ _"] | None
    right: Float[np.ndarray, "_ _"] | None
    formula: str
    share: float

    def value(
        self, blocks: Mapping[str, Float[Array, "_ _"]], shape: tuple[int, int]
    ) -> Float[Array, "_ _"]:
        """The product, of the blocks as they lie in the prompt, for a target of that shape."""
        given = {"L": self.left, "R": self.right}
        dtype = next(iter(blocks.values())).dtype
        numbers = 1 if self.kind in ("b", "b A") else 0  # operands that are numbers
        scale: Array = jnp.asarray(self.coefficient, dtype)
        total: Array | None = None
        for factor in KINDS[self.kind]:
            if factor in given:
                constant = given[factor]
                if constant is None:
                    continue
                matrix = jnp.asarray(constant, dtype)
            else:
                index, turned = int(factor[0]), factor.endswith("^T")
                matrix = blocks[self.operands[index]]
                if index < numbers:
                    scale = scale * matrix[0, 0]
                    continue
                matrix = matrix.T if turned else matrix
            total = matrix if total is None else total @ matrix
        return scale * (jnp.eye(*shape, dtype=dtype) if total is None else total)


def words(
    target: str,
    kind: str,
    operands: tuple[str, ...],
    coefficient: float,
    left: np.ndarray | None,
    right: np.ndarray | None,
    name: Callable[[np.ndarray], str],
) -> str:
    """`w += -0.1 X^T r`; constants under the names that `name` gives them."""
    given, shown = {"L": left, "R": right}, []
    for factor in KINDS[kind]:
        if factor in given:
            constant = given[factor]
            shown += [] if constant is None else [name(constant)]
        else:
            shown.append(_shown(operands[int(factor[0])], turned=factor.endswith("^T")))
    if right is None and left is None and kind in ("C", "b"):
        shown.append("I")
    number = f"{coefficient:.6g}"
    front = {"1": "", "-1": "-"}.get(number, f"{number} ")
    return f"{target} += {front}{' '.join(shown)}"


def _shown(name: str, *, turned: bool) -> str:
    """A block in a product: one stored transposed and turned is the block itself."""
    if turned and name.endswith("^T") and " " not in name:
        return name.removesuffix("^T")
    compound = " " in name or "^" in name
    if not turned:
        return f"({name})" if " " in name else name
    return f"({name})^T" if compound else f"{name}^T"
