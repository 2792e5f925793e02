"""Training runs of an experiment that go on: what is refused, and in the slow suite, the bits."""

import json
import shutil

import numpy as np
import pytest

from configs import train as config_file
from elsa import training
from experiments.harness import engine
from experiments.harness.experiment import REFUSED, Branch, RunError
from experiments.trained import runs, train

SETTINGS = {
    "task": {"name": "linear_regression", "dim": 2, "context_length": 4, "noise_var": 0.1},
    "model": {"name": "linear_attention"},
    "train": {"num_steps": 100, "decay": "constant"},
}


def settings(**own):
    return {**SETTINGS, "train": {**SETTINGS["train"], **own}}


@pytest.fixture
def folder(tmp_path):
    """A function: a folder of an experiment with runs of these names, as far as their configs."""

    def make(*names, **own):
        asked = training.RunSettings.from_config(settings(**own)).to_dict()
        for name in names:
            (tmp_path / "training" / name).mkdir(parents=True)
            (tmp_path / "training" / name / "config.json").write_text(json.dumps(asked))
        return tmp_path

    return make


@pytest.mark.parametrize(
    "own", [{"decay": "cosine"}, {"average": 0.5}, {"patience": 3}], ids=lambda own: next(iter(own))
)
def test_what_depends_on_the_end_is_refused_with_the_way_out(folder, own):
    place = folder("a", **own)
    says = rf"^extend: train.{next(iter(own))} must be .*does, with another --workdir$"
    with pytest.raises(ValueError, match=says) as caught:
        runs.refuse_extension(settings(**{**own, "num_steps": 200}), "a", place)
    assert f"--branch={place}" in str(caught.value) and "\n" not in str(caught.value)


def test_a_constant_rate_and_a_run_that_is_not_there_may_go_on(folder):
    place = folder("a")
    runs.refuse_extension(settings(num_steps=200), "a", place)
    runs.refuse_extension(settings(num_steps=200), "b", place)


def test_a_branch_comes_from_its_namesake_or_the_only_run(folder, tmp_path):
    source = Branch(folder("b"), "newest")
    assert runs._source_run(source, tmp_path / "new", "a") == "b"
    folder("a")
    assert runs._source_run(source, tmp_path / "new", "a") == "a"
    with pytest.raises(KeyError, match="unknown run 'c'"):
        runs._source_run(source, tmp_path / "new", "c")


def tiny(num_steps, **train_settings):
    config = config_file.get_config("quick")
    config.update(eval_prompts=64, watch_prompts=8)
    config.model.depth = 1
    config.train.update(batch=8, warmup=0, decay="constant", evaluate_every=50, average=0.0)
    config.train.update(num_steps=num_steps, **train_settings)
    return config.lock()


@pytest.mark.slow
def test_an_extended_run_has_the_bits_of_a_run_of_all_its_steps(tmp_path, screen):
    def go(name, *arguments, **words):
        engine.run(train.EXPERIMENT, *arguments, tmp_path / name, screen=screen, **words)

    go("extended", tiny(400))
    shorter = (tmp_path / "extended" / "metrics.jsonl").read_bytes()
    go("extended", tiny(800), extend=True)
    go("whole", tiny(800))
    own, whole = (tmp_path / name / "training" / "elsa" for name in ("extended", "whole"))
    assert (own / "metrics.jsonl").read_bytes() == (whole / "metrics.jsonl").read_bytes()
    assert_same_params(own, whole)
    records = [
        json.loads((tmp_path / name / "metrics.jsonl").read_text()) | {"seconds": 0}
        for name in ("extended", "whole")
    ]
    assert records[0] == records[1] and records[0]["steps"] == 800
    assert (tmp_path / "extended" / "metrics.jsonl.400").read_bytes() == shorter


@pytest.mark.slow
def test_a_branch_starts_at_the_checkpoint_and_goes_on_without_its_source(tmp_path, screen):
    def go(name, *arguments, **words):
        return engine.run(train.EXPERIMENT, *arguments, tmp_path / name, screen=screen, **words)

    go("source", tiny(100))
    start = Branch(tmp_path / "source", "best")
    with pytest.raises(RunError, match="no checkpoint of step 7") as caught:
        go("branch", tiny(50), branch=start._replace(at=7))
    assert caught.value.exit_code == REFUSED and not (tmp_path / "branch").exists()
    other = tiny(50, learning_rate=3e-3, decay="cosine")
    go("branch", other, branch=start)
    place = tmp_path / "branch"
    origin = json.loads((place / "training" / "elsa" / "origin.json").read_text())
    assert (origin["folder"], origin["run"], origin["at"]) == (str(start.folder), "elsa", "best")
    by_hand = training.branch(
        start.folder / "training" / "elsa",
        json.loads((place / "training" / "elsa" / "config.json").read_text()),
        tmp_path / "by_hand",
        at="best",
    )
    assert_same_params(place / "training" / "elsa", by_hand.folder)
    shutil.rmtree(start.folder)
    before = (place / "training" / "elsa" / "metrics.jsonl").read_bytes()
    (place / "metrics.jsonl").unlink()  # as if killed before the case was recorded
    go("branch", other, branch=start)
    assert (place / "training" / "elsa" / "metrics.jsonl").read_bytes() == before


def assert_same_params(one, other):
    from jax import tree

    leaves = [tree.leaves(training.all_models(place).state.params) for place in (one, other)]
    assert len(leaves[0]) == len(leaves[1])
    assert all(np.array_equal(a, b) for a, b in zip(*leaves, strict=True))
