"""The rows of a trained point in the table of a sweep: one for each seed and step."""

from collections.abc import Sequence
from typing import Any

from experiments.harness.diverged import LOST
from experiments.harness.experiment import Record, Rows
from experiments.harness.table import ended, flat

# known before training, and the same at every step
_OF_THE_POINT = (
    *("run", "model", "point", "target", "lines", "depth", "step_size", "algorithm"),
    *("mean_norm", "seconds"),
)
# numbers over the seeds, which have rows of their own; `steps` is the final row's step
_OVER_SEEDS = (
    *("risk", "standard_error", "evaluation_error", "excess", "best_excess", "diverged", "steps"),
)
_BESIDE = "algorithm_to_ridge"  # after the steps that end with `step_layers`


def of(record: Record) -> Rows:
    """A row for every seed and every step at which something was measured.

    Every row says what the point is and what theory knows of it. `loss` and `watched.NAME` are of
    the row's step; risk, excess and whatever else is measured of the trained models stand in the
    final row of each seed, and are empty above. Lists of the record are left out.
    """
    along = record.get("along_training") or {"steps": [], "losses": []}
    watched = record.get("watched_steps") or []
    ends = [record["steps"]] if "steps" in record else []
    steps: list[Any] = sorted({*along["steps"], *watched, *ends}) or [None]
    risks = record["risks"]
    places = [(seed, step) for seed in range(len(risks)) for step in steps]
    final = [step == steps[-1] for _, step in places]

    def at_steps(times: Sequence[int], values: Sequence[Sequence[Any]]) -> list[Any]:
        found = dict(zip(times, values, strict=True))
        return [found[step][seed] if step in found else None for seed, step in places]

    def at_end(values: Sequence[Any]) -> list[Any]:
        return [
            values[seed] if last else None for (seed, _), last in zip(places, final, strict=True)
        ]

    target, status = record["target"], ended(risks)
    same = {name: record[name] for name in _OF_THE_POINT if name in record}
    each = {
        "seed": [seed for seed, _ in places],
        "step": [step for _, step in places],
        "final": final,
        "status": [status[seed] for seed, _ in places],
        "diverged_at": at_end(_diverged_at(record)),
        "risk": at_end(risks),
        "excess": at_end([None if risk is None else _excess(risk, target) for risk in risks]),
    }
    if along["steps"]:
        each["loss"] = at_steps(along["steps"], along["losses"])
    for name, values in record.get("watched", {}).items():
        each[f"watched.{name}"] = at_steps(watched, values)
    for name, values in record.get("of_seeds", {}).items():
        each[name] = at_end(values)
    for entry in record.get("elsewhere", []):
        law = f"{entry['changed']}={entry['value']}"
        known = {"ridge": entry["ridge"], **entry["lines"]}
        same |= {f"elsewhere.{name}.{law}": risk for name, risk in known.items()}
        for name, values in entry["of_seeds"].items():
            each[f"elsewhere.{name}.{law}"] = at_end(values)
    beside = zip(record.get("step_layers", []), record.get(_BESIDE, []), strict=True)
    same |= {f"{_BESIDE}.{layer}": distance for layer, distance in beside}
    for name, value in flat(_others(record)).items():
        if not isinstance(value, list | tuple):
            each[name] = at_end([value] * len(risks))
    return Rows(same, each)


def _diverged_at(record: Record) -> list[int | None]:
    """The step in which a seed diverged; None for one that did not, or none is known of."""
    steps = {one["seed"]: one["step"] for one in record.get(LOST, {}).get("seeds", ())}
    return [steps.get(seed) for seed in range(len(record["risks"]))]


def _excess(risk: float, target: float) -> float | None:
    """Over the target; none is told of a target of 0."""
    return risk / target - 1.0 if target else None


def _others(record: Record) -> dict[str, Any]:
    """What is measured at the end of all seeds together."""
    read = ("risks", "along_training", "watched", "watched_steps", "of_seeds", "elsewhere", LOST)
    known = (*_OF_THE_POINT, *_OVER_SEEDS, *read, _BESIDE, "shown")
    return {name: value for name, value in record.items() if name not in known}
