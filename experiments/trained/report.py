"""What the experiments with trained models print and draw alike."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from ml_collections import ConfigDict

from elsa.report import style
from experiments.harness.diverged import LOST
from experiments.harness.experiment import Record, Summary

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from rich.table import Table

_ROBUST = "best 99.9 %"
_APART = 1.5  # times the trimmed mean: from there on the worst prompts make up the mean
_MOST_PERCENT = 1_000.0
_ONLY_RECORDED = ("seconds", "along_training")  # and not summed up
# places along an axis, and what theory says there: `target` and `lines`, as a record has them
Predicted = Sequence[tuple[float, Mapping[str, Any]]]


def summarise(config: ConfigDict, records: list[Record]) -> Summary:
    """Every point's numbers, and how far each model is from its prediction at most."""
    models = list(dict.fromkeys(record["model"] for record in records))
    return {
        "rows": [
            {name: value for name, value in record.items() if name not in _ONLY_RECORDED}
            for record in records
        ],
        **{
            f"largest_{excess}": {
                model: max(gaps)
                for model in models
                if (
                    gaps := [
                        abs(r[excess])
                        for r in reached(records)
                        if r["model"] == model and r[excess] is not None
                    ]
                )
            }
            for excess in ("excess", "best_excess")
        },
        "largest_preconditioner_distance": {
            model: max(distances)
            for model in models
            if (
                distances := [
                    r["preconditioner_distance"]["of_mean_weight"]
                    for r in records
                    if r["model"] == model and "preconditioner_distance" in r
                ]
            )
        },
        "num_seeds": config.num_seeds,
        "eval_prompts": config.eval_prompts,
    }


def table(
    summary: Summary, *, title: str, target: str = "theory", captions: Sequence[str] = ()
) -> "Table":
    """One row a point: measured risk and excess with their standard error, and predicted risk.

    The error is that of the seeds and of the prompts that measure the risk, which all seeds share.
    """
    from rich.table import Table

    seeds = summary["num_seeds"]
    lost = sum(row["diverged"] for row in summary["rows"])
    found = reached(summary["rows"])
    prompts = max(
        (row["evaluation_error"] / row["risk"] for row in found if row["risk"]), default=0.0
    )
    weights = any("preconditioner_distance" in row for row in summary["rows"])
    apart = any(map(_is_apart, summary["rows"]))
    heads = [
        *("run", "point", "risk", "± s.e.", *([_ROBUST] if apart else []), target),
        *("excess", "best seed", "weight off by"),
    ]
    rounded = any(row["excess"] is None and row["target"] for row in found)
    made = Table(
        *heads,
        title=f"{title}\nmean over {seeds} seed{'s' * (seeds > 1)}, "
        f"{summary['eval_prompts']:,} fresh prompts",
        caption="\n".join(
            [
                *captions,
                f"± s.e.: of the seeds, and of the prompts, which all seeds share: up to "
                f"{100 * prompts:.2g} %",
                *(
                    ["weight off by: in direction, the seeds' mean (the farthest seed)"]
                    if weights
                    else []
                ),
                *([f"{lost} diverged models are left out"] if lost else []),
                *([f"{_ROBUST}: without the worst prompts, which make up the mean"] * apart),
                *([f"no excess over a {target} that is rounding"] * rounded),
                *(
                    f"{model}: within {_within(value)} of {target}, best seeds within "
                    f"{_within(summary['largest_best_excess'][model])}"
                    for model, value in summary["largest_excess"].items()
                ),
            ]
        ),
        title_justify="left",
        caption_justify="left",
    )
    for index, row in enumerate(summary["rows"]):
        following = summary["rows"][index + 1 : index + 2]
        off = row.get("preconditioner_distance")
        made.add_row(
            row["run"],
            ", ".join(f"{symbol(axis)} {_value(v)}" for axis, v in row["point"].items()),
            diverged_words(row) if row["risk"] is None else f"{row['risk']:.5g}",
            "-" if row["risk"] is None else f"{total_error(row):.2g}",
            *([_number(_trimmed(row))] if apart else []),
            f"{row['target']:.5g}",
            _percent(row["excess"]) + _give_or_take(row),
            _percent(row["best_excess"]),
            "-" if off is None else _off(off),
            end_section=not following or following[0]["run"] != row["run"],
        )
    return made


def reached(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The records of points where a seed came to its end."""
    return [row for row in rows if row.get("risk", 0.0) is not None]


def diverged_words(row: Mapping[str, Any]) -> str:
    """What stands in the place of a risk: that all seeds diverged, and in which steps."""
    seeds = row.get(LOST, {}).get("seeds", ())
    steps = sorted({seed["step"] for seed in seeds if seed["step"] is not None})
    if not steps:
        return "diverged"
    return f"diverged, step {steps[0]:,}" + (f" to {steps[-1]:,}" if len(steps) > 1 else "")


def total_error(record: Mapping[str, Any]) -> float:
    """Standard error of a mean risk: of the seeds, and of the prompts that all of them share."""
    return float(np.hypot(record["standard_error"] or 0.0, record["evaluation_error"]))


def best_risk(record: Mapping[str, Any]) -> float:
    """The lowest risk over the seeds."""
    return best_measured(record)[0]


def best_measured(record: Mapping[str, Any]) -> tuple[float, float]:
    """The lowest risk over the seeds, and its standard error, of the prompts that measured it.

    A record of an older version has but the mean of the seeds' errors.
    """
    risks = record["risks"]
    errors = record.get("evaluation_errors") or [record["evaluation_error"]] * len(risks)
    return min((risk, error) for risk, error in zip(risks, errors, strict=True) if risk is not None)


def _mean_risk(record: Mapping[str, Any]) -> float:
    risk: float = record["risk"]
    return risk


def _trimmed(row: Mapping[str, Any]) -> float | None:
    """The mean over the seeds of their best 99.9 % of the squared errors, where it is known."""
    values = [v for v in row.get("of_seeds", {}).get("trimmed_mean", ()) if v is not None]
    return float(np.mean(values)) if values else None


def _is_apart(row: Mapping[str, Any]) -> bool:
    """Whether few prompts make up the mean of a row's squared errors."""
    trimmed = _trimmed(row)
    return bool(row["risk"] and trimmed is not None and row["risk"] > _APART * trimmed)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.5g}"


def _percent(share: float | None) -> str:
    """An excess, and where it is a multiple of the target the factor between the two."""
    if share is not None and share > _MOST_PERCENT / 100:
        return f"{1 + share:.3g} times"
    return "-" if share is None else f"{100 * share:+.2f} %"


def _give_or_take(row: Mapping[str, Any]) -> str:
    """The standard error of an excess in per cent; nothing where the excess is a factor."""
    if row["excess"] is None or row["excess"] > _MOST_PERCENT / 100:
        return ""
    return f" ± {100 * total_error(row) / row['target']:.2g}"


def _within(share: float) -> str:
    """The largest excess of a model, as captions say it."""
    if share > _MOST_PERCENT / 100:
        return f"a factor {1 + share:.3g}"
    return f"{100 * share:.2f} %"


def _off(distance: Mapping[str, float]) -> str:
    return f"{100 * distance['of_mean_weight']:.1f} % ({100 * distance['largest']:.1f} %)"


def symbol(axis: str) -> str:
    """An axis as tables and legends name it."""
    names = {"context_length": "n", "alignment": "α", "noise_var": "s2", "correlation": "ρ"}
    return names.get(axis, axis)


def _value(value: Any) -> str:
    return f"{value:g}" if isinstance(value, int | float) else str(value)


def draw(
    axes: "Axes",
    records: Sequence[Record],
    axis: str,
    *,
    name: str | int,
    label: str | None = None,
    predicted: Predicted | None = None,
    target_label: str | None = "theory",
    target_look: Mapping[str, Any] = MappingProxyType({}),
    best: bool = False,
    **line: Any,
) -> None:
    """Measured risk of some points along a field or an axis of the sweep, the prediction dotted.

    Error bars hold both the spread of the seeds and the error of the prompts. The prediction is
    drawn at the points alone where `predicted` does not give it at more places, and also where
    every seed diverged. With `best` the
    lowest seed takes the place of the mean, and has the error of its prompts alone.
    """
    ordered = sorted(records, key=lambda record: value_of(record, axis))
    found = reached(ordered)
    heights = [
        best_measured(record) if best else (_mean_risk(record), total_error(record))
        for record in found
    ]
    style.measured(
        axes,
        np.array([value_of(record, axis) for record in found]),
        np.array([height for height, _ in heights]),
        name=name,
        label=label,
        error=np.array([error for _, error in heights]),
        linestyle="none",
        **line,
    )
    draw_theory(axes, predicted or at_points(ordered, axis), target_label, **target_look)


def draw_theory(axes: "Axes", predicted: Predicted, label: str | None, **look: Any) -> None:
    """The target as a line, a short one where there is but one place."""
    places, predictions = zip(*predicted, strict=True)
    targets = np.array([each["target"] for each in predictions])
    if len(places) == 1:  # a line through one point does not show
        places, targets = (places[0] - 0.3, places[0] + 0.3), np.repeat(targets, 2)
    style.theory(axes, np.array(places), targets, label=label, **look)


def at_points(records: Sequence[Record], axis: str) -> Predicted:
    """What theory says at the points that were trained, along a field or an axis of the sweep."""
    return sorted(((value_of(r, axis), r) for r in records), key=lambda found: found[0])


def by(records: Sequence[Record], **wanted: Any) -> list[Record]:
    """The records with these values, of a field or of their point."""
    return [r for r in records if all(value_of(r, key) == v for key, v in wanted.items())]


def value_of(record: Mapping[str, Any], key: str) -> Any:
    """A field of the record or of its point, None where it has neither."""
    return record.get(key, record["point"].get(key))


def values_of(records: Sequence[Record], key: str) -> list[Any]:
    """The values of a field or an axis, each once: numbers in order, names as they come."""
    values = list(dict.fromkeys(value_of(record, key) for record in records))
    return sorted(values) if all(isinstance(value, int | float) for value in values) else values
