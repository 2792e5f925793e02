"""What shows a run's losses: its own tracker, one that fails, another one after a resume."""

import importlib.util

import numpy as np
import pytest

from elsa import training
from elsa.base import files, train_settings
from elsa.training import trackers
from tests.helpers import wide
from tests.training import cases
from tests.training.cases import EVERY, STEPS
from tests.training.test_writers import shown


class Book:
    """A tracker whose run outlives its processes: a list of (step, numbers)."""

    def __init__(self, holds=None):
        self.holds, self.calls, self.told = [] if holds is None else holds, [], None

    def __call__(self, run):
        self.told = run
        return self

    def last(self):
        return max((step for step, _ in self.holds), default=-1)

    def add(self, step, numbers):
        self.holds.append((step, numbers))

    def flush(self):
        self.calls.append("flush")

    def close(self):
        self.calls.append("close")


def evaluations(folder):
    """(step, mean loss) of each line of metrics.jsonl."""
    return [(line["step"], np.mean(line["loss"])) for line in cases.lines(folder)]


def test_a_tracker_of_the_user_s_own_is_told_of_the_run_and_of_every_evaluation(tmp_path):
    book = Book()
    assert isinstance(book, training.Tracker)
    training.fit(cases.config(), tmp_path / "run", tracker=book, name="mine", targets=(0.4, 0.8))
    assert (book.told.folder, book.told.name, book.told.step) == (tmp_path / "run", "mine", 0)
    assert book.told.config["train"]["num_steps"] == STEPS
    assert [step for step, _ in book.holds] == [*range(EVERY, STEPS + 1, EVERY)]
    for (_, mean), (_, numbers) in zip(evaluations(book.told.folder), book.holds, strict=True):
        assert numbers["loss/mean"] == pytest.approx(mean, rel=1e-12)
        assert numbers["theory/noise_var=0.5"] == 0.8
    assert "flush" in book.calls and book.calls[-1] == "close"
    assert not (tmp_path / "run" / "tensorboard").exists()


@pytest.mark.parametrize("kept", wide([0, 1, 3], keep=[1]))
def test_a_resumed_run_gives_its_tracker_what_it_lacks_and_nothing_twice(
    kept, tmp_path, monkeypatch
):
    """Died after 3 evaluations, the last without a checkpoint; the tracker kept some of them."""
    book = Book()
    with monkeypatch.context() as patch:
        cases.interrupt_at(3 * EVERY, patch)
        with pytest.raises(KeyboardInterrupt):
            training.fit(cases.config(), tmp_path, tracker=book)
    before = [(EVERY * (1 + i), {"loss/mean": 0.0}) for i in range(kept)]
    again = Book(list(before))
    training.fit(cases.config(), tmp_path, tracker=again)
    assert again.told.step == 2 * EVERY
    assert again.holds[:kept] == before
    found = [(step, numbers["loss/mean"]) for step, numbers in again.holds[kept:]]
    wanted = evaluations(tmp_path)[kept:]
    assert [step for step, _ in found] == [step for step, _ in wanted]
    np.testing.assert_allclose([v for _, v in found], [v for _, v in wanted], rtol=1e-12)


@pytest.mark.parametrize(
    "method", wide(["__call__", "last", "add", "flush", "close"], keep=["__call__", "add"])
)
def test_a_tracker_that_fails_is_left_with_one_warning_and_changes_no_bit(
    method, unbroken, tmp_path, monkeypatch
):
    def fails(*_):
        raise ConnectionError("no route\nto host")

    monkeypatch.setattr(Book, method, fails)
    with pytest.warns(UserWarning, match="tracker fails") as caught:
        trained = training.fit(cases.config(), tmp_path, tracker=Book())
    assert [str(warning.message) for warning in caught] == [
        "the run's tracker fails (no route to host); training goes on without it"
    ]
    cases.assert_equal_runs(trained, unbroken)


def test_a_folder_that_another_process_has_taken_ends_the_run(tmp_path, monkeypatch):
    def taken(*_):
        raise files.ReplacedError("another one writes there")

    monkeypatch.setattr(Book, "add", taken)
    with pytest.raises(training.TrainingError, match="another one writes there"):
        training.fit(cases.config(), tmp_path, tracker=Book())


def test_another_tracker_may_be_chosen_where_a_run_goes_on_and_gets_all_of_it(
    unbroken, tmp_path, monkeypatch
):
    cases.interrupted(tmp_path, 2 * EVERY, monkeypatch)
    cases.interrupted(tmp_path, 3 * EVERY, monkeypatch, train={"tracker": "none"})
    trained = training.fit(cases.config(), tmp_path)
    cases.assert_equal_runs(trained, unbroken)
    found = shown(tmp_path / "tensorboard")
    wanted = [("loss/mean", step) for step in range(EVERY, STEPS + 1, EVERY)]
    assert [key for key in found if key[0] == "loss/mean"] == wanted
    assert {len(values) for values in found.values()} == {1}


@pytest.mark.parametrize("name", ["wandb", "mlflow"])
def test_a_missing_package_is_said_before_anything_is_trained(name, tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    config, message = cases.config(train={"tracker": name}), rf"not installed: pip install {name};"
    with pytest.raises(ValueError, match=f"^fit: train.tracker='{name}' needs .*{message}"):
        training.fit(config, tmp_path / "run")
    with pytest.raises(ValueError, match=message):
        training.validate(config)
    assert not (tmp_path / "run").exists()


def test_every_name_of_the_config_has_its_tracker():
    assert tuple(trackers.OPENS) == train_settings.TRACKERS
