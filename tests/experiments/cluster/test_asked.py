"""Flags of a sweep in jobs: what they ask for, and what is refused with the way out."""

import pytest

from experiments.cluster import asked
from experiments.harness.experiment import RunError

SPEC = "squares.py"


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / SPEC).write_text("def get_config():\n    pass\n")
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def ask(given=(), *, jobs=3, cluster="slurm"):
    options, others = asked.split(given)
    assert not others
    return asked.ask(SPEC, jobs=jobs, cluster=cluster, given=options)


def test_options_of_sbatch_are_taken_out_of_a_command_line_and_put_back():
    words = ["--slurm.mem-per-cpu=2G", "--slurm.exclusive", "--slurm.comment=a=b"]
    given, others = asked.split(["--config.a=1", *words, "--x"])
    assert given == {"mem_per_cpu": "2G", "exclusive": None, "comment": "a=b"}
    assert others == ["--config.a=1", "--x"]
    assert asked.split(asked.words(given)) == (given, [])
    assert ask(words).options == {"mem_per_cpu": "2G", "exclusive": True, "comment": "a=b"}


def test_a_config_file_may_give_options_which_the_command_line_replaces(here):
    (here / SPEC).write_text("def slurm():\n    return {'partition': 'low', 'mem-per-cpu': '1G'}\n")
    assert ask(["--slurm.partition=high"]).options == {"partition": "high", "mem_per_cpu": "1G"}
    assert ask(cluster="local").options == {}
    (here / SPEC).write_text("def slurm():\n    return 'low'\n")
    with pytest.raises(RunError, match=r"slurm\(\) of squares.py must return a mapping"):
        ask()


def test_jobs_are_slurm_s_where_there_is_sbatch(here):
    assert ask(cluster=None).cluster == "local"
    (here / "sbatch").write_text("")
    (here / "sbatch").chmod(0o755)
    assert ask(cluster=None).cluster == "slurm" and ask(cluster="local").cluster == "local"
    assert ask(jobs=None, cluster=None) is None


@pytest.mark.parametrize("text, seconds", [("USR2@30", 30), ("45", 45)])
def test_the_seconds_before_the_end_at_which_a_job_is_told(text, seconds):
    assert ask([f"--slurm.signal={text}"]).options == {"signal": seconds}


@pytest.mark.parametrize(
    "given, options, match",
    [
        (["--slurm.Time=3"], {}, "expected --slurm.KEY=VALUE"),
        (["--slurm.time="], {}, "expected --slurm.KEY=VALUE"),
        (["--slurm.time=3", "--slurm.time=4"], {}, "time is given twice"),
        (["--slurm.array=0-3"], {}, "--jobs says how many"),
        (["--slurm.job-name=mine"], {}, "the sweep finds its jobs by their name"),
        (["--slurm.signal=TERM@30"], {}, "give USR2@SECONDS"),
        (["--slurm.time=2", "--slurm.signal=600"], {}, "time=2 and --slurm.signal=600 leave a job"),
        (["--slurm.time=3"], {"jobs": None, "cluster": None}, "--slurm.time=3 goes with --jobs=N"),
        ([], {"jobs": None}, "--cluster goes with --jobs=N"),
        (["--slurm.time=3"], {"cluster": "local"}, "processes of this machine; leave it out"),
        (["--slurm.time=3"], {"cluster": None}, "of this machine, which has no sbatch; leave"),
    ],
)
def test_what_does_not_go_together_is_refused(given, options, match):
    with pytest.raises(RunError, match=match):
        ask(given, **options)
