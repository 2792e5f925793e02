"""Linear attention and H3 with all their weights against one step of preconditioned descent."""

from typing import Any

from experiments.harness.experiment import Case, Record
from experiments.trained.spec import TrainedSpec


def setting_of_run(case: Case, trained: Any, records: list[Record]) -> list[Record]:
    """The run's name without its model."""
    setting = case["run"].removesuffix(f"_{case['model']['name']}")
    return [{"setting": setting} for _ in records]


SPEC = TrainedSpec(
    title="risk of trained models against the optimum of one preconditioned gradient step",
    x="context_length",
    x_label="context length n (examples)",
    panel="setting",
    labels={
        "noiseless": "no label noise, isotropic tasks",
        "noisy": "label noise, isotropic tasks",
        "non_isotropic": "no label noise, tasks of decaying variance",
    },
    theory="one preconditioned step",
    more=setting_of_run,
)
EXPERIMENT = SPEC.experiment()
