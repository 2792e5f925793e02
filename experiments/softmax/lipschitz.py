"""Lipschitz constants of softmax regression: sampled ratios against bounds over the radius."""

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
from ml_collections import ConfigDict

from elsa.report import style
from elsa.softmax_regression import Problem, worst_case_lipschitz
from experiments.harness.experiment import Case, Experiment, Place, Record, Summary
from experiments.softmax import checking, problems

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from rich.table import Table

WHERE = "softmax_lipschitz"
QUANTITIES = (  # kind, of what; the softmax map is that of both kinds
    ("normalized", "softmax"),
    ("normalized", "loss"),
    ("normalized", "gradient"),
    ("rescaled", "loss"),
    ("rescaled", "gradient"),
)


def cases(config: ConfigDict) -> Mapping[str, Case]:
    """A case for each problem and quantity; the radii are measured within it."""
    return {
        f"{problem}: {_name(kind, of)}": {"problem": problem, "kind": kind, "of": of}
        for problem in config.problems
        for kind, of in QUANTITIES
    }


def _name(kind: str, of: str) -> str:
    return of if of == "softmax" else f"{kind} {of}"


def measure(config: ConfigDict, case: Case, place: Place) -> list[Record]:
    """One record a radius: the largest ratio and the bounds."""
    planted, _ = problems.planted(case["problem"], [config.seed, 2], case["kind"])
    centred = planted.a2 - planted.a2.mean(axis=0)  # the part of the keys that softmax depends on
    data = {"a2": centred} if planted.a1 is None else {"a1": planted.a1, "a2": centred}
    units = {name: a / np.linalg.norm(a, 2) for name, a in data.items()}
    directions = np.random.default_rng([config.seed, 3]).normal(size=planted.b.shape)
    labels = directions / np.linalg.norm(directions, axis=-1, keepdims=True)
    records = []
    for index, radius in enumerate(config.radii):
        scaled = {name: a * radius ** (1 / len(units)) for name, a in units.items()}
        problem = dataclasses.replace(planted, b=labels, **scaled)
        key = jax.random.fold_in(jax.random.key(config.seed), index)
        of, pairs = case["of"], config.pairs
        ratios = problem.sampled_ratios(key, radius=radius, of=of, pairs=pairs)
        sharp = problem.lipschitz(radius, of=of, sharp=True)
        records.append(
            {
                **case,
                "radius": radius,
                "pairs": len(ratios),
                "ratio": float(ratios.max()),
                "sharp": sharp,
                "plain": problem.lipschitz(radius, of=of),
                "worst_case": _worst_case(problem, radius, case),
                "violations": int((ratios > sharp).sum()),
            }
        )
    return records


def _worst_case(problem: Problem, radius: float, case: Case) -> float | None:
    """The bound from the radius alone; it does not cover a matrix loss, a sum over rows."""
    if problem.a1 is not None and case["of"] == "loss":
        return None
    return worst_case_lipschitz(len(problem.a2), radius, case["kind"], of=case["of"])


def summarise(config: ConfigDict, records: list[Record]) -> Summary:
    """Tightness of the sharp bound, and by how much the worst case exceeds it."""
    rows = []
    for problem in config.problems:
        for kind, of in QUANTITIES:
            of_quantity = _of(records, problem, kind, of)
            last = max(of_quantity, key=lambda record: float(record["radius"]))
            row = {"problem": problem, "quantity": _name(kind, of), "radius": last["radius"]}
            row |= {key: last[key] for key in ("ratio", "sharp", "plain", "worst_case")}
            row["tightness"] = max(record["ratio"] / record["sharp"] for record in of_quantity)
            worst = last["worst_case"]
            row["orders"] = None if worst is None else float(np.log10(worst / last["sharp"]))
            rows.append(row)
    return {
        "rows": rows,
        "pairs": sum(record["pairs"] for record in records),
        "violations": sum(record["violations"] for record in records),
        "ordered": all(
            record["sharp"] <= record["plain"] * (1 + 1e-12)
            and (record["worst_case"] is None or record["plain"] <= record["worst_case"])
            for record in records
        ),
    }


def _of(records: list[Record], problem: str, kind: str, of: str) -> list[Record]:
    wanted = (problem, kind, of)
    return [
        record for record in records if (record["problem"], record["kind"], record["of"]) == wanted
    ]


def tables(summary: Summary) -> list["Table"]:
    """One line for each problem and quantity, at the largest radius."""
    from rich.table import Table

    table = Table(
        *("problem", "Lipschitz constant of", "R", "largest ratio", "sharp", "plain"),
        *("from R alone", "orders gained", "tightness"),
        title="largest sampled ratio and its bounds, at the largest radius",
        caption=f"{summary['pairs']} pairs, {summary['violations']} above the sharp bound; "
        "orders gained: log10 of the bound from R alone over the sharp one; tightness: largest "
        "ratio over the sharp bound, at any radius",
        title_justify="left",
        caption_justify="left",
    )
    rows = summary["rows"]
    for row, after in zip(rows, [*rows[1:], None], strict=True):
        table.add_row(
            problems.shown(row["problem"]),
            row["quantity"],
            f"{row['radius']:g}",
            *(f"{row[key]:.3g}" for key in ("ratio", "sharp", "plain")),
            *("–" if row[key] is None else f"{row[key]:.3g}" for key in ("worst_case", "orders")),
            f"{row['tightness']:.2f}",
            end_section=after is not None and after["problem"] != row["problem"],
        )
    return [table]


def figures(config: ConfigDict, records: list[Record], summary: Summary) -> Mapping[str, "Figure"]:
    """Ratio and bounds over the radius for one problem, and the tightness of all of them."""
    singles = [problem for problem in config.problems if problem.startswith("single")]
    drawn = (singles or list(config.problems))[-1]
    return {"bounds": _bounds(records, drawn), "tightness": _tightness(config, records)}


def _bounds(records: list[Record], problem: str) -> "Figure":
    figure, panels = style.figure(3, 2, height=5.0)
    for place, (kind, of) in enumerate(QUANTITIES):
        axes = panels.ravel()[place + (place > 0)]  # the second place is the legend's
        of_quantity = _of(records, problem, kind, of)
        radii = np.array([record["radius"] for record in of_quantity])
        _line(axes, radii, of_quantity, "worst_case", "bound from R alone", linestyle="--")
        _line(axes, radii, of_quantity, "plain", "bound by norms", linestyle="-.")
        _line(axes, radii, of_quantity, "sharp", "sharp bound", linestyle=":")
        ratios = np.array([record["ratio"] for record in of_quantity])
        style.measured(axes, radii, ratios, name=0, label="largest sampled ratio")
        axes.set_yscale("log")
        style.finish(
            axes,
            x="radius R of the weights" if place >= 3 else "",
            y="Lipschitz constant" if place != 2 and place != 4 else "",
            title=_name(kind, of),
            legend=False,
        )
    handles, labels = panels[0, 0].get_legend_handles_labels()
    with style.applied():
        empty = panels[0, 1]
        empty.axis("off")
        empty.legend(handles, labels, loc="center", title=problems.shown(problem))
    return figure


def _line(
    axes: "Axes", radii: np.ndarray, own: list[Record], key: str, label: str, **line: Any
) -> None:
    if all(record[key] is not None for record in own):
        style.theory(axes, radii, np.array([record[key] for record in own]), label=label, **line)


def _tightness(config: ConfigDict, records: list[Record]) -> "Figure":
    figure, panels = style.figure(1, 2, height=2.4, sharey=True)
    for axes, kind in zip(panels, ("normalized", "rescaled"), strict=True):
        for name, problem in enumerate(config.problems):
            of_quantity = _of(records, problem, kind, "gradient")
            radii = np.array([record["radius"] for record in of_quantity])
            used = np.array([record["ratio"] / record["sharp"] for record in of_quantity])
            style.measured(axes, radii, used, name=name, label=problems.shown(problem))
        style.theory(axes, radii, np.ones_like(radii), label="bound")
        style.logarithmic(axes)
        style.finish(
            axes,
            x="radius R",
            y="ratio / sharp bound" if kind == "normalized" else "",
            title=f"{kind} gradient",
            legend=False,
        )
    style.legend_outside(figure, panels[0], place="upper", columns=3)
    return figure


EXPERIMENT = Experiment(
    cases=cases,
    measure=measure,
    summarise=summarise,
    tables=tables,
    figures=figures,
    check=checking.softmax_lipschitz,
)
