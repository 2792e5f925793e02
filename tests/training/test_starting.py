"""Runs whose models start at given weights, or take no step at all."""

import jax
import numpy as np
import pytest
from flax import nnx

from elsa import models, training
from elsa.training import starting
from tests.training import cases
from tests.training.cases import EVERY

ZERO = {"num_steps": 0, "average": 0.0}


def merged(weight):
    """A model of the run's kind."""
    model = models.MergedAttention(2, scale=0.25, rngs=nnx.Rngs(0), dtype="float32")
    model.weight[...] = np.asarray(weight, np.float32)
    return model


W = np.array([[0.25, 0.5], [-1.0, 2.0]])


def test_a_run_of_no_steps_keeps_what_was_built_in_one_checkpoint(tmp_path, console):
    config = cases.config(model={"name": "linear_attention"}, train=ZERO)
    for _ in range(2):
        built = training.fit(config, tmp_path, screen=console)
        assert built.step == 0 and built.program.compilations == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "checkpoints",
        "config.json",
        "env.json",
    ]
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["0"]
    drawn = jax.tree.leaves(built.program.init().params)
    for own, leaf in zip(jax.tree.leaves(built.state.params), drawn, strict=True):
        np.testing.assert_array_equal(own, leaf)
    assert console.file.getvalue() == ""
    steps, losses = built.risk_along_training()
    assert steps.shape == (0,) and losses.shape == (0, 2, 2)
    assert isinstance(training.load(tmp_path).model, models.LinearAttention)


@pytest.mark.parametrize("average", [0.0, 0.25])
def test_all_models_start_at_the_one_that_is_given_in_the_run_s_own_dtype(average, tmp_path):
    train = {"num_steps": 0, "average": average}
    built = training.fit(cases.quiet(train=train), tmp_path, init=merged(W))
    np.testing.assert_array_equal(cases.weight(built), np.broadcast_to(W, (2, 2, 2, 2)))
    assert cases.weight(built).dtype == np.float64


def test_noise_on_a_start_is_each_seed_s_own_and_comes_again(tmp_path):
    config = cases.quiet(train=ZERO)
    built = training.fit(config, tmp_path, init=merged(W), init_noise=0.1)
    noise = cases.weight(built) - W  # [seeds, points, 2, 2]
    np.testing.assert_array_equal(noise[:, 0], noise[:, 1])
    assert 0.01 < np.abs(noise[0, 0] - noise[1, 0]).max() < 1.0
    assert 0.02 < noise[:, 0].std() < 0.3
    training.fit(config, tmp_path, init=merged(W), init_noise=0.1)
    with pytest.raises(training.TrainingError, match="another init"):
        training.fit(config, tmp_path, init=merged(W), init_noise=0.2)
    with pytest.raises(ValueError, match="init_noise must be at least 0"):
        training.fit(config, tmp_path, init=merged(W), init_noise=-0.1)
    with pytest.raises(ValueError, match=r"init_noise=0\.1 needs init, whose weights"):
        training.fit(config, tmp_path, init_noise=0.1)


def test_a_folder_gives_each_model_the_weights_of_its_seed_and_point_or_one_to_all(
    unbroken, tmp_path
):
    whole = training.fit(cases.quiet(train=ZERO), tmp_path / "whole", init=unbroken.folder)
    np.testing.assert_array_equal(cases.weight(whole), cases.weight(unbroken))
    one = training.fit(
        cases.quiet(sweep={}, num_seeds=1, train=ZERO), tmp_path / "one", init=merged(W)
    )
    shared = training.fit(cases.quiet(train=ZERO), tmp_path / "shared", init=str(one.folder))
    np.testing.assert_array_equal(cases.weight(shared), np.broadcast_to(W, (2, 2, 2, 2)))


def test_a_run_goes_on_with_the_init_it_began_with_and_no_other(tmp_path, monkeypatch):
    whole = training.fit(cases.config(), tmp_path / "whole", init=merged(W))
    folder = tmp_path / "broken"
    with monkeypatch.context() as patch:
        cases.interrupt_at(3 * EVERY, patch)
        with pytest.raises(KeyboardInterrupt):
            training.fit(cases.config(), folder, init=merged(W))
    for other in (merged(2 * W), None):
        with pytest.raises(training.TrainingError, match="another init, which differs in weight"):
            training.fit(cases.config(), folder, init=other)
    cases.assert_equal_runs(training.fit(cases.config(), folder, init=merged(W)), whole)
    with pytest.raises(training.TrainingError, match="another init, which differs in weight"):
        training.fit(cases.config(), whole.folder)


def test_a_start_of_other_arrays_is_refused_with_both_structures(unbroken, tmp_path):
    big = models.MergedAttention(3, scale=1.0, rngs=nnx.Rngs(0))
    other = models.LinearAttention(2, scale=1.0, rngs=nnx.Rngs(0))
    bad = merged([[np.nan, 1.0], [1.0, 1.0]])
    for init, error, message in (
        (big, ValueError, r"init: weight is \[3, 3\] there, \[2, 2\] in this run's model. There: "),
        (other, ValueError, r"weight is absent there, .* There: .*; here: weight \[2, 2\]"),
        (bad, ValueError, "init: weight must be finite, got nan"),
        (3, TypeError, "init must be an nnx model or the folder of a run, got int"),
        (tmp_path / "none", FileNotFoundError, "fit: init=.* is no run folder"),
    ):
        with pytest.raises(error, match=message):
            training.fit(cases.config(), tmp_path / "run", init=init)
    assert not (tmp_path / "run").exists()
    program = cases.program_of(num_seeds=3)
    with pytest.raises(ValueError, match=r"the 3 seeds and 2 points .* got 2 seeds and 2 points"):
        starting.from_init(unbroken.folder, program)
