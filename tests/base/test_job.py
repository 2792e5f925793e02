"""Which processes share a run, by flags or by Slurm's variables."""

import pytest

from elsa.base.job import Job, JobError, asked

# as srun sets them for the second of two tasks
SLURM = {
    "SLURM_JOB_ID": "1204",
    "SLURM_STEP_ID": "0",
    "SLURM_STEP_NODELIST": "node[07-08]",
    "SLURM_STEP_NUM_TASKS": "2",
    "SLURM_NTASKS": "2",
    "SLURM_PROCID": "1",
}


def test_flags_make_a_job():
    assert asked("node1:29400", 2, 1, {}) == Job("node1", 29400, 2, 1)
    assert asked("[::1]:29400", 2, 0, SLURM) == Job("::1", 29400, 2, 0)
    assert Job("node1", 1, 2, 0).leads and not Job("node1", 1, 2, 1).leads


def test_without_flags_a_process_is_of_its_own():
    assert asked(None, None, None, {}) is None
    assert asked(None, 1, None, SLURM) is None
    assert asked("node1:29400", 1, 0, {}) is None


def test_tasks_of_srun_find_one_another():
    first, second = (asked(None, None, None, {**SLURM, "SLURM_PROCID": n}) for n in "01")
    assert second == first._replace(process=1)
    assert first[0] == "node07" and first[2:] == (2, 0) and 20_000 <= first.port < 30_000
    beside = asked(None, None, None, {**SLURM, "SLURM_STEP_ID": "1"})
    assert beside.port != first.port


@pytest.mark.parametrize(
    "changes",
    [
        {"SLURM_STEP_NUM_TASKS": "1", "SLURM_PROCID": "0"},  # one task of srun
        {"SLURM_STEP_NUM_TASKS": None, "SLURM_STEP_ID": None},  # a batch script
        {"SLURM_PROCID": None},  # a shell of salloc
    ],
)
def test_slurm_s_single_process_starts_nothing(changes):
    there = {name: value for name, value in {**SLURM, **changes}.items() if value is not None}
    assert asked(None, None, None, there) is None


@pytest.mark.parametrize(
    "hosts, first",
    [
        ("n7", "n7"),
        ("n7,n9", "n7"),
        ("n[07-09,12],m1", "n07"),
        ("n[3,5]", "n3"),
        ("rack[1-2]n[03-04]", "rack1n03"),
        ("gpu-1.cluster[5-6]", "gpu-1.cluster5"),
    ],
)
def test_the_first_host_of_slurm_s_list(hosts, first):
    assert asked(None, None, None, {**SLURM, "SLURM_STEP_NODELIST": hosts}).host == first


@pytest.mark.parametrize(
    "given, message",
    [
        (("n:1", None, None), "--coordinator needs --processes and --process"),
        ((None, 2, None), "--processes needs --coordinator and --process"),
        ((None, None, 0), "--process needs --coordinator and --processes"),
        (("node1", 2, 0), "--coordinator must be HOST:PORT, as in node1:29400, got 'node1'"),
        (("node1:0", 2, 0), "--coordinator must be HOST:PORT"),
        ((":29400", 2, 0), "--coordinator must be HOST:PORT"),
        (("n:1", 0, 0), "--processes must be at least 1, got 0"),
        (("n:1", 2, 2), "--process must be 0 to 1 of --processes=2, got 2"),
        (("n:1", 1, 1), "--process must be 0 to 0 of --processes=1, got 1"),
    ],
)
def test_flags_that_make_no_job_are_refused(given, message):
    with pytest.raises(JobError, match=message):
        asked(*given, {})


@pytest.mark.parametrize("name", ["SLURM_PROCID", "SLURM_STEP_NODELIST", "SLURM_JOB_ID"])
def test_variables_that_make_no_job_are_refused(name):
    with pytest.raises(JobError, match=rf"{name} must be .*--processes=1 reads none"):
        asked(None, None, None, {**SLURM, name: "?!"})
