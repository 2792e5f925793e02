"""Tasks by name, for configs."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from elsa.base import checks
from elsa.tasks.alignment import Alignment
from elsa.tasks.contexts import TableContexts
from elsa.tasks.drift import Drift, autoregressive
from elsa.tasks.linear_regression import LinearRegression
from elsa.tasks.prompt import Task
from elsa.tasks.retrieval import Retrieval
from elsa.tasks.spectrum import PrescribedSpectrum
from elsa.tasks.table import diabetes, read_csv, standardised

TASKS: dict[str, type] = {
    "alignment": Alignment,
    "drift": Drift,
    "linear_regression": LinearRegression,
    "prescribed_spectrum": PrescribedSpectrum,
    "retrieval": Retrieval,
    "table": TableContexts,
}

_COVARIANCES = {"cov_x", "cov_task"}


def build(settings: Mapping[str, Any]) -> Task:
    """The task that settings describe: its "name" and the fields of its class.

    Lists and tuples become float arrays: covariances, means, correlations. A covariance of one axis
    is a diagonal. A drift may be given by "correlation", the number rho of the autoregressive
    matrix, in place of "task_corr". A table is given by "path", a CSV file, and "target", a column;
    without them it is scikit-learn's diabetes data. It is standardised, its labels to variance 1.

    Raises:
      KeyError: for an unknown name or field, with the known and the nearest ones.
      ValueError: where the name or a field without a default is missing, or a value is bad.
      TypeError: for a value of the wrong kind.
    """
    given = dict(settings)
    if "name" not in given:
        raise ValueError(f"build: missing 'name', one of {list(TASKS)}; got {list(given)}")
    name = given.pop("name")
    checks.names("build", "task", [name, *(other for other in TASKS if other != name)], TASKS)
    if name == "table" and "x" not in given:
        given |= _table(given.pop("path", ""), given.pop("target", ""))
    if name == "drift" and "correlation" in given:
        rho = given.pop("correlation")
        if "task_corr" in given:
            raise ValueError("build 'drift': give task_corr or correlation, got both")
        given["task_corr"] = autoregressive(given.get("context_length", 1), rho)
    declared = [field for field in dataclasses.fields(TASKS[name]) if field.init]
    optional = [field.name for field in declared if field.default is not dataclasses.MISSING]
    complete = [*given, *(field for field in optional if field not in given)]
    checks.names(f"build {name!r}", "field", complete, [field.name for field in declared])
    values = {
        field: np.asarray(value, dtype=np.float64) if isinstance(value, list | tuple) else value
        for field, value in given.items()
    }
    for field in _COVARIANCES & values.keys():
        if np.ndim(values[field]) == 1:
            values[field] = np.diag(values[field])
    return TASKS[name](**values)


def _table(path: str, target: str) -> dict[str, np.ndarray]:
    """Covariates and labels of a CSV file, or of the diabetes data, on one scale."""
    data = standardised(read_csv(path, target) if path else diabetes())
    return {"x": data.x, "y": data.y / np.std(data.y)}
