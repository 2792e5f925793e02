"""New runs from another run's checkpoint, and which checkpoints there are."""

import json
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from elsa import training
from elsa.base import sealed_json
from elsa.training.origin import ORIGIN
from tests.training import cases
from tests.training.cases import EVERY, METRICS, STEPS, assert_equal_runs, assert_same_bits

# where checkpoints are harmed, see test_resuming
pytestmark = pytest.mark.filterwarnings(
    "ignore:Exception ignored in:pytest.PytestUnraisableExceptionWarning"
)
OTHER = {"learning_rate": 0.01, "average": 0.0, "max_gradient_norm": 0.5, "keep": 2}


def other(**train):
    return cases.config(train={**OTHER, **train})


def by_hand(source, config):
    """The state of a branch, by the program alone."""
    program = cases.program_of(**config)
    fresh, there = program.init(), source.state
    moments = jax.tree.leaves(there.optimizer)
    state = fresh._replace(
        params=jax.tree.map(jnp.copy, there.params),
        optimizer=jax.tree.unflatten(
            jax.tree.structure(fresh.optimizer), [jnp.copy(leaf) for leaf in moments]
        ),
    )
    for step in range(0, STEPS, EVERY):
        state, _ = program.advance(state, jnp.int32(step))
    return state


@pytest.fixture(scope="module")
def whole(unbroken, tmp_path_factory):
    """A branch that nothing disturbed."""
    folder = tmp_path_factory.mktemp("runs") / "whole"
    return training.branch(unbroken.folder, other(), folder, watch=size)


def size(model, task):
    return {"size": jnp.abs(model.weight[...]).max()}


def test_a_branch_goes_on_from_weights_and_moments_with_its_own_settings_and_steps(unbroken, whole):
    assert whole.step == STEPS
    assert [line["step"] for line in cases.lines(whole.folder)] == list(range(0, STEPS + 1, EVERY))
    assert_same_bits(whole, whole._replace(state=by_hand(unbroken, other())))
    origin = sealed_json.read(whole.folder / ORIGIN)
    expected = {"folder": str(unbroken.folder), "run": None, "at": "newest", "step": STEPS}
    assert origin == expected


@pytest.mark.parametrize(
    "step, again",
    [
        (EVERY, "fit"),
        pytest.param(EVERY, "branch", marks=pytest.mark.slow),
        pytest.param(3 * EVERY, "branch", marks=pytest.mark.slow),
    ],
)
def test_a_branch_that_was_killed_goes_on_by_the_same_call_or_by_fit_without_its_source(
    step, again, unbroken, whole, tmp_path, monkeypatch
):
    source, folder = cases.copy(unbroken.folder, tmp_path / "source"), tmp_path / "run"
    with monkeypatch.context() as patch:
        cases.interrupt_at(step, patch)
        with pytest.raises(KeyboardInterrupt):
            training.branch(source, other(), folder, watch=size)
    shutil.rmtree(source)
    if again == "fit":
        assert_equal_runs(training.fit(other(), folder, watch=size), whole)
    else:
        assert_equal_runs(training.branch(source, other(), folder, watch=size), whole)


def test_a_branch_without_its_first_checkpoint_starts_from_the_recorded_step(unbroken, tmp_path):
    source, folder = cases.copy(unbroken.folder, tmp_path / "source"), tmp_path / "run"
    first = training.branch(source, other(num_steps=0), folder)
    shutil.rmtree(folder / "checkpoints")
    with pytest.raises(training.TrainingError, match=r"a branch of .* at step 24 without a whole"):
        training.fit(other(num_steps=0), folder)
    # the source has gone on since
    shutil.copytree(source / "checkpoints" / "18", source / "checkpoints" / "30")
    assert_same_bits(training.branch(source, other(num_steps=0), folder), first)


def test_one_model_is_branched_to_every_point(tmp_path):
    low = {"name": "low_rank_attention", "rank": 1}
    zero = {"model": low, "train": {"num_steps": 0}}
    one = training.fit(cases.quiet(sweep={}, num_seeds=1, **zero), tmp_path / "one")
    made = training.branch(one.folder, cases.quiet(**zero), tmp_path / "all", at=0)
    for name, array in cases.weights(made).items():
        shared = np.broadcast_to(cases.weights(one)[name], array.shape)
        np.testing.assert_array_equal(array, shared)
        assert np.abs(array).max() > 0 and array.shape[:2] == (2, 2)


def test_a_branch_that_does_not_fit_is_refused_and_leaves_no_folder(unbroken, tmp_path):
    source, place = unbroken.folder, tmp_path / "run"
    bigger = other() | {"task": {**other()["task"], "dim": 3}}
    for config, at, error, message in (
        (bigger, "newest", ValueError, r"at step 24: weight is \[2, 2\] there, \[3, 3\] in this"),
        (other() | {"num_seeds": 3}, "newest", ValueError, "the 3 seeds and 2 points of this run"),
        (other(), 7, FileNotFoundError, "no checkpoint of step 7; kept are 6, 12, 18, 24|12, 18"),
        (other(), "last", ValueError, "at must be one of .*'best'.*, got 'last'"),
        (other(), 6.0, TypeError, "at must be an integer, got 6.0"),
    ):
        with pytest.raises(error, match=message):
            training.branch(source, config, place, at=at)
    assert not place.exists()
    with pytest.raises(ValueError, match="workdir must be another folder than source"):
        training.branch(source, other(), source)
    with pytest.raises(training.TrainingError, match="holds a run that is no branch"):
        training.branch(tmp_path, other(), source)


def test_a_branch_from_elsewhere_is_refused_unless_the_folder_is_started_over(unbroken, tmp_path):
    zero = other(num_steps=0)
    source, place = unbroken.folder, tmp_path / "run"
    training.branch(source, zero, place)
    with pytest.raises(training.TrainingError, match=r"a branch of .* at 'newest', .* at 18 "):
        training.branch(source, zero, place, at=18)
    training.branch(source, zero, place, at=18, overwrite=True)
    assert json.loads((place / ORIGIN).read_text())["step"] == 18
    (place / ORIGIN).write_text("{")
    with pytest.raises(training.TrainingError, match=r"cannot read .*origin.json"):
        training.branch(source, zero, place, at=18)


def test_the_best_checkpoint_stays_and_is_opened_by_name(tmp_path):
    # a rate so high that the first evaluation is the best; `keep` alone would drop it
    train = {"learning_rate": 3.0, "decay": "constant", "average": 0.0, "keep": 1}
    trained = training.fit(cases.config(train=train), tmp_path)
    means = [np.mean(line["loss"]) for line in cases.lines(tmp_path)]
    best = EVERY * (1 + int(np.argmin(means)))
    assert best < STEPS
    assert {int(path.name) for path in (tmp_path / "checkpoints").iterdir()} == {best, STEPS}
    assert training.all_models(tmp_path).step == STEPS
    for at in ("best", best):
        found = training.all_models(tmp_path, at=at)
        assert found.step == best
        weight = training.load(tmp_path, at=at, seed=0).model.weight[...]
        np.testing.assert_array_equal(weight, cases.weight(found)[0, 0])
    assert np.abs(cases.weight(found) - cases.weight(trained)).max() > 0.1
    with pytest.raises(FileNotFoundError, match=rf"of step 1; kept are {best}, 24"):
        training.load(tmp_path, at=1)
    assert (tmp_path / METRICS).exists()
    # harmed: the next best is taken for "best", and none for its step
    shutil.rmtree(tmp_path / "checkpoints" / str(best) / "state")
    with pytest.warns(UserWarning, match="is corrupt"):
        assert training.all_models(tmp_path, at="best").step == STEPS
    with pytest.raises(FileNotFoundError, match=rf"no checkpoint of step {best} that is whole \("):
        training.all_models(tmp_path, at=best)
