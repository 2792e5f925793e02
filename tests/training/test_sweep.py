import jax
import numpy as np
import pytest

from elsa import tasks
from elsa.training import RunSettings
from elsa.training.sweep import build_task, make_sweep, pick, stack
from tests.helpers import table
from tests.training import cases


def sweep_of(**changes):
    return make_sweep(RunSettings.from_config(cases.config(**changes)))


def test_only_what_differs_has_an_axis():
    sweep = sweep_of(sweep={"noise_var": (0.1, 0.5, 0.9)})
    assert len(sweep) == 3
    np.testing.assert_array_equal(sweep.points.task.noise_var, [0.1, 0.5, 0.9])
    assert sweep.axes.task.noise_var == 0
    assert sweep.points.task.gamma_shape.shape == () and sweep.axes.task.gamma_shape is None
    assert sweep.points.learning_rate.shape == () and sweep.axes.learning_rate is None
    assert sweep.points.length is None and sweep.points.model == {}


def test_covariances_and_their_roots_are_stacked_where_they_differ():
    covariances = ((1.0, 2.0), (4.0, 9.0))
    sweep = sweep_of(sweep={"cov_task": covariances})
    np.testing.assert_array_equal(sweep.points.task.cov_task, [np.diag(c) for c in covariances])
    np.testing.assert_allclose(sweep.points.task.root_task[1], np.diag([2.0, 3.0]), rtol=1e-15)
    assert sweep.axes.task.root_task == 0 and sweep.points.task.root_x is None


def test_lengths_and_rates_and_ranks_are_axes_and_sizes_are_the_largest():
    sweep = sweep_of(
        sweep={"context_length": (5, 3), "learning_rate": (0.1, 0.2), "rank": (2, 1)},
        model={"name": "low_rank_attention"},
    )
    assert sweep.points.task.context_length == 5
    np.testing.assert_array_equal(sweep.points.length, [5, 5, 5, 5, 3, 3, 3, 3])
    np.testing.assert_array_equal(sweep.points.learning_rate, [0.1, 0.1, 0.2, 0.2] * 2)
    np.testing.assert_array_equal(sweep.points.model["rank"], [2, 1] * 4)
    assert sweep.model == {"name": "low_rank_attention", "max_rank": 2}


def test_pick_gives_one_point_alone_with_shared_leaves_as_they_are():
    sweep = sweep_of(sweep={"noise_var": (0.1, 0.5), "context_length": (4, 4)})
    point = pick(sweep, 2)
    assert (float(point.task.noise_var), int(point.length)) == (0.5, 4)
    assert [jax.numpy.ndim(leaf) for leaf in jax.tree.leaves(point)] == [0] * 4


def test_a_point_s_task_has_its_own_length():
    settings = RunSettings.from_config(cases.config(sweep={"context_length": (3, 5)}))
    assert build_task(settings, settings.points[0]).context_length == 3


def test_a_shorter_drift_has_the_last_rows_of_the_correlations_given():
    corr = 0.5 ** np.abs(np.subtract.outer(np.arange(4.0), [0.0, 1.0, 2.5, 3.0]))
    corr = (corr + corr.T) / 2
    np.fill_diagonal(corr, 1.0)
    task = {"name": "drift", "dim": 2, "context_length": 3, "task_corr": corr.tolist()}
    settings = RunSettings.from_config(cases.config(task=task, sweep={"context_length": (2, 3)}))
    assert len(make_sweep(settings)) == 2
    np.testing.assert_array_equal(
        build_task(settings, {"context_length": 2}).task_corr, corr[1:, 1:]
    )
    np.testing.assert_array_equal(build_task(settings, {"context_length": 3}).task_corr, corr)


@pytest.mark.parametrize("rate", [1e39, 1e-60])
def test_a_learning_rate_that_float32_cannot_hold_is_refused(rate):
    with pytest.raises(ValueError, match="learning_rate must be finite and above 0"):
        sweep_of(sweep={"learning_rate": (0.1, rate)}, dtype="float32")


def test_equal_leaves_are_shared_and_one_tree_alone_has_no_axis():
    stacked, axes = stack([{"a": np.ones(2), "b": 1.0}, {"a": np.ones(2), "b": 2.0}])
    assert axes == {"a": None, "b": 0}
    assert stacked["a"].shape == (2,) and stacked["b"].shape == (2,)
    assert stack([{"a": 1.0}])[1] == {"a": None}


def test_trees_that_differ_in_more_than_numbers_are_refused():
    with pytest.raises(ValueError, match="must differ in numbers only"):
        stack([{"a": 1.0}, {"b": 1.0}])
    with pytest.raises(ValueError, match="must have one shape at all points"):
        stack([{"a": np.ones(2)}, {"a": np.ones(3)}])
    with pytest.raises(ValueError, match="must differ in numbers only, got some where a value is"):
        sweep_of(sweep={"cov_x": (None, (1.0, 2.0))})


@table(
    "sweep, error, message",
    [
        ({"nose_var": (0.1, 0.2)}, KeyError, "nose_var.*did you mean 'noise_var'"),
        ({"learning_rates": (0.1, 0.2)}, KeyError, "unknown axis.*did you mean 'learning_rate'"),
        ({"dim": (2, 3)}, ValueError, "dim cannot vary, it fixes shapes"),
        ({"covariates": ("normal", "sphere")}, TypeError, "covariates must hold numbers or arrays"),
        ({"learning_rate": ((0.1, 0.2),)}, ValueError, r"learning_rate must be a scalar|shape"),
        ({"noise_var": (0.1, -1.0)}, ValueError, "noise_var must be at least 0"),
        ({"learning_rate": (0.1, 0.0)}, ValueError, "learning_rate must be finite and above 0"),
        ({"context_length": (0, 4)}, ValueError, "context_length must be at least 1, got 0"),
        ({"context_length": (2, 2.5, 4)}, TypeError, "context_length must be an integer, got 2.5"),
        ({"rank": (1, -1)}, ValueError, "rank must be at least 0, got -1"),
        ({"rank": (1, 1.5, 2)}, TypeError, "rank must be an integer, got 1.5"),
    ],
)
def test_a_bad_value_at_any_point_is_refused(sweep, error, message):
    with pytest.raises(error, match=message):
        sweep_of(sweep=sweep)


def test_a_task_that_does_not_say_whether_it_can_be_cut_is_told_to(monkeypatch):
    class Whole(tasks.LinearRegression):
        pass

    monkeypatch.setitem(tasks.TASKS, "linear_regression", Whole)
    monkeypatch.delattr(tasks.LinearRegression, "cuts")
    with pytest.raises(TypeError, match=r"Whole must say whether .*; add cuts = True or False"):
        sweep_of(sweep={"context_length": (3, 4)})


def test_lengths_of_a_task_that_cannot_be_cut_are_refused():
    task = {"name": "prescribed_spectrum", "dim": 2, "context_length": 4, "condition_number": 3.0}
    with pytest.raises(ValueError, match="context_length cannot vary for 'prescribed_spectrum'"):
        sweep_of(task=task, sweep={"context_length": (3, 4)})
