"""Estimators, and tasks with all that they draw."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from elsa import predictors, tasks
from elsa.estimators import AttentionRidge
from tests.precision.data import (
    COVARIANCE,
    DIM,
    LAM,
    MATRIX,
    PAIRS,
    PRODUCTS,
    PROMPT,
    ROWS,
    VECTOR,
    X,
    Y,
    normal,
)
from tests.precision.products import Case, Run, traced, without

_KEY = jax.random.key(0)
_TABLE = tasks.Table(normal(8, DIM), normal(8), tuple("abc"), "t", "drawn")
_LAW = COVARIANCE, VECTOR
_CSV = Path(__file__).parents[2] / "docs/data/linnerud.csv"


def _predictors() -> dict[str, Case]:
    wide = PROMPT._replace(x=normal(2, ROWS, 7), query_x=normal(2, 7))  # fewer rows than columns
    named = {
        "bayes": traced(
            lambda prompt, cov, mean: (
                predictors.bayes(prompt, cov, 0.1, mean),
                predictors.bayes(prompt, COVARIANCE, 0.1, mean),
            ),
            PROMPT,
            COVARIANCE,
            VECTOR,
        ),
        "gd_beta": traced(predictors.gd_beta, PROMPT, VECTOR, MATRIX),
        "gradient_descent": traced(
            lambda prompt, other: [
                predictors.gradient_descent(given, 2, 0.1, 0.1) for given in (prompt, other)
            ],
            PROMPT,
            wide,
        ),
        "least_squares": traced(predictors.least_squares, PROMPT),
        "polynomial_step": traced(predictors.polynomial_step, PROMPT, normal(3)),
        "preconditioned_step": traced(predictors.preconditioned_step, PROMPT, MATRIX),
        "ridge": traced(
            lambda prompt, other: [predictors.ridge(given, 0.1) for given in (prompt, other)],
            PROMPT,
            wide,
        ),
        "ridge_weights": traced(predictors.ridge_weights, X, Y, LAM),
        "weighted_step": traced(predictors.weighted_step, PROMPT, normal(ROWS), MATRIX),
    }
    return {f"predictors.{name}": case for name, case in named.items()}


def _task(make: Callable[..., Any], *arrays: np.ndarray) -> dict[str, Case]:
    """Everything a task has; it is made of `arrays` within the trace."""
    made = make(*arrays)
    prefix = f"tasks.{type(made).__name__}"
    drawn = {
        "sample": traced(lambda *given: make(*given).sample(_KEY, 2), *arrays),
        "sample_gram": traced(lambda *given: make(*given).sample_gram(_KEY, 2), *arrays)
        if made.has_gram
        else Run(lambda: _refused(made)),
        "has_gram": Run(lambda: made.has_gram),
    }
    return {f"{prefix}.{name}": case for name, case in drawn.items()}


def _refused(task: Any) -> None:
    with pytest.raises(ValueError, match="use gram_prompt"):
        task.sample_gram(_KEY, 2)


def _drift(root: np.ndarray) -> tasks.Drift:
    return tasks.Drift(DIM, ROWS, root)


def _shifted(scale: Any) -> tasks.ShiftedRegression:
    return tasks.ShiftedRegression(tasks.LinearRegression(4, 1), scale, True, True)


def _scaling() -> tasks.Scaling:
    return tasks.Scaling.of(_TABLE.x, _TABLE.y)


def _tasks() -> dict[str, Case]:
    spectrum = tasks.PrescribedSpectrum(DIM, ROWS, 10.0)
    contexts = tasks.TableContexts.from_table(_TABLE, 4)
    return {
        **_task(lambda cov, mean: tasks.LinearRegression(DIM, ROWS, 0.1, cov, cov, mean), *_LAW),
        **_task(_shifted, np.float64(2.0)),
        "tasks.ShiftedRegression.dim": Run(lambda: _shifted(2.0).dim),
        "tasks.ShiftedRegression.context_length": Run(lambda: _shifted(2.0).context_length),
        "tasks.ShiftedRegression.from_config": Run(
            lambda: tasks.ShiftedRegression.from_config("test", {"dim": 2, "context_length": 1})
        ),
        "tasks.shifted": Run(lambda: _shifted(2.0)),
        "tasks.LinearRegression.parts": traced(
            lambda cov, mean: tasks.LinearRegression(DIM, ROWS, 0.1, cov, cov, mean).parts(_KEY, 2),
            *_LAW,
        ),
        **_task(lambda cov: tasks.AffineRegression(DIM, ROWS, 0.1, 2.0, cov, cov), _LAW[0]),
        **_task(lambda scale: tasks.Alignment(DIM, ROWS, scale), np.float64(0.5)),
        **_task(lambda scale: tasks.Retrieval(DIM, ROWS, scale), np.float64(0.5)),
        **_task(_drift, tasks.autoregressive(ROWS, 0.9)),
        **_task(lambda: spectrum),
        "tasks.PrescribedSpectrum.eigenvalues": Run(lambda: spectrum.eigenvalues),
        "tasks.PrescribedSpectrum.lam": Run(lambda: spectrum.lam),
        "tasks.Products.sample": traced(lambda: PRODUCTS.sample(_KEY, 2)),
        "tasks.Products.context_length": Run(lambda: PRODUCTS.context_length),
        "tasks.Products.blocks": Run(lambda: PRODUCTS.blocks),
        "tasks.Products.target_shape": Run(lambda: PRODUCTS.target_shape),
        **_task(lambda: contexts),
        "tasks.TableContexts.sample": without(lambda: contexts.sample(_KEY, 2)),
        "tasks.TableContexts.from_table": Run(lambda: tasks.TableContexts.from_table(_TABLE, 4)),
        "tasks.TableContexts.from_config": Run(
            lambda: tasks.TableContexts.from_config(
                "f", {"context_length": 4, "path": str(_CSV), "target": "waist"}
            )
        ),
        "tasks.Drift.from_config": Run(
            lambda: tasks.Drift.from_config(
                "f", {"dim": DIM, "context_length": ROWS, "correlation": 0.9}
            )
        ),
        "tasks.TableContexts.dim": Run(lambda: contexts.dim),
        "tasks.autoregressive": without(lambda rho: tasks.autoregressive(ROWS, rho), np.float64(1)),
        "tasks.build": Run(
            lambda: tasks.build(
                {"name": "linear_regression", "dim": 2, "context_length": 3, "cov_x": (1.0, 2.0)}
            )
        ),
        "tasks.diabetes": Run(tasks.diabetes),
        "tasks.gram_prompt": traced(tasks.gram_prompt, PROMPT),
        "tasks.counted_prompt": without(lambda prompt: tasks.counted_prompt(prompt, 2), PROMPT),
        "tasks.pair_prompt": without(tasks.pair_prompt, PROMPT),
        "tasks.PairPrompt.entries": Run(PAIRS.entries),
        "tasks.PairPrompt.together": without(lambda pairs: pairs.together(), PAIRS),
        "tasks.keep_last": without(lambda prompt: tasks.keep_last(prompt, 2), PROMPT),
        "tasks.read_csv": Run(lambda: tasks.read_csv(_CSV, "waist")),
        "tasks.Scaling.of": Run(lambda: _scaling()),
        "tasks.Scaling.constant": Run(lambda: _scaling().constant),
        "tasks.Scaling.transform": Run(lambda: _scaling().transform(_TABLE.x)),
        "tasks.Scaling.transform_labels": Run(lambda: _scaling().transform_labels(_TABLE.y)),
        "tasks.Scaling.linear": Run(lambda: _scaling().linear(VECTOR)),
        "tasks.standardised": Run(lambda: tasks.standardised(_TABLE)),
        "tasks.task": Run(lambda: tasks.task(static=())),
    }


def _estimators() -> dict[str, Case]:
    def fitted() -> AttentionRidge:
        return AttentionRidge(depth=9).fit(X, X @ VECTOR)

    return {
        "estimators.AttentionRidge.fit": Run(fitted, products=True),
        "estimators.AttentionRidge.fit_stream": Run(
            lambda: AttentionRidge(depth=9).fit_stream(np.c_[X, X @ VECTOR]), products=True
        ),
        "estimators.AttentionRidge.predict": Run(lambda: fitted().predict(X), products=True),
    }


def cases() -> dict[str, Case]:
    return {**_predictors(), **_tasks(), **_estimators()}
