"""Weights of low rank against their optimum."""

from typing import Any

from experiments.harness.experiment import Case, Record
from experiments.trained.spec import TrainedSpec


def context_length(case: Case, trained: Any, records: list[Record]) -> list[Record]:
    """The run's context length as part of the point."""
    length = case["task"]["context_length"]
    return [{"point": {"context_length": length, **record["point"]}} for record in records]


SPEC = TrainedSpec(
    title="risk of trained models against the optimum for their rank",
    x="rank",
    x_label="rank r",
    hue="context_length",
    theory="optimum of that rank",
    more=context_length,
)
EXPERIMENT = SPEC.experiment()
