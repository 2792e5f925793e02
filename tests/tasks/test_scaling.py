"""The standard form of rows, for new rows too, and coefficients in the rows' own units."""

import dataclasses

import numpy as np
import pytest
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler

from elsa import tasks


def drawn(n=30, d=3):
    rng = np.random.default_rng(0)
    x = rng.normal(5.0, [1e-3, 1.0, 1e6], (n, d))
    return x, x @ [1e3, 1.0, 1e-6] + rng.normal(size=n) + 7.0, rng.integers(0, 4, n)


def test_a_standardised_table_transforms_new_rows_and_gives_coefficients_in_its_own_units():
    raw = tasks.diabetes()
    kept = dataclasses.replace(raw, x=raw.x[:400], y=raw.y[:400])
    data = tasks.standardised(kept)
    scaler = StandardScaler().fit(kept.x)
    assert raw.scaling is None
    np.testing.assert_array_equal(data.scaling.transform(kept.x), data.x)
    np.testing.assert_array_equal(data.scaling.transform_labels(kept.y), data.y)
    new = data.scaling.transform(raw.x[400:])
    np.testing.assert_allclose(new, scaler.transform(raw.x[400:]), rtol=1e-12, atol=1e-13)
    ridge = Ridge(alpha=1.0).fit(data.x, kept.y)
    coefficients, intercept = data.scaling.linear(ridge.coef_)
    np.testing.assert_allclose(coefficients, ridge.coef_ / scaler.scale_, rtol=1e-12)
    predicted = raw.x[400:] @ coefficients + intercept
    np.testing.assert_allclose(predicted, ridge.predict(new), rtol=1e-12)


def test_a_row_of_weight_k_counts_k_times():
    x, y, weights = drawn()
    found = tasks.Scaling.of(x, y, weights)
    several = tasks.Scaling.of(np.repeat(x, weights, axis=0), np.repeat(y, weights))
    for rows in (x, x[:2] + 1.0):
        np.testing.assert_allclose(found.transform(rows), several.transform(rows), rtol=1e-9)
    np.testing.assert_allclose(found.transform_labels(y), several.transform_labels(y), atol=1e-11)
    scaled = StandardScaler().fit(x, sample_weight=weights).transform(x)
    np.testing.assert_allclose(found.transform(x), scaled, rtol=1e-9)


def test_a_constant_column_becomes_zeros_and_has_the_coefficient_0():
    x, y, _ = drawn()
    x[:, 1] = 0.1
    scaling = tasks.Scaling.of(x, y)
    np.testing.assert_array_equal(scaling.constant, [False, True, False])
    assert not scaling.transform(x + 1.0)[:, 1].any()
    assert scaling.linear([1.0, 1.0, 1.0]).coefficients[1] == 0.0
    assert tasks.Scaling.of(x[:1], y[:1]).constant.all()


@pytest.mark.parametrize("power", [-1000, 0, 1000])
def test_coefficients_of_columns_in_any_unit_predict_the_same(power):
    x, y, _ = drawn()
    scaling = tasks.Scaling.of(np.ldexp(x, [power, 0, 0]), y)
    coefficients, intercept = scaling.linear([1.0, 2.0, 3.0])
    wanted, same = tasks.Scaling.of(x, y).linear([1.0, 2.0, 3.0])
    np.testing.assert_array_equal(np.ldexp(coefficients, [power, 0, 0]), wanted)
    assert intercept == same


def test_rows_and_weights_that_do_not_fit_are_refused():
    x, y, _ = drawn()
    for weights in (np.zeros(30), np.r_[-1.0, np.ones(29)]):
        with pytest.raises(ValueError, match="weights must be at least 0, and one above 0"):
            tasks.Scaling.of(x, y, weights)
    with pytest.raises(ValueError, match="x must have the 3 columns that were learned from, got 2"):
        tasks.Scaling.of(x, y).transform(x[:, :2])


def test_columns_are_left_out_whatever_stands_in_them(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("Unnamed: 0,name,a,y\n0,Ann,1,2\n1,Bob,3,4\n")
    table = tasks.read_csv(path, "y", drop=("name", "Unnamed: 0"))
    assert table.columns == ("a",)
    np.testing.assert_array_equal(table.x, [[1.0], [3.0]])
    for drop, error, message in (
        (("nane", "Unnamed: 0"), KeyError, r"drop must name columns of .*; did you mean 'name'\?"),
        (("name", "Unnamed: 0", "y"), ValueError, "drop must leave the target, got 'y' in it"),
        (("name", "Unnamed: 0", "a"), ValueError, "drop must leave a covariate beside the target"),
        ("name", TypeError, "drop must be a tuple of columns' names"),
        ((1,), TypeError, "drop must be a tuple of columns' names"),
    ):
        with pytest.raises(error, match=message):
            tasks.read_csv(path, "y", drop=drop)
