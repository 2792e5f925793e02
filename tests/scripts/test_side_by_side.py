"""Experiments side by side."""

import os
import signal
import subprocess
import sys

import pytest

from scripts import side_by_side

# one line when it begins, one when it is told to stop or has waited
WAITS = """
import os, signal, sys, time
def stop(number, frame):
    os.write(1, b"saved\\n")  # a signal may come while "begun" is printed: no second `print` in it
    sys.exit(75)
signal.signal(signal.SIGTERM, stop)
print("begun", flush=True)
# in short sleeps: a signal that comes in the instant before one does not shorten it
ends = time.monotonic() + float(sys.argv[1])
while time.monotonic() < ends:
    time.sleep(0.05)
print("ended", flush=True)
sys.exit(int(sys.argv[2]))
"""


def command(seconds=0.0, code=0):
    return [sys.executable, "-c", WAITS, str(seconds), str(code)]


def test_each_line_stands_under_the_name_of_its_experiment(capfd):
    assert side_by_side.side_by_side({"a": command(), "b": command()}, 2) == 0
    lines = capfd.readouterr().out.splitlines()
    for name in "ab":
        own = [line for line in lines if line.startswith(f"{name}: ")]
        assert own[:2] == [f"{name}: begun", f"{name}: ended"] and "done after" in own[2]


def test_lines_of_two_experiments_never_share_a_line(capfd):
    many = [sys.executable, "-c", "for number in range(3000): print(number, flush=True)"]
    assert side_by_side.side_by_side({"a": many, "b": many}, 2) == 0
    lines = capfd.readouterr().out.splitlines()
    for name in "ab":
        own = [line for line in lines if line.startswith(f"{name}: ")]
        assert own[:-1] == [f"{name}: {number}" for number in range(3000)]
    assert len(lines) == 2 * 3001


@pytest.mark.parametrize("jobs", [1, 2])
def test_so_many_run_at_once_in_their_order(jobs, capfd):
    side_by_side.side_by_side({name: command(1.0) for name in "abc"}, jobs)
    lines = [line for line in capfd.readouterr().out.splitlines() if "done" not in line]
    running, most = 0, 0
    for line in lines:
        running += 1 if "begun" in line else -1
        most = max(most, running)
    assert most == jobs
    begun = [line[0] for line in lines if "begun" in line]
    assert begun[-1] == "c" and (jobs == 2 or begun == ["a", "b", "c"])


def test_after_one_fails_no_other_is_begun_and_what_runs_ends(capfd):
    commands = {"a": command(0.0, 2), "b": command(1.0), "c": command()}
    assert side_by_side.side_by_side(commands, 2) == 2
    out, err = capfd.readouterr()
    assert "a: ended with 2 after" in out and "b: ended" in out and "c: begun" not in out
    assert err == "not begun: c\n"


def test_a_signal_is_passed_on_and_its_exit_code_comes_back():
    script = (
        "import sys; from scripts import side_by_side\n"
        f"commands = {{name: {command(60.0)!r} for name in 'abc'}}\n"
        "sys.exit(side_by_side.side_by_side(commands, 2))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, cwd=os.getcwd()
    )
    begun = [process.stdout.readline() for _ in "ab"]
    process.send_signal(signal.SIGTERM)
    rest, _ = process.communicate(timeout=60)
    assert sorted(begun) == ["a: begun\n", "b: begun\n"] and process.returncode == 75
    assert {"a: saved", "b: saved"} <= set(rest.splitlines()) and "c: begun" not in rest


def test_one_at_a_time_has_the_terminal_to_itself(monkeypatch, capfd):
    monkeypatch.setattr(sys, "argv", ["side_by_side.py", "no_such_config", "--jobs=1"])
    assert side_by_side.main() == 2
    assert capfd.readouterr().err.startswith("error: no config file 'configs/no_such_config.py'")


def test_no_jobs_are_refused(monkeypatch, capfd):
    monkeypatch.setattr(sys, "argv", ["side_by_side.py", "drift", "--jobs=0"])
    with pytest.raises(SystemExit):
        side_by_side.main()
    assert "--jobs must be at least 1, got 0" in capfd.readouterr().err
