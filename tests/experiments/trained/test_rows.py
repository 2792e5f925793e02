"""The rows of a trained point: one for each seed and step."""

import pytest

from experiments.harness import table
from experiments.trained import rows

RECORD = {
    "run": "lsa",
    "model": "lsa",
    "point": {"noise_var": 0.1},
    "risk": 2.0,
    "standard_error": 0.1,
    "evaluation_error": 0.2,
    "risks": [1.0, None],
    "diverged": 1,
    "target": 0.5,
    "excess": 3.0,
    "best_excess": 1.0,
    "lines": {"Bayes": 0.4},
    "steps": 20,
    "along_training": {"steps": [10, 20], "losses": [[3.0, 4.0], [2.0, None]]},
    "watched_steps": [0, 10, 20],
    "watched": {"ridge/1": [[0.9, 0.8], [0.7, None], [0.5, None]]},
    "of_seeds": {"median": [0.3, None]},
    "elsewhere": [
        {
            **{"changed": "query_scale", "value": 2.0, "ridge": 1.5, "lines": {"Bayes": 1.4}},
            "of_seeds": {"mean": [6.0, None]},
        }
    ],
    "algorithm": "gradient descent",
    "algorithm_to_ridge": [1.0, 0.5],
    "preconditioner_distance": {"largest": 0.01},
    "shown": {"model": [0.1, 0.2]},
    "step_layers": [0, 2],
    "seconds": 7.0,
}


def test_a_row_for_each_seed_and_step_and_what_is_measured_at_the_end_in_the_last():
    same, each = rows.of(RECORD)
    columns = {name: list(values) for name, values in each.items()}
    assert {len(values) for values in columns.values()} == {6}
    assert columns["seed"] == [0, 0, 0, 1, 1, 1] and columns["step"] == [0, 10, 20] * 2
    assert columns["final"] == [False, False, True] * 2
    assert columns["status"] == ["done"] * 3 + ["diverged"] * 3
    assert columns["loss"] == [None, 3.0, 2.0, None, 4.0, None]
    assert columns["watched.ridge/1"] == [0.9, 0.7, 0.5, 0.8, None, None]
    at_end = {
        **{"risk": 1.0, "excess": 1.0, "median": 0.3, "elsewhere.mean.query_scale=2.0": 6.0},
        "preconditioner_distance.largest": 0.01,
    }
    for name, value in at_end.items():
        assert columns[name][:3] == [None, None, value], name
        assert columns[name][3:5] == [None, None], name
    assert columns["risk"][5] is None and columns["excess"][5] is None
    known = table.flat(same)
    assert known["lines.Bayes"] == 0.4 and known["target"] == 0.5 and known["seconds"] == 7.0
    assert known["algorithm"] == "gradient descent"
    assert (known["algorithm_to_ridge.0"], known["algorithm_to_ridge.2"]) == (1.0, 0.5)
    assert known["elsewhere.ridge.query_scale=2.0"] == 1.5
    assert known["elsewhere.Bayes.query_scale=2.0"] == 1.4
    over_seeds = {"best_excess", "standard_error", "diverged", "steps", "shown.model"}
    assert not over_seeds & {*known, *columns}


def test_a_record_of_no_training_has_one_row_a_seed():
    _, each = rows.of({"risks": [1.0, 2.0, 3.0], "target": 2.0, "point": {}})
    assert each["step"] == [None] * 3 and each["final"] == [True] * 3
    assert each["excess"] == pytest.approx([-0.5, 0.0, 0.5])


def test_no_excess_is_told_of_a_target_of_nothing():
    _, each = rows.of({"risks": [1.0, None], "target": 0.0, "point": {}})
    assert each["risk"] == [1.0, None] and each["excess"] == [None, None]
