"""One step of each construction against the gradient of the ridge loss."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from ml_collections import ConfigDict

from elsa import constructions, theory
from elsa.report import style
from experiments.constructed import checking
from experiments.harness.experiment import Case, Experiment, Place, Record, Summary

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from rich.table import Table

CONSTRUCTIONS: dict[str, Callable[..., constructions.RidgeStack]] = {
    name: getattr(constructions, name) for name in checking.CONSTRUCTIONS
}


def cases(config: ConfigDict) -> Mapping[str, Case]:
    """A case for each construction and dtype; the grid is measured within it."""
    pairs = itertools.product(config.dtypes, CONSTRUCTIONS)
    return {f"{name} in {dtype}": {"construction": name, "dtype": dtype} for dtype, name in pairs}


def measure(config: ConfigDict, case: Case, place: Place) -> list[Record]:
    """One record a point of the grid."""
    records = []
    for index, shape in enumerate(config.shapes):
        n, d = checking.sizes_of_a_step(shape)
        tasks = _draw(np.random.default_rng([config.seed, index]), n, d, config.batch)
        rounded = {name: jnp.asarray(array, case["dtype"]) for name, array in tasks.items()}
        for lam, result in zip(config.lams, _compare(case, rounded, config.lams), strict=True):
            records.append({**case, "shape": shape, "lam": lam, **result})
    return records


def _draw(rng: np.random.Generator, n: int, d: int, batch: int) -> dict[str, np.ndarray]:
    """Normal covariates scaled to spectral norms in [1/2, 1], normal labels and current weights."""
    X = rng.normal(size=(batch, n, d))
    norms = rng.uniform(0.5, 1.0, size=(batch, 1, 1))
    return {
        "X": norms * X / np.linalg.norm(X, 2, axis=(1, 2), keepdims=True),
        "y": rng.normal(size=(batch, n, 1)),
        "w": rng.normal(size=(batch, d, 1)),
    }


def _compare(case: Case, tasks: Mapping[str, jax.Array], lams: Sequence[float]) -> list[Record]:
    """Errors of one step on a batch of tasks, or why lambda is refused; one record a lambda."""
    kind, unit = case["dtype"], theory.unit_roundoff(case["dtype"])
    exact = {name: np.asarray(array, np.float64) for name, array in tasks.items()}
    used = np.asarray(lams, kind).astype(np.float64)  # the stack's numbers, to the last bit
    steps = 1.0 / (1.0 + used)  # at most one over the largest eigenvalue of X^T X + lam I
    make, (_, n, d) = CONSTRUCTIONS[case["construction"]], exact["X"].shape
    stacks = [make(n, d, 1, float(step_size), dtype=kind) for step_size in steps]
    reasons = [_refusal(stack, tasks, lam) for stack, lam in zip(stacks, used, strict=True)]
    # all weights at once: a leading axis for lambda, so that each shape is compiled once
    graph: Any
    graph, _ = nnx.split(stacks[0])
    weights = jax.tree.map(
        lambda *leaves: np.stack(leaves), *(nnx.split(stack)[1] for stack in stacks)
    )

    @jax.jit
    def run(weights: Any, lams: jax.Array) -> jax.Array:
        def step(weights: Any, lam: jax.Array) -> jax.Array:
            def answer(task: Mapping[str, jax.Array]) -> jax.Array:
                w: jax.Array = nnx.merge(graph, weights)(**task, lam=lam)["w"]
                return w

            return jax.vmap(answer)(tasks)

        each: Callable[..., jax.Array] = jax.vmap(step)
        return each(weights, lams)

    with np.errstate(invalid="ignore"):  # where lambda is refused
        stepped = np.asarray(run(weights, jnp.asarray(used, kind)), np.float64)
    records: list[Record] = []
    for lam, step_size, w, reason in zip(used, steps, stepped, reasons, strict=True):
        if reason is not None:
            records.append({"admitted": False, "reason": reason})
            continue
        analytic, by_jax = _gradients(exact, lam)
        update = (exact["w"] - w) / step_size
        size = np.linalg.norm(analytic, axis=(1, 2))
        error = np.linalg.norm(update - analytic, axis=(1, 2)) / size
        error_jax = np.linalg.norm(update - by_jax, axis=(1, 2)) / size
        loss = theory.ridge_step_bound(
            **exact, lam=lam, step_size=step_size, unit=unit + theory.unit_roundoff(np.float64)
        )
        bound = np.linalg.norm(loss, axis=(1, 2)) / size
        records.append(
            {
                "admitted": True,
                "error": float(error.max()),
                "median": float(np.median(error)),
                "error_jax_grad": float(error_jax.max()),
                "bound": float(bound.max()),
                "within_bound": bool((np.maximum(error, error_jax) <= bound).all()),
                "step_size": float(step_size),
                "tasks": len(error),
            }
        )
    return records


def _refusal(stack: constructions.RidgeStack, tasks: Mapping[str, jax.Array], lam: float) -> Any:
    """Why a construction does not take lambda = 0, in its own words; None where it does."""
    if lam > 0:
        return None
    try:
        first = {name: array[0] for name, array in tasks.items()}
        jax.eval_shape(lambda w: stack(**{**first, "w": w}, lam=lam), first["w"])
    except ValueError as error:
        return str(error)
    return None


@jax.jit
def _gradients(tasks: Mapping[str, jax.Array], lam: float) -> tuple[jax.Array, jax.Array]:
    """The gradient of the ridge loss by formula and by automatic differentiation."""
    by_formula: Callable[..., jax.Array]
    by_jax: Callable[..., jax.Array]
    by_formula = jax.vmap(lambda task: theory.ridge_gradient(**task, lam=lam))
    by_jax = jax.vmap(lambda task: jax.grad(_loss_of_w)(task["w"], task["X"], task["y"], lam))
    return by_formula(tasks), by_jax(tasks)


def _loss_of_w(w: jax.Array, X: jax.Array, y: jax.Array, lam: float) -> jax.Array:
    return theory.ridge_loss(X, y, w, lam)


def summarise(config: ConfigDict, records: list[Record]) -> Summary:
    """The largest errors by shape and by regulariser, and the regularisers that were refused."""
    taken = [record for record in records if record["admitted"]]
    refused = [record for record in records if not record["admitted"]]

    def largest(key: str, value: Any, column: tuple[str, str]) -> float | None:
        errors = [
            max(record["error"], record["error_jax_grad"])
            for record in taken
            if record[key] == value and (record["construction"], record["dtype"]) == column
        ]
        return max(errors, default=None)

    columns = [(name, dtype) for dtype in config.dtypes for name in CONSTRUCTIONS]
    return {
        "columns": [list(column) for column in columns],
        "by_shape": {
            shape: [largest("shape", shape, column) for column in columns]
            for shape in config.shapes
        },
        "by_lam": {
            f"{lam:g}": [largest("lam", lam, column) for column in columns] for lam in config.lams
        },
        "largest_error": {
            dtype: max((r["error"] for r in taken if r["dtype"] == dtype), default=None)
            for dtype in config.dtypes
        },
        "largest_error_jax_grad": {
            dtype: max((r["error_jax_grad"] for r in taken if r["dtype"] == dtype), default=None)
            for dtype in config.dtypes
        },
        "within_bound": all(record["within_bound"] for record in taken),
        "not_admitted": sorted({f"{r['construction']}, lambda = {r['lam']:g}" for r in refused}),
        "reasons": sorted({record["reason"] for record in refused}),
        "tasks": sum(record["tasks"] for record in taken),
    }


def tables(summary: Summary) -> list["Table"]:
    """Largest relative error by shape and by regulariser, a column for each case."""
    from rich.table import Table

    def table(title: str, head: str, rows: Mapping[str, list[float | None]]) -> "Table":
        heads = [f"{name.replace('_', ' ')}\n{dtype}" for name, dtype in summary["columns"]]
        made = Table(head, *heads, title=title, title_justify="left")
        for label, values in rows.items():
            made.add_row(label, *("not admitted" if v is None else f"{v:.1e}" for v in values))
        return made

    title = "largest error of one step, relative to the gradient"
    by_shape = table(f"{title}, over lambda", "N x d", summary["by_shape"])
    by_lam = table(f"{title}, over N x d", "lambda", summary["by_lam"])
    by_lam.caption = "\n".join(
        [
            f"{summary['tasks']} tasks, {'all' if summary['within_bound'] else 'NOT all'} within "
            "the rounding bound",
            *(f"not admitted: {reason}" for reason in summary["reasons"]),
        ]
    )
    by_lam.caption_justify = "left"
    return [by_shape, by_lam]


def figures(config: ConfigDict, records: list[Record], summary: Summary) -> Mapping[str, "Figure"]:
    """The error at every point of the grid, the rounding bound dotted; a panel for each dtype."""
    figure, panels = style.figure(
        len(config.dtypes), height=1.1 + 1.35 * len(config.dtypes), sharex=True, squeeze=False
    )
    points = [(shape, lam) for shape in config.shapes for lam in config.lams]
    for axes, dtype in zip(panels[:, 0], config.dtypes, strict=True):
        for name in CONSTRUCTIONS:
            of_case = [
                record
                for record in records
                if (record["construction"], record["dtype"]) == (name, dtype) and record["admitted"]
            ]
            places = np.array(
                [points.index((record["shape"], record["lam"])) for record in of_case]
            )
            errors = np.array([record["error"] for record in of_case])
            style.measured(axes, places, errors, name=name, linestyle="none")
        # the bound is the same for all; the last construction admits every lambda
        for first in range(0, len(points), len(config.lams)):
            span = range(first, first + len(config.lams))
            bounds = np.array([of_case[place]["bound"] for place in span])
            label = "rounding bound" if first == 0 else None
            style.theory(axes, np.array(span), bounds, label=label)
        axes.set_yscale("log")
        axes.grid(visible=False, axis="x")
        middles = [len(config.lams) * (i + 0.5) - 0.5 for i in range(len(config.shapes))]
        labels = [shape.replace("x", "×") for shape in config.shapes]
        axes.set_xticks(middles, labels, rotation=40, ha="right", rotation_mode="anchor")
        style.finish(axes, x="", y="error / |gradient|", title=dtype, legend=False)
    ordered = ", ".join(f"{lam:g}" for lam in config.lams)
    panels[-1, 0].set_xlabel(f"N×d, rows and covariates\n(from left to right λ = {ordered})")
    style.legend_outside(figure, panels[0, 0], place="upper")
    return {"errors": figure}


EXPERIMENT = Experiment(
    cases=cases,
    measure=measure,
    summarise=summarise,
    tables=tables,
    figures=figures,
    check=checking.single_step,
)
