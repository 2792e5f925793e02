"""Linear transformers by depth and by context length, and whether theory's bands hold."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ml_collections import ConfigDict

from experiments.harness.experiment import Case, Record, Summary
from experiments.trained import claims as bands
from experiments.trained import depth, measure, panels, report
from experiments.trained.spec import Figures, TrainedSpec

if TYPE_CHECKING:
    from rich.table import Table

_ONE_LAYER, _BEST_SEED = 0.01, 0.03  # shares of the target
_TITLE = "risk of trained linear transformers, by depth and by context length"
_LENGTHS = TrainedSpec(
    title=_TITLE,
    x="context_length",
    x_label="context length n (examples)",
    theory="optimum of one preconditioned step",
    log=True,
)


def check(config: ConfigDict) -> None:
    """Refuses runs that are no linear transformers, besides what training refuses."""
    measure.check(config)
    for name, run in config.runs.items():
        if run.model.name != "linear_transformer" or set(run.get("sweep", {})) - {_LENGTHS.x}:
            raise ValueError(
                f"literature: runs.{name} must train a linear_transformer, over context_length or "
                f"nothing, got {run.model.name!r} over {sorted(run.get('sweep', {}))}"
            )


def claims(records: Sequence[Mapping[str, Any]]) -> list[bands.Claim]:
    """What theory says of the records, and how far the measured risks keep to it.

    One layer, at every length: the mean risk over the seeds is within 1 % of the optimum of one
    step. More layers: the mean lies between Bayes and the best descent of as many steps, and the
    best seed within 3 % of the best polynomial of that depth.
    """
    found = []
    for record in report.reached(records):
        layers, target, risk = record["depth"], record["target"], record["risk"]
        error = record["evaluation_error"] / target
        at = _place(record)
        if layers == 1:
            name = f"{at}: within 1 % of the best step"
            found.append(bands.Claim(name, abs(risk / target - 1.0), _ONE_LAYER, error))
            continue
        best, best_error = report.best_measured(record)
        bayes, descent = (record["lines"][line] for line in (depth.BAYES, depth.DESCENT))
        found += [
            bands.Claim(f"{at}: not below Bayes", 1.0 - risk / bayes, 0.0, error),
            bands.Claim(
                f"{at}: not above descent of {layers} steps", risk / descent - 1.0, 0.0, error
            ),
            bands.Claim(
                f"{at}: best seed within 3 % of the best polynomial",
                best / target - 1.0,
                _BEST_SEED,
                best_error / target,
            ),
        ]
    return found


def summarise(config: ConfigDict, records: list[Record]) -> Summary:
    """Every point's numbers, and the claims."""
    made = [claim.to_dict() for claim in claims(records)]
    return {**report.summarise(config, records), "claims": made}


def tables(summary: Summary) -> list["Table"]:
    """All points, and what must hold of them."""
    risks = report.table(summary, title=_TITLE, target="theory")
    return [risks, bands.table([bands.Claim.from_dict(claim) for claim in summary["claims"]])]


def figures(config: ConfigDict, records: list[Record], summary: Summary) -> Figures:
    """Risk against depth, and against the context length, theory dotted beside both."""
    lengths = [record for record in records if _LENGTHS.x in record["point"]]
    layers = [record for record in records if _LENGTHS.x not in record["point"]]
    specs = {"depth": (SPEC, layers), "context_length": (_LENGTHS, lengths)}
    return {
        name: panels.draw(spec, config, shown) for name, (spec, shown) in specs.items() if shown
    }


def layers(case: Case, trained: Any, records: list[Record]) -> list[Record]:
    """The number of layers, as part of the point where the run has no other axis."""
    number = {"depth": case["model"]["depth"]}
    own = {} if case.get("sweep") else number
    return [{**number, "point": {**record["point"], **own}} for record in records]


def _place(record: Mapping[str, Any]) -> str:
    count = record["depth"]
    at = f"{count} layer{'s' * (count > 1)}"
    length = record["point"].get(_LENGTHS.x)
    return at if length is None else f"{at}, n = {length}"


SPEC = dataclasses.replace(depth.SPEC, title=_TITLE, more=layers, figures=figures)
EXPERIMENT = dataclasses.replace(SPEC.experiment(), check=check, summarise=summarise, tables=tables)
