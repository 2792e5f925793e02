"""Tables and figures of the algorithms that stacks are matched with."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from ml_collections import ConfigDict

from elsa.report import style
from experiments.harness.experiment import Record, Summary

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from rich.table import Table

FLOOR = 1e-4  # the smallest distance in the figure
SHORT = {"gradient descent": "descent", "preconditioned": "precond."}
_DISTANCES = {"predictions": "predictions", "sensitivities": "d prediction / d query"}


def tables(summary: Summary) -> list["Table"]:
    """Who is named what, at which distances; and how often with noise."""
    from rich.table import Table

    rows = summary["rows"]
    names = list(rows[0]["sensitivities"]) if rows else []
    title = "distance of d prediction / d query to each algorithm, its numbers fitted"
    match = Table("stack", "named", *names, title=title, title_justify="left")
    for row in rows:
        cells = [_number(row["sensitivities"][name]) for name in names]
        match.add_row(row["case"], row["named"], *cells)
    noise = Table(
        *("noise (relative)", "named rightly", "stacks", "distance to its own"),
        title="compiled stacks with noise in their weights",
        title_justify="left",
    )
    for row in summary["noise"]:
        share = f"{100 * row['share']:.0f} %"
        noise.add_row(f"{row['noise']:g}", share, str(row["stacks"]), _number(row["distance"]))
    return [match, noise]


def _number(value: float | None) -> str:
    return "inf" if value is None else f"{value:.1e}"


def figures(config: ConfigDict, records: list[Record], summary: Summary) -> Mapping[str, "Figure"]:
    """Distances and cosines after each step as matrices; the share named against the noise."""
    shown = [record for record in records if record["kind"] != "noise"]
    return {"match": _matrices(shown), "noise": _noise(summary)}


def _matrices(records: list[Record]) -> "Figure":
    """A row for each step of each stack, a column for each algorithm, a panel for each measure."""
    from matplotlib.colors import LogNorm, Normalize

    names, count = records[0]["algorithms"], sum(len(r["predictions"]) for r in records)
    height = 1.6 + 0.11 * count + 0.06 * len(records)
    figure, panels = style.figure(1, 3, height=height, width=2 * style.WIDTH, sharey=True)
    images = []
    for axes, measure in zip(panels, ("predictions", "sensitivities", "directions"), strict=True):
        matrix = np.array([row for r in records for row in r[measure]], np.float64)
        if measure == "directions":
            norm, colours, title = Normalize(-1.0, 1.0), "RdBu", "cosine of the changes"
        else:
            norm, colours, title = LogNorm(FLOOR, 1.0), "viridis_r", _DISTANCES[measure]
            matrix = np.clip(np.nan_to_num(matrix, nan=np.inf), FLOOR, 1.0)
        with style.applied():
            images.append(axes.imshow(matrix, norm=norm, cmap=colours, aspect="auto"))
            axes.set_xticks(range(len(names)), [SHORT.get(n, n) for n in names], rotation=90)
            axes.set_title(title, loc="left")
            axes.grid(visible=False)
            axes.tick_params(length=0)
            axes.set_xlabel("algorithm, its numbers fitted")
        _rules(axes, records)
    panels[0].set_ylabel("stack or model, one row a step")
    _row_names(panels[0], records)
    with style.applied():
        options: dict[str, Any] = {"orientation": "horizontal", "aspect": 40, "pad": 0.02}
        first = figure.colorbar(images[0], ax=list(panels[:2]), **options)
        first.set_label("relative distance after the step")
        figure.colorbar(images[2], ax=panels[2], **{**options, "aspect": 20}).set_label("cosine")
    return figure


def _rules(axes: "Axes", records: list[Record]) -> None:
    """A white line between stacks, and a frame around the algorithm that is named, if any."""
    from matplotlib.patches import Rectangle

    first = 0
    for record in records:
        steps = len(record["predictions"])
        if record["named"] in record["algorithms"]:  # else none is near
            column = record["algorithms"].index(record["named"])
            frame = Rectangle(
                (column - 0.5, first - 0.5),
                1.0,
                steps,
                fill=False,
                edgecolor=style.PALETTE[1],
                linewidth=1.4,
            )
            frame.set(zorder=6, clip_on=False)  # above the lines between stacks
            axes.add_patch(frame)
        first += steps
        axes.axhline(first - 0.5, color="white", linewidth=2)


def _row_names(axes: "Axes", records: list[Record]) -> None:
    ticks, first = [], 0
    for record in records:
        steps = len(record["predictions"])
        ticks.append(first + (steps - 1) / 2)
        first += steps
    with style.applied():
        axes.set_yticks(ticks, [record["case"].replace(", compiled", "") for record in records])


def _noise(summary: Summary) -> "Figure":
    figure, axes = style.figure(height=2.0)
    sizes = [row["noise"] for row in summary["noise"]]
    style.measured(axes, sizes, [100 * r["share"] for r in summary["noise"]], name=0, label="named")
    if sizes:  # beyond both ends, so that it shows where there is but one size
        style.theory(axes, [min(sizes) / 4, max(sizes) * 4], [95.0, 95.0], label="95 %")
    axes.set_xscale("log")
    axes.minorticks_off()  # their labels overlap
    axes.set_ylim(0.0, 105.0)
    style.finish(
        axes,
        x="noise in the weights (relative)",
        y="named rightly (%)",
        legend={"loc": "lower left"},
    )
    return figure
