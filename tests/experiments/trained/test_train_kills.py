"""A sweep of 300 trained points, killed at any time, ends with the table of an unbroken one."""

import os
import re
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
# the entry, which says besides how often each program's training steps were compiled
LAUNCH = """
import sys
from elsa.training.program import Program
from experiments import run

made, build = [], Program.__init__

def counted(program, *given, **named):
    build(program, *given, **named)
    made.append(program)

Program.__init__ = counted
code = run.main(run.parse_flags(["run.py", *sys.argv[1:]]))
print("compiled", [program.compilations for program in made if program.compilations])
sys.exit(code)
"""
WORDS = [
    *("--config=configs/train.py:quick", "--config.train.num_steps=20", "--config.num_seeds=1"),
    *("--config.train.evaluate_every=10", "--config.train.batch=8", "--config.train.warmup=0"),
    *("--config.eval_prompts=64", "--config.watch_prompts=16", "--config.train.optimise=false"),
    *("--sweep.model.depth=1,2", "--sweep.model.architecture=lsa,elsa"),
    "--sweep.train.learning_rate=1e-4:1e4:log:75",
]


@pytest.mark.slow
def test_a_sweep_of_300_points_survives_three_kills(tmp_path):
    """Two depths, two architectures, 75 rates: each of four groups is one program that is compiled
    once, the highest rates diverge and say so, and the table is that of an unbroken sweep."""

    def start(folder):
        return subprocess.Popen(
            [sys.executable, "-c", LAUNCH, *WORDS, f"--workdir={tmp_path / folder}"],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def ended(process):
        out, err = process.communicate()
        assert process.returncode == 0, err
        (compiled,) = re.findall(r"^compiled \[(.*)\]$", out, re.MULTILINE)
        return [int(count) for count in compiled.split(",")]

    def table(folder):
        return pl.read_parquet(tmp_path / folder / "table.parquet").drop("seconds")

    assert ended(start("unbroken")) == [1, 1, 1, 1]
    expected = table("unbroken")
    final = expected.filter("final")
    assert len(final) == 300 and len(expected) == 900  # steps 0, 10 and 20
    assert final.select("depth", "architecture", "learning_rate").n_unique() == 300
    diverged = final.filter(pl.col("status") == "diverged")
    assert 0 < len(diverged) < 300 and diverged["risk"].null_count() == len(diverged)
    assert diverged["learning_rate"].max() == final["learning_rate"].max()
    rng = np.random.default_rng(0)
    for number in (1, 2, 3):
        process = start("killed")
        for line in process.stdout:
            if line.startswith(f"group {number} of 4"):
                break
        time.sleep(rng.uniform(0.5, 10.0))
        process.kill()
        _, error = process.communicate()
        assert process.returncode == -signal.SIGKILL, error
    assert set(ended(start("killed"))) == {1}
    assert table("killed").equals(expected)
