"""Opening runs for analysis: finished, interrupted, still running, several in one folder."""

import json
import os

import jax
import numpy as np
import pytest
from ml_collections import ConfigDict

from elsa import models, training
from elsa.base import files
from elsa.training import loading
from tests.training import cases
from tests.training.cases import EVERY


@pytest.fixture(scope="module")
def experiment(tmp_path_factory, compiles_fast):
    """The folder of an experiment with two finished runs."""
    folder = tmp_path_factory.mktemp("experiment")
    for name, seed in (("second", 4), ("first", 3)):
        training.fit(cases.quiet(seed=seed), folder / "training" / name)
    return folder


def test_a_finished_run_gives_config_task_and_model_and_nothing_changes(unbroken):
    before = cases.contents(unbroken.folder)
    config, task, model = training.load(unbroken.folder, point=1, seed=0)
    assert cases.contents(unbroken.folder) == before
    assert isinstance(config, ConfigDict) and config.train.keep == 3
    assert (task.context_length, float(task.noise_var)) == (4, 0.5)
    assert isinstance(model, models.MergedAttention)
    np.testing.assert_array_equal(model.weight[...], cases.weight(unbroken)[0, 1])
    assert model(task.sample(jax.random.key(0), 3)).shape == (3,)


def late_losses(trained, point=0):
    """Of every seed: four evaluations have one in their last quarter."""
    return np.array(cases.lines(trained.folder)[-1]["loss"])[:, point]


def test_without_a_seed_the_lowest_late_loss_is_taken(unbroken, tmp_path, monkeypatch):
    def by_metrics_of_an_earlier_version(*arguments):  # which said not what it had written
        return training.all_models(*arguments)._replace(written=None)

    monkeypatch.setattr(loading, "all_models", by_metrics_of_an_earlier_version)
    folder = cases.copy(unbroken.folder, tmp_path / "run")
    records = cases.lines(folder)
    records[0]["loss"] = [[0.001, 1.0], [9.0, 1.0]]  # which says nothing of the weights at the end
    for last, expected in (([2.0, 3.0], 0), ([3.0, 2.0], 1)):
        records[-1]["loss"] = [[value, 1.0] for value in last]
        text = "".join(json.dumps(record) + "\n" for record in records)
        (folder / "metrics.jsonl").write_text(text + '{"step": 30, "lo')  # in writing just now
        chosen = training.load(folder).model.weight[...]
        np.testing.assert_array_equal(chosen, cases.weight(unbroken)[expected, 0])


def test_without_metrics_a_seed_is_chosen_too(unbroken, tmp_path):
    folder = cases.copy(unbroken.folder, tmp_path / "run")
    best = np.asarray(unbroken.state.best)[:, 0].argmin()
    for lose in (lambda path: path.write_text(""), lambda path: path.unlink()):
        lose(folder / "metrics.jsonl")
        with pytest.warns(UserWarning, match=r"metrics.jsonl is missing or empty: the seed is"):
            chosen = training.load(folder).model.weight[...]
        np.testing.assert_array_equal(chosen, cases.weight(unbroken)[best, 0])


def test_metrics_that_were_altered_choose_no_seed(unbroken, tmp_path):
    folder = cases.copy(unbroken.folder, tmp_path / "run")
    path = folder / "metrics.jsonl"
    path.write_bytes(path.read_bytes().replace(b"0.", b"1.", 1))
    message = rf"load: {path} is not what this run wrote: .* back, or pass seed=0\.\.1"
    with pytest.raises(training.TrainingError, match=message):
        training.load(folder)
    chosen = training.load(folder, seed=1).model.weight[...]
    np.testing.assert_array_equal(chosen, cases.weight(unbroken)[1, 0])


def test_a_diverged_seed_is_not_the_best(unbroken, monkeypatch):
    lowest = late_losses(unbroken).argmin()
    diverged = np.zeros(unbroken.state.best.shape, bool)
    diverged[lowest, 0] = True
    harmed = unbroken._replace(state=unbroken.state._replace(diverged=diverged))
    monkeypatch.setattr(loading, "all_models", lambda *_: harmed)
    chosen = loading.load(unbroken.folder).model.weight[...]
    np.testing.assert_array_equal(chosen, cases.weight(unbroken)[1 - lowest, 0])


def test_a_point_whose_seeds_all_diverged_is_refused_unless_one_is_asked_for(unbroken, monkeypatch):
    from elsa.training import loading

    harmed = unbroken._replace(
        state=unbroken.state._replace(diverged=np.array([[True, False], [True, False]]))
    )
    monkeypatch.setattr(loading, "all_models", lambda *_: harmed)
    with pytest.raises(training.TrainingError, match=r"every seed of point 0 diverged; pass seed="):
        loading.load(unbroken.folder)
    chosen = loading.load(unbroken.folder, seed=1).model.weight[...]
    np.testing.assert_array_equal(chosen, cases.weight(unbroken)[1, 0])
    loading.load(unbroken.folder, point=1)


def test_an_interrupted_run_gives_what_its_last_checkpoint_holds(tmp_path, monkeypatch):
    cases.interrupted(tmp_path, 3 * EVERY, monkeypatch)
    before = cases.contents(tmp_path)
    assert training.all_models(tmp_path).step == 2 * EVERY
    assert cases.contents(tmp_path) == before


def test_a_run_that_is_going_on_can_be_opened(unbroken):
    held = files.hold(unbroken.folder)
    try:
        trained = training.all_models(unbroken.folder)
    finally:
        os.close(held)
    cases.assert_same_bits(trained, unbroken)


def test_the_runs_of_an_experiment_are_opened_by_name(experiment):
    assert training.load(experiment).config.seed == 3  # the first by name
    assert training.load(experiment, "second").config.seed == 4


def test_a_correction_is_opened_with_the_base_it_was_trained_on(tmp_path):
    model = {"name": "lora_attention"}
    base = np.array([[0.2, 0.1], [0.0, 0.3]])
    config = cases.quiet(model=model, sweep={"rank": (0, 1)}, num_seeds=1)
    trained = training.fit(config, tmp_path, given={"base_weight": base})
    np.testing.assert_array_equal(training.load(tmp_path).model.preconditioner, base)
    found = training.load(tmp_path, point=1).model
    np.testing.assert_array_equal(found.preconditioner, trained.model(0, 1).preconditioner)
    assert np.abs(found.preconditioner - base).max() > 1e-3


def test_a_run_does_not_go_on_with_another_base_than_its_own(tmp_path):
    config = cases.quiet(model={"name": "lora_attention", "rank": 1}, sweep={}, num_seeds=1)
    first = training.fit(config, tmp_path, given={"base_weight": np.eye(2)})
    with pytest.raises(training.TrainingError, match="a run with another base_weight; give the"):
        training.fit(config, tmp_path, given={"base_weight": 2 * np.eye(2)})
    again = training.fit(config, tmp_path, given={"base_weight": np.eye(2)})
    cases.assert_same_bits(again, first)


def test_a_truncated_config_is_named(unbroken, tmp_path):
    folder = cases.copy(unbroken.folder, tmp_path / "run")
    path = folder / "config.json"
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(training.TrainingError, match=f"load: cannot read {path}: "):
        training.load(folder)


def test_what_is_not_there_is_named(experiment, unbroken, tmp_path):
    with pytest.raises(KeyError, match=r"unknown run 'frist'.*did you mean 'first'"):
        training.load(experiment, "frist")
    with pytest.raises(KeyError, match="unknown run 'first', known are"):
        training.load(unbroken.folder, "first")
    with pytest.raises(IndexError, match=r"point must be 0\.\.1, got 2"):
        training.load(unbroken.folder, point=2)
    with pytest.raises(IndexError, match=r"seed must be 0\.\.1, got -1"):
        training.load(unbroken.folder, seed=-1)
    with pytest.raises(FileNotFoundError, match="is no run folder"):
        training.load(tmp_path)


def test_a_run_without_a_checkpoint_says_so(tmp_path, monkeypatch):
    cases.interrupted(tmp_path, EVERY, monkeypatch)
    with pytest.raises(FileNotFoundError, match="holds no whole checkpoint yet"):
        training.load(tmp_path)
