"""A sweep in jobs from its first submission to its table, with jobs that are run here."""

import dataclasses
import json
import os
import re

import polars as pl
import pytest

from elsa.base.stopping import Preempted
from experiments.cluster import launch, part, watching
from experiments.cluster.asked import Asked
from experiments.cluster.places import RUNNING, NoAnswerError, State
from experiments.harness import engine, groups, sweep
from experiments.harness.experiment import FAILED, RunError
from tests.experiments.cluster.played import Cluster

COMMAND = "python -m experiments.run --sweep.shift=0,1 --jobs=2"
AXES = {"shift": "0.0,1.0,2.0", "repeats": "1,2"}


@pytest.fixture
def plain(squares, monkeypatch):
    """The squares without figures, which take most of the time, and without a number to draw."""
    monkeypatch.setattr(engine, "environment", lambda config, command: {"command": command})
    return dataclasses.replace(squares.experiment, figures=lambda *all: {})


@pytest.fixture
def cluster(monkeypatch):
    monkeypatch.setattr(watching, "_SECONDS_TO_BE_TOLD", 0.0)
    found = Cluster()
    monkeypatch.setattr(launch, "Local", found)
    return found


@pytest.fixture
def run(plain, config, screen, tmp_path, cluster):
    """Sweeps the squares in jobs; options: `jobs`, `axes`, `experiment`."""
    config.sizes = (2,)

    def call(jobs=2, axes=AXES, experiment=None, **options):
        asked = sweep.ask(config, axes)
        about = (experiment or plain, config, asked, tmp_path / "sweep")

        def one(number):
            try:
                part.run(*about, number, screen=screen, command=COMMAND)
            except RunError as error:
                return error.exit_code
            return 0

        cluster.run = cluster.run or one
        return launch.run(
            *about,
            asked=Asked(jobs, "local", {}),
            words=["run"],
            screen=screen,
            command=COMMAND,
            **options,
        )

    return call


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "sweep"


def table(folder):
    return pl.read_parquet(folder / "table.parquet").drop("seconds", strict=False)


def fails_at(squares, shift, error):
    """A measurement that raises once, at one shift."""
    measure, raised = squares.experiment.measure, []

    def failing(config, case, place):
        if config.shift == shift and not raised:
            raised.append(error)
            raise error
        return measure(config, case, place)

    return failing


def test_the_table_is_that_of_a_sweep_without_jobs_and_nothing_runs_twice(
    run, plain, config, squares, cluster, folder, screen, tmp_path
):
    rows = run(jobs=4)
    assert [len(job.groups) for job in cluster.submitted] == [2, 2, 1, 1]
    assert len(squares.measured) == 6
    asked = sweep.ask(config, AXES)
    other = groups.run(plain, config, asked, tmp_path / "other", screen=screen, command=COMMAND)
    assert rows.drop("seconds", strict=False).equals(other.drop("seconds", strict=False))
    assert table(folder).equals(table(tmp_path / "other"))
    squares.measured.clear()
    run(jobs=4)
    assert squares.measured == [] and len(cluster.submitted) == 4
    printed = screen.file.getvalue()
    assert "6 groups in 4 jobs (local); they print in " in printed
    assert "0 of 6 points, 0 jobs run, 4 wait (Resources)" in printed
    groups.run(plain, config, asked, folder, screen=screen)  # goes on without jobs, too
    assert squares.measured == []


def test_points_of_one_program_are_cut_once_into_as_many_jobs(
    run, plain, squares, cluster, folder, screen
):
    def with_axes(config, axes):
        config.sizes = axes["n"]
        return config

    experiment = dataclasses.replace(
        plain, shares=lambda config: {"size": "n"}, with_axes=with_axes
    )
    axes = {"size": "3,4,5,6,7", "shift": "0.0,1.0"}
    rows = run(jobs=4, axes=axes, experiment=experiment)
    assert len(rows) == 10 and len(cluster.submitted) == 4
    assert sorted(os.listdir(folder / "groups")) == [
        f"shift={shift},size={sizes}" for shift in ("0.0", "1.0") for sizes in ("3..4", "5..7")
    ]
    assert json.loads((folder / "sweep.json").read_text())["parts"] == 4
    run(jobs=9, axes=axes, experiment=experiment)  # as it was cut, nothing is left to do
    assert len(cluster.submitted) == 4 and len(squares.measured) == 10


def test_a_job_that_is_killed_is_named_and_the_same_command_runs_what_is_missing(
    run, squares, cluster, folder, screen
):
    cluster.run = lambda number: -9
    with pytest.raises(RunError) as lost:
        run()
    assert lost.value.exit_code == FAILED
    text = str(lost.value)
    assert text.startswith("2 jobs ended before their points were done:\n  job 1, local's id-1: ")
    assert f"exit code -9, 0 of 3 groups done; it printed in {folder}/jobs/log\n" in text
    assert text.endswith(f"To run what is missing, and nothing else:\n  {COMMAND}")
    cluster.run = None
    assert len(run()) == 9 and len(squares.measured) == 6
    assert [job.number for job in cluster.submitted] == [1, 2, 3, 4]


def test_jobs_that_ask_to_be_run_again_end_with_their_code(run, plain, squares, cluster, folder):
    stops = dataclasses.replace(plain, measure=fails_at(squares, 1.0, Preempted("SIGTERM came")))
    with pytest.raises(RunError, match="exit code 75, 1 of 3 groups done") as lost:
        run(experiment=stops)
    assert lost.value.exit_code == 75 and "\n4 of 6 groups are done." in str(lost.value)
    kept = table(folder)
    assert len(kept) == 7 and len(squares.measured) == 4
    assert len(run(experiment=stops)) == 9 and len(squares.measured) == 6


def test_a_group_that_fails_stands_in_the_table_and_is_tried_again(
    run, plain, squares, cluster, folder
):
    error = RunError("it is too deep", exit_code=FAILED)
    fails = dataclasses.replace(plain, measure=fails_at(squares, 1.0, error))
    with pytest.raises(RunError, match=r"1 of 6 groups failed(.|\n)*repeats=1: it is too deep"):
        run(experiment=fails)
    assert table(folder).filter(status="failed")["message"].to_list() == ["it is too deep"]
    squares.measured.clear()
    assert "failed" not in run(experiment=fails)["status"] and len(squares.measured) == 1


def test_ctrl_c_leaves_the_jobs_and_the_same_command_follows_them(
    run, squares, cluster, folder, screen
):
    cluster.looks, cluster.widest = [None, KeyboardInterrupt()], 2
    with pytest.raises(RunError) as left:  # while the first two are running
        run(jobs=3)
    assert left.value.exit_code == 130
    assert re.fullmatch(
        r"interrupted\. 0 of 6 groups are done\. "
        r"The jobs go on: 0 jobs run, 2 wait \(Resources\)\. To cancel them:"
        rf"\n  cancel 1 2\nJobs that the same command starts: 1\.\n"
        rf"To come back, run:\n  {COMMAND}",
        str(left.value),
    )
    assert len(run(jobs=3)) == 9 and len(squares.measured) == 6
    assert [job.number for job in cluster.submitted] == [1, 2, 4, 5]  # of what the third had
    assert "2 groups in 2 jobs (local); they print in " in screen.file.getvalue()


def test_a_signal_that_reaches_jobs_too_ends_the_command_once_they_have_saved(
    run, squares, cluster, folder, screen
):
    """Of three jobs one is told, and saves; one is not; and one has no room yet."""
    looks = [None, Preempted("SIGTERM came"), None, None]
    cluster.widest, states = 2, cluster.states

    def seen(jobs):
        if looks and (error := looks.pop(0)) is not None:
            cluster.ledger.folder(1).joinpath("told.json").write_text("{}")
            raise error
        if looks:
            return {job.number: State(RUNNING) for job in jobs}
        cluster.ledger.folder(1).joinpath("exit.json").write_text('{"code": 75}')
        return {2: State(RUNNING)}

    cluster.states = seen
    with pytest.raises(RunError) as left:
        run(jobs=3)
    assert left.value.exit_code == 75 and str(left.value) == (
        "preempted. 0 of 6 groups are done. Jobs that have saved and stopped, too: 1.\n"
        "The jobs go on: 1 job runs, 0 wait. To cancel them:\n  cancel 2\n"
        f"Jobs that the same command starts: 1.\nTo come back, run:\n  {COMMAND}"
    )
    assert "the signal reached jobs, too: waiting until 1 " in screen.file.getvalue()
    cluster.states = states
    assert len(run(jobs=3)) == 9 and len(squares.measured) == 6


def test_what_jobs_did_while_nobody_watched_is_gathered(run, squares, cluster, folder):
    cluster.looks = [None, KeyboardInterrupt()]
    with pytest.raises(RunError, match="The jobs go on"):
        run()
    for number in (1, 2):
        assert cluster.run(number) == 0
    assert len(squares.measured) == 6
    cluster._alive.clear()
    assert len(run()) == 9 and len(squares.measured) == 6 and len(cluster.submitted) == 2


def test_a_cluster_that_does_not_answer_loses_no_job(run, cluster, screen):
    cluster.looks = [None, *[NoAnswerError("squeue does not answer: refused")] * 5]
    assert len(run()) == 9
    said = screen.file.getvalue()
    assert said.count("squeue does not answer: refused. The jobs may be well; waiting.") == 1


def test_a_refused_submission_leaves_no_job(run, cluster, folder, monkeypatch):
    def refused(jobs, words):
        raise RunError("Slurm refuses the jobs", exit_code=FAILED)

    monkeypatch.setattr(cluster, "submit", refused)
    with pytest.raises(RunError, match=r"^Slurm refuses the jobs$"):
        run()
    assert os.listdir(folder / "jobs") == []


def test_a_job_of_no_such_number_or_of_another_sweep_is_refused(run, plain, config, folder, screen):
    run()
    about = (plain, config)
    other = sweep.ask(config, {"shift": "0.0"})
    with pytest.raises(RunError, match=r"--job=7: .*jobs has no such job; --jobs=N submits them"):
        part.run(*about, sweep.ask(config, AXES), folder, 7, screen=screen)
    with pytest.raises(
        RunError, match=r"0001/plan.json is of another sweep: axes.shift was \[0.0, "
    ):
        part.run(*about, other, folder, 1, screen=screen)
    config.sizes = (9,)  # a config file that was edited while its jobs waited
    with pytest.raises(RunError, match=r"config.sizes was \[2\] and is \[9\] now. Run the command"):
        part.run(*about, sweep.ask(config, AXES), folder, 1, screen=screen)


def test_a_job_makes_its_own_groups_alone(
    run, plain, config, cluster, squares, folder, screen, monkeypatch
):
    """The command asks each point what it shares; of its jobs none, and each makes its configs."""
    asked, made, counts = [], [], []
    shared = dataclasses.replace(
        plain,
        shares=lambda config: asked.append(config) or {"size": "n"},
        with_axes=lambda config, axes: config,
    )
    axes = {"shift": ",".join(map(str, range(12)))}
    points, with_values = sweep.ask(config, axes), sweep.with_values
    monkeypatch.setattr(sweep, "with_values", lambda *all: made.append(all) or with_values(*all))

    def one(number):
        asked.clear(), made.clear()
        with monkeypatch.context() as job:
            job.setattr(sweep.Sweep, "points", lambda sweep: pytest.fail("all points"))
            part.run(shared, config, points, folder, number, screen=screen)
        counts.append((len(asked), len(made)))
        return 0

    cluster.run = one
    assert len(run(jobs=6, axes=axes, experiment=shared)) == 12
    assert counts == [(0, 2)] * 6 and len(squares.measured) == 12


def test_a_job_is_gone_after_some_looks_without_a_sign(run, cluster, folder):
    cluster.run = lambda number: 0  # ends well, but its groups show nothing
    looks = []
    states = cluster.states
    cluster.states = lambda jobs: looks.append(jobs) or states(jobs)
    with pytest.raises(RunError, match="2 jobs ended before"):
        run()
    assert len(looks) == 1 + watching._LOOKS
