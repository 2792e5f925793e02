"""Limits of a job's time, as sbatch reads them, and those that leave it none."""

import pytest

from experiments.cluster import limits
from experiments.harness.experiment import RunError


@pytest.mark.parametrize(
    "limit, seconds",
    [
        ("60", 3600),
        (5, 300),
        ("2:30", 180),  # whole minutes, up
        ("1:02:03", 3780),
        ("2-3", 183600),
        ("1-2:3", 93780),
        ("1-02:03:04", 93840),
        ("0", None),
        ("UNLIMITED", None),
        (None, None),
        ("soon", None),
    ],
)
def test_a_limit_has_as_many_seconds_as_sbatch_reads(limit, seconds):
    assert limits.seconds(limit) == seconds


@pytest.mark.parametrize(
    "options",
    [
        {"time": "3"},
        {"time": "0:02:31"},
        {"time": "2", "signal": 59},
        {"time": "UNLIMITED", "signal": 7000},
        {"signal": 7000},
        {"time": "1-0", "time_min": "3"},
    ],
)
def test_limits_that_leave_time_pass(options):
    limits.refuse(options)


@pytest.mark.parametrize(
    "options, match",
    [
        (
            {"time": "1", "signal": 60},
            r"--slurm\.time=1 and --slurm\.signal=60 leave a job no time to work: of its 60 s it "
            r"is told of .* Give --slurm\.time=3 \(minutes\) or more\. Nothing was run\.",
        ),
        (
            {"time": "2"},
            r"time=2 and --slurm\.signal=90 \(the default\) leave .* --slurm\.signal=59 or less\.",
        ),
        ({"time": "2", "signal": 60}, r"time=2 and .*time=3 \(min.*signal=59 or less\."),
        ({"time": 60, "time_min": "5:00", "signal": 3000}, r"--slurm\.time_min=5:00 and "),
        ({"time": "9", "signal": 0}, r"--slurm\.signal=0: Slurm tells no job of its end"),
    ],
)
def test_limits_within_which_no_job_works_are_refused_by_both_names(options, match):
    with pytest.raises(RunError, match=match):
        limits.refuse(options)
