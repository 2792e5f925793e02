"""What a run watches of its models beside their loss."""

import jax.numpy as jnp
import numpy as np
import pytest

from elsa import training
from tests.training import cases
from tests.training.cases import EVERY, STEPS


def size_and_noise(model, task):
    return {"size": jnp.abs(model.weight[...]).max(), "noise": task.noise_var, "n": 1}


def test_numbers_of_every_model_stand_beside_its_losses_from_the_start_on(tmp_path, monkeypatch):
    calls = []

    def watch(model, task):
        calls.append(task.context_length)
        return size_and_noise(model, task)

    whole = training.fit(cases.config(), tmp_path / "whole", watch=watch)
    assert calls in ([4], [4, 4])  # traced for its shapes and for the one program
    assert cases.lines(whole.folder)[0].keys() == {"step", "watched"}
    steps, found = whole.watched_along_training()
    np.testing.assert_array_equal(steps, np.arange(0, STEPS + 1, EVERY))
    assert found.keys() == {"size", "noise", "n"}
    np.testing.assert_array_equal(found["noise"], np.broadcast_to([0.1, 0.5], (5, 2, 2)))
    np.testing.assert_array_equal(found["size"][0], 0.0)
    np.testing.assert_array_equal(found["size"][-1], np.abs(cases.weight(whole)).max(axis=(2, 3)))
    np.testing.assert_array_equal(whole.risk_along_training()[0], steps[1:])

    cases.interrupt_at(EVERY, monkeypatch)  # before there is a checkpoint
    with pytest.raises(KeyboardInterrupt):
        training.fit(cases.config(), tmp_path / "broken", watch=watch)
    monkeypatch.undo()
    again = training.fit(cases.config(), tmp_path / "broken", watch=watch)
    cases.assert_equal_runs(again, whole)


def test_what_is_not_finite_or_not_there_is_nan(tmp_path):
    train = {"num_steps": 0, "average": 0.0}
    config = cases.quiet(train=train)
    built = training.fit(config, tmp_path, watch=lambda model, task: {"a": jnp.inf, "b": 1.0})
    (line,) = cases.lines(tmp_path)
    assert line == {"step": 0, "watched": {"a": [[None] * 2] * 2, "b": [[1.0] * 2] * 2}}
    more = '{"step": 6, "watched": {"c": [[1, 2], [3, 4]]}}\n'
    with open(tmp_path / "metrics.jsonl", "a") as file:
        file.write(more)
    steps, found = built.watched_along_training()
    np.testing.assert_array_equal(steps, [0, 6])
    np.testing.assert_array_equal(found["b"], [np.ones((2, 2)), np.full((2, 2), np.nan)])
    np.testing.assert_array_equal(found["c"], [np.full((2, 2), np.nan), [[1, 2], [3, 4]]])
    assert np.isnan(found["a"]).all()


@pytest.mark.parametrize(
    "watch, error, message",
    [
        (lambda model, task: model.weight[...].sum(), TypeError, "a flat dict of name -> real num"),
        (lambda model, task: {1: 1.0}, TypeError, "a flat dict"),
        (lambda model, task: {"w": {"a": 1.0}}, TypeError, "a flat dict .* got 'w'"),
        (lambda model, task: {"w": 1j}, TypeError, "a flat dict .* got 'w'"),
        (lambda model, task: {"w": model.weight[...]}, ValueError, r"got 'w' of shape \(2, 2\)"),
    ],
)
def test_anything_but_numbers_by_name_is_refused_before_the_run(watch, error, message, tmp_path):
    with pytest.raises(error, match=message):
        training.fit(cases.config(), tmp_path / "run", watch=watch)
    assert not (tmp_path / "run").exists()
