"""The page about training: its code runs, and its table lists what there is."""

from pathlib import Path

import numpy as np
import pytest

from elsa import tasks, training
from scripts.readme_commands import fences

PAGE = (Path(__file__).parents[2] / "docs" / "training.md").read_text(encoding="utf-8")
CODE, TRACKER, MORE = [fence.text for fence in fences(PAGE) if fence.language == "python"]


def test_its_code_trains_to_the_optima_it_prints(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(compile(CODE, "docs/training.md", "exec"), names)
    excess = names["risk"].mean(axis=0) / names["optima"] - 1.0
    # 20,000 prompts: the risk of each point is known to about 2 %
    spread = names["error"].mean(axis=0) / names["optima"]
    assert np.all(np.abs(excess) < 4 * spread + 0.02)
    assert names["task"].context_length == 20
    assert names["model"].preconditioner.shape == (4, 4)


@pytest.mark.slow
def test_its_runs_go_on_branch_and_start_where_others_ended(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {"training": training}
    exec(compile(MORE, "docs/training.md", "exec"), names)
    assert names["branch"].step == names["again"].step == 400
    np.testing.assert_array_equal(names["steps"], np.arange(0, 401, 100))
    size = np.abs(names["branch"].model().weight[...]).max()
    assert names["watched"]["largest weight"][0] == np.float32(size)


@pytest.mark.slow
def test_its_tracker_prints_every_evaluation(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    exec(compile(TRACKER, "docs/training.md", "exec"), {})
    first, *lines = capsys.readouterr().out.splitlines()
    assert first == "printed from step 0" and [line.split()[0] for line in lines] == ["50", "100"]


def test_it_names_every_task():
    assert [name for name in tasks.TASKS if f"`{name}`" not in PAGE] == []
