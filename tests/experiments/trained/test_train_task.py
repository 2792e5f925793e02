"""Tasks that the config of `train` names: their sizes, their numbers, what they do not take."""

import numpy as np
import pytest

from configs import train as config_file
from elsa import tasks
from experiments.harness import command_line
from experiments.trained import texts, train_task


def settings(*words):
    config = config_file.get_config("full").lock()
    command_line.apply_overrides(config, [f"--config.{word}" for word in words])
    return train_task.settings(config)


@pytest.mark.parametrize(
    "words, expected",
    [
        ([], (2.0, 1.0, 0.5, 0.25)),
        (["task.dim=2"], (2.0, 0.25)),
        (["task.dim=1"], (1.0,)),
        (["task.dim=3", "task.cov_x=(1,)"], (1, 1, 1)),
        (["task.dim=2", "task.cov_x=(3,1)"], (3, 1)),
        (["task.dim=2", "task.cov_x=((2,1),(1,2))"], ((2, 1), (1, 2))),
    ],
)
def test_the_covariance_has_the_size_of_dim(words, expected):
    found = settings(*words)
    assert found["cov_x"] == expected
    assert np.shape(tasks.build(found).cov_x) == (found["dim"],) * 2


OTHERS = {  # task -> what it needs besides
    "affine_regression": "intercept_var=0.5",
    "alignment": "alignment=0.5",
    "drift": "correlation=0.9",
    "linear_regression": "cov_task=(2,1,1,1) gamma_shape=2",
    "prescribed_spectrum": "condition_number=10",
    "retrieval": "alignment=0.5",
    "shifted_regression": "query_scale=2.0 half_subspace=True",
}


def test_every_task_is_built_from_the_command_line_alone():
    assert {*OTHERS, "table", "products"} == set(tasks.TASKS)
    for name, fields in OTHERS.items():
        task = tasks.build(settings(f"task.name={name}", f"task.fields={fields}"))
        assert isinstance(task, tasks.TASKS[name]) and task.dim == 4


@pytest.mark.parametrize(
    "words, message",
    [
        (["task.cov_x=(1,2)"], r"task\.cov_x must have one number for each of the dim=4"),
        (["task.name=retrieval"], r"needs alignment, as --config\.task\.fields='alignment=\.\.'"),
        (
            ["task.name=retrieval", "task.fields=alignment=0.5", "task.covariates=gamma"],
            r"does not take task\.covariates='gamma'; it takes alignment",
        ),
        (["task.fields=gamma"], r"task\.fields must be like .*got 'gamma'"),
        (["task.fields='gamma"], r"task\.fields: No closing quotation"),
    ],
)
def test_what_a_task_has_not_is_refused(words, message):
    with pytest.raises(ValueError, match=message):
        settings(*words)


def test_tasks_in_a_text_need_a_name_first():
    said = "retrieval alignment=0.5; linear_regression covariates=gamma cov_x=(1,2)"
    assert texts.tasks(said, "key") == [
        ("retrieval alignment=0.5", {"name": "retrieval", "alignment": 0.5}),
        (
            "linear_regression covariates=gamma cov_x=(1,2)",
            {"name": "linear_regression", "covariates": "gamma", "cov_x": (1, 2)},
        ),
    ]
    with pytest.raises(ValueError, match=r"key must be like .*\(a task and its numbers\)"):
        texts.tasks("alignment=0.5", "key")
