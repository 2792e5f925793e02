"""What the comparison of stacks with and without biases prints and draws."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from ml_collections import ConfigDict

from elsa import tasks
from elsa.base.counting import counted
from elsa.report import style
from experiments.harness.experiment import Record, Summary
from experiments.trained import biases, measure, report
from experiments.trained.predictions import Run
from experiments.trained.spec import Figures

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from rich.table import Table

AXES = {  # panel -> field of a record, and its label
    "mean": ("mean_norm", "norm of the tasks' mean |b*|"),
    "intercept": ("intercept", "standard deviation of the intercept"),
    "depth": ("depth", "layers"),
}
_TITLES = {
    "mean": "tasks with a mean, one layer",
    "intercept": "affine tasks, one layer",
    "depth": "affine tasks, intercepts of variance 1",
}
_STROKES = {
    biases.ELSA: ":",
    biases.ROLES: ":",
    biases.LSA: (0, (4, 2)),
    biases.HEADS: (0, (6, 1.5, 1, 1.5)),
}
_BOUNDS: Mapping[str, Any] = {biases.FLOOR: (0, (8, 1.5, 1, 1.5, 1, 1.5)), biases.BAYES: "-"}
_PLACES = 33  # of a line of theory
_SHORT = 0.15  # to either side, of a line where there is but one place


def summarise(config: ConfigDict, records: list[Record]) -> Summary:
    """Every point, and for each class how far it is from its closed form, or above its bound."""
    exact = [r for r in records if not r["bound"] and r["risk"] is not None]
    bounded = [r for r in records if r["bound"] and r["risk"] is not None]

    def worst(label: str, found: Sequence[Record], pick: Any) -> float | None:
        gaps = [
            (risk / r["target"] - 1.0) for r in report.by(found, label=label) for risk in _of(r)
        ]
        return pick(gaps) if gaps else None

    summary = report.summarise(config, records)
    return {
        **summary,
        "largest_deviation": {
            label: worst(label, exact, lambda gaps: max(map(abs, gaps))) for label in biases.LABELS
        },
        "lowest_above_bound": {label: worst(label, bounded, min) for label in biases.LABELS},
    }


def _of(record: Mapping[str, Any]) -> list[float]:
    """The risks of the seeds that came to their end."""
    return [risk for risk in record["risks"] if risk is not None]


def tables(summary: Summary) -> list["Table"]:
    """One row a point: the seeds' risks, theory, and what is left without the worst prompts."""
    from rich.table import Table

    found = [row for row in summary["rows"] if row["risk"] is not None and not row["bound"]]
    prompts = max((row["evaluation_error"] / row["risk"] for row in found), default=0.0)
    made = Table(
        *("panel", "model", "at", "risk", "± s.e.", "theory", "excess", "every seed"),
        *("without the worst 0.1 %",),
        title=(
            "risk of trained stacks beside the closed forms of one layer, or the bound of deeper\n"
            f"ones; {counted(summary['num_seeds'], 'seed')}, "
            f"{summary['eval_prompts']:,} fresh prompts"
        ),
        caption=(
            f"± s.e.: over seeds; the prompts, the same for all, add up to {100 * prompts:.2g} %\n"
            "for one layer; single prompts dominate the mean of four;\n"
            "theory of deeper stacks: LSA's floor at any depth, and the Bayes risk for all others"
        ),
        title_justify="left",
        caption_justify="left",
    )
    for index, row in enumerate(summary["rows"]):
        following = summary["rows"][index + 1 : index + 2]
        name, _ = AXES[row["panel"]]
        made.add_row(
            row["panel"],
            row["label"],
            f"{row[name]:.3g}",
            report.diverged_words(row) if row["risk"] is None else f"{row['risk']:.4f}",
            "-" if row["standard_error"] is None else f"{row['standard_error']:.2g}",
            f"{'>= ' if row['bound'] else ''}{row['target']:.4f}",
            "-" if row["excess"] is None or row["bound"] else f"{100 * row['excess']:+.2f} %",
            " ".join("diverged" if risk is None else f"{risk:.4g}" for risk in row["risks"]),
            " ".join("-" if v is None else f"{v:.3f}" for v in row.get("trimmed_mean", [])) or "-",
            end_section=not following or following[0]["run"] != row["run"],
        )
    return [made]


def figures(config: ConfigDict, records: list[Record], summary: Summary) -> Figures:
    """Risk against the mean, the intercept and depth, the closed forms beside."""
    shown = [panel for panel in AXES if report.by(records, panel=panel)]
    figure, grid = style.figure(len(shown), height=1.6 + 1.9 * len(shown), squeeze=False)
    for axes, panel in zip(grid[:, 0], shown, strict=True):
        own = report.by(records, panel=panel)
        for label in biases.LABELS:
            _draw(axes, report.by(own, label=label), label, AXES[panel][0])
        if panel == "depth":
            _draw_bounds(axes, own)
        else:
            _draw_optima(axes, config, own, panel)
        style.logarithmic(axes)
        if panel == "depth":
            axes.set_xticks(sorted({record["depth"] for record in own}))
        style.finish(
            axes, x=AXES[panel][1], y="risk (squared error)", title=_TITLES[panel], legend=False
        )
    style.bars(grid[0, 0], "± s.e., seeds and prompts")
    style.legend_outside(figure, columns=1)
    return {"risk": figure}


def _draw(axes: "Axes", records: Sequence[Record], label: str, axis: str) -> None:
    """The mean over the seeds with its error; of deep stacks every seed and the trimmed mean."""
    found = sorted((r for r in records if r["risk"] is not None), key=lambda r: float(r[axis]))
    if not found:
        return
    index = biases.LABELS.index(label)
    # what coincides, ELSA and LSA that is told roles, shows around each other
    beneath: dict[str, Any] = {"markersize": 7.0, "zorder": 1.5}
    look = {"linestyle": "none", **(beneath if label == biases.ROLES else {})}
    deep = [r for r in found if "trimmed_mean" in r]
    style.measured(
        axes,
        [r[axis] for r in found],
        [r["risk"] for r in found],
        name=index,
        label=f"{label}, trained",
        error=[report.total_error(r) for r in found],
        **look,
    )
    for record in deep:
        kept = [value for value in record["trimmed_mean"] if value is not None]
        style.measured(
            axes,
            [record[axis]] * len(kept),
            kept,
            name=index,
            label="every seed, without the worst 0.1 % of prompts",
            linestyle="none",
            marker=".",
            markersize=3,
        )


def _draw_bounds(axes: "Axes", records: Sequence[Record]) -> None:
    """The floor of LSA and the Bayes risk, between all depths; the optima of one layer."""
    depths = [min(r["depth"] for r in records), max(r["depth"] for r in records)]
    lines: dict[str, float] = next((r["lines"] for r in records if r["bound"]), {})
    for name, value in lines.items():
        stroke = _BOUNDS[name]
        style.theory(
            axes, depths, [value, value], label=f"theory: {name}", linestyle=stroke, linewidth=0.8
        )
    for record in report.by(records, depth=1):
        place, look = [0.85, 1.15], {"linestyle": _STROKES[record["label"]]}
        style.theory(axes, place, [record["target"]] * 2, label=None, **look)


def _draw_optima(axes: "Axes", config: ConfigDict, records: Sequence[Record], panel: str) -> None:
    """The closed form of every class along the panel's axis, each line once."""
    drawn: list[np.ndarray] = []
    for label in biases.LABELS:
        of_label = report.by(records, label=label)
        if not of_label:
            continue
        case = measure.cases(config)[of_label[0]["run"]]
        name = AXES[panel][0]
        first, last = min(r[name] for r in records), max(r[name] for r in records)
        places = np.linspace(first, last, _PLACES if first < last else 1)
        risks = np.array([_optimum(config, case, panel, place) for place in places])
        if len(places) == 1:  # a line through one point does not show
            places, risks = np.array([first - _SHORT, first + _SHORT]), np.repeat(risks, 2)
        if any(np.array_equal(risks, other) for other in drawn):
            continue
        drawn.append(risks)
        shown = "ELSA, and LSA with role channels" if label == biases.ELSA else label
        style.theory(
            axes, places, risks, label=f"theory: {shown}", linestyle=_STROKES[label], linewidth=0.9
        )


def _optimum(config: ConfigDict, case: Mapping[str, Any], panel: str, place: float) -> float:
    """The closed form of a run's class where the mean, or the intercept, is of this size."""
    dim = case["task"]["dim"]
    moved: dict[str, Any] = {"intercept_var": place**2}
    if panel == "mean":
        moved = {"task_mean": (place / dim**0.5,) * dim}
    task = tasks.build({**case["task"], **moved})
    found = biases.predict(task, moved, Run(config=config, model=case["model"]))
    return float(found["target"])
