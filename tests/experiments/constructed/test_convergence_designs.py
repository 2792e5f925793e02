"""Many designed tasks at once: the convergence experiment at the rate of theory, task by task."""

import io

import numpy as np
import pytest
from rich.console import Console

from configs import convergence_synthetic as synthetic_config
from experiments.constructed import convergence
from experiments.harness.experiment import Place
from tests.experiments.constructed.test_convergence import CONSTRUCTIONS, check_rates, run
from tests.helpers import table

SOME = ("ridge_lsa_state", "ridge_elsa")  # the two that test_convergence.py leaves out


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(SOME, id="some"),
        pytest.param(CONSTRUCTIONS, id="all", marks=pytest.mark.slow),
    ],
)
def synthetic(request, tmp_path_factory):
    folder, config = tmp_path_factory.mktemp("synthetic"), synthetic_config.get_config("quick")
    config.methods = request.param
    return config.methods, *run(config, folder)


def test_many_tasks_at_once_contract_as_theory_says(synthetic):
    _, summary, records, _ = synthetic
    assert {r["condition_number"] for r in records.values()} == {1.0, 10.0}
    assert {r["tasks"] for r in records.values()} == {32}
    for record in records.values():
        largest = np.array(record["measured"]["largest"])
        floor = 1e-6 if record["dtype"] == "float32" else 1e-13
        assert np.all(largest <= np.array(record["bound"]) + floor)
        if record["dtype"] == "float64" and record["condition_number"] > 1:
            np.testing.assert_allclose(largest, record["exact"]["largest"], rtol=1e-3, atol=1e-13)
    assert summary["largest_final_distance"]["float64"] <= 1e-10
    check_rates(records)


def test_at_condition_number_1_one_step_is_exact(synthetic):
    methods, _, records, printed = synthetic
    ones = [r for r in records.values() if r["condition_number"] == 1]
    assert len(ones) == 2 * len(methods)
    for record in ones:
        assert record["depths"] == [0, 1]
        bound = 1e-12 if record["dtype"] == "float64" else 1e-6
        assert record["measured"]["largest"][1] <= bound
        assert record["decay_mean"] is None
    assert "one step is exact" in printed


def test_with_fewer_rows_than_covariates_the_rate_is_the_same(tmp_path):
    config = synthetic_config.get_config("quick")
    config.data.condition_numbers, config.data.short_condition_numbers = (), (10.0,)
    config.methods, config.dtypes = ("ridge_lsa", "ridge_lsa_state"), ("float64",)
    convergence.check(config)
    cases, place = convergence.cases(config), Place(tmp_path, Console(file=io.StringIO()))
    assert len(cases) == 2
    records = {name: convergence.measure(config, case, place) for name, case in cases.items()}
    for record in records.values():
        assert record["context_length"] < record["dim"]
        assert record["measured"]["largest"][-1] <= 1e-10
    check_rates(records)


@table(
    "changes, message",
    [
        ({"condition_numbers": (0.5,)}, "condition_numbers must be at least 1"),
        ({"short_condition_numbers": (1.0,)}, "X is zero and so is the solution"),
        ({"short_condition_numbers": (10.0,), "short_context_length": 6}, "must be below data.dim"),
        ({"ridge_fraction": 0.0}, "ridge_fraction must be above 0"),
        ({"ridge_fraction": 1.5}, "ridge_fraction must be at most 1"),
        ({"context_length": 5}, "ridge_fraction must be 1"),
        ({"tasks": 0}, "tasks must be at least 1"),
        ({"noise_var": -1.0}, "noise_var must be at least 0"),
    ],
)
def test_designs_that_cannot_be_are_refused(changes, message):
    config = synthetic_config.get_config("quick")
    config.data.update(changes)
    with pytest.raises(ValueError, match=message):
        convergence.check(config)


@pytest.mark.slow
def test_256_tasks_of_every_condition_number_contract_as_theory_says(tmp_path):
    summary, records, _ = run(synthetic_config.get_config(), tmp_path / "run")
    assert {r["condition_number"] for r in records.values()} == {1.0, 10.0, 100.0, 1000.0}
    assert {r["tasks"] for r in records.values()} == {256}
    depths = {r["condition_number"]: r["depth"] for r in records.values()}
    assert depths == {1.0: 1, 10.0: 115, 100.0: 1152, 1000.0: 11513}
    assert summary["largest_final_distance"]["float64"] <= 1e-10
    check_rates(records)
