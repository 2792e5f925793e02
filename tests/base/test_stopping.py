"""Signals that ask a process to stop, outside a training run too."""

import importlib
import signal
import subprocess
import sys
import threading
import time

import pytest

from elsa.base import stopping

PREEMPTING = [signal.SIGTERM, signal.SIGUSR1, signal.SIGHUP]


@pytest.mark.parametrize("number", PREEMPTING)
def test_a_scheduler_s_signal_ends_the_process_as_ctrl_c_does(number):
    before = signal.getsignal(number)
    name = signal.Signals(number).name
    with pytest.raises(stopping.Preempted, match=name), stopping.preemption_raises():
        signal.raise_signal(number)
    assert issubclass(stopping.Preempted, KeyboardInterrupt)
    assert signal.getsignal(number) is before


@pytest.mark.parametrize("number", PREEMPTING)
def test_a_second_signal_on_the_way_out_changes_nothing(number):
    class Saves:
        def __enter__(self):
            return self

        def __exit__(self, *_):
            signal.raise_signal(number)

    with stopping.preemption_raises():
        with pytest.raises(stopping.Preempted, match=r"^SIGTERM came$") as first, Saves():
            signal.raise_signal(signal.SIGTERM)
        with pytest.raises(ValueError) as second:
            try:
                raise first.value
            except KeyboardInterrupt as error:
                signal.raise_signal(number)
                raise ValueError from error
        with pytest.raises(ZeroDivisionError):
            try:
                raise second.value
            except ValueError:
                signal.raise_signal(number)
                raise ZeroDivisionError from None
        with pytest.raises(stopping.Preempted):
            signal.raise_signal(number)


def test_what_a_process_was_started_to_ignore_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    try:
        with stopping.preemption_raises(), stopping.noted() as request:
            signal.raise_signal(signal.SIGHUP)
            assert not request.is_set()
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_second_ctrl_c_alone_interrupts_what_notes_signals():
    with stopping.noted() as request:
        for number in (*PREEMPTING, *PREEMPTING, signal.SIGINT):
            signal.raise_signal(number)
        assert request.is_set() and isinstance(request.error("saved"), stopping.Preempted)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_ctrl_c_is_no_preemption():
    with stopping.noted() as request:
        signal.raise_signal(signal.SIGINT)
    assert type(request.error("saved")) is KeyboardInterrupt


def test_a_limit_of_time_preempts_and_a_process_that_ends_before_is_let_be():
    with pytest.raises(stopping.Preempted), stopping.preemption_raises(after=0.05):
        threading.Event().wait(20)
    with stopping.preemption_raises():
        with stopping.preemption_raises(after=0.2):
            pass
        threading.Event().wait(0.4)


class _Cleared:
    """An object that a signal reaches while Python clears it away, where errors are dropped."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __del__(self) -> None:
        signal.raise_signal(self.number)


@pytest.mark.parametrize("number", [*PREEMPTING, signal.SIGINT])
def test_a_signal_whose_error_python_drops_comes_again(number):
    with pytest.raises(KeyboardInterrupt) as caught, stopping.preemption_raises():
        _Cleared(number)
        time.sleep(5.0)
    name = "" if number == signal.SIGINT else f"{signal.Signals(number).name} came"
    assert str(caught.value) == name


def test_a_dropped_signal_does_not_disturb_the_way_out_nor_what_is_done():
    with pytest.raises(stopping.Preempted, match=r"^SIGUSR1 came$"), stopping.preemption_raises():
        try:
            signal.raise_signal(signal.SIGUSR1)
        finally:
            _Cleared(signal.SIGINT)
            time.sleep(0.3)
    with stopping.preemption_raises():
        with stopping.preemption_raises():
            _Cleared(signal.SIGTERM)
        time.sleep(0.3)


def test_other_errors_that_python_drops_are_said_as_before(monkeypatch):
    said = []
    monkeypatch.setattr(sys, "unraisablehook", lambda dropped: said.append(dropped.exc_value))

    class Fails:
        def __del__(self):
            raise ValueError("in __del__")

    with stopping.preemption_raises():
        Fails()
    assert [str(error) for error in said] == ["in __del__"]


def test_a_thread_that_gets_no_signals_notes_none():
    noted = []

    def run():
        with stopping.noted() as request, stopping.preemption_raises():
            noted.append(request.is_set())

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert noted == [False]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_waits_until_what_is_imported_is_there(number, tmp_path, monkeypatch):
    """Libraries in C take what a handler raises for an error of their own, or crash."""
    name = f"elsa_test_imported_at_{int(number)}"
    lines = [
        "import os",
        f"os.kill(os.getpid(), {int(number)})",
        "sum(range(1000))",
        "whole = True",
    ]
    (tmp_path / f"{name}.py").write_text("\n".join(lines))
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(KeyboardInterrupt) as caught, stopping.preemption_raises():
        module = importlib.import_module(name)
        assert module.whole
        time.sleep(5.0)
    assert isinstance(caught.value, stopping.Preempted) == (number == signal.SIGTERM)
    assert name in sys.modules


@pytest.mark.parametrize("number", [signal.SIGINT, *PREEMPTING])
def test_a_signal_that_comes_when_all_is_done_changes_no_exit_code(number):
    code = (
        "import os, sys\nfrom elsa.base import stopping\nprint('said')\n"
        f"stopping.ends_with(3)\nos.kill(os.getpid(), {int(number)})\nprint('never')"
    )
    done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert (done.returncode, done.stdout) == (3, "said\n")
