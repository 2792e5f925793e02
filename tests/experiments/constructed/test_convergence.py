"""The convergence experiment reaches scikit-learn's ridge solution at the rate of theory."""

import io
import json

import numpy as np
import pytest
from rich.console import Console
from sklearn.datasets import load_diabetes

from configs import convergence as table_config
from configs import convergence_synthetic as synthetic_config
from experiments.constructed import convergence, convergence_problems
from experiments.harness import engine
from experiments.harness.experiment import RunError
from tests.helpers import descend, table

CONSTRUCTIONS = ("ridge_lsa", "ridge_lsa_state", "ridge_elsa", "ridge_elsa_one_layer")
# the last one answers about the table, too: the one that runs soonest
METHODS = ("gradient_descent", *reversed(CONSTRUCTIONS))
# without biases and with them; all at this depth take half a minute
SOME = ("gradient_descent", "ridge_elsa_one_layer", "ridge_lsa")


def run(config, folder):
    """Summary, records by (problem, method, dtype), and what was printed."""
    screen = Console(file=io.StringIO(), width=120, highlight=False)
    summary = engine.run(convergence.EXPERIMENT, config, folder, screen=screen)
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    records = {(r["problem"], r["method"], r["dtype"]): r for r in map(json.loads, lines)}
    return summary, records, screen.file.getvalue()


@pytest.fixture(
    scope="module",
    params=[pytest.param(SOME, id="some"), pytest.param(METHODS, id="all", marks=pytest.mark.slow)],
)
def diabetes(request, tmp_path_factory):
    """Methods, the run's folder, its summary, records by case, and what was printed."""
    folder, config = tmp_path_factory.mktemp("diabetes"), table_config.get_config()
    config.methods = request.param
    return config.methods, folder, *run(config, folder)


def check_rates(records, *, within=0.01):
    """Every task's decay within 1% of theory's, wherever there is one; float64 leaves none out."""
    rates = [r for r in records.values() if r["condition_number"] > 1]
    assert rates
    for record in rates:
        kappa = record["condition_number"]
        assert record["decay_theory"] == pytest.approx(np.log((kappa + 1) / (kappa - 1)), rel=1e-9)
        assert record["decay_deviation"] <= within
        assert record["decay_mean"] == pytest.approx(record["decay_theory"], rel=within)
        if record["dtype"] == "float64":
            assert record["tasks_fitted"] == record["tasks"]


def test_on_the_diabetes_data_all_forms_reach_scikit_learn_at_the_depth_of_theory(diabetes):
    methods, _, summary, records, _ = diabetes
    problem = summary["problems"]["diabetes"]
    assert problem["condition_number"] == pytest.approx(372.0, abs=0.05)
    assert problem["depth"] == problem["depth_needed"] == 4284
    for method in methods:
        record = records["diabetes", method, "float64"]
        assert record["measured"]["largest"][-1] <= 1e-10
        assert record["layers"] == {
            "gradient_descent": None,
            "ridge_lsa": 4284,
            "ridge_lsa_state": 4284 + 1,
            "ridge_elsa": 2 * 4284,
            "ridge_elsa_one_layer": 4284 + 1,
        }.get(method)
        # float32 stays above what its rounding allows, eps kappa
        rounded = records["diabetes", method, "float32"]["measured"]["largest"][-1]
        assert 1e-8 < rounded < 372 * np.finfo(np.float32).eps
    check_rates(records)


def test_the_curves_are_those_of_gradient_descent_in_numpy(diabetes):
    methods, _, _, records, _ = diabetes
    x, y = load_diabetes(return_X_y=True, scaled=False)
    x, y = (x - x.mean(0)) / x.std(0), (y - y.mean())[:, None]
    solution = np.linalg.solve(x.T @ x + np.eye(10), x.T @ y)
    a = np.linalg.eigvalsh(x.T @ x) + 1
    path = descend({"X": x, "y": y, "lam": np.ones((1, 1))}, 2 / (a[0] + a[-1]), 4284)
    expected = np.linalg.norm(path - solution, axis=(1, 2)) / np.linalg.norm(solution)
    for method in methods:
        record = records["diabetes", method, "float64"]
        depths = record["depths"]
        assert len(depths) <= 200 and {0, 10, 100, 1000, 4284} <= set(depths)
        # rounding: eps times the condition number
        measured = record["measured"]["median"]
        np.testing.assert_allclose(measured, expected[depths], rtol=1e-7, atol=1e-13)
        np.testing.assert_allclose(record["exact"]["median"], expected[depths], rtol=1e-3)
        assert np.all(np.array(measured) <= np.array(record["bound"]) + 1e-13)
        curve = records["diabetes", method, "float32"]["measured"]["median"]
        np.testing.assert_allclose(curve, expected[depths], rtol=1e-2, atol=1e-5)


def test_the_table_shows_the_distances_beside_theory_and_the_figures_are_there(diabetes):
    methods, folder, summary, _, printed = diabetes
    for text in ("T = 10 ", "T = 100 ", "T = 1000", "T = 4284", "scikit-learn's Ridge", *methods):
        assert text in printed
    lines = [line for line in printed.splitlines() if "│" in line]
    theory = next(line for line in lines if "theory, exact" in line)
    for method in methods:
        row = next(line for line in lines if f"{method} " in line and "float64" in line)
        assert [cell.strip() for cell in row.split("│")[4:7]] == [
            cell.strip() for cell in theory.split("│")[4:7]
        ]
    assert summary["largest_final_distance"]["float64"] <= 1e-10
    for name in ("convergence", "prompt"):
        assert (folder / "figures" / f"{name}.png").stat().st_size > 10_000
        svg = (folder / "figures" / f"{name}.svg").read_text()
        assert "<text" in svg  # text stays text
    svg = (folder / "figures" / "convergence.svg").read_text()
    for label in ("depth T (steps)", "relative distance to ridge", "theory, exact", "ridge elsa"):
        assert label in svg


@pytest.fixture
def csv(tmp_path):
    """A table whose last covariate nearly repeats another: condition number above 1e5."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, 3))
    x[:, 2] = x[:, 1] + 1e-3 * rng.normal(size=40)
    y = x @ [1.0, 2.0, 3.0] + rng.normal(size=40)
    path = tmp_path / "my.csv"
    np.savetxt(path, np.c_[x, y], delimiter=",", header="a,b,c,price", comments="")
    return path


def user_config(path, target="price", **changes):
    config = table_config.get_config()
    config.data.path, config.data.target = str(path), target
    config.methods = ("ridge_lsa",)
    config.update(changes)
    return config


def test_a_table_of_the_users_runs_and_a_capped_depth_is_said_plainly(csv, tmp_path):
    config = user_config(csv, lam=1e-3, max_depth=500, dtypes=("float64",))
    summary, records, printed = run(config, tmp_path / "run")
    (problem,) = summary["problems"].values()
    assert problem["depth"] == 500 < problem["depth_needed"]
    assert f"stopped at max_depth=500: theory asks for {problem['depth_needed']} steps" in printed
    record = records[str(csv), "ridge_lsa", "float64"]
    np.testing.assert_allclose(record["measured"]["median"], record["exact"]["median"], rtol=1e-8)


def test_a_table_with_a_separator_and_a_unit_of_its_own_is_the_same_problem(csv):
    reference = convergence_problems.build({"path": str(csv), "target": "price", "lam": 1.0})
    (header, *rows), other = csv.read_text().splitlines(), csv.with_name("other.csv")
    for power in (200, -200):
        cut = [row.rpartition(",") for row in rows]
        text = "\n".join([header, *(f"{x},{float(y) * 10.0**power!r}" for x, _, y in cut)])
        other.write_text(text.replace(",", ";").replace(".", ","))
        config = user_config(other)
        convergence.check(config)
        found = convergence_problems.build(convergence_problems.names(config)[str(other)])
        np.testing.assert_array_equal(found.x, reference.x)
        unit = np.abs(found.solution).max() / np.abs(reference.solution).max()
        assert 2.0**-80 < unit < 2.0**80
        np.testing.assert_allclose(found.solution / unit, reference.solution, rtol=1e-9)
    config = table_config.get_config()
    config.data.decimal = ","
    with pytest.raises(ValueError, match=r"data\.decimal=',' is of a file; name a CSV file"):
        convergence.check(config)


@table(
    "changes, message",
    [
        ({"lam": -1.0}, "lam must be at least 0"),
        ({"lam": np.inf}, "lam must be finite"),
        ({"lam": 0.0}, "lam must be above 0 for ridge_lsa"),
        ({"methods": ("ridge_lasso",)}, "methods must be one of"),
        ({"dtypes": ("float32",)}, "dtypes must hold 'float64'"),
        ({"dtypes": ("float64", "bfloat16")}, "dtypes must be one of"),
        ({"max_depth": 0}, "max_depth must be at least 1"),
        ({"tolerance": 1.0}, r"tolerance must lie in \(0, 1\)"),
        ({"shown_depths": (0,)}, "shown_depths must be at least 1"),
        ({"curve_points": 4}, "curve_points must be at least 5"),
        ({"data": {"path": ""}}, r"data.target='\w+' is of a file; name a CSV file by data.path"),
        ({"data": {"path": "missing.csv"}}, "must be a CSV file"),
        ({"data": {"target": ""}}, r"data.target must name .* its columns are \['"),
        ({"data": {"target": "prize"}}, "did you mean 'price'"),
    ],
)
def test_a_config_that_makes_no_sense_is_refused(csv, tmp_path, changes, message):
    config = user_config(csv)
    config.update(changes)
    with pytest.raises(RunError, match=message):
        engine.run(convergence.EXPERIMENT, config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_table_without_a_target_is_read_as_it_is_said_to_be(csv, tmp_path):
    file = tmp_path / "two.csv"
    file.write_text("a|b;c|d\n1|2;3|4\n2|1;5|3\n")  # by ; as by |
    config = user_config(csv)
    config.data.update(path=str(file), target="", separator=";")
    with pytest.raises(ValueError, match=r"its columns are \['a\|b', 'c\|d'\]"):
        convergence.check(config)


def test_data_without_a_solution_to_compare_with_is_refused(csv, tmp_path):
    rows = [line.split(",") for line in csv.read_text().splitlines()]
    flat = tmp_path / "flat.csv"
    flat.write_text(
        "\n".join(",".join([*row[:3], "price" if i == 0 else "0.1"]) for i, row in enumerate(rows))
    )
    with pytest.raises(ValueError, match="labels 'price' of flat are constant"):
        convergence.check(user_config(flat))
    twice = tmp_path / "twice.csv"
    twice.write_text(
        "\n".join(
            ",".join([row[0], "d" if i == 0 else row[0], row[3]]) for i, row in enumerate(rows)
        )
    )
    config = user_config(twice, lam=0.0, methods=("ridge_elsa",))
    with pytest.raises(ValueError, match="must be invertible"):
        convergence.check(config)


@pytest.mark.parametrize("config", [table_config, synthetic_config])
def test_the_configs_have_two_modes(config):
    assert config.get_config("quick").experiment == config.get_config("full").experiment
    with pytest.raises(ValueError, match="mode must be 'full' or 'quick', got 'fast'"):
        config.get_config("fast")
    convergence.check(config.get_config("quick"))


@pytest.mark.parametrize("lam", [1e-300, 1e300])
def test_a_regulariser_that_a_dtype_cannot_hold_is_refused(lam):
    config = table_config.get_config("quick")
    config.lam = lam
    with pytest.raises(ValueError, match=r"lam must lie in \[.*\] for float(32|64), got 1e"):
        convergence.check(config)
