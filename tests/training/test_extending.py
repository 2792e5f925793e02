"""Runs that go on to more steps, or start over, in their folder."""

import json
import os

import pytest

from elsa import training
from elsa.base import files
from tests.training import cases
from tests.training.cases import EVERY, STEPS, assert_equal_runs

STAYS = {"decay": "constant", "average": 0.0, "warmup": 3}  # nothing depends on the end


def asked(steps=STEPS, **train):
    return cases.config(train={**STAYS, "num_steps": steps, **train})


@pytest.fixture(scope="module")
def twice(tmp_path_factory, compiles_fast):
    """A run of twice the steps, unbroken."""
    return training.fit(asked(2 * STEPS), tmp_path_factory.mktemp("runs") / "twice")


@pytest.fixture(scope="module")
def once(tmp_path_factory, compiles_fast):
    """A run to be copied and extended."""
    folder = tmp_path_factory.mktemp("runs") / "once"
    training.fit(asked(), folder)
    return folder


def test_an_extended_run_has_the_bits_of_one_that_was_asked_for_all_steps(once, twice, tmp_path):
    folder = cases.copy(once, tmp_path / "run")
    extended = training.fit(asked(2 * STEPS), folder, extend=True)
    assert_equal_runs(extended, twice)
    assert (folder / "config.json").read_bytes() == (twice.folder / "config.json").read_bytes()
    again = training.fit(asked(2 * STEPS), folder, extend=True)
    assert_equal_runs(again, twice)
    assert again.program.compilations == 0
    assert training.load(folder).config.train.num_steps == 2 * STEPS


@pytest.mark.slow
def test_400_steps_extended_to_800_are_800_steps(tmp_path):
    def config(steps):
        model = {"name": "linear_transformer", "depth": 2}
        train = {"num_steps": steps, "evaluate_every": 100, "max_gradient_norm": 1.0, **STAYS}
        return cases.quiet(model=model, dtype="float32", train=train)

    training.fit(config(400), tmp_path / "run")
    extended = training.fit(config(800), tmp_path / "run", extend=True)
    assert_equal_runs(extended, training.fit(config(800), tmp_path / "whole"))


@pytest.mark.parametrize(
    "moment",
    [
        pytest.param("before config.json is written", marks=pytest.mark.slow),
        "after config.json is written",
        pytest.param("later", marks=pytest.mark.slow),
    ],
)
def test_killed_at_any_moment_the_same_command_goes_on(moment, once, twice, tmp_path, monkeypatch):
    folder, replace = cases.copy(once, tmp_path / "run"), files.replace

    def dies(path, data):
        if moment.startswith("after"):
            replace(path, data)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        if moment == "later":
            cases.interrupt_at(STEPS + 2 * EVERY, patch)
        else:
            patch.setattr(files, "replace", dies)
        with pytest.raises(KeyboardInterrupt):
            training.fit(asked(2 * STEPS), folder, extend=True)
    assert_equal_runs(training.fit(asked(2 * STEPS), folder, extend=True), twice)


def test_what_depends_on_the_end_is_not_extended(unbroken, once, tmp_path):
    before = cases.contents(once)
    longer = cases.config(train={"num_steps": 2 * STEPS})
    message = r"train.decay must be 'constant', got 'cosine': .* training\.branch starts a new run"
    with pytest.raises(training.TrainingError, match=message):
        training.fit(longer, unbroken.folder, extend=True)
    for change, message in (
        ({"average": 0.5}, "train.average must be 0.0, got 0.5"),
        ({"patience": 2}, "train.patience must be 0, got 2"),
    ):
        folder = tmp_path / message
        (folder / "checkpoints").mkdir(parents=True)
        settings = training.RunSettings.from_config(asked(**change)).to_dict()
        (folder / "config.json").write_text(json.dumps(settings))
        with pytest.raises(training.TrainingError, match=message):
            training.fit(asked(2 * STEPS, **change), folder, extend=True)
    for config, message in (
        (asked(EVERY), "a run of 24 steps, which extend cannot shorten to 6"),
        (asked(2 * STEPS, batch=9), "another config: train.batch is 8 there, 9 is asked for"),
    ):
        with pytest.raises(training.TrainingError, match=message):
            training.fit(config, once, extend=True)
    with pytest.raises(training.TrainingError, match=r"train.num_steps is 24 there, 48 is asked"):
        training.fit(asked(2 * STEPS), once)
    assert cases.contents(once) == before


def test_a_run_that_took_no_step_is_extended_whatever_its_schedule(unbroken, tmp_path):
    # extended from nothing at all at first
    assert training.fit(cases.quiet(train={"num_steps": 0}), tmp_path, extend=True).step == 0
    assert_equal_runs(training.fit(cases.quiet(), tmp_path, extend=True), unbroken)


def test_a_folder_is_started_over_and_what_it_held_is_beside_it(once, tmp_path, console):
    folder = cases.copy(once, tmp_path / "run")
    (folder / "thesis.txt").write_text("x")
    before = cases.contents(folder)
    config = cases.quiet(train={"num_steps": 0, "average": 0.0})
    training.fit(config, folder, overwrite=True, screen=console)
    (aside,) = tmp_path.glob("run.*")
    assert cases.contents(aside) == before and not (folder / "thesis.txt").exists()
    assert console.file.getvalue() == f"run: the old folder is now {aside}\n"
    assert training.load(folder).config.train.num_steps == 0
    training.fit(config, tmp_path / "new", overwrite=True)
    assert len(list(tmp_path.glob("new*"))) == 1


def test_a_folder_that_is_in_use_or_stood_in_is_not_moved(once, tmp_path, monkeypatch):
    folder = cases.copy(once, tmp_path / "run")
    held = files.hold(folder)
    with pytest.raises(training.TrainingError, match="is in use by another run"):
        training.fit(asked(), folder, overwrite=True)
    os.close(held)
    monkeypatch.chdir(folder)
    with pytest.raises(training.TrainingError, match="holds the current folder and is not moved"):
        training.fit(asked(), folder, overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
    monkeypatch.chdir(tmp_path)

    def taken(path, descriptor):
        raise files.BusyError(f"{path} is in use by another run")

    monkeypatch.setattr(files, "start_over", taken)
    with pytest.raises(training.TrainingError, match="another run; wait for its end, or give"):
        training.fit(asked(), folder, overwrite=True)


def test_a_run_is_not_started_over_and_extended_at_once(tmp_path):
    with pytest.raises(ValueError, match="overwrite and extend must not both be True"):
        training.fit(asked(), tmp_path, overwrite=True, extend=True)
    with pytest.raises(TypeError, match="extend must be True or False, got 800"):
        training.fit(asked(), tmp_path, extend=800)
