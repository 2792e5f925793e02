"""Tables and figures of the layout ablation."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from ml_collections import ConfigDict

from elsa.report import style
from experiments.harness.experiment import Record, Summary

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from rich.table import Table

TWO_LINES = {
    "ridge_lsa": "ridge\nlsa",
    "ridge_lsa_state": "ridge\nlsa state",
    "ridge_elsa": "ridge\nelsa",
    "ridge_elsa_one_layer": "ridge elsa\none layer",
}
_THEORY = "first-order theory"
FLOOR = 1e-16  # the bottom of both figures
DIVERGED = 1e3  # error for a unit of noise, above which tasks of the batch have diverged


def tables(summary: Summary) -> list["Table"]:
    """Every perturbation with all constructions side by side; then noise; then the refusals."""
    return [_perturbations(summary), _noise(summary)]


def _perturbations(summary: Summary) -> "Table":
    from rich.table import Table

    perturbations = summary["perturbations"]
    size, tasks = summary["noise_size"], summary["tasks"]
    table = Table(
        "perturbation",
        *perturbations,
        title=f"relative error, fixed weights / rebuilt weights (largest of {tasks} tasks)",
        title_justify="left",
    )
    cells = {
        name: {r["perturbation"]: r for r in records} for name, records in perturbations.items()
    }
    for label in _labels(perturbations):
        row = [_cell(cells[name].get(label)) for name in perturbations]
        if label == "noise on X":
            table.add_section()
        table.add_row(label, *row)
    reasons = sorted(
        {r["refusal"] for records in perturbations.values() for r in records if r["refusal"]}
    )
    table.caption = "\n".join(
        [
            "solves: the changed prompt poses another problem; the error is to its solution.",
            "rebuild: weights built and prompt packed anew solve what fixed weights do not.",
            "Prompts of arXiv:2503.23814: ridge_lsa_state (designed), ridge_elsa (natural); other "
            "constructions are this library's own.",
            f"Noise has {size:g} of the block's root mean square. Layouts refused:",
            *(f"- {reason}" for reason in reasons),
        ]
    )
    table.caption_justify = "left"
    return table


def _cell(record: Record | None) -> str:
    if record is None:
        return ""
    error = "inf" if record["error"] is None else f"{record['error']:.0e}"
    if record["refusal"] is not None:
        return f"{error} / refused  {record['verdict']}"
    rebuilt = "-" if record["rebuilt"] is None else f"{record['rebuilt']:.0e}"
    return f"{error} / {rebuilt}  {record['verdict']}"


def _noise(summary: Summary) -> "Table":
    from rich.table import Table

    noise, size = summary["noise"], summary["noise_size"]
    table = Table(
        "noise on",
        *noise,
        title=f"root mean square error at noise {size:g}: measured (first-order theory)",
        title_justify="left",
    )
    for target in _in_order(noise, "target"):
        row = []
        for records in noise.values():
            of_target = [r for r in records if r["target"] == target and r["size"] == size]
            row.append(
                f"{of_target[0]['mean_square'] ** 0.5:.2e} ({of_target[0]['theory'] ** 0.5:.2e})"
                if of_target
                else ""
            )
        table.add_row(target, *row)
    return table


def figures(config: ConfigDict, records: list[Record], summary: Summary) -> Mapping[str, "Figure"]:
    """The table as a heat map, and the error for each unit of noise against its size."""
    return {"perturbations": _heat_map(summary), "noise": _curves(summary)}


def _heat_map(summary: Summary) -> "Figure":
    from matplotlib.colors import LogNorm

    perturbations = summary["perturbations"]
    labels, names = _labels(perturbations), list(perturbations)
    poses = {
        r["perturbation"]
        for records in perturbations.values()
        for r in records
        if r["distance"] > 1e-8
    }
    values, texts = np.full((len(labels), 2 * len(names)), np.nan), {}
    for column, name in enumerate(names):
        for record in perturbations[name]:
            row = labels.index(record["perturbation"])
            for side, error in enumerate((record["error"], record["rebuilt"])):
                place = (row, 2 * column + side)
                if side and (record["rebuilt"] is None):
                    texts[place] = "×" if record["refusal"] else ""
                    continue
                values[place] = np.inf if error is None else error
                texts[place] = _power(values[place])
    figure, axes = style.figure(height=0.9 + 0.135 * len(labels))
    with style.applied():
        shown = np.clip(values, FLOOR, 1.0)
        image = axes.imshow(shown, norm=LogNorm(FLOOR, 1.0), cmap="viridis_r", aspect="auto")
        for (row, column), text in texts.items():
            dark = np.isfinite(values[row, column]) and values[row, column] > 1e-9
            dark = dark or np.isinf(values[row, column])
            axes.text(
                column, row, text, ha="center", va="center", fontsize=style.SMALL,
                color="white" if dark else "black",
            )  # fmt: skip
        axes.set_yticks(
            range(len(labels)), [f"{label}*" if label in poses else label for label in labels]
        )
        axes.set_xticks(range(2 * len(names)), ["fixed", "rebuilt"] * len(names), rotation=90)
        axes.xaxis.tick_top()
        for column, name in enumerate(names):
            axes.text(2 * column + 0.5, len(labels) - 0.2, TWO_LINES[name], ha="center", va="top")
            axes.axvline(2 * column + 1.5, color="white", linewidth=3)
        axes.grid(visible=False)
        axes.tick_params(length=0)
        for spine in axes.spines.values():
            spine.set_visible(False)
        bar = figure.colorbar(image, ax=axes, orientation="horizontal", pad=0.06, aspect=40)
        bar.set_label("largest relative error (in cells: power of 10)", x=0.2)
        figure.supxlabel(
            "* another problem is posed; the error is to its solution\n"
            "×: layout refused   ∞: diverges   empty: nothing to rebuild",
            fontsize=style.SMALL,
        )
    return figure


def _power(error: float) -> str:
    if error > 1e3:
        return "∞"
    power = round(float(np.log10(max(error, FLOOR))))
    return f"−{-power}" if power < 0 else f"{power}"


def _curves(summary: Summary) -> "Figure":
    noise = summary["noise"]
    figure, panels = style.figure(len(noise), height=1.5 * len(noise) + 0.9, sharex=True)
    targets = _in_order(noise, "target")
    style.kind(panels[0], _THEORY, [style.colour(place) for place in range(len(targets))])
    for axes, (name, records) in zip(panels, noise.items(), strict=True):
        taken = [record for record in records if record["mean_square"] is not None]
        for place, target in enumerate(targets):
            _curve(axes, [r for r in taken if r["target"] == target], place, target)
        axes.set_xscale("log")
        gains = [r["mean_square"] ** 0.5 / r["size"] for r in taken]
        if min(gains) < 0.01:
            axes.set_yscale("log")
            with style.applied():
                diverges = "; rising: diverges" if max(gains) > DIVERGED else ""
                note = f"falling: forgotten, rounding only{diverges}"
                axes.text(0.02, 0.04, note, transform=axes.transAxes, fontsize=style.SMALL)
        else:
            axes.set_ylim(0.0, None)
        style.finish(axes, x="", y="error / noise", title=name.replace("_", " "), legend=False)
    panels[-1].set_xlabel("noise / size of the block (bars: 2 standard errors)")
    style.legend_outside(figure, place="upper", columns=3, last=_THEORY)
    return figure


def _curve(axes: "Axes", own: list[Record], place: int, target: str) -> None:
    if not own:
        return
    sizes = np.array([record["size"] for record in own])
    gains = np.sqrt([record["mean_square"] for record in own]) / sizes
    style.measured(axes, sizes, gains, name=place, label=f"on {target}", linewidth=0.6)
    spread = [r["standard_error"] / (r["mean_square"] ** 0.5 * r["size"]) for r in own]
    axes.errorbar(sizes, gains, spread, fmt="none", ecolor=style.colour(place), elinewidth=0.8)
    expected = np.sqrt([record["theory"] for record in own]) / sizes
    if expected.any():
        style.theory(axes, sizes, expected, label=None, color=style.colour(place))


def _labels(found: Mapping[str, list[Record]]) -> list[str]:
    """The perturbations of all constructions."""
    return _in_order(found, "perturbation")


def _in_order(found: Mapping[str, list[Record]], key: str) -> list[str]:
    """The names in the records of all constructions, in an order that keeps that of each."""
    names: list[str] = []
    for records in found.values():
        place = 0
        for name in (record[key] for record in records):
            if name not in names:
                names.insert(place, name)
            place = names.index(name) + 1
    return names
