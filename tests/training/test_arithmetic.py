"""A run ends with the arithmetic that it began with."""

import jax
import numpy as np
import pytest

from elsa import training
from elsa.base import arithmetic
from tests.training import cases


@pytest.mark.slow
def test_a_run_begun_by_the_first_version_goes_on_with_its_bits(tmp_path, monkeypatch):
    def asked(num_steps):
        train = {"num_steps": num_steps, "average": 0.0, "decay": "constant", "batch": 16}
        model = {"name": "linear_transformer", "depth": 2}
        return cases.quiet(model=model, sweep={}, num_seeds=1, train=train)

    monkeypatch.setattr(arithmetic, "LATEST", 1)
    training.fit(asked(cases.STEPS), tmp_path / "run")
    whole = training.fit(asked(2 * cases.STEPS), tmp_path / "whole")
    monkeypatch.undo()
    gone_on = training.fit(asked(2 * cases.STEPS), tmp_path / "run", extend=True)
    assert gone_on.program.arithmetic == 1
    cases.assert_same_bits(gone_on, whole)
    anew = training.fit(asked(2 * cases.STEPS), tmp_path / "anew")
    pairs = zip(
        jax.tree.leaves(anew.state.params), jax.tree.leaves(whole.state.params), strict=True
    )
    assert not all(np.array_equal(new, old) for new, old in pairs)
    # rounding of float64, and what Adam makes of it
    for new, old in zip(cases.weights(anew).values(), cases.weights(whole).values(), strict=True):
        np.testing.assert_allclose(new, old, atol=1e-9)
