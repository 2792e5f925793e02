"""Softmax regression with an L2 penalty and weights of the rows."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Real

from elsa.base import checks
from elsa.base.arrays import Number, Numbers
from elsa.base.precision import exact
from elsa.softmax_regression import bounds, formulas, inputs, solvers
from elsa.softmax_regression.inputs import Weights
from elsa.softmax_regression.problem import Problem
from elsa.softmax_regression.solvers import Solution


@dataclasses.dataclass(frozen=True, eq=False, init=False)
class Penalised:
    """A problem of any kind, its rows weighed, with a penalty on the weights.

        L(X) = sum_i s_i L_i(X) + l2 |X|_F^2 / 2,   L_i the loss of row i

    With A1 = features [n, d], A2 = I [classes, classes], one-hot labels B and kind "cross_entropy"
    it is multinomial logistic regression without intercept: scikit-learn's LogisticRegression with
    C = 1 / l2 and the same sample weights. Of two classes that has one vector, X[:, 1] - X[:, 0],
    and C = 2 / l2; for A2 = [[0], [1]] X is that vector itself, with C = 1 / l2. For l2 > 0 there
    is one minimiser, always finite.

    Args:
      problem: data, labels and kind.
      l2: of the penalty, at least 0.
      sample_weight: s, [n1], at least 0; ones by default. A single problem is one row: [1].

    Raises:
      ValueError: for an l2 or weights that are negative or not finite, or of another shape.
      TypeError: for anything but a problem, tracers, and what does not hold real numbers.
    """

    problem: Problem
    l2: float
    sample_weight: Float[np.ndarray, " n1"]

    def __init__(
        self,
        problem: Problem,
        l2: Number = 0.0,
        sample_weight: Real[ArrayLike, " n1"] | Numbers | None = None,
    ) -> None:
        where = "Penalised"
        checks.instance(where, Problem, "a Problem", problem=problem)
        rows = 1 if problem.a1 is None else problem.a1.shape[0]
        weights = np.ones(rows) if sample_weight is None else sample_weight
        checks.real(where, l2=l2, sample_weight=weights)
        inputs.concrete(where, l2=l2, sample_weight=weights)
        checks.shapes(where, l2=(l2, ""), sample_weight=(weights, "n1"))
        checks.finite(where, l2=l2, sample_weight=weights)
        checks.at_least(where, l2=(l2, 0.0))
        given = np.array(weights, np.float64)
        needed = f"{where}: sample_weight must be {rows} numbers of at least 0, one for each row of"
        if given.shape != (rows,):
            raise ValueError(f"{needed} the labels, got {given.size}")
        if (given < 0).any():
            first = int(np.flatnonzero(given < 0)[0])
            raise ValueError(f"{needed} the labels, got {given[first]:g} at index {first}")
        held = {"problem": problem, "l2": float(np.asarray(l2)), "sample_weight": given}
        for name, value in held.items():
            object.__setattr__(self, name, value)

    @exact
    def loss(self, x: Weights) -> Float[Array, ""]:
        """sum_i s_i L_i + l2 |X|_F^2 / 2; arguments and errors as of `Problem.loss`."""
        return self._at("loss", formulas.loss, x=x)

    @exact
    def gradient(self, x: Weights) -> Float[Array, "*weights"]:
        """The gradient of `loss`: A1^T diag(s) G A2 + l2 X, row i of G that of L_i in its logits.

        Of the cross-entropy that is <b_i, 1> f_i - b_i.

        Raises:
          ValueError, TypeError: as `Problem.gradient`.
        """
        return self._at("gradient", formulas.gradient, x=x)

    @exact
    def hvp(self, x: Weights, v: Weights) -> Float[Array, "*weights"]:
        """The Hessian of `loss` at x applied to v, that of the rows weighed, plus l2 v.

        Raises:
          ValueError, TypeError: as `Problem.hvp`.
        """
        return self._at("hvp", formulas.hvp, x=x, v=v)

    @exact
    def dense_hessian(self, x: Weights) -> Float[Array, "size size"]:
        """The Hessian in vec(X), row-major, for small cases; it holds (d1 d2)^2 numbers.

        Raises:
          ValueError, TypeError: as `Problem.dense_hessian`.
        """
        return self._at("dense_hessian", formulas.dense_hessian, x=x)

    def lipschitz(self, radius: float | None = None, *, sharp: bool = False) -> float:
        """K with |gradient(X) - gradient(X')|_F <= K |X - X'|_F.

            ||diag(sqrt(s * m)) A1||^2 ||A2||^2 + l2

        m_i bounds the Hessian of L_i in its logits: <b_i, 1> / 2 of the cross-entropy, as the
        variance of a unit vector under any f is at most 1/2, and as in `Problem.lipschitz` of the
        others.

        Args:
          radius: of the ball |X|_F <= R that both lie in; needed for kind "rescaled" alone.
          sharp: the smaller constants of the squared losses.

        Raises:
          ValueError, TypeError: as `Problem.lipschitz`.
        """
        where, problem = "Penalised.lipschitz", self.problem
        checks.boolean(where, sharp=sharp)
        size = inputs.radius(where, radius, needed=problem.kind == "rescaled")
        data = problem._values(where)
        return bounds.of_weighed(data, problem.kind, size, self.sample_weight, self.l2, sharp)

    @exact
    def solve(
        self,
        method: str = "newton-cg",
        init: Weights | None = None,
        *,
        tolerance: float | None = None,
        max_iterations: int | None = None,
    ) -> Solution:
        """A stationary point of `loss`; the methods, arguments and errors of `Problem.solve`.

        The penalty sees all of X: it shrinks what `init` has along null directions, too.
        """
        where, kind = "Penalised.solve", self.problem.kind
        data, x = self._held(self.problem._start(where, init))
        return solvers.solve(where, data, kind, x, method, tolerance, max_iterations)

    def _at(self, method: str, formula: Any, **weights: Weights) -> Array:
        where, kind = f"Penalised.{method}", self.problem.kind
        data, *arrays = self._held(self.problem._arrays(where, **weights))
        value: jax.Array = formula(*arrays, data, kind=kind)
        inputs.refuse_overflow(where, kind, value, arrays[0], data)
        return value

    def _held(self, arrays: list[Any]) -> list[Any]:
        """The arrays of the problem, its data with the penalty and the weights of the rows."""
        data, *others = arrays
        weights, l2 = (jnp.asarray(a, data.a2.dtype) for a in (self.sample_weight, self.l2))
        return [data._replace(weights=weights, l2=l2), *others]
