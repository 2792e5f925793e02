"""The entry: flags to exit codes, in this process and, sparingly, as a command."""

import json
import os
import signal
import sys
import threading
from pathlib import Path

import pytest
from absl import app, flags

from elsa.base import streams
from experiments import run
from experiments.harness import engine
from tests.experiments.conftest import CONFIG
from tests.experiments.harness.test_engine import stop_at

ROOT = Path(run.__file__).parents[1]


def test_a_run_ends_with_0_in_its_default_folder(entry, capsys):
    assert entry("--config=configs/squares.py", "--config.shift=1") == 0
    assert json.loads(Path("runs/squares/summary.json").read_text())["squares"] == [2, 5, 10]
    assert "  runs/squares/figures/growth.svg\n" in capsys.readouterr().out
    environment = json.loads(Path("runs/squares/env.json").read_text())
    assert environment["command"].endswith(
        "--config=configs/squares.py --workdir=runs/squares --config.shift=1"
    )


def test_quick_and_full_do_not_share_a_folder_and_quick_says_what_it_is(entry, capsys):
    assert entry("--config=configs/squares.py:quick") == 0
    said = capsys.readouterr().out.splitlines()[-1]
    assert said.startswith("configs/squares.py:quick is a smoke run: its figures are not the res")
    assert entry("--config=configs/squares.py") == 0
    assert "smoke run" not in capsys.readouterr().out
    assert sorted(os.listdir("runs")) == ["squares", "squares-quick"]


def test_another_workdir_and_flags_in_any_order(entry):
    assert (
        entry("--config.shift", "-1", "--workdir", "else/where", "--config=configs/squares.py") == 0
    )
    assert json.loads(Path("else/where/config.json").read_text())["shift"] == -1.0


@pytest.mark.parametrize(
    "words, message",
    [
        ([], "-m experiments.run --config=configs/NAME.py [--workdir=DIR]"),
        (["--config="], "no config given"),
        (["--config.shift=1"], "no config given"),
        (["--confg=configs/squares.py"], "unknown flag --confg=configs/squares.py; did you mean"),
        (["--list", "more"], "unexpected argument 'more'"),
        (["--config=configs/square.py"], "did you mean configs/squares.py?"),
        (["--config=configs/squares.py:fast"], "mode must be full or quick, got 'fast'"),
        (["--config=configs/squares.py", "more"], "unexpected argument 'more'"),
        (["--config=configs/squares.py", "--config.shfit=1"], "did you mean shift?"),
        (["--config=configs/squares.py", "--config.shift=a"], "shift is a number"),
        (["--config=configs/squares.py", "--config.sizes=-1"], "sizes: must not be negative, got"),
        (["--config=configs/squares.py", "--config.dtype=int8"], "dtype must be one of float64, "),
        (
            ["--config=configs/squares.py", "--config.experiment=cubes"],
            "experiment says which driver",
        ),
        (["--config=configs/squares.py", "--workdir="], "--workdir is empty"),
        (["--config=configs/squares.py", "--sweep.shft=1,2"], "did you mean shift? Nothing was"),
        (["--config=configs/squares.py", "--sweep"], "squares.py defines no sweep(); name keys"),
        (["--config=configs/squares.py", "--sweep_mode=zip"], "need keys to sweep: --sweep.KEY="),
        (["--config=configs/squares.py", "--sweep_samples=2"], "need keys to sweep: --sweep.KEY="),
        (
            ["--config=configs/squares.py", "--sweeps"],
            "unknown flag --sweeps; did you mean --sweep?",
        ),
        (["--sweep.shift=1,2"], "no config given"),
        (
            ["--config=configs/squares.py", "--devices=99"],
            "--devices=99: limited: count must be at most the 1 device that jax shows",
        ),
        (
            ["--config=configs/squares.py", "--processes=2"],
            "--processes needs --coordinator and --process: each of several",
        ),
        (
            [
                "--config=configs/squares.py",
                "--coordinator=localhost:29400",
                "--processes=2",
                "--process=1",
            ],
            "2 processes share an experiment's training, and squares trains nothing: start one",
        ),
    ],
)
def test_a_users_error_is_one_message_and_exit_code_2_and_writes_nothing(
    entry, capsys, words, message
):
    assert entry(*words) == 2
    printed = capsys.readouterr()
    assert printed.err.startswith("error: ") and message in printed.err
    assert printed.out == "" and os.listdir() == ["configs"]


def test_a_config_of_an_unknown_experiment_is_refused(entry, capsys):
    Path("configs/cubes.py").write_text(CONFIG.replace("squares", "cubes"))
    assert entry("--config=configs/cubes.py") == 2
    assert "config.experiment must be one of" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words", [["--nolist=1"], ["--workdir"], ["--overwrite=perhaps"], ["--sweep_mode=zap"]]
)
def test_a_flag_that_cannot_be_read_ends_with_2(entry, capsys, words):
    with pytest.raises(SystemExit) as stopped:
        entry(*words)
    assert stopped.value.code == 2 and capsys.readouterr().err.startswith("error: ")


def test_an_interrupted_run_ends_with_130_and_the_command_it_prints_resumes_it(
    entry, squares, capsys
):
    def interrupt(n):
        if n == 3:
            raise KeyboardInterrupt

    squares.before = interrupt
    assert entry("--config=configs/squares.py", "--config.shift=1", "--overwrite") == 130
    printed = capsys.readouterr().err
    assert printed.startswith("interrupted. 2 of 3 cases are kept in runs/squares. To go on, run:")
    words = printed.splitlines()[1].split()
    assert words[1:3] == ["-m", "experiments.run"] and "--overwrite" not in words
    squares.before = lambda n: None
    assert entry(*words[3:]) == 0
    assert squares.measured == [1, 2, 3]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1, signal.SIGHUP])
def test_a_scheduler_s_signal_ends_a_run_with_75_and_the_command_resumes_it(
    number, entry, squares, capsys
):
    squares.before = lambda n: signal.raise_signal(number) if n == 3 else None
    assert entry("--config=configs/squares.py") == 75
    printed = capsys.readouterr().err
    assert printed.startswith(f"preempted. {signal.Signals(number).name} came. 2 of 3 cases are")
    squares.before = lambda n: None
    assert entry(*printed.splitlines()[1].split()[3:]) == 0
    assert squares.measured == [1, 2, 3]


def test_a_limit_of_time_ends_a_run_with_75_and_is_part_of_the_command(entry, squares, capsys):
    squares.before = lambda n: threading.Event().wait(20) if n == 2 else None
    assert entry("--config=configs/squares.py", "--max_seconds=0.2", "--devices=1") == 75
    assert "--max_seconds=0.2 --devices=1" in capsys.readouterr().err.splitlines()[1]


def test_another_environment_is_refused_unless_the_command_line_accepts_it(
    entry, squares, capsys, monkeypatch
):
    squares.before = stop_at(2, KeyboardInterrupt())
    assert entry("--config=configs/squares.py") == 130
    squares.before = lambda n: None
    here = engine.environment({}, "")
    monkeypatch.setattr(engine, "environment", lambda *_: {**here, "x64": not here["x64"]})
    capsys.readouterr()
    assert entry("--config=configs/squares.py") == 2
    error = capsys.readouterr().err
    assert "error: runs/squares holds cases that were computed elsewhere: x64 was true" in error
    assert "set JAX_ENABLE_X64=1; --environment=accept goes on" in error
    squares.before = stop_at(3, KeyboardInterrupt())
    assert entry("--config=configs/squares.py", "--environment=accept") == 130
    assert "--environment=accept" in capsys.readouterr().err.splitlines()[1]
    squares.before = lambda n: None
    assert entry("--config=configs/squares.py") == 0  # it is written down
    assert squares.measured == [1, 2, 3]


def test_ctrl_c_before_the_run_ends_with_130(entry, monkeypatch, capsys):
    def interrupt(config):
        raise KeyboardInterrupt

    monkeypatch.setattr(run, "use_precision", interrupt)
    assert entry("--config=configs/squares.py") == 130
    assert capsys.readouterr().err == "interrupted before the run began.\n"


def test_a_refused_folder_ends_with_2_and_overwrite_goes_on(entry, capsys):
    assert entry("--config=configs/squares.py") == 0
    assert entry("--config=configs/squares.py", "--config.shift=1") == 2
    assert "shift is 0.0 there, 1.0 is asked for" in capsys.readouterr().err
    assert entry("--config=configs/squares.py", "--config.shift=1", "--overwrite") == 0
    assert len(os.listdir("runs")) == 2


def test_a_bug_keeps_its_traceback(entry, squares):
    def bug(n):
        raise ValueError("a bug")

    squares.before = bug
    with pytest.raises(ValueError, match="a bug"):
        entry("--config=configs/squares.py")


def test_the_list_shows_claims_and_times(entry, capsys):
    assert entry("--list") == 0
    printed = capsys.readouterr().out
    assert "configs/squares.py" in printed and "Squares are squares." in printed
    assert "no time" in printed


def test_help_that_was_asked_for_ends_with_0(entry, capsys):
    app.define_help_flags()
    for word in ("--help", "--helpshort", "--helpfull", "-?"):
        with pytest.raises(SystemExit) as stopped:
            entry(word)
        assert stopped.value.code == 0
        assert "Try --helpfull" in capsys.readouterr().out or word == "--helpfull"


def test_what_a_terminal_cannot_show_or_does_not_read_ends_no_run(entry, squares, monkeypatch):
    def ends(place, workdir, encoding="utf-8"):
        with open(place, "w", encoding=encoding) as file, monkeypatch.context() as patch:
            patch.setattr(sys, "stdout", file)
            with pytest.raises(SystemExit) as stopped, streams.guarded():
                sys.exit(entry("--config=configs/squares.py:quick", f"--workdir={workdir}"))
        assert Path(workdir, "figures/growth.png").exists()
        return stopped.value.code

    assert ends("ascii.txt", "größe λ", "ascii") == 0
    assert "  grosse lambda/figures/growth.png\n" in Path("ascii.txt").read_text("ascii")
    reading, writing = os.pipe()
    os.close(reading)
    assert ends(writing, "x" * 200) == 0
    if Path("/dev/full").exists():
        assert ends("/dev/full", "full") == 1
    assert squares.measured == [1, 1, 1]


def test_the_drivers_flags_are_the_documented_ones():
    own = {flag.name for flag in flags.FLAGS.get_key_flags_for_module(run)}
    assert {"config", "workdir", "overwrite", "list", "sweep", "sweep_mode", "sweep_samples"} <= own
