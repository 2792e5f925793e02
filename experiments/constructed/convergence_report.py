"""Tables and figures of the convergence experiment."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from ml_collections import ConfigDict

from elsa import constructions, report, theory
from elsa.base.counting import counted
from elsa.report import style
from experiments.constructed import answer_figure
from experiments.constructed import convergence_answer as answers
from experiments.constructed import convergence_problems as problems
from experiments.harness.experiment import Record, Summary

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from rich.table import Table

_ONE_PERCENT = 0.01
_PICTURED_DEPTH = 3  # steps of the stack whose prompt is drawn


def tables(summary: Summary) -> list["Table"]:
    """One table a problem: the largest distance over its tasks at several depths, and decays."""
    made = [_table(name, entry, summary) for name, entry in summary["problems"].items()]
    return made + ([answers.table(summary["answer"])] if "answer" in summary else [])


def _table(name: str, entry: Mapping[str, Any], summary: Summary) -> "Table":
    from rich.table import Table

    kappa, steps = entry["condition_number"], entry["depth"]
    batch = f"largest of {entry['tasks']} tasks" if entry["tasks"] > 1 else "|w_T - w| / |w|"
    reference = "scikit-learn's Ridge" if entry["tasks"] == 1 else "the ridge solution"
    title = [
        f"{name}: {counted(entry['context_length'], 'row')}, "
        f"{counted(entry['dim'], 'covariate')}, lam "
        f"{entry['lam']:.4g}, condition number {kappa:.6g}, step size {entry['step_size']:.4g}",
        f"distance to {reference} after T steps, {batch}",
    ]
    caption = [] if kappa > 1 else ["at condition number 1 one step is exact: there is no decay"]
    if entry["depth_needed"] > steps:
        caption.append(
            f"stopped at max_depth={steps}: theory asks for "
            f"{counted(entry['depth_needed'], 'step')} to reach "
            f"{summary['tolerance']:g} at this condition number"
        )
    for dtype in dict.fromkeys(row["dtype"] for row in entry["rows"]) if kappa > 1 else ():
        fitted = min(row["tasks_fitted"] for row in entry["rows"] if row["dtype"] == dtype)
        if fitted < entry["tasks"]:
            caption.append(
                f"{dtype}: decay fitted for {fitted} of {entry['tasks']} tasks; the others have "
                "fewer than 10 steps between transient and rounding"
            )
    table = Table(
        *("construction", "dtype", "layers", *(f"T = {depth}" for depth in entry["shown_depths"])),
        *("decay a step", "off by at most"),
        title="\n".join(title),
        caption="\n".join(caption),
        title_justify="left",
        caption_justify="left",
    )
    for row in entry["rows"]:
        off = row["decay_deviation"]
        table.add_row(
            *(row["method"], row["dtype"], "" if row["layers"] is None else str(row["layers"])),
            *(f"{distance:.2e}" for distance in row["distances"]),
            *(_number(row["decay_mean"]), "-" if off is None else f"{100 * off:.4f} %"),
            end_section=row is entry["rows"][-1],
        )
    decay = _number(entry["decay_theory"])
    table.add_row("theory, exact", "", "", *(f"{d:.2e}" for d in entry["exact"]), decay, "")
    table.add_row("theory, worst case", "", "", *(f"{b:.2e}" for b in entry["bound"]), decay, "")
    return table


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.6g}"


def figures(config: ConfigDict, records: list[Record], summary: Summary) -> Mapping[str, "Figure"]:
    """Distance against depth; for several condition numbers the decays; for a table its prompt, its
    coefficients and its predictions.
    """
    made = {"convergence": _curves(config, records, summary)}
    if sum(entry["decay_theory"] is not None for entry in summary["problems"].values()) > 1:
        made["decay"] = _decays(config, records)
    if "path" in config.data:
        made["prompt"] = _prompt(config)
    for answer in answers.of(records):
        made["answer"] = answer_figure.figure(answer)
    return made


def _curves(config: ConfigDict, records: list[Record], summary: Summary) -> "Figure":
    """A panel for each problem."""
    names = list(summary["problems"])
    cols = min(2, len(names))
    rows = math.ceil(len(names) / cols)
    height = 2.9 if len(names) == 1 else 0.75 + 1.5 * rows
    figure, grid = style.figure(rows, cols, height=height, squeeze=False)
    panels = list(grid.flat)
    for axes, name in zip(panels, names, strict=False):
        of_problem = [record for record in records if record["problem"] == name]
        _panel(axes, config, of_problem, alone=len(names) == 1)
    for axes in panels[len(names) :]:
        axes.remove()
    with style.applied():
        batch = "\n(median over tasks)" if records[0]["tasks"] > 1 else ""
        figure.supylabel(f"relative distance to ridge{batch}", fontsize=style.FONT_SIZE)
        figure.supxlabel("depth T (steps)", fontsize=style.FONT_SIZE)
    style.legend_outside(figure, panels[0], place="upper")
    return figure


def _panel(axes: "Axes", config: ConfigDict, records: list[Record], *, alone: bool) -> None:
    """Medians over tasks: float64 with markers, other dtypes thin; theory dotted above them."""
    first = records[0]
    depths = np.array(first["depths"])
    for place, method in enumerate(config.methods):
        for record in (record for record in records if record["method"] == method):
            wide = record["dtype"] == "float64"
            curve = np.array(record["measured"]["median"])
            count = len(config.methods)  # four marks each, at places of its own
            marks = np.linspace(0, depths[-1], 4 * count + 1)[place + 1 :: count]
            look: dict[str, Any] = {"markevery": np.searchsorted(depths, marks).tolist()}
            if not wide:
                look = {"marker": "", "linewidth": 0.7, "alpha": 0.8}
            label = method.replace("_", " ") if wide else "_"
            style.measured(axes, depths, curve, name=method, label=label, **look)
    with style.applied():
        if any(record["dtype"] != "float64" for record in records):
            colours = [style.colour(method) for method in config.methods]
            look = {"linestyle": "-", "linewidth": 0.7}
            style.kind(axes, "the same in float32", colours, **look)
        if first["tasks"] > 1:
            band = first["exact"]["smallest"], first["exact"]["largest"]
            axes.fill_between(
                depths, *band, color="#000000", alpha=0.12, lw=0, label="theory, range over tasks"
            )
    lowest = max(min(min(record["measured"]["smallest"]) for record in records) / 10, 1e-17)
    exact, bound = (
        np.maximum(curve, lowest) for curve in (first["exact"]["median"], first["bound"])
    )
    style.theory(axes, depths, exact, label="theory, exact")
    style.theory(axes, depths, bound, label="theory, worst case", color="#999999", linestyle="--")
    axes.set_yscale("log")
    axes.set_ylim(lowest, 5.0)
    axes.locator_params(axis="x", nbins=5 if alone else 3, integer=True)
    shape = f"{first['context_length']} × {first['dim']}"
    title = f"κ = {first['condition_number']:.4g}, X {shape}"
    with style.applied():
        axes.set_title(title, loc="left")


def _decays(config: ConfigDict, records: list[Record]) -> "Figure":
    """The decay against the condition number, and how far any task's is from theory at most."""
    figure, (above, below) = style.figure(2, height=3.7, sharex=True)
    fitted = [record for record in records if record["decay_mean"] is not None]
    kappas = np.array(sorted({record["condition_number"] for record in fitted}))
    dense = np.geomspace(kappas[0] / 1.5, kappas[-1] * 1.5, 100)
    sizes = np.linspace(8, 2, len(config.methods))  # they coincide: the later, the smaller
    for place, method in enumerate(config.methods):
        aside = 1.12 ** (place - (len(config.methods) - 1) / 2)  # so that none hides another
        for dtype in config.dtypes:
            of_curve = [r for r in fitted if (r["method"], r["dtype"]) == (method, dtype)]
            x = np.array([record["condition_number"] for record in of_curve]) * aside
            look: dict[str, Any] = {"linestyle": "none"}
            if dtype == "float64":
                means = np.array([record["decay_mean"] for record in of_curve])
                style.measured(
                    above, x / aside, means, name=method, markersize=sizes[place], **look
                )
                look["markerfacecolor"] = style.colour(method)
            off = np.array([record["decay_deviation"] for record in of_curve])
            style.measured(below, x, off, name=method, **look)
    rates = np.array([theory.decay_rate(kappa) for kappa in dense])
    style.theory(above, dense, rates, label="theory, −log((κ−1)/(κ+1))")
    style.theory(below, dense[[0, -1]], np.full(2, _ONE_PERCENT))
    with style.applied():
        below.annotate(
            "1 %", (dense[-1], _ONE_PERCENT), (0, 2), textcoords="offset points", ha="right"
        )
        for axes in (above, below):
            axes.set_yscale("log")
        above.set_xscale("log")
        above.set_ylim(top=8 * rates.max())  # room for the legend
        below.set_xticks(kappas, [f"{kappa:g}" for kappa in kappas])
        below.set_xticks([], minor=True)
    style.finish(above, x="", y="decay per step, float64")
    y = "largest |measured / theory − 1|"
    title = "filled: float64, open: float32"
    style.finish(below, x="condition number κ of XᵀX + λI", y=y, title=title, legend=False)
    return figure


def _prompt(config: ConfigDict) -> "Figure":
    """The natural prompt of the table and the weights that act on it."""
    (settings,) = problems.names(config).values()
    problem = problems.build(settings)
    _, n, d = problem.x.shape
    stack = constructions.ridge_elsa(n, d, _PICTURED_DEPTH, problem.step_size)
    return report.prompt_figure(stack, X=problem.x[0], y=problem.y[0], lam=problem.lam)
