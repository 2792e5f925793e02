"""Minimisers of the losses: gradient descent with step 1/L, L-BFGS, and Newton with CG."""

import dataclasses
import functools
import math
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from elsa.base import checks
from elsa.base.jit import jitted
from elsa.softmax_regression import bounds, descent, formulas, inputs, newton, stuck
from elsa.softmax_regression.bounds import label_operator_norm
from elsa.softmax_regression.descent import Objective, Run
from elsa.softmax_regression.formulas import Data

_SOLVERS: dict[str, tuple[Callable[..., Run], int]] = {  # and the default limit of iterations
    "newton-cg": (newton.newton_cg, 200),
    "lbfgs": (descent.lbfgs, 2_000),
    "gd": (descent.gradient_descent, 10_000),
}
REACH = 0.1  # how far a step of gradient descent on the rescaled loss may move a logit


@dataclasses.dataclass(frozen=True, eq=False)
class History:
    """The iterates of a solver, the start included.

    loss, gradient_norm: of every iterate, [iterations + 1].
    tolerance: the gradient norm that was asked for.
    stopped: why it ended: "gradient", its norm is at most the tolerance; "limit", of iterations;
      "stuck", no step improves on rounding.
    advice: what kept the gradient above its tolerance, rounding, the limit or labels of 0 and 1
      that no finite weights reach, and what to do; empty where there is nothing to say.
    """

    loss: Float[np.ndarray, " iterates"]
    gradient_norm: Float[np.ndarray, " iterates"]
    tolerance: float
    stopped: str
    advice: str = ""


class Solution(NamedTuple):
    """Weights that a solver ended with.

    x: [d1, d2], or [d] of a single problem.
    loss, gradient_norm: there.
    iterations: steps made.
    history: the same along the way, and why it stopped.
    """

    x: Float[Array, "..."]
    loss: float
    gradient_norm: float
    iterations: int
    history: History


def solve(
    where: str,
    data: Data,
    kind: str,
    x: Array,
    method: str,
    tolerance: float | None,
    max_iterations: int | None,
) -> Solution:
    """A stationary point from the start x; see `Problem.solve`, which checks the arrays."""
    checks.one_of(where, "method", method, _SOLVERS)
    solver, usual = _SOLVERS[method]
    relative = float(jnp.finfo(x.dtype).eps) ** (2 / 3) if tolerance is None else tolerance
    checks.positive(where, tolerance=relative)
    limit = usual if max_iterations is None else max_iterations
    checks.size(where, max_iterations=(limit, 1))
    problem = _objective(kind)
    constants = data, _sizes(kind, data)
    inputs.refuse_overflow(where, kind, problem.evaluate(x, *constants)[0], x, data)
    threshold = relative * float(problem.scale(x, *constants))
    run = solver(problem, x, constants, threshold, limit)
    made = int(run.iterations)
    losses = np.asarray(run.losses, np.float64)[: made + 1]
    norms = np.asarray(run.norms, np.float64)[: made + 1]
    reached = norms[-1] <= threshold
    stopped = "gradient" if reached else "stuck" if bool(run.stuck) else "limit"
    advice = stuck.advice(kind, data, run.x, stopped)
    is_asked = stopped == "limit" and max_iterations is not None  # so many steps, and no more
    worth_a_warning = bool(advice) or not is_asked
    end = stuck.End(stopped, method, made, float(norms[-1]), threshold, relative)
    advice = advice or stuck.short_of_tolerance(end, data)
    if advice and worth_a_warning:
        warnings.warn(f"{where}: {advice}", stacklevel=4)
    history = History(losses, norms, threshold, stopped, advice)
    return Solution(run.x, float(losses[-1]), float(norms[-1]), made, history)


class Sizes(NamedTuple):
    """Numbers of the data, computed once.

    norm: ||A1|| ||A2||, by which the logits move at most a unit of X.
    longest: of the rows, max |a_i| of A1 times that of A2, by which any one logit does.
    constant: L everywhere, of the rescaled loss that of the penalty alone, as it has none.
    """

    norm: Array
    longest: Array
    constant: Array


def _sizes(kind: str, data: Data) -> Sizes:
    values = bounds.values(*data[:3])
    factors = values.left, values.right
    norm = math.prod(np.linalg.norm(factor, 2) for factor in factors)
    longest = math.prod(np.linalg.norm(factor, axis=1).max() for factor in factors)
    constant = 0.0 if data.l2 is None else float(data.l2)
    if kind != "rescaled" and data.weights is None:
        constant += bounds.of_all(values, kind, 0.0, "gradient", sharp=True)
    elif kind != "rescaled":
        weights = np.asarray(data.weights, np.float64)
        constant = bounds.of_weighed(values, kind, 0.0, weights, constant, sharp=True)
    return Sizes(*(jnp.asarray(number, data.a2.dtype) for number in (norm, longest, constant)))


def _both(data: Data, f: Array, b: Array) -> Array:
    """The sizes of softmax and labels, of which a gradient is the difference."""
    return descent.norm(data.weighed(f)) + descent.norm(data.weighed(b))


@functools.cache
def _objective(kind: str) -> Objective:
    """The objective of x with (data, sizes); one object a kind, compiled once."""

    def of(function: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *arguments: function(*arguments[:-1], kind=kind)

    def rows(u: Array, b: Array) -> tuple[Array, Array, Array]:
        """||P_i||^2, max(u_i) and |u_i| of every row."""
        return label_operator_norm(b) ** 2, jnp.max(u, axis=1), jnp.sqrt(jnp.sum(u**2, axis=1))

    @jitted()
    def scale(x: Array, data: Data, sizes: Sizes) -> Array:
        z = formulas.logits(x, data)
        penalty = 0.0 if data.l2 is None else data.l2 * descent.norm(x)
        if kind == "rescaled":
            change, largest, total = rows(jnp.exp(z), data.labels)
            return sizes.norm * descent.norm(data.weighed(change * largest * total)) + penalty
        f, b = jax.nn.softmax(z, axis=1), data.labels
        if kind == "cross_entropy":
            f *= jnp.sum(b, axis=1, keepdims=True)
            return sizes.norm * _both(data, f, b) + penalty
        return sizes.norm * jnp.max(f) * _both(data, f, b) + penalty

    def step_size(x: Array, gradient: Array, data: Data, sizes: Sizes) -> Array:
        if kind != "rescaled":
            return 1 / sizes.constant
        # where every logit moves by at most REACH, u grows by at most exp(REACH)
        change, largest, total = rows(jnp.exp(formulas.logits(x, data)), data.labels)
        most = jnp.max(data.weighed(change * largest * (largest + total)))
        constant = sizes.norm**2 * most * jnp.exp(2 * REACH) + sizes.constant
        return jnp.minimum(1 / constant, REACH / (sizes.longest * descent.norm(gradient)))

    return Objective(
        evaluate=of(formulas.loss_and_gradient),
        product=of(formulas.hvp),
        step_size=step_size,
        scale=scale,
        reach=lambda x, data, sizes: 1 / sizes.longest,
    )
