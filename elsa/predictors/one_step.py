"""One step of preconditioned gradient descent, in the forms linear attention can take."""

from jax.typing import ArrayLike
from jaxtyping import Array, Float, Real

from elsa.base.arrays import Numbers, Rows
from elsa.base.precision import exact
from elsa.predictors import problem
from elsa.tasks import Prompt


@exact
def preconditioned_step(
    prompt: Prompt, weight: Real[ArrayLike, "d d"] | Rows
) -> Float[Array, " batch"]:
    """query_x^T W X^T y, with no 1/n, for a batch of prompts; its risk is `theory.pgd_risk`.

    Args:
      prompt: its query_y is not used.
      weight: W, symmetric or not.

    Raises:
      ValueError: for shapes that do not fit, an empty context, NaN or infinity (on concrete arrays
        only).
    """
    task = problem.read("preconditioned_step", prompt)
    problem.matrix("preconditioned_step", "weight", weight, task.x.shape[-1])
    return task.predict(task.correlation @ task.cast(weight).T)


@exact
def weighted_step(
    prompt: Prompt,
    sample_weights: Real[ArrayLike, " n"] | Numbers,
    weight: Real[ArrayLike, "d d"] | Rows | None = None,
) -> Float[Array, " batch"]:
    """query_x^T W X^T (omega * y), a weight for each example; its risk is `theory.drift_risk`.

    Args:
      prompt: its query_y is not used.
      sample_weights: omega, in the order of the context.
      weight: W; the identity by default.

    Raises:
      ValueError: as `preconditioned_step`.
    """
    task = problem.read("weighted_step", prompt)
    _, n, dim = task.x.shape
    problem.vector("weighted_step", "sample_weights", sample_weights, n, "n")
    step = task._replace(y=task.y * task.cast(sample_weights)[None]).correlation
    if weight is not None:
        problem.matrix("weighted_step", "weight", weight, dim)
        step = step @ task.cast(weight).T
    return task.predict(step)


@exact
def gd_beta(
    prompt: Prompt,
    init: Real[ArrayLike, " d"] | Numbers,
    preconditioner: Real[ArrayLike, "d d"] | Rows,
) -> Float[Array, " batch"]:
    """<b0 - (Gamma / n) X^T (X b0 - y), query_x>: a step from a learnt start, with 1/n.

    What a linear transformer block computes (arXiv:2402.14951); its risk is `theory.gd_beta_risk`.

    Args:
      prompt: its query_y is not used.
      init: b0.
      preconditioner: Gamma, symmetric or not.

    Raises:
      ValueError: as `preconditioned_step`.
    """
    task = problem.read("gd_beta", prompt)
    _, n, dim = task.x.shape
    problem.vector("gd_beta", "init", init, dim)
    problem.matrix("gd_beta", "preconditioner", preconditioner, dim)
    start = task.cast(init)
    step = task._replace(y=task.y - task.x @ start).correlation @ task.cast(preconditioner).T
    return task.predict(start[None] + step / n)
