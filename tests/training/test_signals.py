"""Signals that ask a run to stop: a checkpoint first, whenever they come."""

import signal
import threading

import pytest

from elsa import training
from elsa.base.stopping import Preempted, StopRequest
from elsa.training.checkpoint import Checkpoints
from elsa.training.writers import MetricsFile
from tests.helpers import wide
from tests.training import cases
from tests.training.cases import EVERY, METRICS, STEPS, assert_same_bits


@pytest.mark.parametrize(
    "number",
    wide(
        [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGHUP],
        keep=[signal.SIGINT, signal.SIGTERM],
    ),
)
def test_a_signal_writes_a_checkpoint_and_says_that_the_same_command_goes_on(
    number, unbroken, tmp_path, monkeypatch, console
):
    handler = signal.getsignal(number)
    config = cases.quiet()  # which would write no checkpoint before the end
    with monkeypatch.context() as patch:
        _signal_at(2 * EVERY, number, patch)
        with pytest.raises(KeyboardInterrupt, match="stopped at step 12 of 24; its ch") as stopped:
            training.fit(config, tmp_path, screen=console)
    assert (stopped.type is Preempted) == (number != signal.SIGINT)
    assert (tmp_path / "checkpoints" / "12").is_dir()
    assert signal.getsignal(number) is handler
    resumed = training.fit(config, tmp_path, screen=console, name="mine")
    assert_same_bits(resumed, unbroken)
    assert f"mine: going on from step 12 in {tmp_path}" in console.file.getvalue()


def _signal_at(step, number, patch):
    append = MetricsFile.append

    def signals(self, record):
        append(self, record)
        if record["step"] == step:
            signal.raise_signal(number)

    patch.setattr(MetricsFile, "append", signals)


def test_ctrl_c_during_the_last_steps_is_not_forgotten(tmp_path, monkeypatch, unbroken):
    with monkeypatch.context() as patch:
        _signal_at(STEPS, signal.SIGINT, patch)
        with pytest.raises(KeyboardInterrupt, match="stopped at step 24 of 24"):
            training.fit(cases.quiet(), tmp_path)
    again = training.fit(cases.quiet(), tmp_path)
    assert again.program.compilations == 0
    assert_same_bits(again, unbroken)


def test_a_signal_while_the_last_checkpoint_is_written_is_not_forgotten(
    tmp_path, monkeypatch, unbroken
):
    wait = Checkpoints.wait

    def signalled(self):
        signal.raise_signal(signal.SIGTERM)
        wait(self)

    with monkeypatch.context() as patch:
        patch.setattr(Checkpoints, "wait", signalled)
        with pytest.raises(Preempted, match="stopped at step 24 of 24"):
            training.fit(cases.quiet(), tmp_path)
    again = training.fit(cases.quiet(), tmp_path)
    assert again.program.compilations == 0
    assert_same_bits(again, unbroken)


def test_a_signal_just_after_it_was_looked_for_has_its_checkpoint_too(tmp_path, monkeypatch):
    is_set, sent = StopRequest.is_set, []

    def just_before(self):
        found = is_set(self)
        if not sent and (tmp_path / METRICS).exists() and len(cases.lines(tmp_path)) == 2:
            sent.append(signal.raise_signal(signal.SIGTERM))
        return found

    monkeypatch.setattr(StopRequest, "is_set", just_before)
    with pytest.raises(Preempted, match=r"stopped at step \d+ of 24") as stopped:
        training.fit(cases.quiet(), tmp_path)
    step = str(stopped.value).split()[4]
    assert (tmp_path / "checkpoints" / step).is_dir()


def test_a_second_ctrl_c_interrupts_at_once(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        _signal_at(EVERY, signal.SIGINT, patch)
        _signal_at(EVERY, signal.SIGINT, patch)
        with pytest.raises(KeyboardInterrupt) as stopped:
            training.fit(cases.quiet(), tmp_path)
    assert str(stopped.value) == "" and not (tmp_path / "checkpoints" / "6").exists()


def test_a_scheduler_s_second_signal_and_a_later_ctrl_c_still_write_the_checkpoint(
    tmp_path, monkeypatch
):
    with monkeypatch.context() as patch:
        for number in (signal.SIGTERM, signal.SIGTERM, signal.SIGINT):
            _signal_at(EVERY, number, patch)
        with pytest.raises(Preempted, match="stopped at step 6 of 24"):
            training.fit(cases.quiet(), tmp_path)
    assert (tmp_path / "checkpoints" / "6").is_dir()


def test_a_thread_that_gets_no_signals_can_train(tmp_path, unbroken):
    found = []
    thread = threading.Thread(target=lambda: found.append(training.fit(cases.quiet(), tmp_path)))
    thread.start()
    thread.join()
    assert_same_bits(found[0], unbroken)
