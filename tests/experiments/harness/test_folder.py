"""The rules of a run folder, each with what it refuses and what it keeps."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from elsa.base import files
from experiments.harness import folder as folder_module
from experiments.harness.folder import FolderError, RunFolder
from experiments.harness.sweep_folder import SweepFolder

CONFIG = {"experiment": "fake", "task": {"dim": 5, "noise_var": 0.0}, "depths": (1, 2)}
BOTH_WAYS = "Give another --workdir, or --overwrite, which moves the folder to "


@pytest.fixture
def run(tmp_path):
    return recorded(tmp_path / "runs" / "name")


def recorded(path):
    """A folder with two recorded cases."""
    with RunFolder.open(path, CONFIG) as folder:
        folder.append("first", {"error": 0.5}, seconds=0.1)
        folder.append("second", [{"error": 0.25}, {"error": 0.125}], seconds=0.2)
    return path


def changed(**task):
    return {**CONFIG, "task": {**CONFIG["task"], **task}}


def tree(path):
    """Every file below, and its content."""
    return {str(p.relative_to(path)): p.read_bytes() for p in path.rglob("*") if p.is_file()}


def test_a_new_folder_holds_its_config_with_tuples_as_lists(run):
    assert json.loads((run / "config.json").read_text()) == {**CONFIG, "depths": [1, 2]}


def test_the_same_config_finds_its_records(run):
    before = tree(run)
    with RunFolder.open(run, CONFIG) as folder:
        assert folder.cases == ["first", "second"]
        assert [record["error"] for record in folder.records] == [0.5, 0.25, 0.125]
        assert folder.notes == [] and not folder.has_summary
    assert tree(run) == before


@pytest.mark.parametrize(
    "config, difference",
    [
        (changed(dim=7), "task.dim is 5 there, 7 is asked for"),
        (changed(dim=5.0), "task.dim is 5 there, 5.0 is asked for"),
        (changed(rank=2), "task.rank is absent there, 2 is asked for"),
        ({**CONFIG, "depths": (1,)}, r"depths is \[1, 2\] there, \[1\] is asked for"),
        ({k: v for k, v in CONFIG.items() if k != "task"}, r'task is \{"dim": 5.* there, absent'),
    ],
)
def test_another_config_is_refused_with_the_first_difference_and_both_ways_out(
    run, config, difference
):
    before = tree(run)
    with pytest.raises(FolderError, match=difference) as refused:
        RunFolder.open(run, config)
    assert BOTH_WAYS in str(refused.value)
    assert tree(run) == before


def test_a_folder_of_other_content_is_refused_and_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(FolderError, match="is not empty and holds no run") as refused:
        RunFolder.open(tmp_path, CONFIG)
    assert BOTH_WAYS in str(refused.value)
    assert tree(tmp_path) == {"thesis.tex": b"x"}


def test_a_run_that_lost_its_config_is_to_have_it_back(run):
    (run / "config.json").unlink()
    before = tree(run)
    with pytest.raises(
        FolderError, match=r"but a run's metrics.jsonl; put config.json back"
    ) as refused:
        RunFolder.open(run, CONFIG)
    assert BOTH_WAYS in str(refused.value)
    assert tree(run) == before


@pytest.mark.parametrize("kind", [RunFolder, SweepFolder])
def test_a_folder_of_another_experiment_is_told_so_before_its_keys(tmp_path, kind):
    other = {"axes": {}, **changed(dim=7), "experiment": "convergence"}
    held = [{"config": own} if kind is SweepFolder else own for own in (CONFIG, other)]
    kind.open(tmp_path / "name", held[0]).close()
    before = tree(tmp_path)
    what = rf"name is a {kind.what} of fake, not of convergence\. {BOTH_WAYS}"
    with pytest.raises(FolderError, match=what):
        kind.open(tmp_path / "name", held[1])
    assert tree(tmp_path) == before


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path):
    (tmp_path / "name").write_text("x")
    with pytest.raises(FolderError, match="name is no folder; give another --workdir"):
        RunFolder.open(tmp_path / "name", CONFIG, overwrite=True)
    assert (tmp_path / "name").read_text() == "x"


@pytest.mark.parametrize("config", [CONFIG, changed(dim=7)])
def test_overwrite_moves_the_old_folder_and_deletes_nothing(run, config):
    before = tree(run)
    with RunFolder.open(run, config, overwrite=True) as folder:
        assert folder.cases == []
        (note,) = folder.notes
    aside = Path(note.removeprefix("the old folder is now "))
    assert aside.parent == run.parent and aside.name.startswith("name.20")
    assert tree(aside) == before
    assert list(tree(run)) == ["config.json"]


def test_overwrite_of_an_empty_or_missing_folder_moves_nothing(tmp_path):
    for path in (tmp_path / "new", tmp_path / "new"):
        path.mkdir(exist_ok=True)
        RunFolder.open(path, CONFIG, overwrite=True).close()
        (path / "config.json").unlink()
    assert os.listdir(tmp_path) == ["new"]


def test_overwrite_does_not_move_the_folder_one_stands_in(tmp_path, monkeypatch):
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "notes").write_text("x")
    monkeypatch.chdir(tmp_path / "below")
    for path in (tmp_path, Path(".")):
        with pytest.raises(FolderError, match="holds the current folder or this program"):
            RunFolder.open(path, CONFIG, overwrite=True)
    assert tree(tmp_path) == {"below/notes": b"x"}


def test_a_folder_that_another_run_takes_while_it_is_moved_is_left_to_it(run, monkeypatch):
    def taken(path, descriptor):
        raise files.BusyError(f"{path} is in use by another run")

    monkeypatch.setattr(files, "start_over", taken)
    with pytest.raises(FolderError, match="in use by another run; wait for its end, or give"):
        RunFolder.open(run, CONFIG, overwrite=True)


def test_overwrite_does_not_move_the_program(tmp_path, monkeypatch):
    (tmp_path / "elsa").mkdir()
    (tmp_path / "elsa" / "folder.py").write_text("x")
    monkeypatch.setattr(folder_module, "__file__", str(tmp_path / "elsa" / "folder.py"))
    with pytest.raises(FolderError, match="holds the current folder or this program"):
        RunFolder.open(tmp_path / "elsa", CONFIG, overwrite=True)
    assert tree(tmp_path) == {"elsa/folder.py": b"x"}


def test_a_folder_in_use_is_refused_to_other_runs_with_and_without_overwrite(run):
    with RunFolder.open(run, CONFIG):
        for overwrite in (False, True):
            with pytest.raises(FolderError, match="in use by another run; wait for its end"):
                RunFolder.open(run, CONFIG, overwrite=overwrite)
    RunFolder.open(run, CONFIG).close()


def test_a_process_that_was_killed_leaves_no_lock(tmp_path):
    script = (
        "import os; from experiments.harness.folder import RunFolder; "
        f"RunFolder.open('{tmp_path}', {{}}); os.kill(os.getpid(), 9)"
    )
    assert subprocess.run([sys.executable, "-c", script]).returncode == -9
    RunFolder.open(tmp_path, {}).close()


@pytest.mark.parametrize(
    "text, reason", [('{"a": 1,\n', "line 2"), ("", "line 1"), ("[]", "no JSON object")]
)
def test_a_damaged_config_is_an_error_with_both_ways_out(run, text, reason):
    (run / "config.json").write_text(text)
    with pytest.raises(FolderError, match=f"cannot read .*config.json: .*{reason}") as refused:
        RunFolder.open(run, CONFIG)
    assert BOTH_WAYS in str(refused.value)
    RunFolder.open(run, CONFIG, overwrite=True).close()


def test_a_first_write_that_was_killed_leaves_a_folder_that_counts_as_empty(tmp_path):
    files.temporary(tmp_path / "config.json").write_text('{"exper')
    RunFolder.open(tmp_path, CONFIG).close()
    assert list(tree(tmp_path)) == ["config.json"]


def test_a_last_line_that_was_cut_is_dropped_with_a_note(run):
    metrics = run / "metrics.jsonl"
    whole = metrics.read_bytes()
    metrics.write_bytes(whole + b'{"case": "third", "err')
    with RunFolder.open(run, CONFIG) as folder:
        assert folder.cases == ["first", "second"]
        assert "its last line was cut off; it is dropped, and that case runs" in folder.notes[0]
        folder.append("third", {"error": 0.0}, seconds=0.1)
    assert metrics.read_bytes().startswith(whole)
    assert RunFolder.open(run, CONFIG).cases == ["first", "second", "third"]


def test_a_damaged_line_before_the_last_is_an_error_with_file_line_and_ways_out(run):
    metrics = run / "metrics.jsonl"
    damaged = metrics.read_bytes().replace(b'"part": 0', b'"part": ')
    metrics.write_bytes(damaged)
    with pytest.raises(FolderError, match=r"metrics.jsonl, line 2: no JSON .*Repair") as refused:
        RunFolder.open(run, CONFIG)
    assert BOTH_WAYS in str(refused.value)
    assert metrics.read_bytes() == damaged


def test_metrics_that_cannot_be_read_are_named(run, monkeypatch):
    (run / "metrics.jsonl").unlink()
    (run / "metrics.jsonl").mkdir()
    with pytest.raises(FolderError, match=r"cannot read .*metrics.jsonl: Is a directory; nothing"):
        RunFolder.open(run, CONFIG)


def test_a_config_that_is_no_json_is_refused_before_a_folder_is_made(tmp_path):
    with pytest.raises(ValueError, match=r"config: task\.noise_var is nan"):
        RunFolder.open(tmp_path / "name", changed(noise_var=float("nan")))
    assert os.listdir(tmp_path) == []


def test_a_failing_record_leaves_the_earlier_ones(run, monkeypatch):
    def fail(descriptor):
        raise OSError(28, "No space left on device")

    before = tree(run)
    with RunFolder.open(run, CONFIG) as folder:
        monkeypatch.setattr(files.os, "fsync", fail)
        with pytest.raises(files.WriteError, match=r"metrics.jsonl: No space left"):
            folder.append("third", {"error": 0.0}, seconds=0.1)
        with pytest.raises(files.WriteError, match=r"summary.json: No space left"):
            folder.write_json("summary.json", {"error": 0.0})
        assert folder.cases == ["first", "second"]
    assert tree(run) == before


def test_the_place_of_a_moved_folder_is_told_even_if_the_new_one_cannot_be_written(
    run, monkeypatch
):
    def fail(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", fail)
    with pytest.raises(files.WriteError, match=r"config.json: No space left") as failed:
        RunFolder.open(run, CONFIG, overwrite=True)
    assert "the old folder is now" in failed.value.__notes__[0]


def test_the_summary_marks_the_end(run):
    with RunFolder.open(run, CONFIG) as folder:
        folder.write_json("summary.json", {"error": 0.5})
        assert folder.has_summary
        with pytest.raises(ValueError, match=r"summary.json: error is inf"):
            folder.write_json("summary.json", {"error": float("inf")})
    assert json.loads((run / "summary.json").read_text()) == {"error": 0.5}


def test_a_figure_is_written_twice_with_the_same_bytes(run):
    from matplotlib.figure import Figure

    written = []
    for _ in range(2):
        figure = Figure(figsize=(3.35, 2.0))
        figure.subplots().plot([0, 1], [1, 0], label="a")
        with RunFolder.open(run, CONFIG) as folder:
            paths = folder.write_figure("decay", figure)
        written.append([path.read_bytes() for path in paths])
    assert paths == [run / "figures" / "decay.png", run / "figures" / "decay.svg"]
    assert written[0] == written[1]
    width = int.from_bytes(written[0][0][16:20], "big")  # of the PNG header
    assert width == 3.35 * 300


def test_a_setting_that_older_versions_did_not_write_stands_at_what_their_runs_had(run):
    wanted, newer = changed(precision="highest"), {"task.precision": "highest"}
    before = tree(run)
    with RunFolder.open(run, wanted, newer=newer) as folder:
        assert folder.cases == ["first", "second"]
    RunFolder.open(run, CONFIG, newer=newer).close()  # nor is it asked for where it is not known
    assert tree(run) == before
    with pytest.raises(
        FolderError, match=r'task\.precision is "highest" there, "low" is asked for'
    ):
        RunFolder.open(run, changed(precision="low"), newer=newer)
