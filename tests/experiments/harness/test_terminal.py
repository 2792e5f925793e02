"""Durations for readers, and the bar that a terminal shows."""

import io
import sys

import pytest
from rich.console import Console

from experiments.harness import terminal


@pytest.mark.parametrize(
    "seconds, text",
    [
        (0.04, "0.0 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (59.6, "1 min 00 s"),
        (200.0, "3 min 20 s"),
        (3900.0, "1 h 05 min"),
    ],
)
def test_durations_have_the_two_units_that_matter(seconds, text):
    assert terminal.duration(seconds) == text


def test_a_terminal_shows_the_case_its_count_and_the_time_left():
    screen = Console(file=io.StringIO(), force_terminal=True, width=120)
    with terminal.CaseProgress(screen, total=4, kept=1) as progress:
        progress.begins("depth [32]")
        progress.ends("depth [32]", 0.1)
    shown = screen.file.getvalue()
    assert "depth [32]" in shown and "2/4" in shown and " left" in shown
    assert "gone" not in shown  # the lines of a pipe


def test_text_is_printed_as_it_is():
    screen = Console(file=io.StringIO(), width=10)
    terminal.say(screen, "runs/a-long-name/[bold]figures.png")
    assert screen.file.getvalue() == "runs/a-long-name/[bold]figures.png\n"


def test_a_pipe_is_wide_unless_columns_says_otherwise(monkeypatch):
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    monkeypatch.delenv("COLUMNS", raising=False)
    assert terminal.console().width == 120
    monkeypatch.setenv("COLUMNS", "60")
    assert terminal.console().width == 60
