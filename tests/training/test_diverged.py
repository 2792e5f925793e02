"""A model that diverges is named with its seed, point and step, and costs no other anything."""

import jax
import numpy as np
import pytest

from elsa import tasks, training
from elsa.training import diverged
from tests.training import cases
from tests.training.cases import EVERY, STEPS
from tests.training.test_descent import SPOILT, Spoilt

RATES = (0.05, 1e200, 0.02)


def swept(*rates, **train):
    return cases.quiet(sweep={"learning_rate": rates}, train={"decay": "constant", **train})


@pytest.fixture(scope="module")
def wild(tmp_path_factory, compiles_fast):
    return training.fit(swept(*RATES), tmp_path_factory.mktemp("runs") / "wild")


def test_seed_point_and_step_of_what_diverged_are_said_and_written(wild, tmp_path, console):
    # the first step takes the weights to 1e200, the second one's loss is not finite
    models = [diverged.Diverged(seed, 1, 2) for seed in (0, 1)]
    assert diverged.found(wild.state) == models
    lines = cases.lines(wild.folder)
    assert lines[0]["diverged_at"] == [{"seed": seed, "point": 1, "step": 2} for seed in (0, 1)]
    assert all("diverged_at" not in line for line in lines[1:])
    for _ in range(2):  # also where the run is opened again
        training.fit(swept(*RATES), tmp_path, screen=console, name="wild")
        printed = " ".join(console.file.getvalue().split())
        which = "learning_rate=1e+200: seed 0 in step 2, seed 1 in step 2"
        assert printed.endswith(f"wild: 2 of 6 models diverged and stopped: {which}")


def test_a_model_that_diverges_changes_no_bit_of_the_others(wild, tmp_path):
    tame = training.fit(swept(0.05, 0.03, 0.02), tmp_path / "tame")
    without = training.fit(swept(0.05, 0.02), tmp_path / "without")
    for point, alone in ((0, 0), (2, 1)):
        for name, leaf in cases.weights(wild).items():
            own = leaf[:, point]
            assert own.tobytes() == cases.weights(tame)[name][:, point].tobytes()
            # two models side by side are another program than three: newer XLA rounds otherwise
            np.testing.assert_allclose(own, cases.weights(without)[name][:, alone], rtol=1e-12)
        losses, same, close = (
            run.risk_along_training()[1][:, :, index]
            for run, index in ((wild, point), (tame, point), (without, alone))
        )
        assert losses.tobytes() == same.tobytes()
        np.testing.assert_allclose(losses, close, rtol=1e-12)


def test_where_all_diverged_the_error_has_the_run_and_names_the_rates_that_it_had(tmp_path):
    text = r"every model diverged; .* may help, they were 1e\+200 to 1e\+201\. Diverged are "
    text += r"learning_rate=1e\+200: seed 0 in step 2, .*; learning_rate=1e\+201: seed 0 in step 2"
    with pytest.raises(training.DivergedError, match=text) as caught:
        training.fit(swept(1e200, 1e201), tmp_path)
    assert np.asarray(caught.value.trained.state.diverged).all()
    assert np.isfinite(cases.weight(caught.value.trained)).all()


def test_a_line_names_few_points_and_a_run_of_an_earlier_version_no_step():
    models = [diverged.Diverged(0, point, None) for point in range(11)]
    text = diverged.said(models, [{"noise_var": float(n)} for n in range(11)])
    assert text.startswith("noise_var=0: seed 0; noise_var=1: seed 0; ")
    assert text.endswith("noise_var=7: seed 0; and 3 more points")
    assert diverged.said([diverged.Diverged(1, 0, 1234)], [{}]) == "seed 1 in step 1,234"


def test_a_batch_that_is_left_out_stops_no_model_unless_it_repeats(tmp_path, monkeypatch):
    """With an evaluation each step, one that is left out has no loss, which is no standstill."""
    monkeypatch.setitem(tasks.TASKS, "spoilt", Spoilt)
    spoilt = {"name": "spoilt", "dim": 2, "context_length": 4, "noise_var": 0.1}
    train = {"evaluate_every": 1, "patience": 9, "skip_nonfinite": 3, "share_data": True}
    config = cases.quiet(task=spoilt, sweep={}, num_seeds=1, train={**train, "batch": 64})
    trained = training.fit(config, tmp_path / "skips")
    root = jax.random.fold_in(jax.random.fold_in(jax.random.key(3), 1), 0)
    keys = [jax.random.fold_in(jax.random.fold_in(root, t), 7) for t in range(STEPS)]
    left_out = [bool(jax.random.uniform(key) < SPOILT) for key in keys]
    lines = cases.lines(trained.folder)
    assert any(left_out) and [line["skipped"] for line in lines] == left_out[: len(lines)]
    losses = [line["loss"][0][0] for line in lines]
    best, stale, waits = np.inf, 0, []
    for loss in losses:  # by hand: only a loss that is there counts as one that has not fallen
        if loss is not None:
            better = loss < best * (1.0 - 1e-3)
            best, stale = (loss, 0) if better else (best, stale + 1)
        waits.append(stale)
    assert int(np.asarray(trained.state.stale)[0, 0]) == waits[-1]
    assert len(lines) == next((n + 1 for n, wait in enumerate(waits) if wait == 9), STEPS)
    # a rate that takes every step but the first beyond float64 is stopped once it repeats
    monkeypatch.undo()
    again = training.fit(
        cases.quiet(
            sweep={"learning_rate": (0.05, 1.7e308)},
            num_seeds=1,
            train={"skip_nonfinite": 3, "decay": "constant", "average": 0.0},
        ),
        tmp_path / "repeats",
    )
    (lost,) = diverged.found(again.state)
    assert (lost.seed, lost.point) == (0, 1) and 4 <= lost.step <= EVERY
