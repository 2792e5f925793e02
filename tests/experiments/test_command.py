"""The command `elsa`: configs by name in any folder, and printed commands as they were typed."""

import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from absl import app

import elsa.__main__ as command
from experiments import report, run
from experiments.harness import typed

ROOT = Path(run.__file__).parents[1]


@pytest.fixture
def elsa(entry, tmp_path, monkeypatch):
    """Calls the command in a folder without configs/, and returns its exit code."""
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(typed, "_start", [])

    def start(argv):
        sys.exit(entry(*argv[1:]))

    monkeypatch.setattr(run, "start", start)
    monkeypatch.setattr(report, "start", lambda argv: sys.exit(report.main(argv)))

    def call(*words):
        monkeypatch.setattr(sys, "argv", [".venv/bin/elsa", *words])
        with pytest.raises(SystemExit) as stopped:
            command.main()
        return stopped.value.code

    return call


@pytest.mark.parametrize("words", [["squares:quick"], ["--config=squares:quick"]])
def test_a_config_by_name_runs_in_an_empty_folder_and_is_repeated_as_it_was_typed(
    elsa, capsys, squares, words
):
    assert elsa("run", *words, "--config.shift=1") == 0
    assert json.loads(Path("runs/squares-quick/summary.json").read_text())["squares"] == [2]
    again = json.loads(Path("runs/squares-quick/env.json").read_text())["command"]
    assert again == (
        ".venv/bin/elsa run squares:quick --workdir=runs/squares-quick --config.shift=1"
    )
    capsys.readouterr()
    assert elsa(*shlex.split(again)[1:]) == 0
    assert "holds this run, finished" in capsys.readouterr().out and squares.measured == [1]


def test_a_config_of_ones_own_runs_in_front_of_the_flags_or_as_one(elsa, tmp_path):
    Path("my.py").write_text((tmp_path / "configs" / "squares.py").read_text())
    assert elsa("run", "my.py:quick") == elsa("run", "--config=my.py") == 0
    assert Path("runs/my-quick/summary.json").exists() and Path("runs/my/summary.json").exists()


@pytest.mark.parametrize(
    "words, message",
    [
        (["rum"], "elsa has no command 'rum'; did you mean run?"),
        (["train"], "elsa has no command 'train'; there are run, list, report."),
        (["run"], "Usage: .venv/bin/elsa run NAME [--workdir=DIR] [--config.KEY=VALUE ...]; "),
        (["run", "square"], "did you mean squares?; .venv/bin/elsa list shows them all"),
        (
            ["run", "configs/squares.py"],
            "no config file 'configs/squares.py'; did you mean squares",
        ),
        (["run", "squares", "--config=my.py"], "squares and --config=my.py are two configs"),
        (["run", "squares", "--config.shfit=1"], "did you mean shift?"),
        (["list", "more"], "unexpected argument 'more'"),
        (["report"], "no run given. Usage: .venv/bin/elsa report RUN... [--out=FILE]"),
    ],
)
def test_a_users_error_is_one_message_and_exit_code_2(elsa, capsys, words, message):
    assert elsa(*words) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and message in error and "Traceback" not in error


def test_the_list_shows_names_that_run_takes(elsa, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    assert elsa("list") == 0
    printed = capsys.readouterr().out
    assert "│ squares " in printed and "Squares are squares." in printed
    assert "configs/" not in printed


def test_help_shows_the_commands_and_their_flags(elsa, capsys):
    app.define_help_flags()
    for words, code in [([], 2), (["--help"], 0), (["run", "--help"], 0), (["report", "-h"], 0)]:
        assert elsa(*words) == code
        assert "elsa run convergence:quick" in capsys.readouterr().out
    assert elsa("run", "--help") == 0
    assert "--workdir: Folder of this run" in capsys.readouterr().out
    assert elsa("report", "--help") == 0
    assert "--out: The page" in capsys.readouterr().out


def test_it_is_printed_by_its_name_alone_where_the_shell_finds_it(elsa, tmp_path, monkeypatch):
    script = tmp_path / "bin" / "elsa"
    script.parent.mkdir()
    script.write_text("#!/bin/sh\n")
    script.chmod(0o755)
    monkeypatch.setenv("PATH", str(script.parent))
    monkeypatch.setattr(sys, "argv", [str(script), "list"])
    assert command._typed() == ["elsa"]
    monkeypatch.setattr(sys, "argv", ["/other/bin/elsa", "list"])
    assert command._typed() == ["/other/bin/elsa"]


@pytest.mark.parametrize(
    "words, again",
    [
        (["experiments/run.py"], ["experiments/run.py"]),
        (["-m", "elsa", "run"], ["-m", "elsa", "run"]),
        (["-m", "experiments.run"], ["-m", "experiments.run"]),
    ],
)
def test_however_it_is_started_it_says_how_to_start_it(words, again):
    done = subprocess.run(
        [sys.executable, *words], cwd=ROOT, capture_output=True, text=True, env={}, timeout=60
    )
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert f"Usage: {shlex.join([sys.executable, *again])} " in done.stderr
