"""A stretch of steps is run in pieces: signals need not wait for its end, and no bit changes."""

import os
import signal
import threading
import time

import jax
import numpy as np
import pytest

from elsa import training
from elsa.base.stopping import Preempted, preemption_raises
from elsa.training import loop, pieces, sampling
from elsa.training.pieces import Pieces
from tests.training import cases
from tests.training.cases import EVERY, STEPS, assert_equal_runs

# steps left out, a model that stops by itself, and averages: all that a stretch keeps count of
BUSY = {
    "sweep": {"learning_rate": (0.05, 1e200)},
    "train": {"skip_nonfinite": 2, "patience": 2, "min_improvement": 0.3, "average": 0.5},
}


def stops_at(step, patch, *numbers):
    """Signals come while the steps up to `step` are running."""
    advance = Pieces.advance

    def signalled(self, state, before):
        found = advance(self, state, before)
        for number in numbers if found[1] == step else ():
            signal.raise_signal(number)
        return found

    patch.setattr(Pieces, "advance", signalled)


def test_where_a_stretch_is_cut_and_stopped_changes_no_bit(tmp_path, monkeypatch):
    config = cases.quiet(**BUSY)
    whole, folder = training.fit(config, tmp_path / "whole"), tmp_path / "cut"
    monkeypatch.setattr(pieces, "_GROWTH", 1)
    for step in (3, 10):
        with monkeypatch.context() as patch, pytest.raises(Preempted, match=f"at step {step} of"):
            stops_at(step, patch, signal.SIGTERM, signal.SIGTERM)
            training.fit(config, folder)
        # what was stopped there can be looked at
        models = training.all_models(folder)
        assert models.step == step and np.isfinite(models.risk(16)[0][:, 0]).all()
    cut = training.fit(config, folder)
    assert_equal_runs(cut, whole)
    assert isinstance(cut.state.part, tuple)


def test_a_signal_does_not_wait_for_a_long_stretch(tmp_path, monkeypatch):
    steps, sent = 400_000, []
    config = cases.quiet(train={"num_steps": steps, "evaluate_every": steps})

    def send():
        sent.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGTERM)

    reaches = loop.TrainingProgress.reaches

    def begins_to_wait(self, step):
        reaches(self, step)
        if not sent and step > 1:  # compiled
            sent.append(0.0)
            threading.Timer(0.2, send).start()

    monkeypatch.setattr(loop.TrainingProgress, "reaches", begins_to_wait)
    with pytest.raises(Preempted, match=rf"stopped at step [\d,]+ of {steps:,}"):
        training.fit(config, tmp_path)
    assert time.monotonic() - sent[1] < 10
    assert not (tmp_path / cases.METRICS).exists()


def test_where_an_evaluation_is_cut_changes_no_bit(unbroken, monkeypatch):
    whole = [*unbroken.risk(64), *unbroken.evaluate(64)]
    monkeypatch.setattr(pieces, "_GROWTH", 1)  # batch by batch, of 8
    cut = [*unbroken.risk(64), *unbroken.evaluate(64)]
    assert [each.tobytes() for each in cut] == [each.tobytes() for each in whole]


@pytest.mark.parametrize("measure", ["risk", "evaluate"])
def test_a_signal_does_not_wait_for_a_long_evaluation(measure, tmp_path, monkeypatch):
    """It came once all of its hundred batches were done, which were one call."""
    program = cases.program_of(sweep={}, num_seeds=1, train={"sampler": "rows"})
    models = training.Trained(program, program.init(), 0, tmp_path)
    sample, batches, compiled = sampling.SAMPLE["rows"], [], program.compiled

    def sampled(*arguments):
        jax.debug.callback(lambda: batches.append(1))
        return sample(*arguments)

    def signalled(function):
        def call(*arguments):
            found = jax.block_until_ready(function(*arguments))
            jax.effects_barrier()
            signal.raise_signal(signal.SIGTERM)
            return found

        return call

    monkeypatch.setitem(sampling.SAMPLE, "rows", sampled)
    monkeypatch.setattr(program, "risk", signalled(program.risk))
    monkeypatch.setattr(program, "compiled", lambda function: signalled(compiled(function)))
    with pytest.raises(Preempted), preemption_raises():
        getattr(models, measure)(100 * 8)
    assert len(batches) == 1


def test_checkpoints_come_by_the_clock_within_a_stretch_too(tmp_path, monkeypatch, unbroken):
    monkeypatch.setattr(pieces, "_GROWTH", 2)
    monkeypatch.setattr(loop, "_WITHIN_A_STRETCH", 0.0)
    kept = training.fit(cases.config(train={"keep": 100}), tmp_path)
    steps = {int(name) for name in os.listdir(tmp_path / "checkpoints") if name.isdecimal()}
    assert {1, EVERY, STEPS} < steps  # a piece is as long as the speed of those before allows
    assert any(step % EVERY for step in steps - {1})
    cases.assert_same_bits(kept, unbroken)
    assert kept.program.compilations == 1
