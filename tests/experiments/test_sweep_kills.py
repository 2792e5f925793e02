"""A sweep of 300 points that is killed at any time ends with the table of an unbroken one."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from experiments import run

ROOT = Path(run.__file__).parents[1]
CONFIG = """
from ml_collections import ConfigDict

def get_config(mode="full"):
    model = {"depth": 1, "name": "lsa", "rate": 0.1}
    return ConfigDict({"experiment": "squares", "model": model, "rates": (0.1,), "pause": 0.0})
"""
# A driver beside the config stands in for ours: rates share a program, deep stacks diverge at once.
DRIVER = """
import time
from experiments.harness.experiment import FAILED, Experiment, RunError

def with_axes(config, axes):
    config.rates = axes["rate"]
    return config

def measure(config, case, place):
    time.sleep(config.pause)
    model = config.model
    if model.depth == 6 and model.name == "b":
        raise RunError("every seed diverged", exit_code=FAILED)
    risks = [[rate * model.depth, None if rate > 0.8 else rate] for rate in config.rates]
    return [{"point": {"rate": rate}, "risk": own[0], "risks": own, "target": 0.1}
            for rate, own in zip(config.rates, risks)]

EXPERIMENT = Experiment(
    cases=lambda config: {"all": {}}, measure=measure,
    summarise=lambda config, records: {}, tables=lambda summary: [],
    figures=lambda config, records, summary: {},
    shares=lambda config: {"model.rate": "rate"}, with_axes=with_axes)
"""
LAUNCH = (
    "import driver_of_rates, sys; from absl import app; from experiments import run; "
    "run.DRIVERS['squares'] = 'driver_of_rates'; app.run(run.main, flags_parser=run.parse_flags)"
)
AXES = ["--sweep.model.depth=1,2,3,4,5,6", "--sweep.model.name=a,b,c,d,e"]
RATES = "--sweep.model.rate=0.1:1:lin:10"


@pytest.mark.slow
def test_a_sweep_of_300_points_killed_three_times_ends_with_the_same_table(tmp_path):
    (tmp_path / "squares.py").write_text(CONFIG)
    (tmp_path / "driver_of_rates.py").write_text(DRIVER)
    rng = np.random.default_rng(0)

    def start(folder):
        words = ["--config=squares.py", "--config.pause=0.1", f"--workdir={folder}", *AXES, RATES]
        return subprocess.Popen(
            [sys.executable, "-c", LAUNCH, *words],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{tmp_path}"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def table(folder):
        return pl.read_parquet(tmp_path / folder / "table.parquet").drop("seconds")

    def ended(process):
        out, err = process.communicate(timeout=300)
        assert process.returncode == 1 and "1 of 30 groups failed" in err, err
        return out

    ended(start("unbroken"))
    expected = table("unbroken")
    assert len(expected) == 29 * 10 * 2 + 10
    failed = expected.filter(pl.col("status") == "failed")
    assert failed.select("depth", "name").unique().rows() == [(6, "b")] and len(failed) == 10
    assert (expected["status"] == "diverged").sum() == 29 * 2
    groups = 0
    for _ in range(3):
        process = start("killed")
        groups += 4
        while process.poll() is None:
            line = process.stdout.readline()
            if line.startswith(f"group {groups} of 30"):
                break
        time.sleep(rng.uniform(0.0, 0.5))
        process.kill()
        _, error = process.communicate()
        assert process.returncode == -signal.SIGKILL, error
        assert 0 < len(table("killed")) < len(expected)  # whole at any time
    printed = ended(start("killed"))
    assert "300 points in 30 groups, of which " in printed
    assert table("killed").equals(expected)
