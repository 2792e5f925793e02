"""What is descended: the Huber loss, Adam's second decay, and steps that are left out."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from elsa import tasks, training
from elsa.training import descent
from tests.training import cases
from tests.training.by_hand import descend
from tests.training.cases import EVERY, STEPS

SPOILT = 0.2  # the share of the steps whose labels are infinite


@tasks.task(static=("dim", "context_length"))
@dataclasses.dataclass(frozen=True)
class Spoilt:
    """Regression with batches now and then of which one label is infinite."""

    dim: int
    context_length: int
    noise_var: float

    cuts = True

    def sample(self, key, batch):
        own = tasks.LinearRegression(self.dim, self.context_length, self.noise_var)
        prompt = own.sample(key, batch)
        spoils = jax.random.uniform(jax.random.fold_in(key, 7)) < SPOILT
        label = prompt.query_y.at[0].set(jnp.where(spoils, jnp.inf, prompt.query_y[0]))
        return prompt._replace(query_y=label)


@pytest.fixture
def spoilt(monkeypatch):
    monkeypatch.setitem(tasks.TASKS, "spoilt", Spoilt)
    return {"name": "spoilt", "dim": 2, "context_length": 4, "noise_var": 0.1}


def test_the_huber_loss_is_the_square_within_delta_and_its_tangent_beyond():
    residuals = np.array([0.0, 1.0, -2.0, 3.0, -5.0])
    expected = np.mean([0.0, 1.0, 4.0, 8.0, 16.0])  # 2 * 2 * |r| - 4 from |r| = 2 on
    np.testing.assert_allclose(descent.huber(residuals, 2.0), expected, rtol=1e-15)
    slopes = 5 * jax.grad(descent.huber)(residuals, 2.0)
    np.testing.assert_allclose(slopes, [0.0, 2.0, -4.0, 4.0, -4.0], rtol=1e-15)
    overflows = descent.huber(np.array([1e30], np.float32), 2.0)
    np.testing.assert_allclose(overflows, 4e30, rtol=1e-6)


def test_the_huber_loss_and_adams_decay_train_as_by_hand_and_squares_are_written(tmp_path):
    train = {"loss": "huber", "huber_delta": 0.7, "adam_b2": 0.9}
    config = cases.quiet(sweep={}, num_seeds=1, train=train)
    trained = training.fit(config, tmp_path)
    expected, squares = descend(config, trained.task())
    np.testing.assert_allclose(cases.weight(trained)[0, 0], expected, rtol=1e-10)
    np.testing.assert_allclose(trained.risk_along_training()[1][:, 0, 0], squares, rtol=1e-10)


def test_steps_that_are_not_finite_are_left_out_and_counted(spoilt, tmp_path, monkeypatch):
    train = {"skip_nonfinite": 3, "average": 0.5, "share_data": True}
    config = cases.config(task=spoilt, train=train)
    trained = training.fit(config, tmp_path / "whole")
    expected, losses = descend(config, trained.task(1))
    np.testing.assert_allclose(cases.weight(trained)[0, 1], expected, rtol=1e-10)
    np.testing.assert_allclose(trained.risk_along_training()[1][:, 0, 1], losses, rtol=1e-10)
    root = jax.random.fold_in(jax.random.fold_in(jax.random.key(3), 1), 0)
    keys = [jax.random.fold_in(jax.random.fold_in(root, t), 7) for t in range(STEPS)]
    left_out = sum(bool(jax.random.uniform(key) < SPOILT) for key in keys)
    lines = cases.lines(trained.folder)
    assert left_out and sum(line["skipped"] for line in lines) == 4 * left_out  # of each model
    assert [line["diverged"] for line in lines] == [0] * len(lines)
    cases.interrupted(tmp_path / "broken", 3 * EVERY, monkeypatch, task=spoilt, train=train)
    cases.assert_equal_runs(training.fit(config, tmp_path / "broken"), trained)


def test_a_model_stops_after_more_steps_in_a_row_than_may_be_left_out(tmp_path):
    # an update is 1 at first, so that this rate takes every step but one beyond float64
    sweep = {"learning_rate": (0.05, 1.7e308)}
    train = {"skip_nonfinite": EVERY + 1, "decay": "constant", "average": 0.0}
    config = cases.quiet(sweep=sweep, num_seeds=1, train=train)
    trained = training.fit(config, tmp_path)
    np.testing.assert_array_equal(trained.state.diverged, [[False, True]])
    assert np.isfinite(cases.weight(trained)).all()
    lines = cases.lines(tmp_path)
    assert [line["skipped"] for line in lines] == [EVERY - 1, 3, 0, 0]
    assert [line["diverged"] for line in lines] == [0, 1, 1, 1]
    first, *others = (line["loss"][0][1] for line in lines)
    assert np.isfinite(first) and others == [None] * 3


def test_by_default_nothing_is_left_out_and_nothing_said_of_it(unbroken):
    assert unbroken.state.skipped == ()
    assert set(cases.lines(unbroken.folder)[0]) == {"step", "loss", "active", "diverged"}
