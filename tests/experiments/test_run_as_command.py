"""The entry as a process of its own: signals while it imports and runs, exit codes, streams."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from experiments import run
from tests.experiments.conftest import CONFIG

ROOT = Path(run.__file__).parents[1]

# As a command, from another folder: a driver module beside the config stands in for ours.
DRIVER = """
import time
from experiments.harness.experiment import Experiment
def measure(config, case, place):
    time.sleep(case["seconds"])
    return {"x": 1.0}
EXPERIMENT = Experiment(
    cases=lambda config: {"first": {"seconds": 0}, "second": {"seconds": 60}},
    measure=measure, summarise=lambda config, records: {}, tables=lambda summary: [],
    figures=lambda config, records, summary: {})
"""
# A shell starts background jobs with Ctrl-C ignored, which their children inherit. Of the libraries
# one crashes when it is cleared away.
LAUNCH = (
    "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    "import atexit, os; atexit.register(os.abort); "
    "import driver_of_naps; from experiments import run; "
    "run.DRIVERS['squares'] = 'driver_of_naps'; run.start()"
)


@pytest.mark.parametrize(
    "number, code, said",
    [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 75, "preempted. SIGTERM came")],
)
def test_the_command_from_elsewhere_ends_at_a_signal_with_its_code(tmp_path, number, code, said):
    (tmp_path / "squares.py").write_text(CONFIG)
    (tmp_path / "driver_of_naps.py").write_text(DRIVER)
    process = subprocess.Popen(
        [sys.executable, "-c", LAUNCH, "--config=squares.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{tmp_path}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    printed = ""
    while "1 of 2  first" not in printed and process.poll() is None:
        printed += process.stdout.readline()
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == code, err
    assert err.startswith(f"{said}. 1 of 2 cases are kept in runs/squares.")
    assert "Traceback" not in err


@pytest.mark.parametrize("name", ["absl", "jax"])  # the first that is imported, and the slowest
@pytest.mark.parametrize("command", [["experiments.run", "--config="], ["elsa", "run", ""]])
@pytest.mark.parametrize("number, code, said", [(2, 130, "interrupted"), (15, 75, "preempted")])
def test_a_signal_ends_the_command_at_once_while_it_imports(
    tmp_path, name, command, number, code, said
):
    (tmp_path / f"{name}.py").write_text(
        f"import os, time\nos.kill(os.getpid(), {number})\ntime.sleep(60)"
    )
    *words, config = command
    done = subprocess.run(
        [sys.executable, "-m", *words, f"{config}configs/convergence.py:quick"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(tmp_path), "PYTHONSAFEPATH": ""},
        capture_output=True,
        text=True,
        timeout=50,
    )
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr == f"{said} before the run began.\n"


def test_the_command_itself_lists_and_refuses():
    def command(*words):
        return subprocess.run(
            [sys.executable, "-m", "experiments.run", *words],
            cwd=ROOT,
            capture_output=True,
            text=True,
        )

    listed = command("--list")
    assert listed.returncode == 0, listed.stderr
    assert "claim" in listed.stdout
    missing = command("--config=configs/no_such_experiment.py")
    assert missing.returncode == 2 and missing.stderr.count("\n") == 1
    assert missing.stderr.startswith("error: no config file")
