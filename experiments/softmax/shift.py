"""Steps of the weights, and moves of the context, as shifts of labels and data."""

import dataclasses
import itertools
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
from ml_collections import ConfigDict

from elsa.report import style
from elsa.softmax_regression import Problem, softmax_attention
from experiments.harness.experiment import Case, Experiment, Place, Record, Summary
from experiments.softmax import checking, problems

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from rich.table import Table

WHERE = "softmax_shift"
KINDS, CONTEXTS = ("normalized", "rescaled"), ("drift", "attention")
START = 0.3  # of the planted weights: data stand for no step from zero
POINTS = 100  # of a curve in the records
ROUNDING = 1 + 1e-12  # of a bound that is attained


def cases(config: ConfigDict) -> Mapping[str, Case]:
    """Training of each problem and loss, and two sequences of contexts."""
    training = {
        f"training, {problem}, {kind}": {"sequence": "training", "problem": problem, "kind": kind}
        for problem in config.problems
        for kind in config.kinds
    }
    rows, dim = config.contexts.rows, config.contexts.dim
    contexts = {
        f"contexts by {name}": {
            "sequence": name,
            "problem": f"single {rows}x{dim}",
            "kind": "normalized",
        }
        for name in CONTEXTS
    }
    return {**training, **contexts}


def measure(config: ConfigDict, case: Case, place: Place) -> Record:
    """Shifts and bounds along one sequence, and how far the two losses are from one another."""
    planted = problems.planted(case["problem"], [config.seed, 4], case["kind"])
    if case["sequence"] == "training":
        curves = _training(config, *planted)
    else:
        curves = _contexts(config, *planted, case["sequence"])
    kept = np.unique(np.geomspace(1, len(curves["loss"]), POINTS).round().astype(int)) - 1
    pairs = [name for name in curves if f"{name} bound" in curves]
    return {
        **case,
        "steps": (kept + 1).tolist(),
        "curves": {name: np.asarray(curve)[kept].tolist() for name, curve in curves.items()},
        "within_bound": all(
            bool((curves[name] <= curves[f"{name} bound"] * ROUNDING).all()) for name in pairs
        ),
        "identity_error": float(curves["identity"].max()),
        "slack": {name: _slack(curves[name], curves[f"{name} bound"]) for name in pairs},
        "last_loss_share": float(curves["loss"][-1]),
    }


def _slack(sizes: np.ndarray, bounds: np.ndarray) -> float | None:
    """The median of bound over shift, where there is a shift."""
    moved = sizes > 0
    return float(np.median(bounds[moved] / sizes[moved])) if moved.any() else None


def _training(config: ConfigDict, problem: Problem, weights: np.ndarray) -> dict[str, np.ndarray]:
    """Along gradient descent: of each step and of all so far, of labels and of data."""
    start = START * weights
    hessian = np.asarray(problem.dense_hessian(start))
    step_size = config.step_share / float(np.abs(np.linalg.eigvalsh(hessian)).max())
    path = problem.gradient_path(start, step_size=step_size, steps=config.steps)
    shifts = problem.trajectory_shift(path)
    moving = "a2" if problem.a1 is None else "a1"

    @jax.jit
    @jax.vmap
    def losses(before: Any, after: Any, step: Any, total: Any) -> list[jax.Array]:
        return [
            problem.loss(after),
            dataclasses.replace(problem, b=step.labels.b).loss(before),
            dataclasses.replace(problem, **{moving: step.data.a}).loss(before),
            dataclasses.replace(problem, b=total.labels.b).loss(start),
            dataclasses.replace(problem, **{moving: total.data.a}).loss(start),
        ]

    there, *same = (np.asarray(loss) for loss in losses(path[:-1], path[1:], *shifts))
    scale = float(problem.loss(start))
    made = {"loss": there / scale, "identity": np.abs(np.stack(same) - there).max(axis=0) / scale}
    for name, shift in (("step", shifts.steps), ("total", shifts.total)):
        for what, moved in (("labels", shift.labels), ("data", shift.data)):
            made[f"{name}, {what}"] = np.asarray(moved.size)
            made[f"{name}, {what} bound"] = np.asarray(moved.bound)
    return made


def _contexts(
    config: ConfigDict, problem: Problem, weights: np.ndarray, sequence: str
) -> dict[str, np.ndarray]:
    """Along a sequence of contexts at fixed weights: of each move and of all so far."""
    x = START * weights
    contexts = [
        dataclasses.replace(problem, a2=a)
        for a in _sequence(config, np.asarray(problem.a2), sequence)
    ]
    first, made = contexts[0], []
    scale = float(first.loss(x))
    for before, after in itertools.pairwise(contexts):
        step, total = before.context_shift(x, after), first.context_shift(x, after)
        there = float(after.loss(x))
        same = (
            dataclasses.replace(before, b=step.b).loss(x),
            dataclasses.replace(first, b=total.b).loss(x),
        )
        error = max(abs(float(loss) - there) for loss in same) / scale
        made.append((there / scale, error, step.size, step.bound, total.size, total.bound))
    names = ("loss", "identity", "step, labels", "step, labels bound")
    more = ("total, labels", "total, labels bound")
    return {
        name: np.array([float(row[place]) for row in made])
        for place, name in enumerate((*names, *more))
    }


def _sequence(config: ConfigDict, first: np.ndarray, sequence: str) -> Iterator[np.ndarray]:
    """The first context, and those that follow."""
    rng, context, settings = np.random.default_rng([config.seed, 5]), first, config.contexts
    yield context
    for _ in range(settings.length):
        if sequence == "drift":
            context = context + settings.drift * rng.normal(size=context.shape)
        else:
            dim = context.shape[1]
            weight, value = rng.normal(size=(2, dim, dim)) / dim
            value *= settings.attention / np.linalg.norm(value, 2)
            context = np.asarray(softmax_attention(context, weight, value))
        yield context


def summarise(config: ConfigDict, records: list[Record]) -> Summary:
    """The largest error of the identity, whether every bound held, and the bounds' slack."""
    keys = ("sequence", "problem", "kind", "within_bound", "identity_error", "slack")
    return {
        "rows": [{key: record[key] for key in (*keys, "last_loss_share")} for record in records],
        "within_bound": all(record["within_bound"] for record in records),
        "largest_identity_error": max(record["identity_error"] for record in records),
    }


def tables(summary: Summary) -> list["Table"]:
    """One line a sequence."""
    from rich.table import Table

    table = Table(
        *("sequence", "problem", "loss", "loss at the end", "identity", "within bounds"),
        *("bound / shift, step", "bound / shift, total"),
        title="steps as shifts of the labels",
        caption="loss at the end: over the first; identity: largest difference of the two losses, "
        "over the first loss; bound / shift: median along the sequence",
        title_justify="left",
        caption_justify="left",
    )
    for row in summary["rows"]:
        table.add_row(
            row["sequence"],
            problems.shown(row["problem"]),
            row["kind"],
            f"{row['last_loss_share']:.2e}",
            f"{row['identity_error']:.1e}",
            "yes" if row["within_bound"] else "NO",
            *(_number(row["slack"][f"{name}, labels"]) for name in ("step", "total")),
        )
    return [table]


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g}"


def figures(config: ConfigDict, records: list[Record], summary: Summary) -> Mapping[str, "Figure"]:
    """Shifts of labels and data along training, and of labels along contexts; bounds dotted."""
    training = [record for record in records if record["sequence"] == "training"]
    contexts = [record for record in records if record["sequence"] != "training"]
    made = {
        f"{what}_shift": _grid(training, what, f"shift of the {what}")
        for what in ("labels", "data")
    }
    return {**made, "context_shift": _grid(contexts, "labels", "shift of the labels")}


def _grid(records: list[Record], what: str, label: str) -> "Figure":
    rows = (len(records) + 1) // 2
    figure, panels = style.figure(rows, 2, height=0.8 + 1.5 * rows, squeeze=False)
    for place, (axes, record) in enumerate(zip(panels.ravel(), records, strict=False)):
        _panel(axes, record, what)
        training = record["sequence"] == "training"
        style.finish(
            axes,
            x=("step" if training else "context") if place >= len(records) - 2 else "",
            y=label if place % 2 == 0 else "",
            title=f"{problems.shown(record['problem'])}\n{record['kind']}"
            if training
            else f"contexts by {record['sequence']}",
            legend=False,
        )
    for axes in panels.ravel()[len(records) :]:
        axes.axis("off")
    style.legend_outside(figure, panels[0, 0], place="upper", columns=3)
    return figure


def _panel(axes: "Axes", record: Record, what: str) -> None:
    steps, curves = np.array(record["steps"]), record["curves"]
    every = max(1, len(steps) // 8)
    for name, (part, shown) in enumerate({"step": "one step", "total": "all so far"}.items()):
        values, bound = (np.array(curves[f"{part}, {what}{end}"]) for end in ("", " bound"))
        moved = values > 0  # nothing moves any more where the gradient is rounding
        style.measured(axes, steps[moved], values[moved], name=name, label=shown, markevery=every)
        style.theory(axes, steps[moved], bound[moved], label=None, color=style.colour(name))
    style.kind(axes, "bound", [style.colour(0), style.colour(1)])
    with style.applied():
        axes.set_xscale("log")
    style.logarithmic(axes)


EXPERIMENT = Experiment(
    cases=cases,
    measure=measure,
    summarise=summarise,
    tables=tables,
    figures=figures,
    check=checking.softmax_shift,
)
