"""Tasks built from settings."""

import numpy as np
import pytest
from ml_collections import ConfigDict

from elsa import tasks
from tests.helpers import table

SETTINGS = {
    "linear_regression": {
        "dim": 2, "context_length": 3, "noise_var": 0.5, "cov_x": [[2.0, 0.5], [0.5, 1.0]],
        "task_mean": (1, -2),
    },
    "products": {"dim": 2, "factors": 3},
    "affine_regression": {
        "dim": 2, "context_length": 3, "intercept_var": 2.0, "cov_x": [[2.0, 0.5], [0.5, 1.0]],
    },
    "retrieval": {"dim": 2, "context_length": 3, "alignment": 0.5},
    "alignment": {"dim": 2, "context_length": 3, "alignment": 0.5, "noise_var": 0.1},
    "drift": {"dim": 2, "context_length": 1, "task_corr": ((1, 0.5), (0.5, 1))},
    "prescribed_spectrum": {"dim": 2, "context_length": 3, "condition_number": 10.0},
    "shifted_regression": {"dim": 3, "context_length": 2, "query_scale": 2.0},
    "table": {"x": ((1.0, 0.0), (0.0, 1.0), (1.0, 1.0)), "y": (1.0, 2.0, 3.0), "context_length": 2},
}  # fmt: skip


@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize("kind", [dict, ConfigDict])
def test_settings_become_the_task_of_that_name(name, kind):
    task = tasks.build(kind({"name": name, **SETTINGS[name]}))
    assert type(task) is tasks.TASKS[name]
    for field, value in SETTINGS[name].items():
        np.testing.assert_array_equal(getattr(task, field), value)
        if isinstance(value, list | tuple):
            assert getattr(task, field).dtype == np.float64


def test_every_task_of_the_registry_is_tried_here():
    assert set(tasks.TASKS) == set(SETTINGS)


@table(
    "settings, error, message",
    [
        ({"name": "drif"}, KeyError, r"unknown task 'drif', known are .*did you mean 'drift'"),
        ({"name": "zzz"}, KeyError, "unknown task 'zzz', known are .*'linear_regression'"),
        ({"dim": 2}, ValueError, r"build: missing 'name', one of .*; got \['dim'\]"),
        (
            {"name": "retrieval", "dim": 2, "context_length": 3, "aligment": 0.5},
            KeyError,
            "unknown field 'aligment', known are .*did you mean 'alignment'",
        ),
        (
            {"name": "linear_regression", "dim": 2, "context_length": 3, "root_x": 1},
            KeyError,
            "unknown field 'root_x'",
        ),
        ({"name": "drift", "dim": 2}, ValueError, r"missing field \['context_length', 'task_corr"),
        (
            {"name": "retrieval", "dim": 2, "context_length": 3, "alignment": 2.0},
            ValueError,
            "Retrieval: alignment must be at most 1",
        ),
    ],
)
def test_bad_settings_are_refused(settings, error, message):
    with pytest.raises(error, match=message):
        tasks.build(settings)


@pytest.mark.parametrize("name", tasks.TASKS)
def test_every_task_says_whether_its_last_rows_are_a_context_of_its_kind(name):
    whole = ("prescribed_spectrum", "products", "shifted_regression")
    assert tasks.TASKS[name].cuts is (name not in whole)
