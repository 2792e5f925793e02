"""What is written down of jobs, and read again after kills."""

from experiments.cluster.ledger import Ended, Ledger


def test_jobs_are_written_down_before_they_are_submitted_and_numbered_on(tmp_path):
    ledger = Ledger(tmp_path)
    assert ledger.jobs() == [] and ledger.job(1) is None
    first = ledger.plan([["a", "c"], ["b"]], cluster="slurm", name="sweep-1")
    assert [job.number for job in first] == [1, 2] and [job.index for job in first] == [0, 1]
    again = Ledger(tmp_path)
    assert again.jobs() == first and again.job(1).groups == ("a", "c")
    (second,) = again.plan([["b"]], cluster="local", name="sweep-2")
    assert (second.number, second.index) == (3, 0)
    assert again.id(second) == "" and again.printed(second) == str(again.log)
    again.accepted(second, "12_0", tmp_path / "log")
    assert (ledger.id(second), ledger.printed(second)) == ("12_0", str(tmp_path / "log"))
    ledger.drop([second])
    assert ledger.jobs() == first


def test_of_several_tries_the_last_says_how_a_group_ended_and_cut_lines_are_passed_over(tmp_path):
    ledger = Ledger(tmp_path)
    (job,) = ledger.plan([["a", "b", "c"]], cluster="slurm", name="sweep")
    assert ledger.ended(job) == {} and ledger.exit_code(job) is None
    ledger.end(job, "a", "it is too deep", seconds=1.0)
    ledger.end(job, "b", "", seconds=2.0)
    ledger.end(job, "a", "", seconds=3.0)
    with (ledger.folder(1) / "ended.jsonl").open("a") as file:
        file.write('{"group": "c", "fail')
    assert ledger.ended(job) == {"a": Ended("", 3.0), "b": Ended("", 2.0)}
    (ledger.folder(1) / "exit.json").write_text('{"code": -9}')
    assert ledger.exit_code(job) == -9
    (ledger.folder(1) / "job.json").write_text('{"clus')
    assert ledger.jobs() == []
