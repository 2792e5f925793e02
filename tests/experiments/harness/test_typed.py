"""Commands are printed in the form in which the user typed the first one."""

import sys

import pytest

from experiments.harness import typed


@pytest.fixture(autouse=True)
def not_the_command(monkeypatch):
    monkeypatch.setattr(typed, "_start", [])


@pytest.mark.parametrize(
    "started, run, report",
    [
        (
            ["python3", "-m", "experiments.run", "--config=a.py"],
            ["python3", "-m", "experiments.run"],
            ["python3", "-m", "experiments.report"],
        ),
        (
            ["python", "-X", "dev", "experiments/run.py", "--config=a.py"],
            ["python", "experiments/run.py"],
            ["python", "-m", "experiments.report"],
        ),
        (["python", "-c", "pass"], ["python", "-m", "experiments.run"], None),
        ([], ["python", "-m", "experiments.run"], None),
    ],
)
def test_a_module_and_a_file_are_named_as_they_were(monkeypatch, started, run, report):
    monkeypatch.setattr(sys, "orig_argv", started)
    assert typed.run() == run and (report is None or typed.report() == report)
    assert not typed.is_command() and typed.lists() == "--list"


def test_the_command_is_named_wherever_it_was_used():
    typed.started_by(["elsa"])
    assert (typed.run(), typed.report()) == (["elsa", "run"], ["elsa", "report"])
    assert typed.is_command() and typed.lists() == "elsa list" and typed.config() == "NAME"
