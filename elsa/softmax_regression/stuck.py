"""Why a solver ends without an answer, and what to do about it."""

import math
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from elsa.softmax_regression import formulas
from elsa.softmax_regression.formulas import Data

FAR = 20.0  # of the logits of a row: the softmax is 0 and 1 to 2e-9
_WAY_OUT = "Penalised(problem, l2=1.0), whose minimiser is finite, or labels between 0 and 1"


class End(NamedTuple):
    """How a solver ended.

    stopped: "gradient", "stuck" or "limit".
    method, iterations: of the solver, and the steps that it made.
    norm, threshold: of the gradient, and what was asked for; tolerance is that over its scale.
    """

    stopped: str
    method: str
    iterations: int
    norm: float
    threshold: float
    tolerance: float


def short_of_tolerance(end: End, data: Data) -> str:
    """What kept the gradient above its tolerance, and the ways out; "" where nothing did.

    Near a minimum the loss changes by |gradient|^2 / (2 curvature). Once that is less than the
    rounding of the loss itself, no comparison of losses tells a step down from one up.
    """
    if end.stopped == "gradient":
        return ""
    dtype = data.a2.dtype
    said = (
        f"the solver stopped, {end.stopped!r}, after {end.iterations} steps with a gradient of "
        f"{end.norm:.3g}, {end.norm / end.threshold:.3g} times what was asked for"
    )
    if not math.isfinite(end.norm):
        return f"{said}; start nearer to 0 (init), or scale the data down"
    ways = [f"tolerance={_above(end.tolerance * end.norm / end.threshold)} takes this as solved"]
    if end.stopped == "limit":
        more = "solve(init=solution.x) goes on from here, max_iterations allows for more"
        quick = [] if end.method == "newton-cg" else ["method='newton-cg' needs the fewest steps"]
        return f"{said}: {'; '.join([more, *quick, *ways])}"
    said += f": no step lowers the loss by more than the rounding of {dtype}"
    if dtype != np.float64:
        x64 = "jax.config.update('jax_enable_x64', True) before the first array"
        ways.insert(0, f"data in float64 go further, after {x64}")
    penalty = "a larger l2" if data.l2 is not None else "Penalised(problem, l2=..)"
    return f"{said}. {'; '.join([*ways, f'{penalty} makes the minimum sharper'])}"


def _above(tolerance: float) -> str:
    """The number in two digits, rounded up."""
    unit = 10.0 ** (math.floor(math.log10(tolerance)) - 1)
    return f"{math.ceil(tolerance / unit) * unit:.1e}"


def advice(kind: str, data: Data, x: Array, stopped: str) -> str:
    """What is the matter with weights that a solver ended with; "" where nothing is.

    Softmax is nowhere 0 or 1. For labels that are, the losses have no minimiser where some weights
    sort the rows out, and the squared losses are flat where the softmax is 0 and 1 but wrong.
    """
    labels = np.asarray(data.labels)
    binary = ((labels == 0) | (labels == 1)).all()
    if not binary or labels.shape[1] == 1 or (data.l2 is not None and float(data.l2) > 0):
        return ""
    logits = np.asarray(formulas.logits(x, data))
    spread = float((logits.max(axis=1) - logits.min(axis=1)).max())
    if stopped == "gradient" and spread < FAR:
        return ""
    ones = labels.sum(axis=1)
    if (ones != 1).any():
        return _of_several(kind, data, ones, f"{stopped!r}, with logits up to {spread:.3g} apart")
    right = float(jnp.mean(logits.argmax(axis=1) == labels.argmax(axis=1)))
    said = (
        f"the labels are 0 and 1, which no finite weights reach: the solver stopped, {stopped!r}, "
        f"with logits up to {spread:.3g} apart, {100 * right:.0f} % of the rows right"
    )
    if kind == "cross_entropy":
        return f"{said}. Use {_WAY_OUT}"
    return (
        f"{said}. A squared loss is also flat where it is wrong and sure of it. Use kind "
        "'cross_entropy', which is convex, problem = dataclasses.replace(problem, "
        f"kind='cross_entropy'), with {_WAY_OUT}"
    )


def _of_several(kind: str, data: Data, ones: np.ndarray, ended: str) -> str:
    """What to do about labels of 0 and 1 where a softmax, which sums to 1, cannot have them."""
    if data.a1 is None:
        what = f"{ones[0]:g} ones in all"
        shared = "b / b.sum()" if ones[0] else ""
        each = "each row of a by itself is Problem(a, [[0.0], [1.0]], np.eye(2)[b.astype(int)]"
    else:
        least, most = ones.min(), ones.max()
        what = f"{least:g} to {most:g} ones in a row" if least < most else f"{most:g} in each row"
        shared = "b / b.sum(axis=1, keepdims=True)"
        if not ones.all():
            some = "b[some] / b[some].sum(axis=1, keepdims=True)"
            shared = f"{some} for a1[some], some = b.any(axis=1)," if ones.any() else ""
        each = (
            "each column j by itself is Problem(a1, [[0.0], [1.0]], np.eye(2)[b[:, j].astype(int)]"
        )
    half = f"{shared} share it out; " if shared else ""
    said = (
        f"the labels are 0 and 1, {what}, and a softmax shares out a single 1: the solver stopped, "
        f"{ended}. {half}yes or no of {each}, 'cross_entropy')"
    )
    convex = "" if kind == "cross_entropy" else "; kind 'cross_entropy' is convex"
    return f"{said}. Either with {_WAY_OUT}{convex}"
