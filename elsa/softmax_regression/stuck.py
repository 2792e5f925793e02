"""Why a solver ends without an answer on labels of 0 and 1, and what to do about it."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from elsa.softmax_regression import formulas
from elsa.softmax_regression.formulas import Data

FAR = 20.0  # of the logits of a row: the softmax is 0 and 1 to 2e-9
_WAY_OUT = "Penalised(problem, l2=1.0), whose minimiser is finite, or labels between 0 and 1"


def advice(kind: str, data: Data, x: Array, stopped: str) -> str:
    """What is the matter with weights that a solver ended with; "" where nothing is.

    Softmax is nowhere 0 or 1. For labels that are, the losses have no minimiser where some weights
    sort the rows out, and the squared losses are flat where the softmax is 0 and 1 but wrong.
    """
    labels = np.asarray(data.labels)
    one_hot = ((labels == 0) | (labels == 1)).all() and (labels.sum(axis=1) == 1).all()
    if not one_hot or labels.shape[1] == 1 or (data.l2 is not None and float(data.l2) > 0):
        return ""
    logits = np.asarray(formulas.logits(x, data))
    spread = float((logits.max(axis=1) - logits.min(axis=1)).max())
    if stopped == "gradient" and spread < FAR:
        return ""
    right = float(jnp.mean(logits.argmax(axis=1) == labels.argmax(axis=1)))
    said = (
        f"the labels are 0 and 1, which no finite weights reach: the solver stopped, {stopped!r}, "
        f"with logits up to {spread:.3g} apart, {100 * right:.0f} % of the rows right"
    )
    if kind == "cross_entropy":
        return f"{said}. Use {_WAY_OUT}"
    return (
        f"{said}. A squared loss is also flat where it is wrong and sure of it. Use kind "
        f"'cross_entropy', which is convex, with {_WAY_OUT}"
    )
