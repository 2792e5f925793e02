"""The polynomial that a layer adds to its prompt: what is left of weights once all that does not
change the layer's function is taken away.

With h_i the rows of the prompt, every layer of LSA or ELSA heads adds to entry (i, o)

    sum_j sum_abc h_ia h_jb h_jc cubic[a, b, c, o]           A B^T C
    + sum_j sum_bc h_jb h_jc of_rows[i, b, c, o]             L A^T B R
    + sum_j sum_ac h_ia h_jc with_rows[a, j, c, o]           A M B R, A M B^T R
    + sum_j sum_c h_jc moved[i, j, c, o]                     L A R, L A^T R
    + sum_a h_ia own[a, o] + constant[i, o]                  A M, C

in which (Wq G, Wk G^-T), scales between Wq and Wv, and heads split or merged no longer show. Two
more symmetries are those of monomials: h_jb h_jc = h_jc h_jb, and where j = i all three factors may
be exchanged, so that terms of different lines meet there. Distances are taken after both, on
coefficients of monomials.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from elsa.base import checks
from elsa.heads.head import HeadWeights
from elsa.nn.block_stack import BlockStack

MAX_COEFFICIENTS = 2**24  # 128 MB

Mask = Bool[np.ndarray, "n m"]


class Polynomial(NamedTuple):
    """The coefficients of one layer for prompts of n rows and m channels, float64.

    As the weights give them: `parts` is what they have in common with those of other weights of the
    same function.
    """

    cubic: Float[np.ndarray, "m m m m"]
    of_rows: Float[np.ndarray, "n m m m"]
    with_rows: Float[np.ndarray, "m n m m"]
    moved: Float[np.ndarray, "n n m m"]
    own: Float[np.ndarray, "m m"]
    constant: Float[np.ndarray, "n m"]

    def __call__(self, h: Float[np.ndarray, "n m"]) -> Float[np.ndarray, "n m"]:
        """What the layer adds to a prompt.

        Raises:
          ValueError: for a prompt of another shape.
        """
        checks.real("Polynomial", h=h)
        prompt = np.asarray(h, np.float64)
        _require("Polynomial", "h", prompt.shape, self.constant.shape)
        gram = prompt.T @ prompt
        added = np.einsum("ia,bc,abco->io", prompt, gram, self.cubic, optimize=True)
        added += np.einsum("bc,ibco->io", gram, self.of_rows, optimize=True)
        added += np.einsum("ia,jc,ajco->io", prompt, prompt, self.with_rows, optimize=True)
        added += np.einsum("jc,ijco->io", prompt, self.moved, optimize=True)
        result: np.ndarray = added + prompt @ self.own + self.constant
        return result

    def minus(self, other: "Polynomial") -> "Polynomial":
        """The polynomial of the difference.

        Raises:
          ValueError: for one of another prompt's shape.
        """
        checks.instance("minus", Polynomial, "a Polynomial", other=other)
        _require("minus", "other", other.constant.shape, self.constant.shape)
        return Polynomial(*(a - b for a, b in zip(self, other, strict=True)))

    def norm(self, live: Mask | None = None, read: Mask | None = None) -> float:
        """The root of the sum over monomials of coefficient^2 times the factorials of its powers.

        It is the root mean square of what the layer adds to prompts of independent standard complex
        normal entries, on which different monomials are not correlated. It does not depend on the
        weights that give the function.

        Args:
          live: the entries of the prompt that may be other than 0; all where None.
          read: the entries of the result that count; all where None.
        """
        return float(
            np.sqrt(sum(np.sum(part.weight * part.value**2) for part in self.parts(live, read)))
        )

    def parts(self, live: Mask | None = None, read: Mask | None = None) -> Iterator["Part"]:
        """Coefficients of monomials, one for each class of equal ones, and what it weighs.

        Two layers compute the same on all prompts that are 0 outside `live`, as far as `read` goes,
        where and only where all values of positive weight are equal. Every value is linear in the
        layer's coefficients.

        Args:
          live, read: as `norm`.
        """
        shape = self.constant.shape
        masks = {
            name: np.ones(shape, bool) if mask is None else np.asarray(mask)
            for name, mask in {"live": live, "read": read}.items()
        }
        for name, mask in masks.items():
            _require("parts", name, mask.shape, shape)
        there, counts = (mask.astype(np.float64) for mask in masks.values())
        # rows i that read a at i and count o; pairs b, c that meet in rows j; both in one row
        asking = np.einsum("io,ia->ao", counts, there)
        meeting = there.T @ there
        alone = np.einsum("io,ia,ib,ic->abco", counts, there, there, there, optimize=True)
        cubic = (self.cubic + self.cubic.swapaxes(1, 2)) / 2
        pairs = asking[:, None, None, :] * meeting[None, :, :, None]
        yield Part(2.0 * (pairs - alone), cubic)
        turned = cubic + np.moveaxis(cubic, 0, 1) + np.moveaxis(cubic, 0, 2)
        yield Part(6.0 * alone, turned / 3)

        of_rows = (self.of_rows + self.of_rows.swapaxes(1, 2)) / 2
        both = there[:, :, None] * there[:, None, :]
        yield Part(2.0 * (meeting - both)[..., None] * counts[:, None, None, :], of_rows)
        others = asking[:, None, :] - there.T[:, :, None] * counts[None, :, :]  # a, j, o
        yield Part(others[:, :, None, :] * there[None, :, :, None], self.with_rows)
        crossed = np.moveaxis(self.with_rows, 1, 0)  # i, a, c, o for j = i
        own_pair = of_rows + (crossed + crossed.swapaxes(1, 2)) / 2
        yield Part(2.0 * both[..., None] * counts[:, None, None, :], own_pair)

        apart = 1.0 - np.eye(shape[0])
        yield Part(
            apart[:, :, None, None] * there[None, :, :, None] * counts[:, None, None, :], self.moved
        )
        in_place = self.own[None] + np.einsum("iico->ico", self.moved)
        yield Part(there[:, :, None] * counts[:, None, :], in_place)
        yield Part(counts, self.constant)


class Part(NamedTuple):
    """A class of coefficients of monomials.

    weight: of each squared value in the norm, 0 where there is no such monomial.
    value: the coefficients, symmetrised.
    """

    weight: np.ndarray
    value: np.ndarray


def layer_polynomial(
    weights: HeadWeights, shape: tuple[int, int], *, with_skip: bool = False
) -> Polynomial:
    """The polynomial of a layer's heads.

    Args:
      weights: heads along the first axis, as `layer.weights` has them; LSA's without biases.
      shape: (n, m) of the prompt.
      with_skip: whether one of the heads returns the prompt, which then is not part of what the
        layer adds.

    Raises:
      ValueError: for a layer with more coefficients than are made, (m (n + m))^2.
    """
    checks.instance("layer_polynomial", HeadWeights, "HeadWeights", weights=weights)
    n, m = shape
    size = (m * (n + m)) ** 2
    if size > MAX_COEFFICIENTS:
        raise ValueError(
            f"layer_polynomial: a layer on prompts of {n} rows and {m} channels has (m (n + m))^2 "
            f"= {size:,} coefficients, of which at most {MAX_COEFFICIENTS:,} are made; read a "
            "stack for fewer rows"
        )
    wq, wk, wv = (np.asarray(array, np.float64) for array in weights[:3])
    heads, _, p = wq.shape
    bq, bk, bv = (
        np.asarray(array, np.float64) if array.shape[-2] else np.zeros((heads, n, width))
        for array, width in zip(weights[3:], (p, p, m), strict=True)
    )

    def scores(query: np.ndarray, key: np.ndarray) -> np.ndarray:
        return np.asarray(query @ key.swapaxes(-1, -2))

    def summed(left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """sum over heads of left (x) right: [a, b, c, o]."""
        flat = left.reshape(heads, -1).T @ right.reshape(heads, -1)
        return np.reshape(flat, (*left.shape[1:], *right.shape[1:]))

    asked, by_row = scores(wq, wk), scores(bq, wk)
    own = np.einsum("haj,hjo->ao", scores(wq, bk), bv, optimize=True)
    constant = np.einsum("hij,hjo->io", scores(bq, bk), bv, optimize=True)
    return Polynomial(
        cubic=summed(asked, wv),
        of_rows=summed(by_row, wv),
        with_rows=summed(scores(wq, bk), wv) + summed(asked, bv).swapaxes(1, 2),
        moved=summed(scores(bq, bk), wv) + summed(by_row, bv).swapaxes(1, 2),
        own=own - np.eye(m) if with_skip else own,
        constant=constant,
    )


def layer_polynomials(stack: BlockStack) -> list[Polynomial]:
    """The polynomial of each layer that has weights of its own.

    In the order in which they run: prologue, one body, or the bodies of every step of an untied
    stack, one step after another, epilogue.

    Args:
      stack: of LSA and ELSA layers with weights that are known.

    Raises:
      ValueError: for weights that are not there, or too many coefficients.
    """
    checks.instance("layer_polynomials", BlockStack, "a BlockStack", stack=stack)
    stack.require_weights("layer_polynomials")
    inner, shape = stack.stack, stack.readout.shape
    stored = inner.weights
    first, last = len(inner.prologue), len(stored) - len(inner.epilogue)
    body = stored[first:last]
    if not inner.tied:
        body = tuple(
            HeadWeights(*(array[step] for array in layer))
            for step in range(inner.depth)
            for layer in body
        )
    with_skip = inner.skip == "head"
    return [
        layer_polynomial(weights, shape, with_skip=with_skip)
        for weights in (*stored[:first], *body, *stored[last:])
    ]


def _require(where: str, name: str, shape: tuple[int, ...], expected: tuple[int, ...]) -> None:
    if shape != expected:
        raise ValueError(f"{where}: {name} must be of the layer's prompts, {expected}, got {shape}")
