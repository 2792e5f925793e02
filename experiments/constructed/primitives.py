"""Every line of the head table against direct computation, in several dtypes."""

import itertools
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from jax import numpy as jnp
from ml_collections import ConfigDict

from elsa import theory
from elsa.heads.table import PRIMITIVES
from elsa.report import style
from experiments.constructed import checking
from experiments.harness.experiment import Case, Experiment, Place, Record, Summary

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from rich.table import Table


def cases(config: ConfigDict) -> Mapping[str, Case]:
    """A case for each primitive and dtype."""
    pairs = itertools.product(config.dtypes, PRIMITIVES)
    return {f"{name} in {dtype}": {"primitive": name, "dtype": dtype} for dtype, name in pairs}


def measure(config: ConfigDict, case: Case, place: Place) -> list[Record]:
    """One record a shape: the largest error over draws, magnitudes and scales, and its bound."""
    primitive, dtype = PRIMITIVES[case["primitive"]], case["dtype"]
    units = [theory.unit_roundoff(kind) for kind in (dtype, np.float64)]
    records = []
    for index, shape in enumerate(config.shapes):
        sizes = checking.sizes_of_primitives(shape)
        rng = np.random.default_rng([config.seed, [*PRIMITIVES].index(case["primitive"]), index])
        blocks, constant = primitive.random(rng, sizes, config.draws * len(config.magnitudes))
        magnitude = np.repeat(config.magnitudes, config.draws)[:, None, None]
        scaled_blocks = {
            name: np.asarray(jnp.asarray(magnitude * block, dtype), np.float64)
            for name, block in blocks.items()
        }
        result, elsewhere = primitive.run(sizes, scaled_blocks, constant, config.scales, dtype)
        terms = primitive.roundings(sizes)
        records.append(
            {
                **case,
                "shape": shape,
                "terms": terms,
                "error": primitive.error(result, scaled_blocks, constant, config.scales),
                "bound": sum(theory.gamma(terms, unit) for unit in units),
                "elsewhere": float(elsewhere),
            }
        )
    return records


def summarise(config: ConfigDict, records: list[Record]) -> Summary:
    """The largest error of each primitive and dtype, and the bound at the same shape."""
    rows = []
    for name, dtype in itertools.product(PRIMITIVES, config.dtypes):
        of_line = [r for r in records if (r["primitive"], r["dtype"]) == (name, dtype)]
        worst = max(of_line, key=lambda record: (record["error"], record["bound"]))
        share = max(r["error"] / r["bound"] if r["bound"] else r["error"] for r in of_line)
        kept = ("primitive", "dtype", "shape", "error", "bound")
        rows.append({**{key: worst[key] for key in kept}, "largest_share_of_bound": share})
    return {
        "errors": rows,
        "within_bound": all(record["error"] <= record["bound"] for record in records),
        "largest_elsewhere": max(record["elsewhere"] for record in records),
        "unit_roundoff": {dtype: theory.unit_roundoff(dtype) for dtype in config.dtypes},
    }


def tables(summary: Summary) -> list["Table"]:
    """Largest relative error of each primitive, a column for each dtype."""
    from rich.table import Table

    dtypes = list(summary["unit_roundoff"])
    table = Table(
        "head computes",
        *dtypes,
        title="largest relative error (share of the bound)",
        title_justify="left",
    )
    for name in PRIMITIVES:
        rows = {row["dtype"]: row for row in summary["errors"] if row["primitive"] == name}
        table.add_row(name, *(_cell(rows[dtype]) for dtype in dtypes))
    table.add_section()
    units = summary["unit_roundoff"].values()
    table.add_row("unit roundoff u", *(f"{unit:.2e}" for unit in units))
    share = "all" if summary["within_bound"] else "NOT all"
    table.caption = (
        f"{share} within the bound gamma_k; largest entry\n"
        f"outside of the result's place: {summary['largest_elsewhere']:g}"
    )
    table.caption_justify = "left"
    return [table]


def figures(config: ConfigDict, records: list[Record], summary: Summary) -> Mapping[str, "Figure"]:
    """Errors beside the bound, a colour for each dtype; what is exact stands at the left."""
    figure, axes = style.figure(height=3.0)
    units = list(summary["unit_roundoff"].values())
    exact = min(units) * 1e-3  # where an error of 0 is drawn on the logarithmic axis
    axes.axvspan(exact / 10, exact * 10, color="#EEEEEE", linewidth=0)
    heights = {name: len(PRIMITIVES) - place for place, name in enumerate(PRIMITIVES)}
    for place, dtype in enumerate(config.dtypes):
        of_dtype = [row for row in summary["errors"] if row["dtype"] == dtype]
        style.measured(
            axes,
            np.array([row["error"] or exact for row in of_dtype]),
            np.array([heights[row["primitive"]] + 0.2 * (1 - place) for row in of_dtype]),
            name=place,
            label=dtype,
            linestyle="none",
        )
        bounded = [row for row in of_dtype if row["bound"]]
        style.theory(
            axes,
            np.array([row["bound"] for row in bounded]),
            np.array([heights[row["primitive"]] for row in bounded]),
            label=None,
            color=style.colour(place),
        )
    colours = [style.colour(place) for place in range(len(config.dtypes))]
    style.kind(axes, "theory: $\\gamma_k$", colours)
    axes.set_xscale("log")
    axes.set_xlim(exact / 10, None)
    ticks = [exact, *units]
    axes.set_xticks(ticks, ["exact", *(f"$2^{{{int(np.log2(unit))}}}$" for unit in units)])
    axes.set_xticks([], minor=True)
    axes.set_yticks(list(heights.values()), [_formula(name) for name in heights])
    style.finish(
        axes,
        x="largest relative error (ticks: unit roundoff u)",
        y="result of one head",
        legend=False,
    )
    style.legend_outside(figure, place="upper")
    return {"errors": figure}


def _cell(row: Record) -> str:
    if not row["error"]:
        return "exact"
    return f"{row['error']:.1e} ({100 * row['largest_share_of_bound']:.0f}%)"


def _formula(name: str) -> str:
    return "mask-move $A$" if name.startswith("MskMov") else f"${name}$".replace("s ", "s\\,")


EXPERIMENT = Experiment(
    cases=cases,
    measure=measure,
    summarise=summarise,
    tables=tables,
    figures=figures,
    check=checking.primitives,
)
