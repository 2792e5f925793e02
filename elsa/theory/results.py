"""What the closed forms return: tuples, to unpack, whose fields have one name each everywhere."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float


class Step(NamedTuple):
    """One preconditioned step and its risk.

    weight: W of the prediction x^T W X^T y, [d, d], with no 1/n.
    risk: its expected squared error.
    """

    weight: Float[np.ndarray, "d d"]
    risk: float


class ScaledStep(NamedTuple):
    """One step with a multiple of the identity, and its risk.

    scale: w of the prediction w x^T X^T y.
    risk: its expected squared error.
    """

    scale: float
    risk: float


class WeightedStep(NamedTuple):
    """One step with a weight for each example, and its risk.

    sample_weights: omega of the prediction x^T X^T (omega * y), [n].
    risk: its expected squared error.
    """

    sample_weights: Float[np.ndarray, " n"]
    risk: float


class AffineStep(NamedTuple):
    """One preconditioned step beside a shrunk mean of the labels, and the risk of both together.

    weight: W of the prediction x^T W X^T y + k mean(y), [d, d], with no 1/n.
    intercept_scale: k.
    risk: its expected squared error.
    """

    weight: Float[np.ndarray, "d d"]
    intercept_scale: float
    risk: float


class StartedStep(NamedTuple):
    """One step from a start, and its risk.

    init: b0, [d].
    preconditioner: Gamma, [d, d]; n times the weight of a `Step`.
    risk: the expected squared error.
    """

    init: Float[np.ndarray, " d"]
    preconditioner: Float[np.ndarray, "d d"]
    risk: float


class StartedStepGradient(NamedTuple):
    """The derivatives of a risk in the start and in the preconditioner of a `StartedStep`.

    init: in b0, in its shape.
    preconditioner: in Gamma, [d, d].
    """

    init: Float[np.ndarray, "..."]
    preconditioner: Float[np.ndarray, "d d"]


class PolynomialStep(NamedTuple):
    """Several steps as one polynomial of X^T X, and their risk.

    coefficients: c of p in the prediction x . p(X^T X) X^T y, the constant first, [steps].
    risk: its expected squared error.
    """

    coefficients: Float[np.ndarray, " steps"]
    risk: float


class Rates(NamedTuple):
    """The extreme eigenvalues of a Hessian: of the slowest and of the fastest direction."""

    smallest: float
    largest: float


class Estimate(NamedTuple):
    """A sampled mean and its standard error."""

    mean: float
    standard_error: float


class HeavyBall(NamedTuple):
    """The two numbers of heavy ball: eta and beta."""

    step_size: float
    momentum: float


class RidgeModes(NamedTuple):
    """A ridge problem in the eigenvectors of X^T X + lam I.

    eigenvalues: smallest first, [*tasks, d].
    start: the coordinates of w_0 - w*, [*tasks, d].
    """

    eigenvalues: Float[np.ndarray, "*tasks d"]
    start: Float[np.ndarray, "*tasks d"]


class Interval(NamedTuple):
    """An open interval."""

    low: float
    high: float
