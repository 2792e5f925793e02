"""A sweep of 200 points on a real Slurm, whose jobs are killed and preempted."""

import itertools
import os
import random
import signal
import time
from pathlib import Path

import polars as pl
import pytest

from tests.slurm import running
from tests.slurm.driver import EVERY, STEPS

pytestmark = pytest.mark.slow  # it is `make test-slurm` that runs these

DEPTHS, RATES, JOBS = 40, 5, 20
AXES = [
    f"--sweep.model.depth={','.join(map(str, range(1, DEPTHS + 1)))}",
    f"--sweep.model.rate=0.1:1:lin:{RATES}",
]


def table(folder):
    return pl.read_parquet(folder / "table.parquet").drop("seconds")


def processes(environment_of):
    """Ids of processes whose environment holds a text: of a job, its child alone."""
    return [
        pid
        for pid, words, inside in running.processes()
        if environment_of.encode() in inside and any(w.startswith(b"--job=") for w in words)
    ]


def steps(folder):
    """Group -> the steps that were taken in it, of all tries."""
    return {
        path.parent.name: [int(line) for line in path.read_text().split()]
        for path in (folder / "groups").glob("*/steps.txt")
    }


def finished(folder):
    """Groups that are recorded -> their records' bytes, and when they were written."""
    return {
        path.parent.name: (path.read_bytes(), path.stat().st_mtime_ns)
        for path in (folder / "groups").glob("*/metrics.jsonl")
    }


def test_200_points_in_20_jobs_survive_ten_kills_and_a_preemption(sweeps):
    """After one rerun the table is that of local processes; nothing finished has run again, and a
    group that was interrupted repeats no step but those since its checkpoint."""
    folder, draw = sweeps.folder / "on-slurm", random.Random(0)
    words = ["--config.pause=0.5", *AXES, f"--jobs={JOBS}"]
    first = sweeps.start(
        *words, "--cluster=slurm", "--slurm.partition=low", "--slurm.time=30", f"--workdir={folder}"
    )
    killed, preempted = set(), ""
    while first.poll() is None and (len(killed) < 10 or not preempted):
        time.sleep(draw.uniform(1.0, 4.0))
        running = [job for job, state in sweeps.queue().items() if state == "RUNNING"]
        if not preempted and len(killed) >= 3 and running:
            preempted = sweeps.ask(
                "sbatch", "--parsable", "--partition=high", "--exclusive", "--wrap=sleep 3"
            ).strip()
            continue
        victims = [job for job in running if job not in killed and "_" in job]
        if len(killed) < 10 and victims:
            job = draw.choice(victims)
            array, task = job.split("_")
            own = f"SLURM_ARRAY_JOB_ID={array}\0"
            at = [
                pid
                for pid in processes(own)
                if f"SLURM_ARRAY_TASK_ID={task}\0".encode()
                in Path(f"/proc/{pid}/environ").read_bytes()
            ]
            if at:
                os.kill(draw.choice(at), signal.SIGKILL)
                killed.add(job)
    out, err = first.communicate(timeout=900)
    assert len(killed) == 10 and preempted, out + err
    assert first.returncode == 1, out + err
    assert "10 jobs ended before their points were done:" in err, err
    assert "exit code -9" in err and "To run what is missing, and nothing else:" in err
    logs = "".join(path.read_text() for path in (folder / "jobs/log").glob("*.out"))
    assert "DUE TO PREEMPTION" in logs and "COMPLETING: left to Slurm" in logs

    before = finished(folder)
    assert 0 < len(before) < DEPTHS
    code, out, err = sweeps.run(
        *words, "--cluster=slurm", "--slurm.partition=low", "--slurm.time=30", f"--workdir={folder}"
    )
    assert code == 0, out + err
    after = finished(folder)
    assert len(after) == DEPTHS and {name: after[name] for name in before} == before
    taken = steps(folder)
    assert {name: set(own) for name, own in taken.items()} == {
        name: {*range(1, STEPS + 1)} for name in after
    }
    for own in taken.values():  # where a try begins anew, it is at the checkpoint
        for last, step in itertools.pairwise(own):
            assert step == last + 1 or ((step - 1) % EVERY == 0 and last - step < EVERY)
    # nobody has done more than a kill cost
    assert sum(map(len, taken.values())) <= DEPTHS * STEPS + (10 + 4) * EVERY

    local = sweeps.folder / "local"
    quick = ["--config.pause=0.0", *AXES, f"--jobs={JOBS}", "--cluster=local"]
    code, out, err = sweeps.run(*quick, f"--workdir={local}")
    assert code == 0, out + err
    found = table(folder)
    assert len(found) == DEPTHS * RATES and found.equals(table(local))


def test_a_job_whose_time_is_up_goes_on_in_its_next_try(sweeps):
    """Its limit is two minutes; it is told of it within the first, saves, and is queued again."""
    folder = sweeps.folder / "limited"
    words = ["--config.pause=7", "--sweep.model.depth=1", "--jobs=1", f"--workdir={folder}"]
    code, out, err = sweeps.run(*words, "--cluster=slurm", "--slurm.time=2", "--slurm.signal=59")
    assert code == 0, out + err
    (log,) = (folder / "jobs/log").glob("*.out")
    said = log.read_text()
    assert "SIGUSR2 came" in said and "put back into the queue" in said
    assert all(own == list(range(1, STEPS + 1)) for own in steps(folder).values())


def test_ctrl_c_leaves_the_jobs_and_a_cancelled_one_stays_out_of_the_queue(sweeps):
    folder = sweeps.folder / "left"
    words = ["--config.pause=4", "--sweep.model.depth=1,2", "--jobs=2", f"--workdir={folder}"]
    words += ["--cluster=slurm", "--slurm.time=30"]
    first = sweeps.start(*words)
    while list(sweeps.queue().values()) != ["RUNNING"] * 2 or len(steps(folder)) < 2:
        assert first.poll() is None
        time.sleep(1)
    first.send_signal(signal.SIGINT)
    out, err = first.communicate(timeout=60)
    assert first.returncode == 130 and "The jobs go on: 2 jobs run, 0 wait." in err, out + err
    assert "scancel --name=left-" in err and "To come back, run:" in err
    sweeps.ask("scancel", next(iter(sweeps.queue())))
    code, out, err = sweeps.run(*words)  # follows the other, and the cancelled one while it saves
    assert (
        "1 job of an earlier command goes on" in out or "2 jobs of an earlier command go on" in out
    )
    if code != 0:
        assert code == 75 and "exit code 75, 0 of 1 groups done" in err, err
        code, out, err = sweeps.run(*words)
    assert code == 0, out + err
    logs = [path.read_text() for path in (folder / "jobs/log").glob("*.out")]
    assert sum("left to Slurm" in log for log in logs) == 1
    assert all(own == list(range(1, STEPS + 1)) for own in steps(folder).values())


def test_slurm_s_refusals_name_the_way_out(sweeps):
    words = ["--sweep.model.depth=1,2", "--jobs=2", "--workdir=refused", "--cluster=slurm"]
    code, out, err = sweeps.run(*words, "--slurm.partition=nowhere")
    assert code == 1 and "Invalid partition name specified" in err, out + err
    assert "--slurm.partition takes one of low, high. Nothing was run." in err
    assert not list((sweeps.folder / "refused/jobs").glob("0*"))
