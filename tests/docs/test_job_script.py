"""The job scripts of the pages, with Slurm's commands played."""

import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = ["docs/training.md", "docs/howto/devices.md", "docs/scaling.md"]


@pytest.mark.parametrize("name", SCRIPTS)
@pytest.mark.parametrize(
    "code, tries, queued",
    [
        (0, "", 0),
        (1, "", 0),
        (75, "", 1),
        (75, "99", 1),
        (137, "", 1),
        (143, "9", 1),
        (137, "10", 0),
    ],
)
def test_the_job_script_is_put_back_into_the_queue_where_the_run_was_preempted(
    name, code, tries, queued, tmp_path
):
    text = (ROOT / name).read_text()
    script = re.search(r"```bash manual\n(#!/bin/bash.*?)```", text, flags=re.S)[1]
    for tool, body in {"srun": f"exit {code}", "scontrol": 'echo "$@" > asked'}.items():
        (tmp_path / tool).write_text(f"#!/bin/sh\n{body}\n")
        (tmp_path / tool).chmod(0o755)
    environment = {"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}", "SLURM_JOB_ID": "4711"}
    environment |= {"SLURM_RESTART_COUNT": tries} if tries else {}
    done = subprocess.run(["bash", "-c", script], cwd=tmp_path, env=environment)
    assert done.returncode == code
    asked = (tmp_path / "asked").read_text() if (tmp_path / "asked").exists() else ""
    assert asked == "requeue 4711\n" * queued
