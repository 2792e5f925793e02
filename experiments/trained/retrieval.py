"""Contexts retrieved around the query, and features aligned with the task."""

from experiments.trained.predictions import APPROXIMATION
from experiments.trained.spec import TrainedSpec

SPEC = TrainedSpec(
    title="risk of trained models against the exact optimum of one gradient step",
    x="context_length",
    x_label="context length n (examples)",
    hue="alignment",
    lines=(APPROXIMATION,),
    theory="exact",
    log=True,
)
EXPERIMENT = SPEC.experiment()
