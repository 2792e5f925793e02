"""What the `train` experiment draws: risk, loss, distance to ridge, predictions."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from ml_collections import ConfigDict

from elsa.report import style
from experiments.harness.experiment import Record, Summary
from experiments.trained import other_laws, report
from experiments.trained.ridge_distance import RIDGE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_LOOKS: tuple[Mapping[str, Any], ...] = (
    {"linestyle": ":"},
    {"linestyle": (0, (4, 2))},
    # beneath the others and wider, as Bayes may coincide with ridge
    {"linestyle": (0, (6, 1.5, 1, 1.5)), "color": "#999999", "linewidth": 2.6, "zorder": 4},
)
_FIELDS: Mapping[str, tuple[str, Mapping[str, Any]]] = {  # how legends name them, and their looks
    "mean": ("mean, 95 % of bootstraps", {}),
    "trimmed_mean": (
        "mean of the best 99.9 %",
        {"linestyle": "--", "marker": "x"},
    ),
}
_Drawn = tuple[np.ndarray, np.ndarray]  # places and heights
RIDGE_ITSELF = "ridge regression"  # sampled as the models are: no theory
_FEW = 6  # values of an axis that each have a tick
_POINTS = 6  # of a sweep that one figure shows


def figures(config: ConfigDict, records: list[Record], summary: Summary) -> Mapping[str, "Figure"]:
    """Risk and loss where something was trained, distance to ridge, and predictions."""
    shown = records[:_POINTS]
    made = {"distance_to_ridge": _distance(shown), "predictions": _predictions(shown)}
    if shown[0]["elsewhere"]:
        made["other_laws"] = _elsewhere(shown)
    if shown[0]["along_training"]["steps"]:
        made |= {"risk": _risk(shown), "loss": _loss(shown)}
    return made


def _risk(records: Sequence[Record]) -> "Figure":
    """The losses of training, mean over the seeds, theory dotted: estimates of the risk."""
    figure, axes = style.figure(height=2.6)
    for index, record in enumerate(records):
        steps, losses = _along(record)
        label = f"{_label(record)}, training loss,\nmean over seeds"
        style.measured(axes, steps, _mean(losses), name=index, label=label, marker="none")
    steps, _ = _along(records[0])
    for look, (name, risk) in zip(_LOOKS, records[0]["lines"].items(), strict=False):
        ends = np.array([0.0, steps[-1]])
        style.theory(axes, ends, np.full(2, risk), label=_line(name), **look)
    style.logarithmic(axes)
    style.finish(axes, x="step of training", y="loss (squared error)", legend=False)
    style.legend_outside(figure, columns=1)
    return figure


def _loss(records: Sequence[Record]) -> "Figure":
    """Every seed of every point along training."""
    figure, axes = style.figure(height=2.6)
    for index, record in enumerate(records):
        steps, losses = _along(record)
        for seed in range(losses.shape[1]):
            style.measured(
                axes,
                steps,
                losses[:, seed],
                name=index,
                label=_label(record) + ", every seed" if seed == 0 else "_nolegend_",
                marker="none",
                linewidth=0.7,
            )
    axes.axhline(records[0]["target"], color=style.THEORY, linestyle=":", label=RIDGE_ITSELF)
    style.logarithmic(axes)
    style.finish(axes, x="step of training", y="loss (squared error)", legend=False)
    style.legend_outside(figure)
    return figure


def _distance(records: Sequence[Record]) -> "Figure":
    """Distance to ridge after every layer, before and after training, and the plain algorithm's."""
    figure, axes = style.figure(height=2.6)
    trained = len(records[0]["watched_steps"]) > 1
    for index, record in enumerate(records):
        layers = np.arange(record["depth"] + 1)
        by_layer = np.array(
            [record["watched"][f"{RIDGE}/{layer}"] for layer in layers], np.float64
        )  # [layers, times, seeds]
        if trained:
            style.measured(
                axes,
                layers,
                _mean(by_layer[:, 0]),
                name=index,
                label=f"{_label(record)}, start",
                linestyle="none",
                markersize=3,
            )
        style.measured(
            axes,
            layers,
            _mean(by_layer[:, -1]),
            name=index,
            label=f"{_label(record)}, trained" if trained else f"{_label(record)}, as built",
            markersize=5,
        )
    longest = {}  # of each algorithm, the record with the most layers
    with_steps = [record for record in records if record["step_layers"]]
    for record in sorted(with_steps, key=lambda record: record["depth"]):
        longest[record["algorithm"], record["step_size"]] = record
    for look, ((algorithm, step_size), record) in zip(_LOOKS, longest.items(), strict=False):
        style.theory(
            axes,
            np.array(record["step_layers"]),
            np.array(record["algorithm_to_ridge"]),
            label=f"theory: {algorithm},\nas many steps, η = {step_size:g}",
            **look,
        )
    style.logarithmic(axes)
    axes.xaxis.get_major_locator().set_params(integer=True)
    style.finish(axes, x="layers", y="distance to ridge (relative)", legend=False)
    style.legend_outside(figure, columns=1)
    return figure


def _elsewhere(records: Sequence[Record]) -> "Figure":
    """Risk on other laws, a panel for each: mean with its band, trimmed mean, theory dotted."""
    changed = list(dict.fromkeys(entry["changed"] for entry in records[0]["elsewhere"]))
    names = list(
        dict.fromkeys(name for entry in records[0]["elsewhere"] for name in entry["lines"])
    )
    figure, grid = style.figure(len(changed), height=0.9 + 1.7 * len(changed), squeeze=False)
    for axes, name in zip(grid[:, 0], changed, strict=True):
        for index, record in enumerate(records):
            own = [entry for entry in record["elsewhere"] if entry["changed"] == name]
            drawn = _along_axis(axes, [entry["value"] for entry in own])
            _band(axes, *(drawn([e[end] for e in own]) for end in ("low", "high")), index=index)
            for field, (said, look) in _FIELDS.items():
                style.measured(
                    axes,
                    *drawn([entry[field] for entry in own]),
                    name=index,
                    label=f"{_label(record)}, {said}",
                    **look,
                )
            if index == 0:
                lines = {RIDGE: [entry["ridge"] for entry in own]}
                lines |= {line: [entry["lines"].get(line) for entry in own] for line in names}
                for stroke, (line, risks) in zip(_LOOKS, lines.items(), strict=False):
                    places, heights = drawn(risks)
                    if len(places) == 1:  # a line through one point does not show
                        width = 0.1 * (abs(places[0]) or 1.0)
                        places, heights = (
                            places[0] + np.array([-width, width]),
                            np.repeat(heights, 2),
                        )
                    style.theory(axes, places, heights, label=_line(line), **stroke)
        style.logarithmic(axes)
        style.finish(axes, x=other_laws.WORDS[name], y="risk (squared error)", legend=False)
    style.legend_outside(figure, columns=1)
    return figure


def _band(axes: "Axes", low: _Drawn, high: _Drawn, *, index: int) -> None:
    """Where 95 % of the bootstrap's means lie: a band, or a bar where there is but one place."""
    (places, lower), (_, upper) = low, high
    if len(places) == 1:
        axes.vlines(places, lower, upper, color=style.colour(index), linewidth=3.0, alpha=0.3)
    else:
        axes.fill_between(places, lower, upper, color=style.colour(index), alpha=0.2, linewidth=0)


def _along_axis(
    axes: "Axes", values: Sequence[Any]
) -> Callable[[Sequence[float | None]], tuple[np.ndarray, np.ndarray]]:
    """How risks go along an axis: at numbers where the values are, else each in a place of its own,
    with its name, as a short level line.

    Returns:
      A function of risks, None where there is none, to what is drawn.
    """
    if all(isinstance(value, int | float) for value in values):
        if len(ticks := list(dict.fromkeys(values))) <= _FEW:
            axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        return lambda risks: (np.array(values), np.array(risks, np.float64))
    names = [value if isinstance(value, str) else _listed(value) for value in values]
    places = np.arange(len(names))
    axes.set_xticks(places, [name.replace(" ", "\n") for name in names])
    axes.set_xlim(-0.5, len(names) - 0.5)

    def levels(risks: Sequence[float | None]) -> tuple[np.ndarray, np.ndarray]:
        ends = places[:, None] + np.array([-0.3, 0.3, np.nan])
        return ends.ravel(), np.repeat(np.array(risks, np.float64), 3)

    return levels


def _listed(value: Any) -> str:
    return ", ".join(f"{part:g}" for part in np.ravel(value))


def _predictions(records: Sequence[Record]) -> "Figure":
    """Predictions against ridge's, the diagonal dotted."""
    figure, axes = style.figure(height=3.0)
    for index, record in enumerate(records):
        shown = record["shown"]
        style.measured(
            axes,
            np.array(shown["ridge"], np.float64),
            np.array(shown["model"], np.float64),
            name=index,
            label=_label(record),
            linestyle="none",
            markersize=2.5,
        )
    ridge = np.concatenate([record["shown"]["ridge"] for record in records])
    ends = np.array([ridge.min(), ridge.max()])
    style.theory(axes, ends, ends, label="ridge itself")
    model = np.concatenate([record["shown"]["model"] for record in records]).astype(np.float64)
    largest = np.nanmax(np.abs(model), initial=np.abs(ends).max())
    # one prediction far off, as before training, would leave the others a dot
    span = min(1.06 * largest, 1.5 * np.abs(ends).max())
    axes.set_xlim(-span, span)
    axes.set_ylim(-span, span)
    axes.locator_params(nbins=5, steps=[1, 2, 5, 10])
    style.finish(
        axes, x="prediction of ridge (label)", y="prediction of the model (label)", legend=False
    )
    style.legend_outside(figure)
    return figure


def _along(record: Record) -> tuple[np.ndarray, np.ndarray]:
    along = record["along_training"]
    return np.array(along["steps"]), np.array(along["losses"], np.float64)


def _mean(values: np.ndarray) -> np.ndarray:
    """Over the last axis, the seeds, those left out that are not finite."""
    finite = np.isfinite(values)
    total = np.where(finite, values, 0.0).sum(axis=-1)
    return np.where(finite.any(axis=-1), total / np.maximum(finite.sum(axis=-1), 1), np.nan)


def _line(name: str) -> str:
    """A line of a record as legends name it."""
    return RIDGE_ITSELF if name == RIDGE else f"theory: {name}"


def _label(record: Record) -> str:
    point = ", ".join(f"{report.symbol(k)} = {v:g}" for k, v in record["point"].items())
    return f"{record['run'].replace('_', ' ')}{', ' if point else ''}{point}"
