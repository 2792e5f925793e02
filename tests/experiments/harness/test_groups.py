"""A sweep from its first group to its table: interrupted, resumed, failed in parts, refused."""

import dataclasses
import errno
import json
import os
import re
import shutil

import polars as pl
import pytest

from elsa.base import files
from experiments.harness import engine, groups, sweep
from experiments.harness.experiment import FAILED, RunError, Shown

COMMAND = "python -m experiments.run --config=configs/squares.py --sweep.shift=0,1"
AXES = {"shift": "0.0,1.0", "repeats": "1,2"}


@pytest.fixture
def plain(squares, monkeypatch):
    """The squares without figures, which take most of the time, and without a number to draw."""
    monkeypatch.setattr(engine, "environment", lambda config, command: {"command": command})
    return dataclasses.replace(squares.experiment, figures=lambda *all: {})


@pytest.fixture
def run(plain, config, screen, tmp_path):
    """Sweeps the squares in one folder."""
    config.sizes = (2,)

    def call(axes=AXES, experiment=None, **options):
        asked = sweep.ask(config, axes, mode=options.pop("mode", "product"))
        return groups.run(
            experiment or plain,
            config,
            asked,
            tmp_path / "sweep",
            screen=screen,
            command=COMMAND,
            **options,
        )

    return call


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "sweep"


def stop_at(count, error):
    """Raises once the case of this number begins."""
    begun = []

    def before(n):
        begun.append(n)
        if len(begun) == count:
            raise error

    return before


def table(folder):
    return pl.read_parquet(folder / "table.parquet").drop("seconds", strict=False)


def test_a_sweep_writes_a_table_a_figure_and_a_run_for_each_group(run, squares, folder, screen):
    prepared, experiment = [], dataclasses.replace(squares.experiment, shown=Shown(main="square"))
    rows = run(experiment=experiment, prepare=prepared.append)
    found = table(folder)
    assert len(rows) == len(found) == 6
    assert found.columns[:2] == ["shift", "repeats"]
    assert found["shift"].to_list() == [0.0] * 3 + [1.0] * 3
    assert found["repeats"].to_list() == [1, 2, 2] * 2
    assert found["square"].to_list() == [4.0] * 3 + [5.0] * 3
    assert found["part"].to_list() == [0, 0, 1] * 2
    names = [f"shift={shift},repeats={repeats}" for shift in ("0.0", "1.0") for repeats in (1, 2)]
    assert sorted(os.listdir(folder / "groups")) == names
    for name in names:
        inside = os.listdir(folder / "groups" / name)
        assert {"config.json", "env.json", "metrics.jsonl", "summary.json", "figures"} <= {*inside}
    asked = json.loads((folder / "sweep.json").read_text())
    assert asked["axes"] == {"shift": [0.0, 1.0], "repeats": [1, 2]}
    assert (asked["mode"], asked["config"]["sizes"]) == ("product", [2])
    printed = screen.file.getvalue()
    assert (
        "4 points in 4 groups, in " in printed and "group 1 of 4: shift=0.0,repeats=1\n" in printed
    )
    assert "group 4 of 4: shift=1.0,repeats=2  (about " in printed
    for name in ("table.parquet", "sweep.json", "groups", "figures/sweep.png", "report.html"):
        assert (folder / name).exists() and f"  {folder / name}\n" in printed
    assert "growth" not in printed and "│ n = 2 │" not in printed  # of the groups: progress alone
    assert len(prepared) == 8 and prepared[-1].shift == 1.0  # for the checks, and for the runs


def test_a_sweep_without_a_number_to_draw_says_so(run, folder, screen):
    run()
    assert "no figure: no record has a number `risk`" in screen.file.getvalue()
    assert not (folder / "figures").exists()


def test_a_finished_sweep_in_a_folder_that_is_only_read_shows_its_table_and_says_so(
    run, squares, folder, screen, monkeypatch
):
    experiment = dataclasses.replace(squares.experiment, shown=Shown(main="square"))
    rows = run(experiment=experiment)
    screen.file.truncate(0)

    def refused(*paths):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(files.os, "replace", refused)
    assert run(experiment=experiment).equals(rows)
    printed = screen.file.getvalue()
    assert "6 records of the sweep" in printed and "files:" not in printed
    said = f"cannot write {folder}/table.parquet: Read-only file system. Nothing was written;"
    assert said in printed


def test_points_of_one_program_run_once(run, plain, squares, folder):
    def with_axes(config, axes):
        config.sizes = axes["n"]
        return config

    experiment = dataclasses.replace(
        plain, shares=lambda config: {"size": "n"}, with_axes=with_axes
    )
    rows = run({"size": "3,4", "shift": "0.0,1.0"}, experiment=experiment)
    assert squares.measured == [3, 4, 3, 4]
    assert rows.select("size", "shift", "square").rows() == [
        *((3, 0.0, 9.0), (4, 0.0, 16.0), (3, 1.0, 10.0), (4, 1.0, 17.0)),
    ]
    assert sorted(os.listdir(folder / "groups")) == ["shift=0.0", "shift=1.0"]


def test_ctrl_c_keeps_the_groups_behind_and_the_same_command_goes_on(
    run, squares, folder, screen, tmp_path
):
    run()
    unbroken = table(folder)
    shutil.move(folder, tmp_path / "unbroken")
    squares.measured.clear()
    squares.before = stop_at(3, KeyboardInterrupt())
    with pytest.raises(
        RunError, match=r"^interrupted. (.|\n)*\n2 of 4 groups are done.$"
    ) as stopped:
        run()
    assert stopped.value.exit_code == 130 and COMMAND in str(stopped.value)
    assert table(folder).equals(unbroken[:3])
    squares.before = lambda n: None
    run()
    assert table(folder).equals(unbroken) and len(squares.measured) == 4
    assert "4 points in 4 groups, of which 2 are kept, in " in screen.file.getvalue()
    squares.measured.clear()
    (folder / "table.parquet").unlink()
    (folder / "groups" / "shift=0.0,repeats=1" / "summary.json").unlink()  # killed before it ...
    (folder / "metrics.jsonl").unlink()  # .. and the others were told to be done
    run()
    assert table(folder).equals(unbroken) and squares.measured == []
    assert (folder / "groups" / "shift=0.0,repeats=1" / "summary.json").exists()
    shutil.rmtree(folder / "groups" / "shift=0.0,repeats=2")
    run()
    assert table(folder).equals(unbroken) and squares.measured == [2]


def test_a_group_that_fails_does_not_stop_the_others_and_is_tried_again(
    run, squares, folder, screen
):
    squares.before = stop_at(2, RunError("every seed diverged", exit_code=FAILED))
    with pytest.raises(RunError, match="1 of 4 groups failed; the same command tries") as failed:
        run()
    assert failed.value.exit_code == 1
    assert "\n  shift=0.0,repeats=2: every seed diverged" in str(failed.value)
    found = table(folder)
    assert found["status"].to_list() == ["done", "failed", "done", "done", "done"]
    assert found["message"].to_list()[1] == "every seed diverged"
    assert re.search("│ 0 +│ 2 +│ +│ failed │", screen.file.getvalue())
    squares.before = lambda n: None
    run()
    assert table(folder)["status"].to_list() == ["done"] * 6
    assert len(squares.measured) == 4


def test_a_number_that_is_none_fails_its_group_alone(run, config, folder):
    config.sizes = (10**200,)
    with pytest.raises(RunError, match=r"2 of 2 groups failed(.|\n)*square is inf"):
        run({"shift": "0.0,1.0"})
    assert table(folder)["status"].to_list() == ["failed"] * 2


def full_disk(descriptor):
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_stops_the_sweep_and_keeps_what_is_done(run, squares, monkeypatch, folder):
    with monkeypatch.context() as patch:
        third = stop_at(3, ZeroDivisionError())

        def before(n):
            try:
                third(n)
            except ZeroDivisionError:
                patch.setattr(files.os, "fsync", full_disk)

        squares.before = before
        with pytest.raises(RunError, match=r"metrics.jsonl: No space(.|\n)*2 of 4 groups are done"):
            run({"shift": "0.0,1.0,2.0,3.0", "repeats": "2"})
    assert len(table(folder)) == 4
    squares.before = lambda n: None
    run({"shift": "0.0,1.0,2.0,3.0", "repeats": "2"})
    assert len(table(folder)) == 8


def test_a_group_whose_folder_another_host_took_over_ends_the_sweep(run, squares, folder):
    def before(n):
        for path in folder.glob("groups/*/.owner"):
            path.write_text('{"token": "another", "host": "node7", "pid": 12}')

    squares.before = before
    with pytest.raises(RunError, match=r"has taken it over(.|\n)*0 of 4 groups are done") as failed:
        run()
    assert failed.value.exit_code == 1 and not (folder / "table.parquet").exists()


def test_a_table_that_cannot_be_written_or_an_interrupt_there_says_how_to_go_on(
    run, monkeypatch, folder
):
    write = files.replace

    def broken(error):
        def replace(path, data):
            if path.name == "table.parquet":
                raise error
            write(path, data)

        return replace

    unwritten = files.WriteError(folder, OSError(errno.ENOSPC, "No space left"))
    for error, code, words in [
        (unwritten, 1, "cannot write .*No space left. 1 of 4 groups are done. To go on, run:"),
        (KeyboardInterrupt(), 130, "^interrupted. 2 of 4 groups are done. To go on, run:\n  pyth"),
    ]:
        with monkeypatch.context() as patch, pytest.raises(RunError, match=words) as failed:
            patch.setattr(files, "replace", broken(error))
            run()
        assert failed.value.exit_code == code


def test_a_bug_comes_as_it_is_with_what_is_done(run, squares):
    squares.before = stop_at(2, ZeroDivisionError("a bug"))
    with pytest.raises(ZeroDivisionError, match="a bug") as bug:
        run()
    assert "1 of 4 groups are done." in bug.value.__notes__


def test_another_sweep_in_the_folder_is_refused_and_overwrite_moves_it(
    run, config, squares, folder, screen
):
    run()
    before = (folder / "table.parquet").read_bytes()
    words = r"holds a sweep with another config: axes.shift is .* Give another --workdir, or --over"
    with pytest.raises(RunError, match=words) as refused:
        run({"shift": "0.0", "repeats": "1"})
    assert refused.value.exit_code == 2
    config.shift = 9.0
    with pytest.raises(RunError, match=r"config.shift is 0.0 there, 9.0 is asked for"):
        run()
    assert (folder / "table.parquet").read_bytes() == before
    run({"shift": "0.0"}, overwrite=True)
    assert len(table(folder)) == 1 and "the old folder is now " in screen.file.getvalue()


def test_a_plain_run_in_the_folder_is_refused(run, folder):
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    with pytest.raises(RunError, match=r"is not empty and holds no sweep \(no sweep.json\)"):
        run()


def test_a_group_whose_folder_is_another_run_stops_the_sweep(run, folder):
    run()
    kept = folder / "groups" / "shift=0.0,repeats=2"
    (kept / "config.json").write_text('{"other": 1}')
    with pytest.raises(RunError, match=r"holds a run with another config(.|\n)*3 of 4 groups"):
        run()


def test_one_bad_point_refuses_the_sweep_before_anything_runs(run, squares, folder):
    words = r"^sizes=-1: sizes: must not be negative, got -1\nNothing was run. Leave that point out"
    with pytest.raises(RunError, match=words) as refused:
        run({"sizes": "(2,),(-1,)"})
    assert refused.value.exit_code == 2
    assert not folder.exists() and squares.measured == []


def test_keys_given_pair_by_pair(run):
    rows = run(AXES, mode="zip")
    assert rows.select("shift", "repeats").rows() == [(0.0, 1), (1.0, 2), (1.0, 2)]
