"""Tasks by name, for configs."""

from typing import Any

from elsa.base import checks
from elsa.base.settings import Settings
from elsa.tasks import fields
from elsa.tasks.affine import AffineRegression
from elsa.tasks.alignment import Alignment
from elsa.tasks.block_prompt import BlockTask
from elsa.tasks.contexts import TableContexts
from elsa.tasks.drift import Drift
from elsa.tasks.linear_regression import LinearRegression
from elsa.tasks.products import Products
from elsa.tasks.prompt import Task
from elsa.tasks.retrieval import Retrieval
from elsa.tasks.shifts import ShiftedRegression
from elsa.tasks.spectrum import PrescribedSpectrum

TASKS: dict[str, type] = {
    "affine_regression": AffineRegression,
    "alignment": Alignment,
    "drift": Drift,
    "linear_regression": LinearRegression,
    "prescribed_spectrum": PrescribedSpectrum,
    "products": Products,
    "retrieval": Retrieval,
    "shifted_regression": ShiftedRegression,
    "table": TableContexts,
}


def build(settings: Settings) -> Task | BlockTask:
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
    checks.mapping("build", "a mapping with a name and fields", settings=settings)
    entries = dict(settings)
    if "name" not in entries:
        raise ValueError(f"build: missing 'name', one of {list(TASKS)}; got {list(entries)}")
    name = entries.pop("name")
    checks.names("build", "task", [name, *(other for other in TASKS if other != name)], TASKS)
    cls: Any = TASKS[name]
    where = f"build {name!r}"
    task: Task
    if hasattr(cls, "from_config"):  # a class with a shorter form in configs
        task = cls.from_config(where, entries)
        return task
    task = fields.of_config(cls, where, entries)
    return task
