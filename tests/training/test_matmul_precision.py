"""The run's precision reaches its models, and nothing else; runs without it go on."""

import json

import jax
import numpy as np
import pytest
from flax import nnx

from elsa import models, training
from elsa.training.setup import bare_program
from tests.precision.products import HIGHEST, precisions
from tests.training import cases
from tests.training.cases import EVERY, assert_same_bits

LOWEST = jax.lax.Precision.DEFAULT


def products(model="linear_attention", **train):
    """The precisions of a stretch of training steps and of an evaluation, each once."""
    task = {"name": "linear_regression", "dim": 2, "context_length": 4, "cov_x": (1.0, 2.0)}
    config = cases.config(task=task, model={"name": model}, train={"sampler": "rows", **train})
    program = bare_program(training.RunSettings.from_config(config))
    state = jax.eval_shape(program.init)
    step = jax.eval_shape(lambda: np.int32(0))
    advance = jax.make_jaxpr(program.advance)(state, step)
    risk = jax.make_jaxpr(lambda s, i: program.risk(program.room(s, 1), s, i, i, i))(state, step)
    return [{side for pair in precisions(found) for side in pair} for found in (advance, risk)]


def test_models_train_and_are_measured_at_the_run_s_precision():
    with jax.default_matmul_precision("bfloat16"):
        assert products() == [{HIGHEST}, {HIGHEST}]
    # prompts are drawn, and weights merged, in full precision always
    assert products(matmul_precision="default") == 2 * [{HIGHEST, LOWEST}]


class Plain(nnx.Module):
    """A model of a caller's, which knows of no precision."""

    takes_gram = False

    def __init__(self, dim, *, rngs):
        self.weight = nnx.Param(np.zeros(dim))

    def __call__(self, prompt):
        return prompt.query_x @ self.weight[...]


def test_a_model_of_the_caller_s_runs_at_the_run_s_precision(monkeypatch):
    monkeypatch.setitem(models.MODELS, "plain", Plain)
    with jax.default_matmul_precision("bfloat16"):
        assert products("plain") == [{HIGHEST}, {HIGHEST}]
    assert products("plain", matmul_precision="default") == 2 * [{HIGHEST, LOWEST}]


def test_an_unknown_precision_is_refused_by_name():
    known = r"train: matmul_precision must be one of \['highest', 'high', 'default'\], got 'tf32'"
    with pytest.raises(ValueError, match=known):
        training.validate(cases.config(train={"matmul_precision": "tf32"}))


def test_a_run_whose_config_does_not_have_it_yet_goes_on(tmp_path, monkeypatch):
    cases.interrupted(tmp_path / "old", EVERY, monkeypatch)
    path = tmp_path / "old" / "config.json"
    written = json.loads(path.read_text())
    assert written["train"].pop("matmul_precision") == "highest"
    path.write_text(json.dumps(written))
    resumed = training.fit(cases.config(), tmp_path / "old")
    assert_same_bits(resumed, training.fit(cases.quiet(), tmp_path / "whole"))
    assert training.load(tmp_path / "old").config.train.matmul_precision == "highest"
    with pytest.raises(training.TrainingError, match=r"train\.matmul_precision"):
        training.fit(cases.config(train={"matmul_precision": "default"}), tmp_path / "old")
