"""The data of a softmax regression, its losses and their derivatives.

Nothing but `Losses.rows` and `Losses.dense_hessian` forms a Kronecker product of A1 and A2 or a
matrix of d1 d2 columns; Z goes through in slabs of rows. Derivations: docs/softmax_regression.md.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, Self

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Real

from elsa.base import checks
from elsa.base.arrays import AnyShape, Number, Numbers, Rows
from elsa.base.precision import exact
from elsa.softmax_regression import formulas, inputs
from elsa.softmax_regression.bounds import Values, values
from elsa.softmax_regression.formulas import Data
from elsa.softmax_regression.inputs import Weights


@dataclasses.dataclass(frozen=True, eq=False, init=False)
class Losses:
    """Data, labels and the kind of loss, with all that is computed at given weights."""

    a1: Float[Array | np.ndarray, "n1 d1"] | None
    a2: Float[Array | np.ndarray, "n2 d2"]
    b: Float[Array | np.ndarray, "*labels"]
    kind: str

    def __init__(
        self,
        a1: Real[ArrayLike, "n1 d1"] | Rows | None,
        a2: Real[ArrayLike, "n2 d2"] | Rows,
        b: Real[ArrayLike, "*labels"] | Numbers | Rows,
        kind: str = "normalized",
    ) -> None:
        where = "Problem" if a1 is not None else "Problem.single"
        checks.one_of(where, "kind", kind, formulas.KINDS)
        checks.real(where, **({"a": a2} if a1 is None else {"a1": a1, "a2": a2}))
        with inputs.way_from_classes(a1, a2, b):
            checks.real(where, b=b)
        # NumPy stays NumPy, with all its digits whatever jax computes in, but the caller's no more
        arrays = (a if a is None or isinstance(a, jax.Array) else np.array(a) for a in (a1, a2, b))
        self._hold(*arrays, kind)
        with inputs.way_from_classes(a1, a2, b):
            inputs.arrays(where, **self._axes)
        if kind == "cross_entropy":
            inputs.refuse_negative_labels(where, b)

    def _hold(self, *values: Any) -> None:
        for name, value in zip(("a1", "a2", "b", "kind"), values, strict=True):
            object.__setattr__(self, name, value)

    @classmethod
    def single(
        cls,
        a: Real[ArrayLike, "n d"] | Rows,
        b: Real[ArrayLike, " n"] | Numbers,
        kind: str = "normalized",
    ) -> Self:
        """The problem of one vector x [d], with data A [n, d] and labels b [n].

        It is the matrix form with x for the one row X^T a_1: Z = x^T A^T.

        Raises:
          ValueError, TypeError: as for the problem itself.
        """
        return cls(None, a, b, kind)

    @classmethod
    def planted(
        cls,
        x: Weights,
        *data: Real[ArrayLike, "_n _d"] | Rows,
        kind: str = "normalized",
    ) -> Self:
        """The problem whose labels are the softmax at x, so that x solves it; squared losses are 0.

        Args:
          x: weights, [d] or [d1, d2].
          *data: A [n, d], or A1 [n1, d1] and A2 [n2, d2].
          kind: as of the problem; the least cross-entropy is that of the labels with themselves.

        Raises:
          ValueError: as for the problem and for `probabilities`.
          TypeError: for data that are neither one array nor two.
        """
        if len(data) not in (1, 2):
            raise TypeError(
                f"Problem.planted: data must be A, or A1 and A2, got {len(data)} arrays"
            )
        checks.real("Problem.planted", **dict(zip(("a1", "a2")[-len(data) :], data, strict=True)))
        rows = [size for a in data for size in np.shape(a)[:1]]
        blank = cls(None if len(data) == 1 else data[0], data[-1], np.zeros(rows, np.int8), kind)
        return dataclasses.replace(blank, b=blank.probabilities(x))

    @exact
    def probabilities(self, x: Weights) -> Float[Array, "*labels"]:
        """F, the softmax of each row of Z: the attention of queries A1 to keys A2; f [n] if single.

        Raises:
          ValueError: as `loss`; logits of any size are taken.
        """
        where = "Problem.probabilities"
        data, weights = self._arrays(where, x=x)
        value = formulas.probabilities(weights, data)
        inputs.refuse_overflow(where, "normalized", value, weights, data)
        return value

    @exact
    def loss(self, x: Weights) -> Float[Array, ""]:
        """|F - B|_F^2 / 2, |U - rowsum(U) * B|_F^2 / 2 for kind "rescaled", or -sum(B * log F).

        All but the rescaled loss take logits of any size. That one overflows at logits of about
        350 in float64 and 44 in float32; `log_loss` does not.

        Args:
          x: weights, [d1, d2], or [d] of a single problem.

        Raises:
          ValueError: for shapes that do not fit, entries that are not finite, or a result that
            overflows; under jit an overflow gives infinity or NaN instead.
          TypeError: for arrays that do not hold real numbers.
        """
        return self._at("loss", formulas.loss, x=x)

    @exact
    def log_loss(self, x: Weights) -> Float[Array, ""]:
        """log L, finite for logits of any size: of a row, 2 m + log(|e^{-m} r|^2 / 2), m = max(z).

        r is the row's residual; rows are added by log-sum-exp. Minus infinity where every residual
        is exactly 0. Its gradient is that of L over L.

        Raises:
          ValueError, TypeError: as `loss`, the overflow apart.
        """
        data, weights = self._arrays("Problem.log_loss", x=x)
        return formulas.log_loss(weights, data, kind=self.kind)

    @exact
    def gradient(self, x: Weights) -> Float[Array, "*weights"]:
        """The gradient of `loss`, with C = F - B and R = U - rowsum(U) * B.

            normalized:     A1^T [F * (C - rowsum(F * C))] A2
            rescaled:       A1^T [U * (R - rowsum(B * R))] A2
            cross_entropy:  A1^T [rowsum(B) * F - B] A2

        Raises:
          ValueError, TypeError: as `loss`.
        """
        return self._at("gradient", formulas.gradient, x=x)

    @exact
    def hvp(
        self,
        x: Weights,
        v: Weights,
    ) -> Float[Array, "*weights"]:
        """The Hessian of `loss` at x applied to v, at the cost of one and a half gradients.

        With dZ = A1 V A2^T, and dF = F * (dZ - rowsum(F * dZ)) or dU = U * dZ,
        dR = dU - rowsum(dU) * B,

            normalized:  A1^T [dF * (C - rowsum(F * C)) + F * (dF - rowsum(dF * C + F * dF))] A2
            rescaled:    A1^T [dU * (R - rowsum(B * R)) + U * (dR - rowsum(B * dR))] A2
            cross_entropy:  A1^T [rowsum(B) * dF] A2

        Raises:
          ValueError, TypeError: as `loss`.
        """
        return self._at("hvp", formulas.hvp, x=x, v=v)

    @exact
    def dense_hessian(self, x: Weights) -> Float[Array, "size size"]:
        """The Hessian in vec(X), row-major, for small cases: sum_i (a_i a_i^T) kron (A2^T M_i A2).

        a_i is row i of A1, M_i the Hessian of row i's loss in its logits, [n2, n2]:

            normalized:  J^2 + diag(g) - g f^T - f g^T,  J = diag(f) - f f^T,  g = J (f - b)
            rescaled:    diag(u) P^T P diag(u) + diag(u * (P^T rho)),  P = I - b 1^T
            cross_entropy:  <b, 1> J

        It holds (d1 d2)^2 numbers.

        Raises:
          ValueError, TypeError: as `loss`.
        """
        return self._at("dense_hessian", formulas.dense_hessian, x=x)

    @exact
    def gradient_path(
        self, x: Weights, *, step_size: Number, steps: int
    ) -> Float[Array, "{steps}+1 *weights"]:
        """x_0 .. x_T of x <- x - eta gradient, from x_0 = x.

        Args:
          x: where to start, [d1, d2], or [d] of a single problem.
          step_size: eta.
          steps: T.

        Raises:
          ValueError, TypeError: as `loss`, the overflow apart, for a step size that is not finite
            and above 0, or steps that are not an integer of at least 1.
        """
        where = "Problem.gradient_path"
        data, start = self._arrays(where, x=x)
        checks.shapes(where, step_size=(step_size, ""))
        checks.positive(where, step_size=step_size)
        checks.size(where, steps=(steps, 1))
        return formulas.gradient_path(start, data, step_size, kind=self.kind, steps=steps)

    def rows(self) -> Self:
        """The tensor trick: n1 single problems in vec(X), stacked, whose losses add up to this one.

            vec(A1 X A2^T) = (A1 kron A2) vec(X),  vec row-major

        Row i has the data a_i^T kron A2, [n2, d1 d2], and the labels b_i. They are for jax.vmap,

            jax.vmap(lambda row: row.gradient(x))(problem.rows()).sum(axis=0),

        which is vec of `gradient` at X = x.reshape(d1, d2). The Kronecker product holds
        n1 n2 d1 d2 numbers; nothing else forms it.
        """
        (data,) = self._arrays("Problem.rows")
        left = jnp.ones((1, 1), data.a2.dtype) if data.a1 is None else data.a1

        def row(a: Array, b: Array) -> Any:
            return type(self).single(jnp.kron(a[None, :], data.a2), b, self.kind)

        stacked: Self = jax.vmap(row)(left, data.labels)
        return stacked

    def _at(self, method: str, formula: Callable[..., Array], **weights: AnyShape) -> Array:
        """The formula at the weights; an error where it overflows."""
        where = f"Problem.{method}"
        data, *arrays = self._arrays(where, **weights)
        value = formula(*arrays, data, kind=self.kind)
        inputs.refuse_overflow(where, self.kind, value, arrays[0], data)
        return value

    def _arrays(self, where: str, leading: str = "", /, **weights: AnyShape) -> list[Any]:
        """The data and the weights, in one floating dtype and checked."""
        self._check(where, leading, **weights)
        queries = [] if self.a1 is None else [self.a1]
        made = inputs.floats(*queries, self.a2, self.b, *weights.values())
        left = made.pop(0) if queries else None
        return [Data(left, *made[:2]), *made[2:]]

    def _start(self, where: str, init: Weights | None) -> list[Any]:
        """The data, and where a solver starts: zeros of the data's dtype by default."""
        start = np.zeros(self._weights_shape, np.int8) if init is None else init
        self._concrete(where, init=start)
        return self._arrays(where, init=start)

    def _values(self, where: str, **weights: AnyShape) -> Values:
        """The data in NumPy, for functions that decide by values; the weights are only checked."""
        self._concrete(where, **weights)
        self._check(where, **weights)
        return values(self.a1, self.a2, self.b)

    def _check(self, where: str, leading: str = "", /, **weights: AnyShape) -> None:
        """Checks all shapes, which vmap and stacking change, and the values of new arrays."""
        axes = f"{leading} d" if self.a1 is None else f"{leading} d1 d2"
        checks.shapes(where, **self._axes, **{name: (x, axes) for name, x in weights.items()})
        checks.finite(where, **weights)

    def _concrete(self, where: str, **more: AnyShape) -> None:
        """Refuses tracers among the data and the other named arrays."""
        data = {name: array for name, (array, _) in self._axes.items()}
        inputs.concrete(where, **data, **more)

    def _side(self, where: str, side: str | None) -> str:
        inputs.refuse_entropy(where, self.kind)
        sides = ("queries", "keys") if self.a1 is not None else ("keys",)
        if side is None:
            return sides[0]
        checks.one_of(where, "side", side, sides)
        return side

    @property
    def _axes(self) -> dict[str, tuple[Any, str]]:
        """Names and axes of the data, as a caller knows them."""
        if self.a1 is None:
            return {"a": (self.a2, "n d"), "b": (self.b, "n")}
        return {"a1": (self.a1, "n1 d1"), "a2": (self.a2, "n2 d2"), "b": (self.b, "n1 n2")}

    @property
    def _shapes(self) -> dict[str, tuple[int, ...]]:
        return {name: np.shape(array) for name, (array, _) in self._axes.items()}

    @property
    def _weights_shape(self) -> tuple[int, ...]:
        return tuple(size for a in (self.a1, self.a2) if a is not None for size in a.shape[1:])
