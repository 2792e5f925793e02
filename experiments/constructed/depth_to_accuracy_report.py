"""Table and figure of the depth_to_accuracy experiment."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from ml_collections import ConfigDict

from elsa.report import style
from experiments.harness.experiment import Record, Summary

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from rich.table import Table


def tables(summary: Summary) -> list["Table"]:
    """Layers measured beside layers predicted, a row for each problem and algorithm."""
    from rich.table import Table

    table = Table(
        *("data", "condition number", "algorithm", "layers", "exact theory", "worst case"),
        *("tasks that reached it", "distance at the end"),
        title=f"layers to a relative distance of {summary['tolerance']:g} to the ridge solution, "
        "largest over tasks",
        caption="exact theory: for these spectra and labels; worst case: for any of this condition "
        "number",
        title_justify="left",
        caption_justify="left",
    )
    rows = summary["rows"]
    for row, after in zip(rows, [*rows[1:], None], strict=True):
        table.add_row(
            row["problem"],
            f"{row['condition_number']:.6g}",
            row["method"].replace("_", " "),
            f"{row['layers']}",
            f"{row['layers_exact']}",
            f"{row['layers_worst']}",
            f"{row['reached']} of {row['tasks']}",
            f"{row['final_distance']:.1e}",
            end_section=after is not None and after["problem"] != row["problem"],
        )
    return [table]


def figures(config: ConfigDict, records: list[Record], summary: Summary) -> Mapping[str, "Figure"]:
    """Layers against the condition number, both logarithmic; the diabetes data as filled marks."""
    figure, axes = style.figure(height=3.2)
    for method in config.methods:
        of_method = [record for record in records if record["method"] == method]
        drawn = [record for record in of_method if record["problem"] != "diabetes"]
        real = [record for record in of_method if record["problem"] == "diabetes"]
        shown = method.replace("_", " ")
        style.measured(axes, *_points(drawn, "layers"), name=method, label=shown)
        filled: dict[str, Any] = {
            "label": "_",
            "linestyle": "none",
            "markerfacecolor": style.colour(method),
        }
        style.measured(axes, *_points(real, "layers"), name=method, **filled)
        label = "theory, worst case" if method == config.methods[-1] else "_"
        style.theory(axes, *_points(of_method, "layers_worst"), label=label)
    with style.applied():
        axes.set_xscale("log")
        axes.set_yscale("log")
    style.finish(
        axes,
        x="condition number κ of XᵀX + λI",
        y=f"layers to distance {config.tolerance:g}",
        title="filled: diabetes data",
    )
    return {"depth_to_accuracy": figure}


def _points(records: list[Record], key: str) -> tuple[np.ndarray, np.ndarray]:
    """Condition numbers, in order, and what was found at each."""
    ordered = sorted(records, key=lambda record: record["condition_number"])
    x = np.array([record["condition_number"] for record in ordered])
    return x, np.array([record[key] for record in ordered])
