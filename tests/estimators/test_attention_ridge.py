"""The estimator gives what StandardScaler and Ridge give, mapped back, at every edge."""

import functools
import pickle
import warnings

import jax
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

import elsa
from elsa.estimators import AttentionRidge
from elsa.estimators.solving import ALGORITHMS
from tests.helpers import table

SKIPS = {  # what scikit-learn's checks leave out, and why
    "check_array_api_input": "SCIPY_ARRAY_API is not set",
    "check_dataframe_column_names_consistency": "pandas is not installed",
}
SHAPE, DEPTH = (12, 3), 24  # of most tables here, so that one program serves them


def drawn(n=SHAPE[0], d=SHAPE[1], seed=0):
    """Columns of very different units."""
    rng = np.random.default_rng(seed)
    x = rng.normal(3.0, 10.0 ** rng.uniform(-3, 3, d), (n, d))
    return x, x @ rng.normal(size=d) + rng.normal(size=n) + 50.0


def expected(x, y, alpha=1.0, sample_weight=None):
    """scikit-learn's coefficients and intercept in the units of x."""
    scaler = StandardScaler().fit(x, sample_weight=sample_weight)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a singular matrix
        ridge = Ridge(alpha=alpha).fit(scaler.transform(x), y, sample_weight=sample_weight)
    slopes = ridge.coef_ / scaler.scale_
    return slopes, ridge.intercept_ - slopes @ scaler.mean_


def constant(x):
    x[:, 1] = 0.1
    return x


@functools.cache
def cases():
    x, y = drawn()
    rng = np.random.default_rng(1)
    weights = rng.uniform(0.1, 3.0, len(y)) * 1e5
    return {
        "as it is": (x, y, {}, {}),
        "alpha = 0": (x, y, {"alpha": 0.0}, {}),
        "alpha large": (x, y, {"alpha": 1e12}, {}),
        "a constant column": (constant(x.copy()), y, {}, {}),
        "a constant column, alpha = 0": (constant(x.copy()), y, {"alpha": 0.0}, {}),
        "constant labels": (x, np.full(len(y), 0.1), {}, {}),
        "labels of 1e-200": (x, y * 1e-200, {}, {}),
        "weights": (x, y, {}, {"sample_weight": weights}),
        "one row": (x[:1], y[:1], {}, {}),
        "two rows, one of weight 0": (x[:2], y[:2], {}, {"sample_weight": [1.0, 0.0]}),
        "one row, alpha = 0": (x[:1], y[:1], {"alpha": 0.0}, {}),
        "one column": (x[:, :1], y, {}, {}),
        "fewer rows than columns": (*drawn(3, 12), {}, {}),
        "fewer rows than columns, alpha = 0": (*drawn(3, 12), {"alpha": 0.0}, {}),
        "two columns alike, alpha = 0": (np.c_[x[:, :2], 2 * x[:, 0]], y, {"alpha": 0.0}, {}),
    }


@table("name", list(cases()))
def test_it_is_standard_scaler_and_ridge_mapped_back(name):
    x, y, parameters, fit = cases()[name]
    model = AttentionRidge(depth=DEPTH, **parameters).fit(x, y, **fit)
    coefficients, intercept = expected(x, y, **{"alpha": 1.0, **parameters}, **fit)
    size = np.abs(coefficients * x.std(axis=0)).max()  # of the answer, for what is 0 but rounding
    scale = np.where(x.std(axis=0) > 0, x.std(axis=0), 1.0)
    level = np.abs(y).max()
    np.testing.assert_allclose(
        model.coef_ * scale, coefficients * scale, rtol=1e-6, atol=1e-6 * size + 1e-13 * level
    )
    predicted = np.asarray(x) @ coefficients + intercept
    np.testing.assert_allclose(model.predict(x), predicted, rtol=1e-6, atol=1e-6 * level)
    assert type(model.coef_) is np.ndarray and model.coef_.dtype == np.float64
    assert isinstance(model.intercept_, float) and model.n_features_in_ == x.shape[1]
    assert model.n_iter_ == DEPTH < model.n_layers_ and model.distance_ <= 1e-6


def test_rows_of_weight_0_are_not_there_and_weights_of_k_are_k_rows():
    x, y = drawn()
    counts = np.array([0, 1, 2, 3, 0, 1, 1, 1, 1, 1, 1, 0])
    spoilt = np.where(counts[:, None] == 0, 1e200, x)
    found = AttentionRidge().fit(spoilt, y, sample_weight=counts)
    several = AttentionRidge().fit(np.repeat(x, counts, axis=0), np.repeat(y, counts))
    np.testing.assert_allclose(found.coef_, several.coef_, rtol=1e-9)
    np.testing.assert_allclose(found.intercept_, several.intercept_, rtol=1e-9)


def test_what_holds_the_numbers_makes_no_difference_and_it_computes_in_float64():
    x, y = drawn()
    x, y = x.astype(np.float32), y.astype(np.float32)
    reference = AttentionRidge(depth=DEPTH).fit(x.astype(np.float64), y.astype(np.float64))
    with jax.enable_x64(False):
        for rows, labels in ((x, y), (x.tolist(), y.tolist()), (np.asfortranarray(x), y)):
            model = AttentionRidge(depth=DEPTH).fit(rows, labels)
            np.testing.assert_array_equal(model.coef_, reference.coef_)
            np.testing.assert_allclose(model.predict(rows), reference.predict(x), rtol=1e-13)
        assert not jax.config.jax_enable_x64


def test_it_takes_data_frames_and_keeps_the_names_of_their_columns():
    pandas = pytest.importorskip("pandas")
    x, y = drawn()
    frame = pandas.DataFrame(x, columns=["age", "height", "dose"])
    model = AttentionRidge(depth=DEPTH).fit(frame, pandas.Series(y))
    np.testing.assert_array_equal(model.feature_names_in_, frame.columns)
    np.testing.assert_array_equal(model.coef_, AttentionRidge(depth=DEPTH).fit(x, y).coef_)
    with pytest.raises(ValueError, match="predict: X: The feature names should match"):
        model.predict(frame[["height", "age", "dose"]])
    told = r"fit: X: .*; columns without numbers: \['town'\]; .* text by OneHotEncoder\(sparse_out"
    with pytest.raises(ValueError, match=told):
        AttentionRidge().fit(frame.assign(town="Bonn"), y)
    days = pandas.DataFrame({"day": pandas.date_range("2020", periods=len(y))})
    with pytest.raises(TypeError, match=r"fit: X: expected numbers, got datetime64.*\['day'\]"):
        AttentionRidge().fit(days, y)


@table("algorithm", list(ALGORITHMS))
def test_every_algorithm_comes_to_the_solution_at_the_depth_of_theory(algorithm):
    x, y = drawn()
    model = AttentionRidge(algorithm=algorithm).fit(x, y)
    coefficients, intercept = expected(x, y)
    np.testing.assert_allclose(model.coef_, coefficients, rtol=1e-6)
    np.testing.assert_allclose(model.intercept_, intercept, rtol=1e-6)
    assert 1e-16 <= model.distance_ <= 1e-9 or algorithm == "newton_schulz"
    assert model.n_layers_ >= model.n_iter_


def test_a_depth_that_is_too_small_is_said_with_the_distance_and_what_helps():
    x, y = drawn()
    with pytest.warns(
        ConvergenceWarning,
        match=r"fit: 2 steps of gradient_descent end at a relative distance of 0\.\d+ from the "
        r"ridge solution \(condition number .*\); theory asks for depth=\d+, or algorithm='newton",
    ):
        model = AttentionRidge(algorithm="gradient_descent", depth=2).fit(x, y)
    slopes = model.coef_ * x.std(axis=0)
    solution = expected(x, y)[0] * x.std(axis=0)
    distance = np.linalg.norm(slopes - solution) / np.linalg.norm(solution)
    assert model.distance_ == pytest.approx(distance, rel=1e-6)
    with pytest.warns(ConvergenceWarning, match="where float64 ends; a larger alpha helps, or"):
        x[:, 2] = x[:, 1] * (1 + 1e-10 * np.arange(len(y)) ** 2)
        AttentionRidge(alpha=0.0).fit(x, y)


def test_a_hundred_thousand_rows_need_no_matrix_of_rows_by_rows():
    x, y = drawn(100_000, 4)
    model = AttentionRidge().fit(x, y)
    np.testing.assert_allclose(model.coef_, expected(x, y)[0], rtol=1e-6)


def test_it_clones_pickles_and_is_searched():
    x, y = drawn()
    model = AttentionRidge(alpha=0.5, depth=DEPTH).fit(x, y)
    other = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(other.predict(x), model.predict(x))
    assert clone(model).get_params() == model.get_params() and not hasattr(clone(model), "coef_")
    assert elsa.estimators.AttentionRidge is AttentionRidge
    found = GridSearchCV(AttentionRidge(depth=DEPTH), {"alpha": [1e6, 1e-3]}, cv=2).fit(x, y)
    assert found.best_params_ == {"alpha": 1e-3}


@table(
    "changes, error, message",
    [
        ({"algorithm": "newton"}, ValueError, "fit: algorithm must be one of"),
        ({"alpha": -1.0}, ValueError, "fit: alpha must be at least 0"),
        ({"alpha": np.nan}, ValueError, "fit: alpha must be finite"),
        ({"alpha": [1.0, 2.0]}, ValueError, "fit: alpha must be a single number"),
        ({"depth": 0}, ValueError, "fit: depth must be at least 1"),
        ({"depth": 2.5}, TypeError, "fit: depth must be an integer"),
    ],
)
def test_parameters_out_of_range_are_refused_by_fit(changes, error, message):
    x, y = drawn()
    with pytest.raises(error, match=message):
        AttentionRidge(**changes).fit(x, y)


def test_labels_of_several_columns_are_refused_with_the_way_out():
    x, y = drawn()
    with pytest.raises(ValueError, match=r"fit: y: .*\(12, 2\).*MultiOutputRegressor\(Attention"):
        AttentionRidge().fit(x, np.c_[y, y])
    with pytest.raises(TypeError, match="fit: y: expected numbers, got datetime64"):
        AttentionRidge().fit(x, np.arange(len(y)).astype("datetime64[D]"))


@pytest.mark.slow
def test_two_processes_search_with_it():
    x, y = drawn(60)
    search = GridSearchCV(AttentionRidge(), {"alpha": [0.1, 1.0, 10.0]}, n_jobs=2).fit(x, y)
    alone = GridSearchCV(AttentionRidge(), {"alpha": [0.1, 1.0, 10.0]}).fit(x, y)
    np.testing.assert_array_equal(
        search.cv_results_["mean_test_score"], alone.cv_results_["mean_test_score"]
    )


@pytest.mark.slow
@table("algorithm", list(ALGORITHMS))
@pytest.mark.filterwarnings("ignore")  # the checks' own, and fits of a few steps
def test_scikit_learn_s_checks_pass(algorithm):
    results = check_estimator(AttentionRidge(algorithm=algorithm), on_skip=None, on_fail=None)
    failed = {one["check_name"]: one["exception"] for one in results if one["status"] == "failed"}
    assert failed == {} and len(results) > 40
    for one in results:
        if one["status"] != "passed":
            assert SKIPS[one["check_name"]] in str(one["exception"])
