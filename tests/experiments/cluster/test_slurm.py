"""What Slurm is asked, and how its answers are read: by tools of its names."""

import os
from pathlib import Path

import pytest

from experiments.cluster.ledger import Ledger
from experiments.cluster.places import RUNNING, WAITING, NoAnswerError, State
from experiments.cluster.slurm import Slurm
from experiments.harness.experiment import FAILED, REFUSED, RunError


@pytest.fixture
def tools(tmp_path, monkeypatch):
    """Writes a tool of Slurm's, which notes its words and answers by lines of a shell."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}/usr/bin{os.pathsep}/bin")

    def write(name, answer):
        text = f'#!/bin/sh\necho "$@" >{folder}/{name}.asked\n{answer}\n'
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
        return folder / f"{name}.asked"

    write("srun", "exit 1")
    return write


@pytest.fixture
def ledger(tmp_path):
    return Ledger(tmp_path / "sweep")


def plan(ledger, count=2, name="sweep-1"):
    return ledger.plan([[f"g{index}"] for index in range(count)], cluster="slurm", name=name)


def test_jobs_are_one_array_with_the_options_that_were_asked_for(tools, ledger):
    script = tools("sbatch", "cp $1 $0.script; echo Submitted batch job 12")
    jobs = plan(ledger)
    options = {"partition": "low", "cpus_per_task": "3", "exclusive": True, "signal": 40}
    Slurm(ledger, options).submit(jobs, ["python", "-m", "experiments.run"])
    said = script.with_name("sbatch.script").read_text()
    lines = {line for line in said.splitlines() if line.startswith("#SBATCH")}
    for option in (
        *("--array=0-1%2", "--job-name=sweep-1", "--requeue", "--open-mode=append"),
        *("--partition=low", "--cpus-per-task=3", "--exclusive", "--signal=USR2@40"),
    ):
        assert f"#SBATCH {option}" in lines, said
    assert "srun --unbuffered" in said and " --cpus-per-task=3 " in said
    assert not any("--time" in line or "wckey" in line for line in lines)
    assert [ledger.id(job) for job in jobs] == ["12_0", "12_1"]
    assert Path(ledger.printed(jobs[1])).name == "12_1_0_log.out"


@pytest.mark.parametrize(
    "said, match",
    [
        (
            "invalid partition specified: nix\nsbatch: error: Batch job submission failed",
            "invalid partition specified: nix; Batch job submission failed. --slurm.partition "
            "takes one of low, high. Nothing was run.",
        ),
        ("Invalid job array specification", "array of so many jobs: ask for fewer by --jobs=N."),
        ("Unable to contact slurm controller", "controller. --slurm.KEY=VALUE takes the long opt"),
    ],
)
def test_what_slurm_refuses_is_said_with_the_way_out(tools, ledger, said, match):
    tools("sbatch", f'printf "sbatch: error: {said}" >&2; exit 1')
    tools("sinfo", "echo low; echo high")
    with pytest.raises(RunError) as refused:
        Slurm(ledger, {}).submit(plan(ledger), ["python"])
    assert match in str(refused.value).replace("\n", " ")
    assert refused.value.exit_code == FAILED


def test_without_sbatch_the_other_cluster_is_named(ledger, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(RunError, match=r"no sbatch on this machine.*--cluster=local") as refused:
        Slurm(ledger, {}).submit(plan(ledger), ["python"])
    assert refused.value.exit_code == REFUSED


def test_jobs_are_found_by_name_and_place_in_the_queue(tools, ledger):
    several, (alone,) = plan(ledger, 4, "sweep-1"), plan(ledger, 1, "sweep-2")
    asked = tools(
        "squeue",
        "echo 'sweep-1|0|RUNNING|None'; echo 'sweep-1|1|PENDING|BeginTime'\n"
        "echo 'sweep-1|3|COMPLETING|None'; echo 'sweep-2|N/A|REQUEUE_HOLD|held | by root'",
    )
    slurm = Slurm(ledger, {})
    assert slurm.states([*several, alone]) == {
        several[0].number: State(RUNNING),
        several[1].number: State(WAITING, "BeginTime"),
        several[3].number: State(RUNNING),
        alone.number: State(WAITING, "held | by root"),
    }
    assert "--array --name=sweep-1,sweep-2 " in asked.read_text()
    assert slurm.cancel([*several, alone]) == "scancel --name=sweep-1,sweep-2"
    assert slurm.states([]) == {}


def test_a_queue_that_does_not_answer_is_no_empty_one(tools, ledger, monkeypatch):
    tools("squeue", "echo 'slurm_load_jobs error: refused' >&2; exit 1")
    jobs = plan(ledger)
    with pytest.raises(NoAnswerError, match="squeue does not answer: slurm_load_jobs error: ref"):
        Slurm(ledger, {}).states(jobs)
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(NoAnswerError, match=r"squeue does not answer: .*No such file"):
        Slurm(ledger, {}).states(jobs)
