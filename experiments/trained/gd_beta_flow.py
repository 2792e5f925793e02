"""Gradient flow of GD-beta from many starts."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from ml_collections import ConfigDict

from elsa import tasks, theory
from elsa.report import style
from elsa.theory.flow import LOST, RESOLVED
from experiments.harness.experiment import Case, Experiment, Place, Record, Summary
from experiments.trained import checking, predictions, report

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from rich.table import Table

_CLOSE = 1e-8  # distance below which the minimum counts as reached
_LATE = 0.25  # share of the times, at their end, that the rate is fitted on


def cases(config: ConfigDict) -> Mapping[str, Case]:
    """The config's settings."""
    return {
        name: {"setting": name, "task": task.to_dict()} for name, task in config.settings.items()
    }


def check(config: ConfigDict) -> None:
    """Refuses bad numbers, before anything is computed."""
    checking.gd_beta_flow(config)
    for task in config.settings.values():
        tasks.build(task.to_dict())


def measure(config: ConfigDict, case: Case, place: Place) -> list[Record]:
    """One record a start: distance and excess risk at all times, and the late rate."""
    setting = predictions.setting_of(tasks.build(case["task"]))
    mean, dim = setting.task_mean, setting.dim
    slowest, fastest = theory.gd_beta_rates(setting)
    times = np.linspace(0.0, config.decades * np.log(10.0) / slowest, config.num_times)
    rng = np.random.default_rng(config.seed)
    records = []
    for start in range(config.num_starts):
        init = mean + config.spread * rng.normal(size=dim)
        gamma = config.spread * rng.normal(size=(dim, dim))
        flow = theory.gd_beta_flow(init, gamma, setting, times)
        records.append(
            {
                "setting": case["setting"],
                "point": {"start": start},
                "times": times.tolist(),
                "distances": flow.distances.tolist(),
                "excess_risks": flow.excess_risks.tolist(),
                "rate": late_rate(times, flow.distances),
                "slowest": slowest,
                "fastest": fastest,
            }
        )
    return records


def late_rate(times: np.ndarray, distances: np.ndarray) -> float:
    """The rate of the last times, or of the last resolved ones where the end is not resolved.

    A start whose fast modes hold nearly all of its distance ends below what the integrator sees.
    """
    unit, seen = max(float(distances[0]), 1.0), np.arange(len(times))
    if distances[-1] < LOST * unit:
        seen = np.flatnonzero(distances >= RESOLVED * unit)
    late = seen[-max(2, int(_LATE * len(seen))) :]
    return float(-np.polyfit(times[late], np.log(distances[late]), 1)[0])


def summarise(config: ConfigDict, records: list[Record]) -> Summary:
    """For each setting, the worst start."""
    rows = []
    for setting in dict.fromkeys(record["setting"] for record in records):
        of_setting = report.by(records, setting=setting)
        distances = [record["distances"][-1] for record in of_setting]
        excess = [record["excess_risks"][-1] for record in of_setting]
        rates = np.array([record["rate"] for record in of_setting])
        rows.append(
            {
                "setting": setting,
                "starts": len(of_setting),
                "largest_distance": max(distances),
                "largest_excess_risk": max(excess),
                "share_at_minimum": float(np.mean(np.array(distances) <= _CLOSE)),
                "rates": [float(rates.min()), float(rates.max())],
                "hessian_rate": of_setting[0]["slowest"],
                "largest_rate_error": float(np.abs(rates / of_setting[0]["slowest"] - 1.0).max()),
            }
        )
    return {"rows": rows}


def tables(summary: Summary) -> list["Table"]:
    """One row a setting."""
    from rich.table import Table

    made = Table(
        *("setting", "starts", "at the minimum", "largest distance", "largest excess"),
        *("late rates", "Hessian", "off by at most"),
        title="gradient flow of GD-beta, exact gradients",
        caption=f"at the minimum: within {_CLOSE:g} of it in (b0, Γ)",
        title_justify="left",
        caption_justify="left",
    )
    for row in summary["rows"]:
        made.add_row(
            row["setting"],
            str(row["starts"]),
            f"{100 * row['share_at_minimum']:.0f} %",
            f"{row['largest_distance']:.2g}",
            f"{row['largest_excess_risk']:.2g}",
            f"{row['rates'][0]:.5f} .. {row['rates'][1]:.5f}",
            f"{row['hessian_rate']:.5f}",
            f"{100 * row['largest_rate_error']:.2g} %",
        )
    return [made]


def figures(config: ConfigDict, records: list[Record], summary: Summary) -> Mapping[str, "Figure"]:
    """Distance to the optimum and excess risk against time, every start a line."""
    settings = list(dict.fromkeys(record["setting"] for record in records))
    figure, panels = style.figure(
        2, len(settings), height=3.8, sharex="col", sharey="row", squeeze=False
    )
    for column, setting in enumerate(settings):
        of_setting = report.by(records, setting=setting)
        times, rate = np.array(of_setting[0]["times"]), of_setting[0]["slowest"]
        for axes, field, factor in zip(
            panels[:, column], ("distances", "excess_risks"), (1.0, 2.0), strict=True
        ):
            for index, record in enumerate(of_setting):
                label = "from random starts" if index == 0 else None
                look: dict[str, Any] = {"marker": "", "linewidth": 0.6, "alpha": 0.5}
                style.measured(axes, times, record[field], name=0, label=label, **look)
            ends = np.array([record[field][-1] for record in of_setting])
            line = np.median(ends) * np.exp(factor * rate * (times[-1] - times))
            style.theory(axes, times, line, label="theory: rate of the Hessian")
            axes.set_yscale("log")
        style.finish(
            panels[0, column],
            x="",
            y="distance to the optimum" if column == 0 else "",
            title=setting,
            legend=False,
        )
        last = panels[1, column]
        y = "risk above its minimum" if column == 0 else ""
        style.finish(last, x="time of the flow", y=y, legend=False)
    style.legend_outside(figure, panels[0, 0])
    return {"flow": figure}


EXPERIMENT = Experiment(
    cases=cases,
    measure=measure,
    summarise=summarise,
    tables=tables,
    figures=figures,
    check=check,
)
