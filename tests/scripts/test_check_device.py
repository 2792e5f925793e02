"""The check of a device: what it measures, where its bounds are, and that it fails."""

import jax
import numpy as np
import pytest

from elsa.attention import linear
from scripts import check_device
from scripts.device import attention as stacks
from scripts.device import predictions


def test_every_case_has_an_error_on_a_cpu():
    assert list(check_device.CPU) == [*stacks.CASES, *predictions.CASES]


def test_an_error_is_that_of_the_worst_entry_and_the_worst_result():
    assert check_device.error([2.0, 3.0], np.array([2.0, 4.0])) == 0.25
    assert check_device.error((1.0, [[3.0]]), (np.float64(1), np.array([[2.0]]))) == 0.5
    assert np.isnan(check_device.error((np.nan, 2.0), (np.float64(1), np.float64(2))))


def test_a_bound_is_ten_times_the_cpu_s_error_and_at_least_1e_6(monkeypatch):
    monkeypatch.setattr(check_device, "CPU", {"small": 1e-8, "large": 2e-6})
    bounds = [check_device.bound(name) for name in ("small", "large")]
    assert bounds == pytest.approx([1e-6, 2e-5])
    errors = {"small": 1e-6, "large": np.nan}
    assert check_device.judged(errors) == ["large"]  # NaN is no number below a bound


def test_a_device_as_exact_as_a_cpu_passes(capsys):
    assert check_device.main(["lsa", "elsa", "Gram form"]) == 0
    assert "3 of 3 cases as exact as on a CPU" in capsys.readouterr().out


def test_a_device_that_rounds_the_factors_of_a_product_fails(monkeypatch, capsys):
    def rounded(h, wq, wk, wv):
        """As TF32 does: 8 bits of exponent, 10 of mantissa."""
        q, k, v = (jax.lax.reduce_precision(h @ w, 8, 10) for w in (wq, wk, wv))
        return q @ (k.T @ v)

    monkeypatch.setattr(linear, "_lsa", rounded)
    assert check_device.main(["lsa", "Gram form"]) == 1
    table = capsys.readouterr().out.splitlines()
    assert [line.endswith("too large") for line in table[2:4]] == [True, False]
    assert table[-1].startswith("1 of 2 cases as exact as on a CPU")


def test_the_table_of_a_cpu_is_printed_anew(capsys):
    assert check_device.main(["lsa", "--print-cpu"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    name, _, number = line.strip().rstrip(",").partition(": ")
    assert name == '"lsa"' and 0 < float(number) < 1e-6


def test_an_unknown_case_is_refused(capsys):
    with pytest.raises(SystemExit) as refused:
        check_device.main(["lsq"])
    assert refused.value.code == 2
    assert "unknown case 'lsq', known are ['lsa'" in capsys.readouterr().err
