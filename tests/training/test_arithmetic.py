"""A run goes on in the order of sums in which it began."""

import numpy as np
import pytest

from elsa import training
from elsa.base import arithmetic
from elsa.training import sampling
from elsa.training.program import Program
from elsa.training.settings import RunSettings
from elsa.training.sweep import make_sweep
from tests.training import cases
from tests.training.cases import EVERY, assert_equal_runs

MODEL = {"name": "linear_transformer", "depth": 2}


def weights(run):
    """All weights of all models, flat."""
    return np.concatenate([np.ravel(leaf) for leaf in cases.weights(run).values()])


def test_a_run_of_before_there_were_two_orders_goes_on_in_the_first(tmp_path, monkeypatch):
    latest = training.fit(cases.config(model=MODEL), tmp_path / "latest")
    with monkeypatch.context() as patch:
        patch.setattr(arithmetic, "LATEST", 1)
        first = training.fit(cases.config(model=MODEL), tmp_path / "first")
        cases.interrupted(tmp_path / "run", 3 * EVERY, patch, model=MODEL)
    resumed = training.fit(cases.config(model=MODEL), tmp_path / "run")
    assert (resumed.program.arithmetic, latest.program.arithmetic) == (1, arithmetic.LATEST)
    assert_equal_runs(resumed, first)
    np.testing.assert_allclose(weights(first), weights(latest), rtol=1e-6)
    assert (weights(first) != weights(latest)).any()


def test_prompts_too_are_drawn_as_when_the_run_began(tmp_path, monkeypatch):
    settings = RunSettings.from_config(cases.config(model=MODEL))
    program = Program(settings, make_sweep(settings))
    seen = []
    monkeypatch.setitem(
        sampling.SAMPLE, program.sampler, lambda *_: seen.append(arithmetic.version())
    )
    program.arithmetic = 2
    program._draw(None, None, 1)
    assert seen == [2]


def test_an_order_that_there_is_not_is_refused():
    beyond = arithmetic.LATEST + 1
    message = f"number must be a version from 1 to {arithmetic.LATEST}, got {beyond}"
    with pytest.raises(ValueError, match=message):
        arithmetic.as_of(beyond).__enter__()
