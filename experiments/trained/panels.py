"""The figure of a trained experiment: measured risks, and theory dotted beside them."""

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from ml_collections import ConfigDict

from elsa.report import style
from experiments.harness.experiment import Record
from experiments.trained import measure, report

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from experiments.trained.spec import TrainedSpec

_MODELS = {
    "linear_attention": "linear attention",
    "h3": "H3",
    "merged_h3": "merged H3",
    "gpt2": "GPT-2",
}
_MARKERS = {
    "o": "circles",
    "s": "squares",
    "^": "triangles",
    "D": "diamonds",
    "v": "triangles on a corner",
    "P": "plus signs",
    "X": "crosses",
}
_STROKES = ((0, (4, 3)), "-", (0, (6, 1.5, 1, 1.5)))  # of lines beside the dotted target
_FEW = 6  # values that all get a tick


def draw(spec: "TrainedSpec", config: ConfigDict, records: Sequence[Record]) -> "Figure":
    """Risk along `spec.x`, a colour for each hue, a marker for each model, panels in one column.

    Raises:
      ValueError: for a name that neither the records nor their points have.
    """
    for name in filter(None, (spec.x, spec.hue, spec.panel)):
        if all(report.value_of(record, name) is None for record in records):
            known = sorted({*records[0], *(axis for record in records for axis in record["point"])})
            raise ValueError(f"TrainedSpec: no record and no point has {name!r}; they have {known}")
    shown = [record for record in records if report.value_of(record, spec.x) is not None]
    values = report.values_of(shown, spec.panel) if spec.panel else [None]
    each = 2.2 if len(values) == 1 else 1.45
    figure, grid = style.figure(
        len(values), height=0.9 + each * len(values), sharex=True, squeeze=False
    )
    for axes, value in zip(grid[:, 0], values, strict=True):
        of_panel = report.by(shown, **{spec.panel: value}) if spec.panel else shown
        _draw_panel(axes, spec, config, of_panel)
        if axes is grid[0, 0]:
            style.bars(axes, "± s.e. of the prompts" if spec.best else "± s.e., seeds and prompts")
        style.finish(
            axes,
            x=spec.x_label if axes is grid[-1, 0] else "",
            y="risk (squared error)",
            title=_name(spec, spec.panel, value) if spec.panel else _markers(spec, of_panel),
            legend=False,
        )
    style.legend_outside(figure)
    return figure


def _draw_panel(
    axes: "Axes", spec: "TrainedSpec", config: ConfigDict, records: Sequence[Record]
) -> None:
    models = report.values_of(records, "model")
    drawn: list[Any] = []  # lines of theory that are there; models may share them
    hues = report.values_of(records, spec.hue)
    has_own = spec.hue != "model" and len(hues) > 1  # each hue has theory of its own
    kinds: dict[str, tuple[dict[str, Any], list[str]]] = {}  # label -> stroke, colours
    for index, hue in enumerate(hues):
        of_hue = report.by(records, **{spec.hue: hue})
        for model in report.values_of(of_hue, "model"):
            of_model = report.by(of_hue, model=model)
            predicted = _predicted(spec, config, of_model)
            heights = [(place, prediction["target"]) for place, prediction in predicted]
            last = model == models[-1]
            name = model if spec.hue == "model" else index
            colour = style.colour(index) if has_own else style.THEORY
            target = f"theory: {predicted[0][1].get('name', spec.theory)}"
            if spec.best:
                _draw_seeds(axes, of_model, spec.x, name)
            report.draw(
                axes,
                of_model,
                spec.x,
                name=name,
                label=_name(spec, spec.hue, hue) + (", best seed" if spec.best else ""),
                predicted=predicted,
                target_label=None if has_own else target,
                target_look={"color": colour},
                marker=style.marker(model if len(models) > 1 else name),
                markersize=3.5 if last else 5.5,  # what it coincides with shows around it
                best=spec.best,
            )
            if heights in drawn:
                axes.lines[-1].remove()
                continue
            if drawn and not has_own and "name" in predicted[0][1]:
                axes.lines[-1].set_linestyle((0, (4, 2)))  # so that the two differ in print
            drawn.append(heights)
            strokes = _draw_lines(axes, spec, predicted, colour, labelled=not has_own)
            for label, look in {target: {}, **strokes}.items() if has_own else ():
                kinds.setdefault(label, (look, []))[1].append(colour)
    for label, (look, colours) in kinds.items():
        style.kind(axes, label, colours, **look)
    if spec.log:
        style.logarithmic(axes)
    else:
        axes.margins(y=0.15)  # room for the highest marker
        lowest, highest = axes.dataLim.intervaly
        if lowest < highest / 2:  # else what they differ by would be lost above an empty half
            axes.set_ylim(bottom=0.0)
    _ticks(axes, report.values_of(records, spec.x))


def _draw_seeds(axes: "Axes", records: Sequence[Record], x: str, name: str | int) -> None:
    """The risk of every seed, a small dot."""
    places = [report.value_of(record, x) for record in records for _ in record["risks"]]
    risks = np.array([risk for record in records for risk in record["risks"]], np.float64)
    look: dict[str, Any] = {"linestyle": "none", "markersize": 2, "alpha": 0.5}
    style.measured(axes, np.array(places), risks, name=name, label="every seed", **look)


def _draw_lines(
    axes: "Axes",
    spec: "TrainedSpec",
    predicted: report.Predicted,
    colour: str,
    *,
    labelled: bool,
) -> dict[str, dict[str, Any]]:
    """The other lines of theory, each with a stroke of its own: label -> stroke."""
    strokes = {}
    for line, stroke in zip(spec.lines, itertools.cycle(_STROKES), strict=False):
        if line in predicted[0][1]["lines"]:
            label = f"theory: {_name(spec, 'line', line)}"
            values = [
                (place, {"target": prediction["lines"][line]}) for place, prediction in predicted
            ]
            strokes[label] = {"linestyle": stroke, "linewidth": 0.8}
            look = {**strokes[label], "color": colour, "zorder": 2}
            report.draw_theory(axes, values, label if labelled else None, **look)
    return strokes


def _predicted(
    spec: "TrainedSpec", config: ConfigDict, records: Sequence[Record]
) -> report.Predicted:
    """What theory says along some points of one run, and between them where all else is fixed."""
    at_points = report.at_points(records, spec.x)
    runs = {record["run"] for record in records}
    sweep = config.runs[records[0]["run"]].sweep
    if spec.given is not None or len(runs) > 1 or spec.x not in sweep:
        return at_points
    others = {axis: report.values_of(records, axis) for axis in sweep if axis != spec.x}
    if any(len(values) > 1 or isinstance(values[0], str) for values in others.values()):
        return at_points
    fixed = {axis: value for axis, (value,) in others.items()}
    return measure.predictions_along(config, runs.pop(), spec.predict, spec.x, **fixed)


def _name(spec: "TrainedSpec", key: str, value: Any) -> str:
    """A value as figures show it."""
    if value in spec.labels:
        return spec.labels[value]
    if isinstance(value, str):
        return _MODELS.get(value, value.replace("_", " "))
    return f"{report.symbol(key)} = {value:g}"


def _markers(spec: "TrainedSpec", records: Sequence[Record]) -> str | None:
    """Which marker is which model, where the colours say something else."""
    models = report.values_of(records, "model")
    if spec.hue == "model" or len(models) == 1:
        return None
    return ", ".join(f"{_MARKERS[style.marker(m)]}: {_name(spec, 'model', m)}" for m in models)


def _ticks(axes: "Axes", values: Sequence[Any]) -> None:
    if not all(isinstance(value, int) for value in values):
        return
    if len(values) <= _FEW:
        axes.set_xticks(values)
    else:
        axes.set_xticks(np.arange(min(0, *values), max(values) + 1, max(1, max(values) // 5)))
