"""What theory is asked about for a task."""

from typing import Any

from elsa import theory


def setting_of(task: Any) -> theory.Setting:
    """The laws of a `tasks.LinearRegression`."""
    return theory.Setting(
        dim=task.dim,
        context_length=task.context_length,
        noise_var=float(task.noise_var),
        cov_x=task.cov_x,
        cov_task=task.cov_task,
        task_mean=task.task_mean,
    )
