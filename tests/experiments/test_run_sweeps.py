"""The entry with sweeps, and with runs that go on."""

import json
import os
from pathlib import Path

import polars as pl
import pytest

from experiments.harness import command_line, grouping, sweep
from experiments.harness.experiment import FAILED, REFUSED, RunError
from tests.experiments.conftest import CONFIG

SWEEP = """
def sweep():
    return {"shift": (0.0, 2.0), "repeats": (1,)}
"""


def test_a_sweep_has_a_folder_of_its_own_and_its_command_repeats_it(entry, squares):
    words = ["--config=configs/squares.py:quick", "--sweep.shift=1:100:log:3", "--config.repeats=2"]
    assert entry(*words) == 0
    folder = Path("runs/squares-quick-sweep")
    assert pl.read_parquet(folder / "table.parquet")["square"].to_list() == [2, 2, 11, 11, 101, 101]
    environment = json.loads((folder / "groups/shift=1.0/env.json").read_text())
    again = environment["command"].split()
    assert again[3:] == [words[0], f"--workdir={folder}", words[2], words[1]]
    (folder / "table.parquet").unlink()
    assert entry(*again[3:]) == 0
    assert len(squares.measured) == 3 and (folder / "table.parquet").exists()


def test_the_modes_zip_and_random(entry):
    config = "--config=configs/squares.py:quick"
    words = ["--sweep.shift=1,2", "--sweep.repeats=1,2", "--sweep_mode=zip"]
    assert entry(config, *words, "--workdir=pairs") == 0
    assert pl.read_parquet("pairs/table.parquet")["repeats"].to_list() == [1, 2, 2]
    words = ["--sweep.shift=0:1:lin", "--sweep_mode=random", "--sweep_samples=3"]
    assert entry(config, *words, "--workdir=drawn") == 0
    assert pl.read_parquet("drawn/table.parquet")["shift"].n_unique() == 3
    command = json.loads(next(Path("drawn/groups").glob("*/env.json")).read_text())["command"]
    assert command.endswith(" ".join(words))


def test_the_sweep_of_a_config_file_runs_if_it_is_asked_for_and_gives_way(entry):
    Path("configs/squares.py").write_text(CONFIG + SWEEP)
    config = "--config=configs/squares.py:quick"
    assert entry(config) == 0 and entry(config, "--sweep") == 0
    assert entry(config, "--sweep", "--sweep.shift=5", "--workdir=given") == 0
    assert sorted(os.listdir("runs")) == ["squares-quick", "squares-quick-sweep"]
    found = pl.read_parquet("runs/squares-quick-sweep/table.parquet")
    assert found["shift"].to_list() == [0.0, 2.0]
    assert pl.read_parquet("given/table.parquet")["shift"].to_list() == [5.0]
    command = next(Path("runs/squares-quick-sweep/groups").glob("*/env.json")).read_text()
    assert json.loads(command)["command"].endswith("--sweep")


def test_a_point_that_fails_ends_with_1(entry, squares, capsys):
    def fail(n):
        if not squares.measured:
            squares.measured.append(0)
            raise RunError("every seed diverged", exit_code=FAILED)

    squares.before = fail
    assert entry("--config=configs/squares.py:quick", "--sweep.shift=1,2") == 1
    printed = capsys.readouterr()
    assert printed.err.startswith("error: 1 of 2 groups failed; the same command tries them again:")
    assert "shift=1.0: every seed diverged" in printed.err and "table.parquet" in printed.out


@pytest.mark.parametrize("flag", ["--extend", "--branch=runs/other"])
def test_runs_that_go_on_are_no_sweep_and_train_something(entry, capsys, flag):
    assert entry("--config=configs/squares.py", "--sweep.shift=1.0,2.0", flag) == REFUSED
    assert entry("--config=configs/squares.py", flag) == REFUSED
    one, other = capsys.readouterr().err.splitlines()
    assert one == "error: --extend and --branch take one run, and no sweep. Nothing was run."
    assert other.startswith(f"error: {flag.partition('=')[0]}: the experiment squares has no tr")
    assert not Path("runs").exists()


def test_jobs_are_started_with_the_command_and_their_number(entry, monkeypatch):
    from experiments.cluster import launch
    from experiments.cluster.asked import Asked

    given = []
    monkeypatch.setattr(launch, "run", lambda *about, **named: given.append(named))
    words = ["--config=configs/squares.py:quick", "--workdir=there", "--config.repeats=2"]
    words += ["--sweep.shift=1,2", "--sweep_mode=zip", "--environment=accept"]
    asked = ["--jobs=3", "--cluster=slurm", "--slurm.mem_per_cpu=1G"]
    assert entry(*words, *asked, "--max_seconds=600") == 0
    (named,) = given
    assert named["asked"] == Asked(3, "slurm", {"mem_per_cpu": "1G"})
    assert named["words"][1:] == ["-m", "experiments.run", *words]
    assert named["command"].endswith(
        " ".join([*words[3:5], "--max_seconds=600", *words[5:], *asked])
    )


def test_one_job_of_a_sweep_runs_by_its_number(entry, squares):
    from experiments.cluster import plan
    from experiments.cluster.ledger import Ledger

    words = ["--config=configs/squares.py:quick", "--sweep.shift=1,2", "--workdir=there"]
    config = command_line.load("configs/squares.py:quick")
    asked, ledger = sweep.ask(config, {"shift": "1,2"}), Ledger(Path("there"))
    (job,) = ledger.plan([["shift=2.0"]], cluster="local", name="sweep")
    (_, second) = grouping.grouped(squares.experiment, config, asked.points())
    plan.write(ledger.folder(job.number), [second], plan.digest(config, asked))
    assert entry(*words, "--job=1") == 0
    assert os.listdir("there/groups") == ["shift=2.0"] and len(squares.measured) == 1
    assert entry(*words, "--job=1") == 0 and len(squares.measured) == 1
    assert entry(*words, "--job=2") == REFUSED


def test_jobs_without_a_sweep_are_refused(entry, capsys):
    assert entry("--config=configs/squares.py", "--jobs=3", "--cluster=local") == REFUSED
    assert "--jobs divides a sweep: add --sweep.KEY=v1,v2" in capsys.readouterr().err
    assert entry("--config=configs/squares.py", "--job=3") == REFUSED
    assert entry("--config=configs/squares.py", "--sweep.shift=1", "--cluster=local") == REFUSED
