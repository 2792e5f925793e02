"""Predictions of theory for a model trained on a task.

`of` has an entry for each kind of task. The closed forms stand here and not on the tasks, as tasks
and theory do not know each other.
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from elsa import models, tasks, theory

# Theory's prediction for one point: `target`, the risk that training must reach; `lines` to draw
# beside it, by name; `preconditioner`, the optimal W, where there is one; `name`, what the target
# is, where a figure holds several; `unit`, what records divide risks by, 1 where there is none.
Prediction = Mapping[str, Any]

APPROXIMATION = "approximation for large d"
WEIGHTED, UNWEIGHTED = "weighted step", "unweighted step"  # of a task that drifts


@dataclasses.dataclass(frozen=True, kw_only=True)
class Run:
    """The trained run that a prediction is for.

    config: of the experiment.
    model: "name" and arguments of the run's model.
    given: the arrays that its model was given at its start.
    """

    config: ConfigDict
    model: Mapping[str, Any]
    given: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def kind(self) -> Any:
        """The model's class."""
        return models.MODELS[self.model["name"]]

    @property
    def weighs_rows(self) -> bool:
        """Whether the model can give examples weights by their place in the context.

        Raises:
          TypeError: for a model whose class does not say.
        """
        if not hasattr(self.kind, "weighs_rows"):
            raise TypeError(
                f"{self.kind.__name__} must say whether it can weigh the examples of a context by "
                "their place; add weighs_rows = True or False to the class, beside takes_gram"
            )
        weighs: bool = self.kind.weighs_rows
        return weighs


Predict = Callable[[Any, Mapping[str, Any], Run], Prediction]  # task, point of the sweep, run


@functools.singledispatch
def of(task: Any, point: Mapping[str, Any], run: Run) -> Prediction:
    """The optimum of one gradient step on this task, as far as the run's model can take it.

    Args:
      task: of the point.
      point: axis of the sweep -> value.
      run: what was trained.

    Raises:
      TypeError: for a task without an entry here.
    """
    known = ", ".join(cls.__name__ for cls in of.registry if cls is not object)
    raise TypeError(
        f"predictions.of: no closed form for {type(task).__name__}, there is one for {known}; add "
        "it in experiments/trained/predictions.py, or give the TrainedSpec its own predict"
    )


@of.register
def _(task: tasks.LinearRegression, point: Mapping[str, Any], run: Run) -> Prediction:
    """The optimum over weights of the point's rank, of any rank where it has none."""
    weight, risk = theory.pgd_optimum(setting_of(task), rank=point.get("rank"))
    return {"target": risk, "preconditioner": weight}


@of.register
def _(task: tasks.AffineRegression, point: Mapping[str, Any], run: Run) -> Prediction:
    """The optimum of one layer without biases, to which the intercept is noise."""
    weight, risk = theory.affine_lsa_optimum(
        setting_of(task), intercept_var=float(np.asarray(task.intercept_var))
    )
    return {"target": risk, "preconditioner": weight}


@of.register
def _(task: tasks.Retrieval, point: Mapping[str, Any], run: Run) -> Prediction:
    """The exact optimum, and the approximation for many dimensions."""
    sizes = aligned(task)
    return _multiple(
        task.dim, theory.retrieval_optimum(**sizes), theory.retrieval_approximation(**sizes)
    )


@of.register
def _(task: tasks.Alignment, point: Mapping[str, Any], run: Run) -> Prediction:
    """The exact optimum, and the approximation for many dimensions."""
    sizes = aligned(task)
    return _multiple(
        task.dim, theory.alignment_optimum(**sizes), theory.alignment_approximation(**sizes)
    )


@of.register
def _(task: tasks.Drift, point: Mapping[str, Any], run: Run) -> Prediction:
    """The optimum of one step, on weighted examples where the model can weigh them."""
    sizes: dict[str, Any] = {"dim": task.dim, "noise_var": float(np.asarray(task.noise_var))}
    weighted = theory.drift_optimum(task.task_corr, **sizes).risk
    scale, unweighted = theory.unweighted_drift_optimum(task.task_corr, **sizes)
    weighs = run.weighs_rows
    return {
        "target": weighted if weighs else unweighted,
        "name": WEIGHTED if weighs else UNWEIGHTED,
        "preconditioner": (1.0 if weighs else scale) * np.eye(task.dim),
        "lines": {
            f"theory: {WEIGHTED}": weighted,
            f"theory: {UNWEIGHTED}": unweighted,
        },
    }


def aligned(task: Any) -> dict[str, Any]:
    """Sizes and numbers of tasks whose covariates are drawn around a direction."""
    return {
        "dim": task.dim,
        "context_length": task.context_length,
        "alignment": float(task.alignment),
        "noise_var": float(task.noise_var),
    }


def _multiple(dim: int, optimum: tuple[float, float], approximation: float) -> Prediction:
    """Of an optimum that is a multiple of the identity."""
    scale, risk = optimum
    return {
        "target": risk,
        "preconditioner": scale * np.eye(dim),
        "lines": {APPROXIMATION: approximation},
    }


def setting_of(task: Any) -> theory.Setting:
    """The laws of a `tasks.LinearRegression`, or of an affine one without its intercept."""
    return theory.Setting(
        dim=task.dim,
        context_length=task.context_length,
        noise_var=float(task.noise_var),
        cov_x=task.cov_x,
        cov_task=task.cov_task,
        task_mean=getattr(task, "task_mean", None),
    )
