"""Softmax regression in one vector or in a matrix, as one object with its methods."""

from typing import Any

import jax
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Float, PRNGKeyArray, Real

from elsa.base import checks
from elsa.base.arrays import Rows
from elsa.base.precision import exact
from elsa.softmax_regression import bounds, inputs, invariance, shifts, solvers, tightness
from elsa.softmax_regression.formulas import Data
from elsa.softmax_regression.inputs import Weights
from elsa.softmax_regression.losses import Losses
from elsa.softmax_regression.shifts import LabelShift, TrajectoryShift, WeightShift
from elsa.softmax_regression.solvers import Solution


class Problem(Losses):
    """Softmax regression in a matrix X, as of attention, or in one vector x (`Problem.single`).

    With Z = A1 X A2^T, F the softmax of each row of Z, U = exp(Z), |.|_F the Frobenius norm,

        normalized:  L = |F - B|_F^2 / 2         rescaled:  L = |U - rowsum(U) * B|_F^2 / 2
        cross_entropy:  L = -sum(B * log F), convex, for labels of at least 0

    and with one row, z = A x, f = exp(z) / <exp(z), 1>, u = exp(z), alpha = <u, 1>,

        normalized:  L = |f - b|^2 / 2           rescaled:  L = |u - alpha b|^2 / 2

    A single problem is the matrix form with one query, which its weights stand for, and without one
    to move: formulas that have A1 hold with ||A1|| = |a_1| = 1. B is any matrix of finite numbers.
    Gao, Song, Xie (arXiv:2307.02419), whose losses lack the factor 1/2. L2 penalty: `Penalised`.

    Problems are pytrees: they go through jit, with one program a shape, and vmap, stacked along a
    leading axis of their arrays. `dataclasses.replace` changes labels or data.

    Args:
      a1: queries, [n1, d1]; None for a single problem.
      a2: keys, [n2, d2]; of a single problem its data A, [n, d].
      b: labels, [n1, n2], or [n].
      kind: "normalized", "rescaled" or "cross_entropy".

    Raises:
      ValueError: for shapes that do not fit, empty arrays, entries that are not finite, or an
        unknown kind.
      TypeError: for arrays that do not hold real numbers.
    """

    def lipschitz(
        self, radius: float | None = None, *, of: str = "gradient", sharp: bool = False
    ) -> float:
        """K with |q(X) - q(X')|_F <= K |X - X'|_F, for q the softmax, the loss or its gradient.

            softmax                ||A1|| ||A2|| / 2
            normalized, loss       ||A1|| ||A2|| sqrt(sum_i max_j |e_j - b_i|^2) / 2
            normalized, gradient   (||A1|| ||A2||)^2 (1/4 + k max_i |b_i|),  k = sqrt(2)/(3 sqrt(3))
            rescaled, loss         ||A1|| ||A2|| sqrt(sum_i (||P_i||^2 e_i (e_i + sqrt(n2) - 1))^2)
            rescaled, gradient     (||A1|| ||A2||)^2 max_i ||P_i||^2 e_i (2 e_i + sqrt(n2) - 1)
            cross_entropy, loss    ||A1|| ||A2|| sqrt(sum_i max_j |<b_i, 1> e_j - b_i|^2)
            cross_entropy, gradient  (||A1|| ||A2||)^2 max_i <b_i, 1> / 2

        with b_i row i of B, a_i of A1, e_j the unit vectors, e_i = exp(|a_i| ||A2|| R),
        P_i = I - b_i 1^T. Sharp: for the normalized loss labels and unit vectors lose their means
        and 1/4 + k |b| becomes h(|b - mean(b) 1|), `curvature_bound`; for the rescaled one e, a
        bound of max exp(z), becomes exp(R |a_i| max_j |A2_j|), and e + sqrt(n2) - 1, a bound of
        |exp(z)|, at most sqrt(sum_j exp(2 R |a_i| |A2_j|)). Softmax does not see a constant added
        to its logits, so that all but the rescaled ones hold for A2 - mean of its rows, too.

        Args:
          radius: R of the ball |X|_F <= R that both lie in; needed for the rescaled loss alone, as
            the other constants hold everywhere.
          of: "gradient", "loss" or "softmax".
          sharp: the smaller constant, which depends on more of the data.

        Returns:
          The constant; infinite where the exponential overflows.

        Raises:
          ValueError: for an unknown `of`, a missing or negative radius.
          TypeError: for tracers, as the constant is a number.
        """
        where = "Problem.lipschitz"
        return bounds.of_all(self._values(where), *self._asked(where, radius, of, sharp))

    def row_lipschitz(
        self, radius: float | None = None, *, of: str = "gradient", sharp: bool = False
    ) -> Float[np.ndarray, " n1"]:
        """The constant of each row's own softmax, loss or gradient, against |X - X'|_F.

        Row i is the single problem with the data a_i^T kron A2, of spectral norm |a_i| ||A2||, a_i
        row i of A1. Arguments and errors as for `lipschitz`.
        """
        where = "Problem.row_lipschitz"
        return bounds.of_rows(self._values(where), *self._asked(where, radius, of, sharp))

    @exact
    def sampled_ratios(
        self, key: PRNGKeyArray, *, radius: float, of: str = "gradient", pairs: int = 10_000
    ) -> Float[np.ndarray, " pairs"]:
        """|q(X) - q(X')| / |X - X'| for pairs in the ball |X| <= radius; none exceeds `lipschitz`.

        Of X the direction is uniform and the length, too, in (0, radius]. Half of the pairs are
        close, at a distance of up to 1e-4 of the radius in a direction of their own, and see the
        largest local slope; half are independent. Computed in float64 whatever the data's dtype,
        and less what the rounding of q, 16 units of its size, may have added to |q(X) - q(X')|.

        Args:
          key: of the draws.
          radius: of the ball, above 0.
          of: "gradient", "loss" or "softmax".
          pairs: how many.

        Raises:
          ValueError, TypeError: as `lipschitz`, for a radius that is not above 0, pairs below 1, or
            a rescaled loss that overflows in the ball.
        """
        where = "Problem.sampled_ratios"
        self._concrete(where)
        checks.one_of(where, "of", of, bounds.OF)
        checks.random_key(where, key)
        checks.positive(where, radius=radius)
        checks.size(where, pairs=(pairs, 1))
        wide = jax.tree.map(lambda array: np.asarray(array, np.float64), self)
        data = Data(wide.a1, wide.a2, wide.b)
        return tightness.ratios(where, key, data, self.kind, radius, of, pairs)

    def null_directions(self) -> Float[np.ndarray, "*weights k"]:
        """An orthonormal basis of the directions along which the loss is constant everywhere.

            normalized:  {V: A1 V A2^T has rows of one value each};  A v = t 1 for some t if single
            rescaled:    {V: A1 V A2^T = 0}

        k = d1 d2 - rank(A1) rank(A2), where the normalized loss has A2 - mean of its rows in the
        place of A2; of a single problem with data in general position d - min(d, n - 1), or
        d - min(d, n). A constant column, dependent columns and d >= n all give such directions.
        They hold for every B. A singular value counts as 0 up to max(n, d) times the rounding of
        the largest, in float64.

        Raises:
          TypeError: for tracers, as the rank decides the shape.
        """
        basis = invariance.hidden_directions(self._values("Problem.null_directions"), self.kind)
        return basis.reshape(*self._weights_shape, basis.shape[2])

    def identifiable_part(self, x: Weights) -> Float[np.ndarray, "*weights"]:
        """x without its part along `null_directions`, so that solutions can be compared.

        S1 S1^T X S2 S2^T, S1 and S2 orthonormal bases of the row spaces of A1 and A2, or A2 - mean
        of its rows for the normalized loss.

        Raises:
          ValueError, TypeError: as `null_directions`, and for an x that does not fit.
        """
        where = "Problem.identifiable_part"
        data = self._values(where, x=x)
        part = invariance.seen_part(np.atleast_2d(np.asarray(x, np.float64)), data, self.kind)
        return part.reshape(self._weights_shape)

    @exact
    def solve(
        self,
        method: str = "newton-cg",
        init: Weights | None = None,
        *,
        tolerance: float | None = None,
        max_iterations: int | None = None,
    ) -> Solution:
        """A stationary point of `loss` from a start; for planted labels Newton finds x again.

            newton-cg   scipy's trust-ncg with `hvp`
            lbfgs       optax's L-BFGS with its zoom line search and `gradient`
            gd          x <- x - gradient / L: L is `lipschitz`(sharp=True); for the rescaled loss
                        it is the constant of the ball around x that the step stays in

        It stops where |gradient| <= tolerance * scale, the scale being the largest gradient that
        data of this size can have at the start: ||A1|| ||A2|| max(F) (|F|_F + |B|_F), or
        ||A1|| ||A2|| times the root of the sum of squares of max(u_i) ||P_i||^2 |u_i| over rows.

        Every method moves x within the row space of the data only, of A2 - mean of its rows for the
        normalized loss: null directions keep what `init` has of them, and a Hessian that is
        singular along them does no harm; no matrix of d1 d2 columns is formed. The rescaled loss
        falls to 0 where all logits fall, too: if some v has A v < 0 in every entry, there is no
        minimiser but at infinity for labels out of reach, as of any loss for labels of 0 and 1 that
        weights sort out: `Penalised(problem, l2=1.0)` has one. A warning and `history.advice` tell
        of these, and of rounding ("stuck") or a limit that leaves the gradient above tolerance.

        Args:
          method: "newton-cg", "lbfgs" or "gd".
          init: where to start, [d1, d2] or [d]; zeros by default.
          tolerance: relative, above 0; by default the rounding of the dtype to the power 2/3.
          max_iterations: 200, 2,000 and 10,000 by default.

        Raises:
          ValueError: for a start that does not fit, an unknown method, a tolerance that is not
            above 0, max_iterations below 1, or a rescaled loss that overflows at the start.
          TypeError: for tracers: solvers run on the host and decide by values.
        """
        data, x = self._start(where := "Problem.solve", init)
        return solvers.solve(where, data, self.kind, x, method, tolerance, max_iterations)

    @exact
    def weight_shift(self, x: Weights, x_next: Weights, *, side: str | None = None) -> WeightShift:
        """The change of the labels, or of the data, that replaces going from x to x_next.

            L(X'; A1, A2, B) = L(X; A1, A2, B~) = L(X; A1~, A2, B) = L(X; A1, A2~, B)

            normalized:  B~ = B - (F(X') - F(X)),  |B~ - B|_F <= ||A1|| ||A2|| |X' - X|_F / 2
            rescaled:    b~_i = b_i - P_i (u_i' - u_i) / alpha_i,
                         |b~_i - b_i| <= ||P_i|| max(f_i) (exp(|(X' - X)^T a_i| ||A2||) - 1)
            queries:     A1~ = A1 + A1 (X' - X) X^+,  ||A1~ - A1|| <= ||A1|| ||X' - X|| ||X^+||
            keys:        A2~ = A2 + A2 (X' - X)^T (X^T)^+,  the same of A2

        a_i, b_i, f_i and u_i are rows of A1, B, F and U, alpha_i = <u_i, 1>, P_i = I - b_i 1^T; the
        rescaled bound is the root of the sum of squares. The queries can do it where X has full
        column rank, the keys where it has full row rank, up to rounding. A single problem has keys
        only, A~ = A + A (x' - x) x^T / |x|^2, and can do it where x is not 0. Elsewhere the data
        are NaN, with an infinite bound, unless nothing moves.

        Args:
          x, x_next: weights before and after, [d1, d2], or [d] of a single problem.
          side: the data that move, "queries" or "keys"; by default the queries where there are any.

        Raises:
          ValueError, TypeError: as `loss`, the overflow apart, and for an unknown side.
        """
        where = "Problem.weight_shift"
        data, before, after = self._arrays(where, x=x, x_next=x_next)
        moving = self._side(where, side)
        return shifts.of_weights(before, after, data, kind=self.kind, side=moving)

    @exact
    def trajectory_shift(
        self, path: Real[ArrayLike, "steps *weights"] | Rows, *, side: str | None = None
    ) -> TrajectoryShift:
        """`weight_shift` of every step of a path x_0 .. x_T, and of every point from the first.

        Raises:
          ValueError, TypeError: as `weight_shift`, and for a path of one point.
        """
        where = "Problem.trajectory_shift"
        data, points = self._arrays(where, "steps", path=path)
        if points.shape[0] < 2:
            raise ValueError(f"{where}: path must have at least 2 points, got {points.shape[0]}")
        return shifts.along_path(points, data, kind=self.kind, side=self._side(where, side))

    @exact
    def context_shift(self, x: Weights, after: "Problem") -> LabelShift:
        """Labels that have, at fixed weights, the effect of moving the context to that of `after`.

            L(X; A1', A2', B') = L(X; A1, A2, B~),  with A1', A2', B' of `after`

        Row i of the logits moves by at most r_i = |X^T a_i'| ||A2' - A2|| + |X^T (a_i' - a_i)|
        ||A2||, for a single problem |x| ||A' - A||:

            normalized:  |B~ - B'|_F <= sqrt(sum_i r_i^2) / 2
            rescaled:    |b~_i - b_i'| <= ||P_i'|| max(f_i) (exp(r_i) - 1)

        Args:
          x: weights, [d1, d2], or [d] of a single problem.
          after: the problem with the moved data, and labels that are this one's where they stay.

        Raises:
          ValueError, TypeError: as `loss`, the overflow apart, and for anything but a problem of
            the same kind and shapes.
        """
        where = "Problem.context_shift"
        inputs.refuse_entropy(where, self.kind)
        if not isinstance(after, Problem):
            raise TypeError(
                f"{where}: after must be a Problem, got {type(after).__name__}; "
                "dataclasses.replace(problem, a2=...) is the problem with other data"
            )
        kind_and_shapes, other = ((p.kind, p._shapes) for p in (self, after))
        if kind_and_shapes != other:
            raise ValueError(
                f"{where}: after must have the kind and shapes {kind_and_shapes}, got {other}"
            )
        data, weights = self._arrays(where, x=x)
        moved, _ = after._arrays(where, x=x)
        return shifts.of_context(weights, data, moved, kind=self.kind)

    def _asked(
        self, where: str, radius: float | None, of: str, sharp: bool
    ) -> tuple[str, float, str, bool]:
        checks.one_of(where, "of", of, bounds.OF)
        checks.boolean(where, sharp=sharp)
        needed = self.kind == "rescaled" and of != "softmax"
        return self.kind, inputs.radius(where, radius, needed=needed), of, sharp


def _unflatten(kind: str, arrays: Any) -> Problem:
    made = object.__new__(Problem)  # unchecked: jax fills in other objects than arrays, too
    made._hold(*arrays, kind)
    return made


jax.tree_util.register_pytree_node(Problem, lambda p: ((p.a1, p.a2, p.b), p.kind), _unflatten)
