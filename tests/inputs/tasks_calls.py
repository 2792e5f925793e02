"""Tasks, what they draw, tables, and predictors."""

import tempfile
from pathlib import Path

import jax
import numpy as np
import polars as pl

from elsa import predictors, tasks
from tests.inputs.calls import Call, Made, call
from tests.precision.data import COVARIANCE, DIM, LAM, MATRIX, PROMPT, ROWS, VECTOR, X, Y, normal

_KEY = jax.random.key(0)
_CSV = Path(__file__).parents[2] / "docs/data/linnerud.csv"
_SIZES = {"dim": DIM, "context_length": ROWS, "noise_var": 0.1}
_DRAW = {"key": _KEY, "batch": 2}
_SHORT = tasks.Prompt(*(np.asarray(array) for array in PROMPT))


def _table() -> tasks.Table:
    x = normal(8, DIM)
    return tasks.Table(x, x @ VECTOR, tuple("abc"), "t", "drawn")


_TABLE = _table()


def _row_file(kind: str) -> Path:
    path = Path(tempfile.mkdtemp(prefix="elsa-inputs-")) / f"rows.{kind}"
    if kind == "npy":
        np.save(path, X)
    else:
        pl.DataFrame({"a": X[:, 0], "b": X[:, 1]}).write_parquet(path)
    return path


def _scaling() -> tasks.Scaling:
    return tasks.Scaling.of(_TABLE.x, _TABLE.y)


def _tasks() -> dict[str, Call]:
    law = {"cov_x": COVARIANCE, "cov_task": COVARIANCE, "task_mean": VECTOR}
    linear = tasks.LinearRegression(DIM, ROWS, 0.1, **law)
    drift = tasks.Drift(DIM, ROWS, tasks.autoregressive(ROWS, 0.9))
    aligned = tasks.Alignment(DIM, ROWS, 0.5)
    retrieval = tasks.Retrieval(DIM, ROWS, 0.5)
    spectrum = tasks.PrescribedSpectrum(DIM, ROWS, 10.0)
    affine = tasks.AffineRegression(DIM, ROWS, 0.1, 2.0)
    moved = tasks.ShiftedRegression(linear, 2.0, half_subspace=True)
    flags = {"orthogonal_query": False, "half_subspace": True}
    contexts = tasks.TableContexts.from_table(_TABLE, 4)
    return {
        "LinearRegression": call(tasks.LinearRegression, **_SIZES, **law),
        "LinearRegression, gamma": call(
            tasks.LinearRegression, **_SIZES, covariates="gamma", gamma_shape=2.0
        ),
        "LinearRegression.sample": call(linear.sample, **_DRAW),
        "LinearRegression.parts": call(linear.parts, **_DRAW),
        "LinearRegression.sample_gram": call(linear.sample_gram, **_DRAW, length=3),
        "AffineRegression": call(
            tasks.AffineRegression,
            **_SIZES,
            intercept_var=2.0,
            cov_x=COVARIANCE,
            cov_task=COVARIANCE,
        ),
        "AffineRegression.sample": call(affine.sample, **_DRAW),
        "Alignment": call(tasks.Alignment, **_SIZES, alignment=0.5),
        "Alignment.sample": call(aligned.sample, **_DRAW),
        "Alignment.sample_gram": call(aligned.sample_gram, **_DRAW, length=3),
        "Products": call(tasks.Products, dim=DIM, factors=2, row_channels=True),
        "Products.sample": call(tasks.Products(DIM).sample, **_DRAW),
        "Retrieval": call(tasks.Retrieval, **_SIZES, alignment=0.5),
        "Retrieval.sample": call(retrieval.sample, **_DRAW),
        "Retrieval.sample_gram": call(retrieval.sample_gram, **_DRAW, length=3),
        "Drift": call(tasks.Drift, **_SIZES, task_corr=np.asarray(drift.task_corr)),
        "Drift.from_config": call(
            lambda given: tasks.Drift.from_config("f", given),
            given={"dim": DIM, "context_length": ROWS, "correlation": 0.9},
        ),
        "Drift.sample": call(drift.sample, **_DRAW),
        "PrescribedSpectrum": call(
            tasks.PrescribedSpectrum, **_SIZES, condition_number=10.0, ridge_fraction=0.5
        ),
        "PrescribedSpectrum.sample": call(spectrum.sample, **_DRAW),
        "ShiftedRegression": call(
            tasks.ShiftedRegression, base=Made(lambda: linear), query_scale=2.0, **flags
        ),
        "ShiftedRegression.from_config": call(
            lambda given: tasks.ShiftedRegression.from_config("f", given),
            given={"dim": DIM, "context_length": ROWS, "query_scale": 2.0},
        ),
        "ShiftedRegression.sample": call(moved.sample, **_DRAW),
        "shifted": call(
            tasks.shifted,
            task=Made(lambda: linear),
            context_length=4,
            noise_var=0.1,
            covariate_scale=2.0,
            cov_x=COVARIANCE,
            query_scale=2.0,
            **flags,
        ),
        "TableContexts": call(tasks.TableContexts, x=X, y=normal(ROWS), context_length=3),
        "TableContexts.from_table": call(
            tasks.TableContexts.from_table, table=Made(lambda: _TABLE), context_length=4
        ),
        "TableContexts.from_config": call(
            lambda given: tasks.TableContexts.from_config("f", given),
            given={"path": str(_CSV), "target": "waist", "context_length": 4},
        ),
        "TableContexts.sample": call(contexts.sample, **_DRAW),
        "autoregressive": call(tasks.autoregressive, context_length=ROWS, correlation=0.9),
        "build": call(
            tasks.build, settings={"name": "linear_regression", "dim": 2, "context_length": 3}
        ),
        "counted_prompt": call(tasks.counted_prompt, prompt=_SHORT, length=2),
        "diabetes": call(tasks.diabetes),
        "gram_prompt": call(tasks.gram_prompt, prompt=_SHORT),
        "pair_prompt": call(tasks.pair_prompt, prompt=_SHORT, length=2),
        "keep_last": call(tasks.keep_last, prompt=_SHORT, length=2),
        "read_csv": call(
            tasks.read_csv, path=_CSV, target="waist", drop=("chins",), separator=",", decimal="."
        ),
        "NpyRows": call(tasks.NpyRows, path=_row_file("npy"), block_rows=2),
        "ParquetRows": call(
            tasks.ParquetRows, path=_row_file("parquet"), columns=["a"], block_rows=2
        ),
        "Scaling.of": call(tasks.Scaling.of, x=X, y=normal(ROWS), weights=np.ones(ROWS)),
        "Scaling.transform": call(_scaling().transform, x=normal(2, DIM)),
        "Scaling.transform_labels": call(_scaling().transform_labels, y=normal(2)),
        "Scaling.linear": call(_scaling().linear, weights=VECTOR),
        "standardised": call(tasks.standardised, table=Made(lambda: _TABLE)),
        "task": call(tasks.task, static=("dim",)),
    }


def _predictors() -> dict[str, Call]:
    of = {"prompt": _SHORT}
    return {
        "bayes": call(predictors.bayes, **of, cov_task=COVARIANCE, noise_var=0.1, task_mean=VECTOR),
        "gd_beta": call(predictors.gd_beta, **of, init=VECTOR, preconditioner=MATRIX),
        "gradient_descent": call(
            predictors.gradient_descent, **of, steps=2, step_size=0.1, lam=0.1, init=VECTOR
        ),
        "least_squares": call(predictors.least_squares, **of),
        "polynomial_step": call(predictors.polynomial_step, **of, coefficients=normal(3)),
        "preconditioned_step": call(predictors.preconditioned_step, **of, weight=MATRIX),
        "ridge": call(predictors.ridge, **of, lam=0.1),
        "ridge_weights": call(predictors.ridge_weights, X=X, y=Y, lam=float(LAM[0, 0])),
        "weighted_step": call(
            predictors.weighted_step, **of, sample_weights=normal(ROWS), weight=MATRIX
        ),
    }


def calls() -> dict[str, Call]:
    return {
        **{f"tasks.{name}": one for name, one in _tasks().items()},
        **{f"predictors.{name}": one for name, one in _predictors().items()},
    }
