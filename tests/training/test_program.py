"""All models in one program: equal to a loop in NumPy, stopped one by one, compiled once."""

import jax
import numpy as np
import pytest

from elsa import tasks, theory, training
from elsa.training.program import EVALUATION
from tests.training import cases
from tests.training.by_hand import descend


@pytest.fixture(scope="module")
def by_length(tmp_path_factory):
    config = cases.quiet(
        sweep={"context_length": (2, 4)}, train={"warmup": 5, "max_gradient_norm": 0.4}
    )
    return config, training.fit(config, tmp_path_factory.mktemp("by_length"))


# 24 steps of the same float64 arithmetic in another order; Adam divides by |g|, so that a relative
# rounding error stays relative: 1e-10 leaves a factor of 1e4 over the unit roundoff times steps
@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("point, length", [(0, 2), (1, 4)])
def test_each_point_of_a_sweep_over_lengths_is_trained_on_prompts_of_that_length(
    by_length, seed, point, length
):
    config, trained = by_length
    task = tasks.LinearRegression(2, 4, 0.1)
    expected, losses = descend(config, task, seed=seed, length=length)
    np.testing.assert_allclose(cases.weight(trained)[seed, point], expected, rtol=1e-10)
    found = [line["loss"][seed][point] for line in cases.lines(trained.folder)]
    np.testing.assert_allclose(found, losses, rtol=1e-10)


def test_shared_data_is_the_first_seed_s_and_a_constant_rate_stays_after_the_warmup(tmp_path):
    train = {"decay": "constant", "warmup": 3, "share_data": True, "average": 0.0}
    config = cases.quiet(sweep={}, train=train)
    expected, _ = descend(config, tasks.LinearRegression(2, 4, 0.1))
    both = cases.weight(training.fit(config, tmp_path))
    np.testing.assert_allclose(both[0, 0], expected, rtol=1e-10)
    np.testing.assert_array_equal(both[0], both[1])  # merged attention starts at 0 for every seed


def test_the_average_of_weights_that_stay_is_those_weights_to_the_last_bit(tmp_path):
    still = {"learning_rate": 1e-30, "average": 1.0}
    model = {"name": "low_rank_attention", "rank": 1}
    config = cases.quiet(model=model, sweep={}, dtype="float32", train=still)
    state = training.fit(config, tmp_path).state
    for mean, weight in zip(*map(jax.tree.leaves, (state.mean, state.params)), strict=True):
        np.testing.assert_array_equal(mean, weight)


def test_a_program_that_was_compiled_quickly_finds_the_same(unbroken, tmp_path):
    quickly = training.fit(cases.quiet(train={"optimise": False}), tmp_path)
    np.testing.assert_allclose(cases.weight(quickly), cases.weight(unbroken), rtol=1e-10)


@pytest.mark.parametrize("batch, batches", [(4, 3), (1, 1)])
def test_an_evaluation_is_the_mean_over_its_prompts_with_its_error(batch, batches, tmp_path):
    program = cases.program_of(train={"batch": batch})
    models = training.Trained(program, program.init(), 0, tmp_path)
    mean, error = models.risk(batch * batches)
    root = jax.random.fold_in(jax.random.key(cases.config()["seed"]), EVALUATION)
    keys = [jax.random.fold_in(root, index) for index in range(batches)]
    labels = np.stack([models.task(1).sample(key, batch).query_y for key in keys])
    squares = labels.ravel() ** 2  # the models start at zero
    expected = squares.std(ddof=1) / np.sqrt(squares.size) if squares.size > 1 else np.nan
    np.testing.assert_allclose(mean[:, 1], squares.mean(), rtol=1e-12)
    np.testing.assert_allclose(error[:, 1], expected, rtol=1e-9)


def test_several_calls_make_one_evaluation(unbroken, monkeypatch):
    whole = unbroken.risk(64)
    monkeypatch.setattr("elsa.training.trained._BATCHES", 2)
    np.testing.assert_allclose(unbroken.risk(64), whole, rtol=1e-12)
    with pytest.raises(ValueError, match="num_prompts must be at least 1"):
        unbroken.risk(0)


def test_a_model_of_a_sweep_equals_the_same_model_trained_alone(unbroken, tmp_path):
    task = {**cases.config()["task"], "noise_var": 0.5}
    alone = training.fit(cases.quiet(task=task, sweep={}), tmp_path)
    np.testing.assert_allclose(cases.weight(alone)[:, 0], cases.weight(unbroken)[:, 1], rtol=1e-10)


def test_rates_and_ranks_of_a_sweep_equal_runs_of_their_own(tmp_path):
    model = {"name": "low_rank_attention", "max_rank": 2}
    sweep = {"learning_rate": (0.02, 0.05), "rank": (1, 2)}
    swept = training.fit(cases.quiet(model=model, sweep=sweep), tmp_path / "swept")
    alone = training.fit(cases.quiet(model={**model, "rank": 1}, sweep={}), tmp_path / "alone")
    for name, leaf in cases.weights(alone).items():
        np.testing.assert_allclose(cases.weights(swept)[name][:, 2], leaf[:, 0], rtol=1e-10)
    ranks = np.linalg.matrix_rank(swept.each(lambda model: model.preconditioner))
    np.testing.assert_array_equal(ranks, [[1, 2, 1, 2]] * 2)


def test_without_shared_data_every_seed_has_prompts_of_its_own(unbroken):
    both = cases.weight(unbroken)
    assert np.abs(both[0] - both[1]).max() > 1e-3


def test_a_run_compiles_each_of_its_programs_once(unbroken):
    assert unbroken.program.compilations == 1
    unbroken.risk(16)
    compiled = unbroken.program.risk._cache_size()
    unbroken.risk(16)
    assert unbroken.program.risk._cache_size() == compiled


@pytest.mark.parametrize("name", ["low_rank_attention", "h3", "linear_transformer"])
def test_a_float32_run_stays_float32_where_jax_computes_in_float64(name):
    sizes = {"low_rank_attention": {"rank": 1}, "linear_transformer": {"depth": 2}}
    program = cases.program_of(
        dtype="float32", model={"name": name, **sizes.get(name, {})}, train={"warmup": 2}
    )
    state = jax.eval_shape(program.init)
    after, losses = jax.eval_shape(program.advance, state, jax.numpy.int32(0))
    kinds = [leaf.dtype.name for leaf in jax.tree.leaves((state, losses))]
    assert "float64" not in kinds and "float32" in kinds
    assert jax.tree.map(lambda leaf: leaf.dtype, after) == jax.tree.map(
        lambda leaf: leaf.dtype, state
    )


@pytest.mark.parametrize(
    "changes, expected",
    [
        # 3 channels: a Gram matrix costs 3 (2 + 10) normals a draw, n rows cost 3 n (1 + 0.33)
        ({"task": {"context_length": 4}}, "rows"),
        ({"task": {"context_length": 20}, "sweep": {}}, "gram"),
        # a draw for each length, and rows are made once for all
        ({"sweep": {"context_length": (5, 10, 15, 20)}}, "counted"),
        ({"sweep": {"context_length": (5, 10, 15, 100)}}, "gram"),
        ({"task": {"context_length": 100, "covariates": "sphere"}}, "rows"),
        ({"model": {"name": "merged_h3"}, "task": {"context_length": 100}}, "rows"),
        # one of ten models and more sees the same rows; a length of the two cuts them
        ({"model": {"name": "h3"}, "sweep": {"context_length": (3, 5)}}, "pairs"),
        ({"model": {"name": "h3"}, "sweep": {}, "train": {"share_data": True}}, "pairs"),
        ({"model": {"name": "h3"}, "sweep": {}}, "rows"),  # each seed has rows of its own
        # noises differ in labels alone, covariances in all
        ({"model": {"name": "h3"}, "sweep": {"noise_var": (0.0, 0.5)}}, "pairs"),
        ({"model": {"name": "h3"}, "sweep": {"cov_x": ((1.0, 2.0), (2.0, 1.0))}}, "rows"),
        ({"model": {"name": "h3", "shift": 1}, "sweep": {"context_length": (3, 5)}}, "rows"),
        (
            {
                "model": {"name": "h3"},
                "sweep": {"context_length": (10, 100_000)},
                "train": {"batch": 256},
            },
            "rows",  # 40 GB of products
        ),
        ({"task": {"context_length": 4}, "train": {"sampler": "gram"}}, "gram"),
        ({"task": {"context_length": 100}, "train": {"sampler": "rows"}}, "rows"),
        ({"sweep": {"context_length": (5, 100)}, "train": {"sampler": "rows"}}, "counted"),
        ({"model": {"name": "merged_h3"}, "sweep": {"context_length": (5, 100)}}, "counted"),
        ({"model": {"name": "softmax_attention"}, "sweep": {"context_length": (5, 6)}}, "rows"),
    ],
)
def test_the_cheaper_sampler_is_taken_where_both_are_possible(changes, expected):
    task = {**cases.config()["task"], **changes.get("task", {})}
    assert cases.program_of(**{**changes, "task": task}).sampler == expected


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"model": {"name": "merged_h3"}}, "got 'gram', but MergedH3 weighs the rows one by one"),
        (
            {"task": {"name": "drift", "dim": 2, "context_length": 3, "correlation": 0.5}},
            "got 'gram', but Drift has no Gram matrix to draw",
        ),
    ],
)
def test_gram_matrices_are_refused_where_there_are_none(changes, message):
    with pytest.raises(ValueError, match=message):
        cases.program_of(**changes, train={"sampler": "gram"})


@pytest.mark.parametrize(
    "model, name", [({"name": "merged_h3"}, "MergedH3"), ({"name": "h3", "shift": 1}, "H3")]
)
def test_pairs_are_refused_by_models_that_do_not_take_them(model, name):
    message = f"'rows' or 'auto', got 'pairs', but {name} takes no products of a row's entries"
    with pytest.raises(ValueError, match=message):
        cases.program_of(model=model, train={"sampler": "pairs"})


def test_models_of_several_lengths_train_on_pairs_as_on_rows(tmp_path):
    """The same rows are drawn; only the order of sums differs."""
    sweep = {"context_length": (1, 4)}
    made = {
        sampler: training.fit(
            cases.quiet(model={"name": "h3"}, sweep=sweep, train={"sampler": sampler}),
            tmp_path / sampler,
        )
        for sampler in ("rows", "pairs")
    }
    by_rows, by_pairs = (cases.weights(trained) for trained in made.values())
    assert made["pairs"].program.compilations == 1
    for name, rows in by_rows.items():
        np.testing.assert_allclose(by_pairs[name], rows, rtol=1e-6, atol=1e-9)
    risks = [trained.risk(64)[0] for trained in made.values()]
    np.testing.assert_allclose(*risks, rtol=1e-6)


@pytest.mark.parametrize(
    "model, ranks, message",
    [
        ("low_rank_attention", (2, 0), "rank must be at least 1, got 0"),
        ("low_rank_attention", (1, 3), "max_rank must be at most dim=2, got 3"),
    ],
)
def test_a_rank_that_the_model_refuses_is_refused_at_every_point(model, ranks, message):
    with pytest.raises(ValueError, match=message):
        cases.program_of(model={"name": model}, sweep={"rank": ranks})


def test_an_axis_that_the_model_does_not_have_is_refused():
    with pytest.raises(KeyError, match="unknown argument 'max_rank'"):
        cases.program_of(sweep={"rank": (1, 2)})


@pytest.fixture(scope="module")
def optimal(tmp_path_factory):
    """Trained long enough, by rows and by Gram matrices, both with a sweep over lengths."""
    task = {"name": "linear_regression", "dim": 2, "context_length": 6, "noise_var": 0.25}
    made = {}
    for sampler in ("rows", "gram"):
        train = {"num_steps": 200, "evaluate_every": 100, "batch": 128, "sampler": sampler}
        config = cases.quiet(task=task, sweep={"context_length": (3, 6)}, train=train)
        made[sampler] = training.fit(config, tmp_path_factory.mktemp(sampler))
    return made


# what theory is asked about for each point of `optimal`
POINTS = [theory.Setting(dim=2, context_length=n, noise_var=0.25) for n in (3, 6)]


@pytest.mark.parametrize("sampler", ["rows", "gram"])
def test_merged_attention_reaches_the_optimum_of_one_preconditioned_step(optimal, sampler):
    weights = optimal[sampler].each(lambda model: model.preconditioner)
    for point, setting in enumerate(POINTS):
        best = theory.pgd_optimum(setting).risk
        for seed in range(2):
            risk = theory.pgd_risk(weights[seed, point], setting)
            assert 0 <= risk / best - 1 <= 0.02  # the exact risk of weights after 200 steps


def test_a_risk_is_within_four_standard_errors_of_the_exact_risk_of_its_weights(optimal):
    trained = optimal["rows"]
    weights = trained.each(lambda model: model.preconditioner)
    mean, error = trained.risk(20_000)
    for seed, point in np.ndindex(2, 2):
        exact = theory.pgd_risk(weights[seed, point], POINTS[point])
        assert abs(mean[seed, point] - exact) <= 4 * error[seed, point]
        assert error[seed, point] < 0.02 * exact


def test_weights_trained_on_gram_matrices_have_the_risk_of_those_trained_on_rows(optimal):
    _, error = optimal["rows"].risk(20_000)
    risks = {}
    for sampler, trained in optimal.items():
        weights = trained.each(lambda model: model.preconditioner)
        risks[sampler] = [
            [theory.pgd_risk(weights[s, p], setting) for p, setting in enumerate(POINTS)]
            for s in range(2)
        ]
    assert (np.abs(np.subtract(risks["rows"], risks["gram"])) <= 4 * error).all()


def test_the_prompts_of_a_risk_are_none_of_training():
    program = cases.program_of()
    root = [jax.random.key_data(program._root(stream)).tolist() for stream in range(3)]
    assert len({tuple(key) for key in root}) == 3


def test_across_seeds_gives_mean_and_standard_error_which_one_seed_has_not():
    values = np.array([[1.0, 2.0], [3.0, 2.0], [5.0, 2.0]])
    mean, error = training.across_seeds(values)
    np.testing.assert_array_equal(mean, [3.0, 2.0])
    np.testing.assert_allclose(error, [2.0 / 3**0.5, 0.0], rtol=1e-15)
    mean, error = training.across_seeds(values[:1])
    np.testing.assert_array_equal(mean, [1.0, 2.0])
    assert np.isnan(error).all()
