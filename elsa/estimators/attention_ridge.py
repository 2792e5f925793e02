"""Ridge regression by attention layers, as an estimator of scikit-learn."""

import contextlib
import warnings
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from jaxtyping import Float
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_array, check_consistent_length, column_or_1d
from sklearn.utils.validation import check_is_fitted, validate_data

from elsa.base import checks
from elsa.base.counting import counted
from elsa.base.rows import RowSource
from elsa.estimators import streamed
from elsa.estimators.solving import ALGORITHMS, Solved, solve
from elsa.tasks import Scaling

if TYPE_CHECKING:
    from rich.console import Console

_FIT, _PREDICT = "AttentionRidge.fit", "AttentionRidge.predict"
_STREAM = "AttentionRidge.fit_stream"
_NEAR = 1e-6  # distances to the solution beyond which a fit warns


class AttentionRidge(RegressorMixin, BaseEstimator):  # scikit-learn's order
    """Ridge regression on standardised columns, computed by linear attention.

        minimise  sum_i s_i (y_i - b - <w, (x_i - mean) / spread>)^2 + alpha |w|^2

    `fit` writes the table into a prompt, runs a stack of attention layers that `elsa.compile` made
    from a step of the algorithm, in float64, and takes what it reads there back to the units of the
    columns: what StandardScaler and Ridge(alpha) give in a pipeline. s_i are sample weights.

    Args:
      alpha: the regulariser, at least 0; at 0 with columns that depend on one another, the solution
        of least norm.
      algorithm: "newton_schulz", whose depth grows with the logarithm of the condition number;
        "chebyshev" and "heavy_ball", with its root; "gradient_descent", with the number itself.
      depth: steps of the algorithm. None: as many as theory asks for to come within 1e-10 of the
        solution, at most 60, 500, 20,000 and 20,000.

    Attributes:
      coef_: in the units of the columns, [d]; 0 for a constant column.
      intercept_: a number.
      n_iter_: steps that were run.
      n_layers_: attention layers that were run.
      distance_: |w - w*| / |w*| from the solution by an eigendecomposition; above 1e-6, fit warns.
      condition_number_: of X^T X + alpha I on the standardised columns.
      n_features_in_, feature_names_in_: as everywhere in scikit-learn.
    """

    def __init__(
        self,
        alpha: float = 1.0,
        *,
        algorithm: str = "newton_schulz",
        depth: int | None = None,
    ) -> None:
        self.alpha = alpha
        self.algorithm = algorithm
        self.depth = depth

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Fits coefficients and intercept.

        Args:
          X: covariates, [n, d], n and d at least 1: an array, a list or a data frame of numbers.
          y: labels, [n].
          sample_weight: at least 0, [n]; a row of weight 0 is as good as not there.

        Raises:
          ValueError, TypeError: for shapes that do not fit, what is no finite number, weights of
            which none is above 0, and parameters out of range.

        Warns:
          ConvergenceWarning: where the result is further than 1e-6 from the solution.
        """
        self._look_at_parameters(_FIT)
        rows, labels, weights = self._numbers(X, y, sample_weight)
        alpha = float(self.alpha)
        if weights is not None:
            kept = weights > 0
            rows, labels, weights = rows[kept], labels[kept], weights[kept]
            alpha /= weights.max()  # the same solution
            weights = weights / weights.max()
        scaling = Scaling.of(rows, labels, weights)
        X_standard, y_centred = scaling.transform(rows), scaling.transform_labels(labels)
        if weights is not None:
            roots = np.sqrt(weights)
            X_standard, y_centred = roots[:, None] * X_standard, roots * y_centred
        solved = solve(X_standard, y_centred, alpha, algorithm=self.algorithm, depth=self.depth)
        self._keep(scaling, solved)
        if not solved.distance <= _NEAR:
            warnings.warn(self._far(_FIT, solved), ConvergenceWarning, stacklevel=2)
        return self

    def fit_stream(
        self, rows: RowSource, *, target: int = -1, screen: "Console | None" = None
    ) -> Self:
        """Fits rows that come in blocks, in one pass and memory that does not grow with them.

        The layers see the rows through their products alone, so that they run on d + 1 rows with
        the same products, R^T R = Z^T Z for the standardised columns and labels Z. Products and
        sums are float64, about the means. Forming them squares the condition number: beyond 1e8
        that of Z^T Z + alpha I, fit warns.

        Args:
          rows: an array [n, d + 1], an iterable of arrays [k, d + 1], or a function that makes
            one; `tasks.NpyRows` and `tasks.ParquetRows` read files. A block may be a tuple of
            arrays side by side, as (X, y).
          target: the column of the labels, the last by default.
          screen: where a long pass shows how far it is; silent where None.

        Raises:
          TypeError, ValueError: for blocks that do not fit, NaN or infinity, naming block and row;
            for no rows, no covariates, a target that is no column, and parameters out of range.

        Warns:
          ConvergenceWarning: where the result is, or may be, further than 1e-6 from the solution.
        """
        self._look_at_parameters(_STREAM)
        scaling, X, y = streamed.standardised(_STREAM, rows, target, screen)
        solved = solve(X, y, float(self.alpha), algorithm=self.algorithm, depth=self.depth)
        self._keep(scaling, solved)
        self.n_features_in_ = X.shape[1]
        if hasattr(self, "feature_names_in_"):  # of a data frame that was fitted before
            del self.feature_names_in_
        if not solved.distance <= _NEAR:
            warnings.warn(self._far(_STREAM, solved), ConvergenceWarning, stacklevel=2)
        elif solved.condition_number > streamed.LIMIT:
            warnings.warn(
                f"{_STREAM}: the condition number {solved.condition_number:.2g} is so large that "
                "rounding of the products of columns may show in the sixth digit; a larger alpha "
                "helps, leaving out columns that depend on others, or `fit` with all rows",
                ConvergenceWarning,
                stacklevel=2,
            )
        return self

    def _look_at_parameters(self, where: str) -> None:
        checks.one_of(where, "algorithm", self.algorithm, ALGORITHMS)
        checks.finite(where, alpha=self.alpha)
        checks.at_least(where, alpha=(self.alpha, 0.0))
        if self.depth is not None:
            checks.size(where, depth=(self.depth, 1))

    def _keep(self, scaling: Scaling, solved: Solved) -> None:
        """The fitted attributes; all at once, so that a fit that is stopped leaves those before."""
        self.coef_, self.intercept_ = scaling.linear(solved.w)
        self.n_iter_, self.n_layers_ = solved.depth, solved.layers
        self.distance_, self.condition_number_ = solved.distance, solved.condition_number

    def predict(self, X: Any) -> Float[np.ndarray, " rows"]:
        """<x, coef_> + intercept_ for each row of X, [rows, d].

        Raises:
          NotFittedError: before `fit`.
          ValueError, TypeError: for other columns than those of `fit`, or no finite numbers.
        """
        check_is_fitted(self)
        with _named(_PREDICT, "X", X):
            rows = _floats(validate_data(self, X, reset=False, dtype="numeric"))
        predicted: np.ndarray = rows @ self.coef_ + self.intercept_
        return predicted

    def _numbers(
        self, X: Any, y: Any, sample_weight: Any
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        """Rows, labels and weights in float64, looked at as scikit-learn does."""
        with _named(_FIT, "X", X):
            rows = _floats(validate_data(self, X, dtype="numeric"))
        with _named(_FIT, "y", y):
            column = column_or_1d(y, warn=True)
            as_sklearn = {"ensure_2d": False, "ensure_min_samples": 0, "input_name": "y"}
            labels = _floats(check_array(column, dtype="numeric", **as_sklearn))
        with _named(_FIT, "X and y"):
            check_consistent_length(rows, labels)
        if sample_weight is None:
            return rows, labels, None
        with _named(_FIT, "sample_weight"):
            weights = np.asarray(sample_weight)
        checks.shapes(_FIT, X=(rows, "n d"), sample_weight=(weights, "n"))
        checks.finite(_FIT, sample_weight=weights)
        if weights.min() < 0 or not weights.any():
            raise ValueError(
                f"{_FIT}: sample_weight must be at least 0, and not all zero, got "
                f"{weights.min():g} to {weights.max():g}"
            )
        return rows, labels, weights.astype(np.float64)

    def _far(self, where: str, solved: Solved) -> str:
        """What a fit says that did not come to the solution."""
        limit = ALGORITHMS[self.algorithm].depth(solved.condition_number)
        said = (
            f"{where}: {counted(solved.depth, 'step')} of {self.algorithm} end at a relative "
            f"distance of {solved.distance:.2g} from the ridge solution (condition number "
            f"{solved.condition_number:.3g})"
        )
        if solved.depth < limit:
            others = "" if self.algorithm == "newton_schulz" else ", or algorithm='newton_schulz'"
            return f"{said}; theory asks for depth={int(np.ceil(limit))}{others}"
        return (
            f"{said}, where float64 ends; a larger alpha helps, or leaving out columns that depend "
            "on others"
        )


def _floats(numbers: np.ndarray) -> np.ndarray:
    if numbers.dtype.kind in "mM":  # which NumPy would take for nanoseconds
        raise TypeError(f"expected numbers, got {numbers.dtype}, dates or times")
    return np.asarray(numbers, np.float64)


@contextlib.contextmanager
def _named(where: str, name: str, given: Any = None) -> Iterator[None]:
    """scikit-learn's own errors, with the argument that they are about, and the way out."""
    try:
        yield
    except (ValueError, TypeError) as error:
        raise type(error)(f"{where}: {name}: {error}{_way_out(name, given)}") from error


def _way_out(name: str, given: Any) -> str:
    """What to do about an X with columns of text or dates, or a y of several columns."""
    shape: Sequence[int] = getattr(given, "shape", ())
    if name == "y" and len(shape) == 2 and shape[1] > 1:
        return "; MultiOutputRegressor(AttentionRidge()) fits every column of y by itself"
    kinds = {str(column): np.asarray(given[column]).dtype.kind for column in _columns(given)}
    columns = [column for column, kind in kinds.items() if kind not in "biufc"]
    if not columns:
        return ""
    return (
        f"; columns without numbers: {columns}; make dates numbers, and text by "
        "OneHotEncoder(sparse_output=False) in a pipeline"
    )


def _columns(given: Any) -> list[Any]:
    """Of a data frame."""
    return list(getattr(given, "columns", ()))
