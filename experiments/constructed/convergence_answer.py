"""What attention answers about a table: coefficients in its units, and rows it has not seen."""

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from elsa import tasks
from elsa.base.counting import counted
from elsa.tasks.table import held_out_rows
from experiments.constructed import convergence_problems as problems
from experiments.constructed.convergence_problems import Problems
from experiments.harness.experiment import Record, Summary

if TYPE_CHECKING:
    from rich.table import Table

_LAMS = np.logspace(-5, 2, 15)  # over the number of rows, which a column's squares sum to
SHOWN = 25  # coefficients of the figure and of the printed table
_VISIBLE = 0.005  # of R2: less is no reason for another lam
# of a problem, and of rows in its standard form or None: w, and the predictions there
Solve = Callable[[Problems, np.ndarray | None], tuple[np.ndarray, np.ndarray | None]]


def answer(settings: Mapping[str, Any], share: float, solve: Solve) -> Record:
    """Coefficients from all rows; predictions for a share of them, from the others.

    Both beside scikit-learn's Ridge, with the same regulariser on the same standardised columns.
    """
    whole = problems.build(settings)
    table = _table_of(whole)
    ours, theirs = _linear(whole, solve(whole, None)[0]), _linear(whole, whole.solution[0])
    spread = np.ldexp(table.scaling.spread, table.scaling.exponents)
    return {
        "target": table.target,
        "columns": list(table.columns),
        "spreads": spread.tolist(),
        "coefficients": ours.coefficients.tolist(),
        "intercept": ours.intercept,
        "sklearn_coefficients": theirs.coefficients.tolist(),
        "sklearn_intercept": theirs.intercept,
        "regulariser": regulariser(whole),
        "held_out": _held_out(settings, share, solve),
    }


def _held_out(settings: Mapping[str, Any], share: float, solve: Solve) -> Record | None:
    """Truth and predictions of the rows held out; None where there are none."""
    kept, others = problems.kept(settings, share)
    if not len(others.y):
        return None
    table = _table_of(kept)
    _, centred = solve(kept, table.scaling.transform(others.x))
    assert centred is not None
    mean = np.ldexp(table.scaling.label_mean, table.scaling.label_exponent)
    ours = np.ldexp(centred, kept.exponent) + mean
    coefficients, intercept = _linear(kept, kept.solution[0])
    theirs = others.x @ coefficients + intercept
    chosen = held_out_rows(len(table.y) + len(others.y), len(others.y))
    return {
        "rows": (np.flatnonzero(chosen) + 1).tolist(),
        "truth": others.y.tolist(),
        "prediction": ours.tolist(),
        "sklearn_prediction": theirs.tolist(),
        "r2": _r2(others.y, ours),
        "sklearn_r2": _r2(others.y, theirs),
    }


def regulariser(problem: Problems) -> Record:
    """lam, and another that predicts rows left out one at a time well, from one decomposition.

    Each row from the others: e_i = r_i / (1 - h_i), with the residuals r of the fit to all rows and
    h_i = 1/n + x_i^T (X^T X + lam I)^-1 x_i (Golub, Heath and Wahba 1979). R2 is of all e_i. Among
    two lam a decade the largest is taken whose R2 is within .001 of the best, as it asks for the
    fewest layers. The columns keep their scale: it is for a choice, the rows held out are to judge.
    """
    x, y = problem.x[0], problem.y[0] / np.abs(problem.y[0]).max()
    left, sizes, _ = np.linalg.svd(x, full_matrices=False)
    seen = left.T @ y

    def r2(lam: float) -> float:
        kept = sizes**2 / np.maximum(sizes**2 + lam, np.finfo(float).tiny)
        unseen = 1.0 - 1.0 / len(y) - left**2 @ kept  # 0 where a fit meets its row exactly
        errors = (y - left @ (kept * seen)) / np.maximum(unseen, np.finfo(float).eps)
        return float(1.0 - np.mean(errors**2) / np.var(y))

    lams = (len(y) * _LAMS).tolist()
    scores = [r2(lam) for lam in lams]
    good = max(place for place, score in enumerate(scores) if score >= max(scores) - 0.001)
    return {
        "lam": problem.lam,
        "left_out_r2": r2(problem.lam),
        "good_lam": float(f"{lams[good]:.2g}"),
        "good_left_out_r2": scores[good],
    }


def _table_of(problem: Problems) -> Any:
    assert problem.table is not None and problem.table.scaling is not None
    return problem.table


def _linear(problem: Problems, w: np.ndarray) -> tasks.Linear:
    linear: tasks.Linear = _table_of(problem).scaling.linear(np.ldexp(w, problem.exponent))
    return linear


def _r2(truth: np.ndarray, prediction: np.ndarray) -> float | None:
    """The share of the labels' variance that is predicted; None of labels without any."""
    size = np.abs(truth).max() or 1.0
    away = (truth - truth.mean()) / size
    total = float(away @ away)
    missed = (truth - prediction) / size
    return 1.0 - float(missed @ missed) / total if total > 0 else None


def of(records: Sequence[Record]) -> list[Record]:
    """The one answer of a run on a table; none of other runs, and of older ones."""
    return [record["answer"] for record in records if "answer" in record][:1]


def summary(records: Sequence[Record]) -> Summary:
    """The answer without its rows."""
    for found in of(records):
        held_out = found["held_out"] or {}
        scores = {key: held_out.get(key) for key in ("r2", "sklearn_r2")}
        rest = {key: value for key, value in found.items() if key not in ("held_out", "spreads")}
        return {"answer": {**rest, "rows_held_out": len(held_out.get("rows", ())), **scores}}
    return {}


def files(records: Sequence[Record]) -> Mapping[str, str]:
    """coefficients.csv, and predictions.csv where rows are held out."""
    made: dict[str, str] = {}
    for found in of(records):
        pairs = zip(found["coefficients"], found["sklearn_coefficients"], strict=True)
        lines = [[name, *pair] for name, pair in zip(found["columns"], pairs, strict=True)]
        last = ["(intercept)", found["intercept"], found["sklearn_intercept"]]
        made["coefficients.csv"] = _csv(["column", "coefficient", "scikit_learn"], [*lines, last])
        held_out = found["held_out"]
        if held_out:
            head = ["row", found["target"], "prediction", "scikit_learn"]
            keys = ("rows", "truth", "prediction", "sklearn_prediction")
            rows = zip(*(held_out[key] for key in keys), strict=True)
            made["predictions.csv"] = _csv(head, rows)
    return made


def _csv(head: Sequence[str], lines: Any) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([head, *lines])
    return text.getvalue()


def table(found: Mapping[str, Any]) -> "Table":
    """Coefficients beside scikit-learn's, as `summary` has them, with R2 below."""
    from rich.table import Table

    target = found["target"]
    caption = "no rows were held out"
    if found["rows_held_out"]:
        caption = (
            f"{counted(found['rows_held_out'], 'row')} held out, predicted from the others: R2 "
            f"{number(found['r2'])}, scikit-learn {number(found['sklearn_r2'])}"
        )
    caption += _of_lam(found.get("regulariser"))
    left_out = len(found["columns"]) - SHOWN
    if left_out > 0:
        caption += f"\n{left_out} more {'columns' if left_out > 1 else 'column'}: coefficients.csv"
    made = Table(
        *("column", "attention", "scikit-learn"),
        title=f"{target} = intercept + sum of coefficient x column, in the table's own units",
        caption=caption,
        title_justify="left",
        caption_justify="left",
    )
    pairs = zip(found["coefficients"], found["sklearn_coefficients"], strict=True)
    for name, (ours, theirs) in list(zip(found["columns"], pairs, strict=True))[:SHOWN]:
        made.add_row(name, f"{ours:.6g}", f"{theirs:.6g}")
    made.add_section()
    made.add_row("(intercept)", *(f"{found[k]:.6g}" for k in ("intercept", "sklearn_intercept")))
    return made


def _of_lam(found: Mapping[str, Any] | None) -> str:
    """What the regulariser is, and what another one would give; runs of before do not say."""
    if found is None:
        return ""
    own, other = (number(found[key]) for key in ("left_out_r2", "good_left_out_r2"))
    lam = f"{found['good_lam']:g}"
    said = (
        f"\nlam = {found['lam']:g}, which shrinks the coefficients of the standardised columns: R2 "
        f"{own} where each row is predicted from all others; "
    )
    if max(found["left_out_r2"], found["good_left_out_r2"]) <= 0:
        return f"{said}the columns predict nothing here, at any lam"
    if found["good_left_out_r2"] < found["left_out_r2"] + _VISIBLE:
        return f"{said}this lam is about the best"
    return f"{said}lam = {lam} has {other}: --config.lam={lam}, with another --workdir"


def number(value: float | None) -> str:
    """A share of the variance, R2, for people."""
    return "-" if value is None else f"{value:.4f}"
