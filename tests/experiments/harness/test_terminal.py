"""Durations for readers, and the bar that a terminal shows."""

import io
import sys

import pytest
from rich.console import Console
from rich.table import Table

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


def shown(table, width, encoding="utf-8"):
    file = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    terminal.show(terminal.Screen(file=file, width=width), table)
    file.seek(0)
    return file.read()


def results(**options):
    table = Table("perturbation", "error of the weights", "λ", "Γ", "time", **options)
    table.add_row("X, λ to other rows", "1.234e-15 / 2.345e-15", "0.5", "1.25e+00", "2 s")
    table.add_row("", "a-word-that-is-longer-than-any-screen-of-forty-columns", "0.5", "3", "1 s")
    return table


def test_a_screen_too_narrow_for_a_table_shows_every_row_as_lines_and_cuts_nothing_off():
    printed = shown(results(title="results", caption="error: relative"), 40)
    assert printed.startswith("results\n") and "error: relative" in printed
    assert all(len(line.rstrip()) <= 40 for line in printed.splitlines()) and "…" not in printed
    assert "1.234e-15 / 2.345e-15" in printed
    parts = "".join(line[14:].strip() for line in printed.splitlines())
    assert "a-word-that-is-longer-than-any-screen-of-forty-columns" in parts
    assert "┃" not in printed and "┃" in shown(results(), 150)


@pytest.mark.parametrize("width", [100, 20])
def test_brackets_and_colons_of_a_table_are_text(width):
    names = ("dose [mg]", "speed [/s]", "ratio :x:")
    table = Table(*names, title="of [red]a[/b]", caption="in [mg]")
    table.add_row(*names)
    printed = shown(table, width)
    assert all(printed.count(name.split()[1]) >= 2 for name in names)
    assert "of [red]a[/b]" in printed and "in [mg]" in printed


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
def test_a_table_is_laid_out_for_the_characters_that_a_terminal_has(encoding):
    lines = shown(results(), 150, encoding).splitlines()
    assert "X, lambda to other rows" in lines[3] and "Gamma" in lines[1]
    assert len({len(line) for line in lines}) == 1 and lines[0].startswith("+--")
    narrow = shown(results(), 40, encoding)
    assert narrow.isascii() and "X, lambda to other rows" in narrow


def test_a_bar_and_a_line_are_shown_on_a_terminal_of_few_characters():
    for watched in (True, False):
        file = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
        screen = terminal.Screen(file=file, width=100, force_terminal=watched)
        with terminal.CaseProgress(screen, total=2, kept=0) as progress:
            progress.begins("λ × 2")
            progress.ends("λ × 2", 0.1)
        file.seek(0)
        assert "lambda x 2" in file.read()
