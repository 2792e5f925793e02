"""`fit_stream` gives the coefficients of ridge on all rows, however they are cut."""

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.exceptions import ConvergenceWarning

from elsa.estimators import AttentionRidge
from tests.helpers import table


def drawn(n, d, seed=0):
    """Columns of very different units, far from 0."""
    rng = np.random.default_rng(seed)
    x = rng.normal(30.0, 10.0 ** rng.uniform(-3, 3, d), (n, d))
    return x, x @ rng.normal(size=d) + rng.normal(size=n) + 50.0


def direct(x, y, alpha):
    """Ridge on standardised columns by a pseudo-inverse; constant columns get 0."""
    spread = x.std(axis=0)
    flat = spread < 1e-12 * np.abs(x).max(axis=0)
    z = np.where(flat, 0.0, (x - x.mean(axis=0)) / np.where(flat, 1.0, spread))
    gram = z.T @ z + alpha * np.eye(z.shape[1])
    w = np.linalg.pinv(gram, rcond=1e-12, hermitian=True) @ (z.T @ (y - y.mean()))
    slopes = np.where(flat, 0.0, w / np.where(flat, 1.0, spread))
    return slopes, y.mean() - slopes @ x.mean(axis=0)


def check(model, x, y, alpha, rtol=1e-9):
    slopes, intercept = direct(x, y, alpha)
    units = x.std(axis=0)
    scale = np.linalg.norm(units * slopes) or 1.0
    assert np.linalg.norm(units * (model.coef_ - slopes)) <= rtol * scale
    np.testing.assert_allclose(
        model.predict(x[:5]), x[:5] @ slopes + intercept, rtol=1e-8, atol=1e-8 * (1 + abs(y).max())
    )


def constant(x):
    x = x.copy()
    x[:, 1] = 0.1
    return x


def dependent(x):
    x = x.copy()
    x[:, 2] = x[:, 0] - 3.0 * x[:, 1]
    return x


@table(
    "n, d, alpha, change",
    [
        (1, 3, 1.0, None),
        (2, 3, 1.0, None),
        (2, 3, 0.0, None),
        (12, 3, 1.0, None),
        (12, 3, 0.0, None),
        (12, 3, 1e6, None),
        (12, 3, 1.0, constant),
        (12, 3, 1.0, dependent),
        (12, 3, 0.0, dependent),
    ],
)
def test_coefficients_are_those_of_a_direct_solve(n, d, alpha, change):
    x, y = drawn(n, d)
    x = x if change is None else change(x)
    blocks = ((x[i : i + 5], y[i : i + 5]) for i in range(0, n, 5))
    check(AttentionRidge(alpha).fit_stream(blocks), x, y, alpha)


@given(
    sizes=st.lists(st.integers(0, 6), min_size=1, max_size=5),
    target=st.integers(-4, 3),
    kind=st.sampled_from(["float32", "float64"]),
)
def test_neither_cuts_nor_the_place_of_the_labels_matter(sizes, target, kind):
    x, y = drawn(17, 3)
    rows = np.insert(x, target % 4, y, axis=1).astype(kind)
    x, y = np.delete(rows, target, axis=1).astype(float), rows[:, target].astype(float)

    def blocks():
        left = rows
        for size in [*sizes * 20, 20]:
            yield left[:size]
            left = left[size:]

    check(AttentionRidge(2.0).fit_stream(blocks, target=target), x, y, 2.0)


def test_labels_that_are_all_the_same():
    x, _ = drawn(12, 3)
    model = AttentionRidge().fit_stream([(x, np.full(12, 7.0))])
    assert not model.coef_.any() and model.intercept_ == pytest.approx(7.0)


def test_a_second_fit_forgets_the_columns_of_the_first():
    x, y = drawn(12, 3)
    model = AttentionRidge().fit(x, y)
    model.feature_names_in_ = np.array(["a", "b", "c"], dtype=object)
    model.fit_stream(np.c_[x[:, :2], y])
    assert model.n_features_in_ == 2 and not hasattr(model, "feature_names_in_")
    assert model.score(x[:, :2], y) > -10.0


def test_ctrl_c_leaves_the_fit_before():
    x, y = drawn(12, 3)
    model = AttentionRidge().fit_stream(np.c_[x, y])
    before = dict(vars(model))

    def stopped():
        yield np.c_[x, y][:, 1:]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        model.fit_stream(stopped)
    assert vars(model) == before
    with pytest.raises(KeyboardInterrupt):
        AttentionRidge().fit_stream(stopped)


@table(
    "options, target, error, message",
    [
        ({}, 4, ValueError, r"target must be one of the columns .* -4..3, got 4 and 4 columns"),
        ({}, -5, ValueError, "target must be one of the columns"),
        ({}, "y", TypeError, "target must be the index of a column, got 'y'"),
        ({}, True, TypeError, "target must be the index"),
        ({"alpha": -1.0}, -1, ValueError, "fit_stream: alpha must be at least 0"),
        ({"depth": 0}, -1, ValueError, "fit_stream: depth must be at least 1"),
        ({"algorithm": "sgd"}, -1, ValueError, "fit_stream: algorithm must be one of"),
    ],
)
def test_refusals(options, target, error, message):
    x, y = drawn(12, 3)
    with pytest.raises(error, match=message):
        AttentionRidge(**options).fit_stream(np.c_[x, y], target=target)


def test_rows_that_do_not_fit_are_refused_in_its_name():
    x, y = drawn(12, 3)
    rows = np.c_[x, y]
    with pytest.raises(ValueError, match="fit_stream: block 7 of rows must have 4 columns, as the"):
        AttentionRidge().fit_stream([rows] * 6 + [rows[:, 1:]])
    with pytest.raises(ValueError, match="beside at least one covariate"):
        AttentionRidge().fit_stream(rows[:, :1])
    with pytest.raises(TypeError, match=r"got the path 'rows.npy'; tasks.NpyRows"):
        AttentionRidge().fit_stream("rows.npy")


def test_a_condition_number_that_costs_digits_and_too_few_steps_warn():
    x, y = drawn(40, 3)
    noise = np.random.default_rng(1).normal(size=40)
    x[:, 2] = x[:, 0] + 1e-4 * x[:, 0].std() * noise
    with pytest.warns(ConvergenceWarning, match="rounding of the products of columns may show"):
        AttentionRidge(0.0).fit_stream(np.c_[x, y])
    with pytest.warns(ConvergenceWarning, match="fit_stream: 1 step of newton_schulz end at"):
        AttentionRidge(depth=1).fit_stream(np.c_[drawn(12, 3)[0], drawn(12, 3)[1]])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        AttentionRidge(1.0).fit_stream(np.c_[x, y])
