"""Minimisers of the losses: gradient descent with step 1/L, L-BFGS, and Newton with CG."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from elsa.base import checks
from elsa.base.precision import exact
from elsa.softmax_regression import descent, formulas, inputs, newton
from elsa.softmax_regression.bounds import label_operator_norm, matrix_lipschitz
from elsa.softmax_regression.descent import Objective, Run

_SOLVERS: dict[str, tuple[Callable[..., Run], int]] = {  # and the default limit of iterations
    "newton-cg": (newton.newton_cg, 200),
    "lbfgs": (descent.lbfgs, 2_000),
    "gd": (descent.gradient_descent, 10_000),
}
REACH = 0.1  # how far a step of gradient descent on the rescaled loss may move a logit


@dataclasses.dataclass(frozen=True, eq=False)
class History:
    """What a solver went through, the start included.

    loss, gradient_norm: of every iterate, [iterations + 1].
    tolerance: the gradient norm that was asked for.
    stopped: why it ended: "gradient", its norm is at most the tolerance; "limit", of iterations;
      "stuck", no step improves on rounding.
    """

    loss: Float[np.ndarray, " iterations+1"]
    gradient_norm: Float[np.ndarray, " iterations+1"]
    tolerance: float
    stopped: str


class Solution(NamedTuple):
    """Weights that a solver ended with.

    x: as `loss` or `matrix_loss` takes them.
    loss, gradient_norm: there.
    iterations: steps made.
    history: the same along the way, and why it stopped.
    """

    x: Float[Array, "..."]
    loss: float
    gradient_norm: float
    iterations: int
    history: History


@exact
def solve(
    a: Float[ArrayLike, "n d"],
    b: Float[ArrayLike, " n"],
    kind: str = "normalized",
    method: str = "newton-cg",
    init: Float[ArrayLike, " d"] | None = None,
    *,
    tolerance: float | None = None,
    max_iterations: int | None = None,
) -> Solution:
    """A stationary point of `loss` from a start; for planted b = f(A x) Newton finds x again.

        newton-cg   scipy's trust-ncg with `hvp`
        lbfgs       optax's L-BFGS with its zoom line search and `gradient`
        gd          x <- x - gradient / L: L is `lipschitz`(sharp=True) for the normalized loss; for
                    the rescaled one it is the constant of the ball around x that the step stays in

    It stops where |gradient| <= tolerance * scale, the scale being the largest gradient that data
    of this size can have at the start: ||A|| max(f) (|f| + |b|) or ||A|| max(u) ||P||^2 |u|.

    Every method moves x within the row space of A only, of A - mean of its rows for the normalized
    loss: null directions keep what `init` has of them, and a Hessian that is singular along them
    does no harm. The rescaled loss falls to 0 where all logits fall, too: if some v has A v < 0 in
    every entry, there is no minimiser but at infinity for labels out of reach.

    Args:
      a, b: data, [n, d], and labels, [n].
      kind: "normalized" or "rescaled".
      method: "newton-cg", "lbfgs" or "gd".
      init: where to start, [d]; zeros by default.
      tolerance: relative, above 0; by default the rounding of the dtype to the power 2/3.
      max_iterations: 200, 2,000 and 10,000 by default.

    Raises:
      ValueError: for arrays as in `loss`, an unknown kind or method, a tolerance that is not above
        0, max_iterations below 1, or a rescaled loss that overflows at the start.
      TypeError: for tracers: solvers run on the host and decide by values.
    """
    inputs.concrete("solve", a=a, b=b, init=0.0 if init is None else init)
    start = np.zeros(np.shape(a)[1:], np.int8) if init is None else init  # of the data's dtype
    data, labels, x = inputs.single("solve", kind, a=a, b=b, init=start)
    # one row with one query channel of value 1: A1 X A2^T = x^T A^T
    one = jnp.ones((1, 1), x.dtype)
    found = _solve(
        "solve", kind, one, data, labels[None], x[None], method, tolerance, max_iterations
    )
    return found._replace(x=found.x[0])


@exact
def matrix_solve(
    a1: Float[ArrayLike, "n1 d1"],
    a2: Float[ArrayLike, "n2 d2"],
    b: Float[ArrayLike, "n1 n2"],
    kind: str = "normalized",
    method: str = "newton-cg",
    init: Float[ArrayLike, "d1 d2"] | None = None,
    *,
    tolerance: float | None = None,
    max_iterations: int | None = None,
) -> Solution:
    """A stationary point of `matrix_loss`, as `solve`; no d1 d2 x d1 d2 matrix is formed.

    The scale of the tolerance is ||A1|| ||A2|| max(F) (|F|_F + |B|_F), and that of the rescaled
    loss ||A1|| ||A2|| times the root of the sum of squares of max(u_i) ||P_i||^2 |u_i| over rows.

    Raises:
      ValueError, TypeError: as `solve`.
    """
    where = "matrix_solve"
    inputs.concrete(where, a1=a1, a2=a2, b=b, init=0.0 if init is None else init)
    shape = np.shape(a1)[1:] + np.shape(a2)[1:]
    start = np.zeros(shape, np.int8) if init is None else init  # of the data's dtype
    left, right, labels, x = inputs.matrix(where, kind, a1=a1, a2=a2, b=b, init=start)
    return _solve(where, kind, left, right, labels, x, method, tolerance, max_iterations)


def _solve(
    where: str,
    kind: str,
    a1: Array,
    a2: Array,
    b: Array,
    x: Array,
    method: str,
    tolerance: float | None,
    max_iterations: int | None,
) -> Solution:
    checks.one_of(where, "method", method, _SOLVERS)
    solver, usual = _SOLVERS[method]
    relative = float(jnp.finfo(x.dtype).eps) ** (2 / 3) if tolerance is None else tolerance
    checks.positive(where, tolerance=relative)
    limit = usual if max_iterations is None else max_iterations
    checks.integer(where, max_iterations=(limit, 1))
    problem = _objective(kind)
    data = (a1, a2, b, _sizes(kind, a1, a2, b))
    inputs.refuse_overflow(where, kind, problem.evaluate(x, *data)[0], a1, x, a2.T)
    asked = relative * float(problem.scale(x, *data))
    run = solver(problem, x, data, asked, limit)
    made = int(run.iterations)
    losses = np.asarray(run.losses, np.float64)[: made + 1]
    norms = np.asarray(run.norms, np.float64)[: made + 1]
    reached = norms[-1] <= asked
    stopped = "gradient" if reached else "stuck" if bool(run.stuck) else "limit"
    history = History(losses, norms, asked, stopped)
    return Solution(run.x, float(losses[-1]), float(norms[-1]), made, history)


class Sizes(NamedTuple):
    """Numbers of the data, computed once.

    norm: ||A1|| ||A2||, by which the logits move at most a unit of X.
    longest: of the rows, max |a_i| of A1 times that of A2, by which any one logit does.
    constant: L of the normalized loss everywhere; 0 for the rescaled one, which has none.
    """

    norm: Array
    longest: Array
    constant: Array


def _sizes(kind: str, a1: Array, a2: Array, b: Array) -> Sizes:
    left, right = np.asarray(a1, np.float64), np.asarray(a2, np.float64)
    norm = np.linalg.norm(left, 2) * np.linalg.norm(right, 2)
    longest = np.linalg.norm(left, axis=1).max() * np.linalg.norm(right, axis=1).max()
    constant = matrix_lipschitz(left, right, b, sharp=True) if kind == "normalized" else 0.0
    return Sizes(*(jnp.asarray(number, a1.dtype) for number in (norm, longest, constant)))


@functools.cache
def _objective(kind: str) -> Objective:
    """The objective of X with the data (A1, A2, B, sizes); one object a kind, compiled once."""

    def of(function: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *arguments: function(*arguments[:-1], kind=kind)

    @jax.jit
    def scale(x: Array, a1: Array, a2: Array, b: Array, sizes: Sizes) -> Array:
        z = a1 @ x @ a2.T
        if kind == "normalized":
            f = jax.nn.softmax(z, axis=1)
            return sizes.norm * jnp.max(f) * (descent.norm(f) + descent.norm(b))
        u = jnp.exp(z)
        rows = label_operator_norm(b) ** 2 * jnp.max(u, axis=1) * jnp.sqrt(jnp.sum(u**2, axis=1))
        return sizes.norm * descent.norm(rows)

    def step_size(x: Array, gradient: Array, a1: Array, a2: Array, b: Array, sizes: Sizes) -> Array:
        if kind == "normalized":
            return 1 / sizes.constant
        # where every logit moves by at most REACH, u grows by at most exp(REACH)
        u = jnp.exp(a1 @ x @ a2.T)
        largest, total = jnp.max(u, axis=1), jnp.sqrt(jnp.sum(u**2, axis=1))
        rows = label_operator_norm(b) ** 2 * largest * (largest + total)
        constant = sizes.norm**2 * jnp.max(rows) * jnp.exp(2 * REACH)
        return jnp.minimum(1 / constant, REACH / (sizes.longest * descent.norm(gradient)))

    return Objective(
        evaluate=of(formulas.matrix_loss_and_gradient),
        product=of(formulas.matrix_hvp),
        step_size=step_size,
        scale=scale,
        reach=lambda x, a1, a2, b, sizes: 1 / sizes.longest,
    )
