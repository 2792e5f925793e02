"""One run from its first case to its figures: interrupted, resumed, rebuilt, refused."""

import dataclasses
import errno
import inspect
import json
import os
import re

import pytest

from configs import convergence
from elsa.base import files
from elsa.base.refusal import RefusalError
from elsa.tasks import read_csv
from elsa.training import TrainSettings
from experiments.harness import engine
from experiments.harness.experiment import RunError
from experiments.harness.folder import RunFolder
from experiments.harness.newer import NEWER

FIELDS = dataclasses.fields(TrainSettings)
COMMAND = "python -m experiments.run --config=configs/squares.py"


@pytest.fixture
def run(squares, config, screen, tmp_path):
    """Runs the squares in one folder."""

    def call(**options):
        options.setdefault("command", COMMAND)
        return engine.run(squares.experiment, config, tmp_path / "run", screen=screen, **options)

    return call


def stop_at(n, error):
    def before(at):
        if at == n:
            raise error

    return before


def lines(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def test_a_run_writes_its_files_and_says_where_they_are(run, screen, tmp_path, squares, config):
    assert run() == {"squares": [1.0, 4.0, 9.0], "cases": ["n = 1", "n = 2", "n = 3"]}
    folder, printed = tmp_path / "run", screen.file.getvalue()
    assert json.loads((folder / "summary.json").read_text())["squares"] == [1.0, 4.0, 9.0]
    assert json.loads((folder / "config.json").read_text())["sizes"] == [1, 2, 3]
    assert json.loads((folder / "env.json").read_text())["command"] == COMMAND
    assert [(line["case"], line["square"]) for line in lines(folder)] == [
        ("n = 1", 1.0),
        ("n = 2", 4.0),
        ("n = 3", 9.0),
    ]
    assert all(line["seconds"] >= 0 for line in lines(folder))
    written = ["figures/growth.png", "figures/growth.svg", "summary.json", "metrics.jsonl"]
    for name in [*written, "config.json", "env.json"]:
        assert (folder / name).exists() and f"  {folder / name}\n" in printed
    assert "│ n = 3 │ 9      │" in printed


def test_where_nobody_watches_every_case_prints_one_line(run, screen):
    run()
    printed = screen.file.getvalue().splitlines()
    assert printed[0].startswith("3 cases in ")
    time = r"\d+(\.\d)? s"
    assert re.fullmatch(rf"1 of 3  n = 1  {time} \({time} gone, about {time} left\)", printed[1])
    assert re.fullmatch(rf"3 of 3  n = 3  {time} \({time} gone\)", printed[3])
    assert "\x1b" not in screen.file.getvalue()


def test_ctrl_c_keeps_the_cases_behind_and_says_how_to_go_on(run, squares, tmp_path):
    squares.before = stop_at(3, KeyboardInterrupt())
    with pytest.raises(RunError) as stopped:
        run()
    assert stopped.value.exit_code == 130
    assert str(stopped.value) == (
        f"interrupted. 2 of 3 cases are kept in {tmp_path / 'run'}. To go on, run:\n  {COMMAND}"
    )
    assert not (tmp_path / "run" / "summary.json").exists()


@pytest.mark.parametrize("repeats", [1, 3])
def test_a_resumed_run_ends_as_an_unbroken_one_and_computes_no_case_twice(
    run, squares, screen, config, tmp_path, repeats
):
    config.repeats = repeats
    unbroken = engine.run(squares.experiment, config, tmp_path / "unbroken", screen=screen)
    squares.measured.clear()
    squares.before = stop_at(3, KeyboardInterrupt())
    with pytest.raises(RunError):
        run()
    squares.before = lambda n: None
    assert run() == unbroken
    assert squares.measured == [1, 2, 3]
    assert f"resuming {tmp_path / 'run'}: 2 of 3 cases are kept" in screen.file.getvalue()
    assert "3 of 3  n = 3" in screen.file.getvalue()
    environment = json.loads((tmp_path / "run" / "env.json").read_text())
    assert len(environment["resumed"]) == 1


def test_a_refusal_below_the_harness_is_a_message_and_no_traceback(run, squares, tmp_path):
    squares.before = stop_at(2, RefusalError("cannot read there/metrics.jsonl. Put it back"))
    with pytest.raises(RunError, match=r"^cannot read there/metrics.jsonl") as refused:
        run()
    assert refused.value.exit_code == 1
    kept = f"1 of 3 cases are kept in {tmp_path / 'run'}. To go on, run:\n  {COMMAND}"
    assert str(refused.value).endswith(f"Put it back\n{kept}")


def test_a_case_whose_line_was_cut_runs_again_alone(run, squares, screen, tmp_path):
    run()
    metrics = tmp_path / "run" / "metrics.jsonl"
    metrics.write_bytes(metrics.read_bytes()[:-5])
    squares.measured.clear()
    assert run()["squares"] == [1.0, 4.0, 9.0]
    assert squares.measured == [3]
    assert "its last line was cut off; it is dropped, and that" in screen.file.getvalue()


def test_a_finished_run_computes_nothing_and_makes_its_report_again(run, squares, screen, tmp_path):
    first = run()
    folder = tmp_path / "run"
    kept = {name: (folder / name).read_bytes() for name in ("metrics.jsonl", "env.json")}
    figures = {path: path.read_bytes() for path in (folder / "figures").iterdir()}
    for path in [folder / "summary.json", *figures]:
        path.write_text("spoilt")
    squares.measured.clear()
    assert run() == first
    assert squares.measured == []
    assert "holds this run, finished: nothing is computed" in screen.file.getvalue()
    assert {path: path.read_bytes() for path in figures} == figures
    assert {name: (folder / name).read_bytes() for name in kept} == kept
    assert json.loads((folder / "summary.json").read_text()) == first


def test_a_run_that_died_before_its_summary_is_finished_without_a_case(
    run, squares, screen, tmp_path
):
    run()
    (tmp_path / "run" / "summary.json").unlink()
    squares.measured.clear()
    run()
    assert squares.measured == []
    assert "3 of 3 cases are kept" in screen.file.getvalue()


def test_another_config_is_refused_and_overwrite_moves_the_old_run(run, config, screen, tmp_path):
    run()
    before = (tmp_path / "run" / "metrics.jsonl").read_bytes()
    config.shift = 1.0
    with pytest.raises(RunError, match=r"shift is 0.0 there, 1.0 is asked for. Give an") as refused:
        run()
    assert refused.value.exit_code == 2
    assert run(overwrite=True)["squares"] == [2.0, 5.0, 10.0]
    (aside,) = [path for path in tmp_path.iterdir() if path.name != "run"]
    assert (aside / "metrics.jsonl").read_bytes() == before
    assert f"the old folder is now {aside}" in screen.file.getvalue()


def test_a_record_of_a_case_that_the_program_no_longer_has_is_refused(run, tmp_path):
    run()
    with open(tmp_path / "run" / "metrics.jsonl", "a") as metrics:
        metrics.write('{"case": "n = 9", "seconds": 0}\n')
    with pytest.raises(RunError, match=r"holds the case 'n = 9', .* Give another --workdir"):
        run()


def test_what_check_refuses_leaves_no_folder(run, config, tmp_path, squares):
    config.sizes = (1, -2)
    with pytest.raises(RunError, match="sizes: must not be negative, got -2") as refused:
        run()
    assert refused.value.exit_code == 2
    assert os.listdir(tmp_path) == [] and squares.measured == []


@pytest.mark.parametrize("error", [TypeError("no"), KeyError("no"), FileNotFoundError("no")])
def test_every_error_of_check_is_its_bare_message(squares, config, tmp_path, error):
    def check(config):
        raise error

    experiment = dataclasses.replace(squares.experiment, check=check)
    with pytest.raises(RunError, match=r"^no$"):
        engine.run(experiment, config, tmp_path / "run")


def test_a_config_that_is_no_json_and_one_without_cases_are_refused(run, config, tmp_path):
    config.shift = float("nan")
    with pytest.raises(RunError, match="config: shift is nan"):
        run()
    config.shift, config.sizes = 0.0, ()
    with pytest.raises(RunError, match="this config asks for no case at all"):
        run()
    assert os.listdir(tmp_path) == []


def test_a_record_that_is_no_number_is_an_error_with_case_and_field(run, config, tmp_path):
    config.shift, config.sizes = 0.0, (1, 10**200)
    with pytest.raises(
        RunError, match=r"case 'n = 1000.*: square is inf, .* 1 of 2 cases"
    ) as failed:
        run()
    assert failed.value.exit_code == 1
    assert len(lines(tmp_path / "run")) == 1


def full_disk(descriptor):
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_disk_that_fills_up_keeps_the_cases_behind(run, squares, monkeypatch, tmp_path):
    with monkeypatch.context() as patch:
        squares.before = lambda n: n == 3 and patch.setattr(files.os, "fsync", full_disk)
        with pytest.raises(RunError) as failed:
            run()
    assert failed.value.exit_code == 1
    assert str(failed.value) == (
        f"cannot write {tmp_path / 'run' / 'metrics.jsonl'}: No space left on device. "
        f"2 of 3 cases are kept in {tmp_path / 'run'}. When it can be written, run:\n  {COMMAND}"
    )
    assert len(lines(tmp_path / "run")) == 2
    squares.before = lambda n: None
    assert run()["squares"] == [1.0, 4.0, 9.0]
    assert squares.measured == [1, 2, 3, 3]


def test_a_folder_that_cannot_be_written_at_all_computes_nothing(
    run, squares, monkeypatch, tmp_path
):
    monkeypatch.setattr(files.os, "fsync", full_disk)
    with pytest.raises(RunError, match=r"cannot write .*config.json: .*\. Nothing was computed\."):
        run()
    assert squares.measured == []


def test_the_place_of_the_moved_folder_is_told_even_if_the_new_one_cannot_be_written(
    run, monkeypatch, tmp_path
):
    run()
    monkeypatch.setattr(files.os, "fsync", full_disk)
    with pytest.raises(RunError, match=rf"the old folder is now {tmp_path}/run\.\d{{8}}-"):
        run(overwrite=True)


def test_a_report_that_cannot_be_written_keeps_the_old_one(run, monkeypatch, tmp_path):
    run()
    before = (tmp_path / "run" / "summary.json").read_bytes()
    monkeypatch.setattr(files.os, "replace", lambda *paths: full_disk(0))
    with pytest.raises(RunError, match=r"cannot write .*summary.json: .* 3 of 3 cases are kept"):
        run(command="")
    assert (tmp_path / "run" / "summary.json").read_bytes() == before


def test_a_folder_that_another_host_took_over_gets_no_record_more(run, squares, tmp_path):
    place = tmp_path / "run"

    def before(n):
        if n == 3:
            (place / ".owner").write_text('{"token": "another", "host": "node7", "pid": 12}')

    squares.before = before
    text = r"process 12 on node7 has taken it over(.|\n)*2 of 3 cases are kept in "
    with pytest.raises(RunError, match=text) as failed:
        run()
    assert failed.value.exit_code == 1
    assert len(lines(place)) == 2 and not (place / "figures").exists()
    assert "node7" in (place / ".owner").read_text()


def test_a_bug_of_the_driver_comes_as_it_is_with_what_is_kept(run, squares):
    squares.before = stop_at(2, ZeroDivisionError("a bug"))
    with pytest.raises(ZeroDivisionError, match="a bug") as bug:
        run()
    assert "1 of 3 cases are kept in" in bug.value.__notes__[0]


def test_what_older_runs_did_not_write_stands_at_what_they_did():
    for key, value in NEWER.items():
        group, _, name = key.partition(".")
        if group == "train":
            assert getattr(TrainSettings(num_steps=100), name) == value
        elif name == "held_out":
            assert convergence.get_config().data.held_out == value
        else:  # of a file, and found out, or nothing, where it is ""
            default = inspect.signature(read_csv).parameters[name].default
            assert group == "data" and (default or "") == value


@pytest.mark.parametrize("name", [f.name for f in FIELDS if f.name != "num_steps"])
def test_no_setting_of_training_keeps_an_older_run_from_going_on(name, tmp_path):
    wanted = {"train": {"num_steps": 100, name: getattr(TrainSettings(num_steps=100), name)}}
    with RunFolder.open(tmp_path / "run", {"train": {"num_steps": 100}}):
        pass
    with RunFolder.open(tmp_path / "run", wanted, newer=NEWER) as held:
        assert held.path == tmp_path / "run"
