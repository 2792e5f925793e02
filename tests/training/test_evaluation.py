"""Evaluation on other laws and lengths: what is drawn, how models are scaled, what is refused."""

import jax
import numpy as np
import pytest

from elsa import tasks, theory, training
from elsa.training import evaluation
from elsa.training.lengths import graph_at
from elsa.training.program import EVALUATION
from elsa.training.setup import bare_program
from tests.tasks.helpers import sample
from tests.training import cases

DIM = 2  # of cases.config
ROWS = 4


def untrained(tmp_path, **changes):
    """Merged attention that is not trained: its weight is 0."""
    program = cases.program_of(train={"sampler": "rows"}, **changes)  # quicker to compile
    return training.Trained(program, program.init(), 0, tmp_path)


def bare(**changes):
    return bare_program(training.RunSettings.from_config(cases.config(**changes)))


def squared_labels(task, batches, draw=0):
    """What models that predict 0 get wrong, from the prompts themselves."""
    root = jax.random.fold_in(jax.random.key(cases.config()["seed"]), EVALUATION)
    root = jax.random.fold_in(root, draw) if draw else root
    keys = [jax.random.fold_in(root, index) for index in range(batches)]
    return np.ravel([np.asarray(sample(task, key, 8).query_y) ** 2 for key in keys])


def test_statistics_are_those_of_the_squared_errors():
    rng = np.random.default_rng(0)
    squares = rng.chisquare(1, size=(2, 3, 4_003))
    found = evaluation.summary(squares, np.random.default_rng(5))
    np.testing.assert_allclose(found.mean, squares.mean(axis=2))
    np.testing.assert_allclose(found.median, np.median(squares, axis=2))
    np.testing.assert_allclose(found.trimmed_mean, np.sort(squares)[:, :, :-4].mean(axis=2))
    error = squares.std(axis=2, ddof=1) / 4_003**0.5
    np.testing.assert_allclose(found.standard_error, error)
    # 1000 resamples know a quantile of a normal mean to about 5 % of the half width
    np.testing.assert_allclose(found.high - found.mean, 1.96 * error, rtol=0.2)
    np.testing.assert_allclose(found.mean - found.low, 1.96 * error, rtol=0.2)
    again = evaluation.summary(squares, np.random.default_rng(5))
    for one, other in zip(found, again, strict=True):
        np.testing.assert_array_equal(one, other)


def test_single_prompts_that_dominate_the_mean_leave_median_and_trimmed_mean_alone():
    squares = np.ones((1, 3, 2_000))
    squares[0, 0, 7] = 1e6
    squares[0, 1, 7] = np.nan
    found = evaluation.summary(squares, np.random.default_rng(0))
    np.testing.assert_array_equal(found.median, 1.0)
    np.testing.assert_array_equal(found.trimmed_mean, 1.0)
    np.testing.assert_array_equal(found.mean, [[(1e6 + 1_999) / 2_000, np.inf, 1.0]])
    assert found.low[0, 0] == 1.0 and found.high[0, 0] > 2 * found.mean[0, 0]
    for of_an_infinite_mean in (found.standard_error, found.low, found.high):
        np.testing.assert_array_equal(np.isnan(of_an_infinite_mean), [[False, True, False]])
    single = evaluation.summary(np.full((1, 1, 1), 4.0), np.random.default_rng(0))
    assert [float(v[0, 0]) for v in (single.mean, single.median, single.trimmed_mean)] == [4.0] * 3
    assert np.isnan([single.standard_error, single.low, single.high]).all()


def test_on_its_own_task_it_is_the_risk_in_several_calls(unbroken, monkeypatch):
    monkeypatch.setattr(evaluation, "_ON_DEVICE", 80)  # two batches for two seeds and points
    found = unbroken.evaluate(64)
    for one, other in zip(found[:2], unbroken.risk(64), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9)


def test_every_point_is_evaluated_on_the_law_that_is_asked_for(tmp_path):
    """Models that predict 0, trained on two noises: the errors are the labels themselves."""
    models = untrained(tmp_path)
    found = models.evaluate(16, query_scale=3.0, draw=3)
    for point in (0, 1):
        task = tasks.shifted(models.task(point), query_scale=3.0)
        expected = squared_labels(task, 2, draw=3)
        np.testing.assert_allclose(found.mean[:, point], expected.mean(), rtol=1e-12)
        np.testing.assert_allclose(found.median[:, point], np.median(expected), rtol=1e-12)


def test_the_risk_on_longer_contexts_is_that_of_the_rescaled_weight(unbroken):
    """A model trained on 4 rows, run on 16: 1/16 takes the place of 1/4."""
    length = 4 * ROWS
    found = unbroken.evaluate(4_000, context_length=length)
    for seed, point in np.ndindex(found.mean.shape):
        weight = np.asarray(unbroken.model(seed, point).preconditioner)
        longer = unbroken.model(seed, point, context_length=length)
        np.testing.assert_allclose(longer.preconditioner, weight * ROWS / length, rtol=1e-12)
        noise = unbroken.task(point).noise_var
        setting = theory.Setting(dim=DIM, context_length=length, noise_var=noise)
        expected = theory.pgd_risk(weight * ROWS / length, setting)
        away = abs(found.mean[seed, point] - expected) / found.standard_error[seed, point]
        assert away < 2.0
        # 16 rows at the scale of 4: a sum of four times as many examples
        assert theory.pgd_risk(weight, setting) > expected + 4 * found.standard_error[seed, point]


def test_in_a_sweep_over_lengths_each_point_is_scaled_from_the_length_it_was_trained_on(tmp_path):
    models = untrained(tmp_path, sweep={"context_length": (2, ROWS)})
    for point, own in enumerate((2, ROWS)):
        trained = models.model(0, point)
        assert trained.scale == models.model(0, point, context_length=own).scale == 1 / ROWS
        assert models.model(0, point, context_length=8).scale == own / (ROWS * 8)
    groups = evaluation._groups(models, None, {"context_length": 8})
    assert [group.which for group in groups] == [[0], [1]]  # of one length, and not of one scale
    for group, own in zip(groups, (2, ROWS), strict=True):
        assert models.program.model(models.state, 0, 0, group.graph).scale == own / (ROWS * 8)
    (together,) = evaluation._groups(models, None, {})  # as they were trained, the rest zeros
    assert together.which == [0, 1]


def test_a_task_is_the_run_s_own_at_any_length_or_another_one_given_or_in_settings(tmp_path):
    settings = {"name": "drift", "dim": DIM, "context_length": ROWS, "correlation": 0.5}
    program = bare(task=settings, sweep={"noise_var": (0.1, 0.2)})
    models = training.Trained(program, None, 0, tmp_path)
    shifts = {"context_length": 9, "noise_var": 0.3}
    longer = {**settings, "context_length": 9}
    for task in [
        *evaluation._tasks(models, None, shifts),
        *evaluation._tasks(models, longer, {"noise_var": 0.3}),
        *evaluation._tasks(models, tasks.build(longer), {"noise_var": 0.3}),
    ]:
        np.testing.assert_allclose(task.task_corr, tasks.autoregressive(9, 0.5))
        assert task.noise_var == 0.3


@pytest.mark.parametrize(
    "model, length, message",
    [
        ({"name": "h3"}, 8, r"H3 was trained on contexts of 4 rows and cannot be run on 8: its "
         r"filter.taps is of shape \(4,\), and would be \(8,\); train with task.context_length=8 "),
        ({"name": "merged_h3"}, 2, r"MergedH3 .* cannot be run on 2: its filter.taps is of shape"),
        ({"name": "gpt2", "depth": 1, "width": 2, "num_heads": 1}, 5, r"GPT2 .* its positions is "
         r"of shape \(5, 2\), and would be \(6, 2\)"),
        ({"name": "lora_attention", "rank": 1}, 5, "the base_weight that it was given holds th"),
        ({"name": "merged_attention"}, 0, "context_length must be at least 1, got 0"),
    ],
)  # fmt: skip
def test_a_model_that_cannot_run_on_another_length_says_what_can(model, length, message):
    with pytest.raises(ValueError, match=message):
        graph_at("evaluate", bare(model=model), 0, length)


def test_a_sweep_over_lengths_does_not_lend_a_shorter_point_the_rows_of_the_longest():
    """The taps beyond a point's own length were never trained."""
    program = bare(model={"name": "h3"}, sweep={"context_length": (2, ROWS)})
    with pytest.raises(ValueError, match=r"on contexts of 2 rows and cannot be run on 4: .*\(2"):
        graph_at("evaluate", program, 0, ROWS)
    graph_at("evaluate", program, 1, ROWS)


def test_models_without_an_array_for_each_row_run_on_any_length():
    for model in ({"name": "h3", "state_size": 2}, {"name": "softmax_attention"}):
        graph_at("evaluate", bare(model=model), 0, 9)
    gpt2 = {"name": "gpt2", "depth": 1, "width": 2, "num_heads": 1}
    graph_at("evaluate", bare(model=gpt2), 0, 2)  # which takes shorter contexts by itself


def test_what_cannot_be_evaluated_is_refused_before_anything_is_drawn(tmp_path):
    models = untrained(tmp_path)
    with pytest.raises(ValueError, match=r"task must have the dim=2 of the run, got 3"):
        models.evaluate(8, task=tasks.LinearRegression(3, ROWS))
    with pytest.raises(TypeError, match=r"task 'object' .* has no dim; a task has dim"):
        models.evaluate(8, task=object())
    with pytest.raises(ValueError, match=r"at most 100,000,000 errors to sort, got 100,000,000 pr"):
        models.evaluate(100_000_000)
    with pytest.raises(ValueError, match="num_prompts must be at least 1, got 0"):
        models.evaluate(0)
    message = r"evaluate: unknown shift of a task 'query_scal', known are \['context_length', "
    with pytest.raises(KeyError, match=rf"{message}.*did you mean 'query_scale'"):
        models.evaluate(8, query_scal=3.0)


@pytest.fixture(scope="module")
def long_trained(tmp_path_factory):
    config = {
        "task": {"name": "linear_regression", "dim": 5, "context_length": 10, "noise_var": 0.1},
        "model": {"name": "linear_attention"},
        "num_seeds": 2,
        "train": {"num_steps": 3_000, "batch": 256, "learning_rate": 0.02, "average": 0.5},
    }
    return training.fit(config, tmp_path_factory.mktemp("runs") / "long")


@pytest.mark.slow
@pytest.mark.parametrize("shift", [{}, {"covariate_scale": 0.7}, {"noise_var": 1.0}])
def test_trained_linear_attention_on_longer_contexts_has_the_risk_of_its_own_weight(
    shift, long_trained
):
    """Trained at n = 10 with all its weights, run at n = 80, also under other laws."""
    found = long_trained.evaluate(200_000, context_length=80, **shift)
    task = tasks.shifted(long_trained.task(), context_length=80, **shift)
    setting = theory.Setting(
        dim=5, context_length=80, noise_var=float(task.noise_var), cov_x=task.cov_x
    )
    for seed in range(2):
        weight = np.asarray(long_trained.model(seed, context_length=80).preconditioner)
        expected = theory.pgd_risk(weight, setting)
        away = (found.mean[seed, 0] - expected) / found.standard_error[seed, 0]
        assert abs(away) < 2.0, (seed, found.mean[seed, 0], expected, away)
