"""Models that stop by themselves: their loss stays, or is no longer finite."""

import numpy as np
import pytest

from elsa import training
from tests.training import cases
from tests.training.cases import EVERY, STEPS


def test_a_model_whose_loss_stays_stops_and_the_run_ends_with_the_last(tmp_path):
    # an improvement by all of the loss is none: every evaluation but the first is stale
    stops = cases.quiet(train={"patience": 2, "min_improvement": 1.0})
    trained = training.fit(stops, tmp_path)
    assert trained.step == 2 * EVERY < STEPS and not np.asarray(trained.state.active).any()
    assert [line["active"] for line in cases.lines(tmp_path)] == [4, 0]
    assert cases.lines(tmp_path)[-1]["diverged"] == 0


def test_a_stopped_model_keeps_its_weights_while_others_go_on(tmp_path):
    sweep = {"learning_rate": (1e-9, 0.05)}
    patient = {"patience": 1, "min_improvement": 0.3, "share_data": True}
    task = {**cases.config()["task"], "noise_var": 0.0}
    made = {"sweep": sweep, "task": task, "train": {"batch": 512, **patient}, "num_seeds": 1}
    trained = training.fit(cases.quiet(**made), tmp_path / "stops")
    records = cases.lines(tmp_path / "stops")
    assert not np.asarray(trained.state.active)[0, 0]
    # 1e-9 a step: the first evaluation sets `best`, the second is stale and stops the model
    slow = np.abs(cases.weight(trained)[0, 0]).max()
    assert 0 < slow <= 2 * EVERY * 1e-9
    assert records[1]["active"] <= 1
    assert np.abs(cases.weight(trained)[0, 1]).max() > 0.1


def test_a_model_that_diverges_stops_with_finite_weights_and_the_others_go_on(tmp_path, console):
    # beside a tame rate one whose loss overflows, and one whose weights do: an update is 1 at first
    sweep = {"learning_rate": (0.05, 1e200, 1.7e308)}
    config = cases.quiet(sweep=sweep, train={"decay": "constant"})
    trained = training.fit(config, tmp_path, screen=console, name="wild")
    np.testing.assert_array_equal(trained.state.diverged, [[False, True, True]] * 2)
    assert all(np.isfinite(leaf).all() for leaf in cases.weights(trained).values())
    assert trained.step == STEPS
    assert cases.lines(tmp_path)[-1]["diverged"] == 4
    assert "wild: 4 of 6 models diverged and stopped" in console.file.getvalue()


def test_a_run_of_which_every_model_diverged_is_an_error_also_when_it_is_opened_again(tmp_path):
    config = cases.quiet(sweep={}, train={"learning_rate": 1e200})
    for _ in range(2):
        with pytest.raises(training.TrainingError, match="every model diverged; a lower learning"):
            training.fit(config, tmp_path)
    assert [line["diverged"] for line in cases.lines(tmp_path)] == [2]  # it ended early
