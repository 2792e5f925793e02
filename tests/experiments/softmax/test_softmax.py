"""The three experiments of softmax regression in quick mode, and what they refuse."""

import io
import json

import pytest
from rich.console import Console

from configs import softmax_lipschitz, softmax_regression, softmax_shift
from experiments.harness import engine
from experiments.harness.experiment import RunError
from experiments.softmax import lipschitz, problems, shift
from experiments.softmax import solvers as regression
from tests.helpers import table

CONFIGS = {regression: softmax_regression, lipschitz: softmax_lipschitz, shift: softmax_shift}


def run(driver, folder):
    screen = Console(file=io.StringIO(), width=120)
    config = CONFIGS[driver].get_config("quick")
    if driver is lipschitz:
        config.radii = (0.5, 3.0)  # the ends
    if driver is shift:
        config.problems = ("matrix 6x2",)
    summary = engine.run(driver.EXPERIMENT, config, folder, screen=screen)
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    return summary, [json.loads(line) for line in lines], screen.file.getvalue()


@pytest.fixture(scope="module")
def solved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("regression")
    return folder, *run(regression, folder)


@pytest.fixture(scope="module")
def bounded(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lipschitz")
    return folder, *run(lipschitz, folder)


@pytest.fixture(scope="module")
def shifted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shift")
    return folder, *run(shift, folder)


def test_newton_and_lbfgs_recover_the_planted_weights(solved):
    _, summary, records, _ = solved
    assert summary["newton_recovered_all"] and summary["gd_within_bound"]
    for record in records:
        assert record["losses"][0] > record["losses"][-1]
        if record["method"] != "gd":
            assert record["normalized_loss"] <= 1e-16 and record["parameter_error"] <= 1e-6
            assert record["stopped"] == "gradient"


def test_gradient_descent_goes_down_within_the_bound_of_its_step_and_is_slow(solved):
    (record, _) = (r for r in solved[2] if r["method"] == "gd")
    assert record["iterations"] == 500 and record["stopped"] == "limit"
    assert record["losses"] == sorted(record["losses"], reverse=True)
    assert record["steps"][0] == 0 and record["steps"][-1] == 500 and len(record["steps"]) <= 150
    assert min(record["norms"]) <= record["bound"][-1]


def test_no_sampled_ratio_exceeds_a_bound_and_the_paper_is_orders_above(bounded):
    _, summary, records, printed = bounded
    assert summary["violations"] == 0 and summary["ordered"]
    assert {record["pairs"] for record in records} == {10_000}
    assert "0 above the sharp bound" in printed
    for row in summary["rows"]:
        assert 0 < row["tightness"] <= 1
        if row["quantity"] in ("softmax", "normalized gradient"):
            assert row["orders"] > 15
    used = {(r["problem"], r["quantity"]): r["tightness"] for r in summary["rows"]}
    assert used["single 2x1", "softmax"] > 0.99 and used["single 2x1", "normalized gradient"] > 0.99


def test_shifts_give_the_same_loss_and_stay_within_their_bounds(shifted):
    _, summary, records, _ = shifted
    assert summary["within_bound"] and summary["largest_identity_error"] <= 1e-12
    assert {r["sequence"] for r in records} == {"training", "drift", "attention"}
    for record in records:
        assert all(slack >= 1 for slack in record["slack"].values())
        if record["sequence"] == "training":
            assert record["last_loss_share"] < 1e-2


def test_figures_name_their_axes_and_curves(solved, bounded, shifted):
    expected = {
        (solved[0], "loss"): ("iteration", "loss", "Newton-CG", "slope by theory at the end"),
        (solved[0], "gradient_norm"): ("gradient norm", "normalized", "bound on the smallest"),
        (bounded[0], "bounds"): ("Lipschitz constant", "bound from R alone", "sharp bound"),
        (bounded[0], "tightness"): ("ratio / sharp bound", "single 2×1"),
        (shifted[0], "labels_shift"): ("shift of the labels", "one step", "all so far", "bound"),
        (shifted[0], "data_shift"): ("shift of the data",),
        (shifted[0], "context_shift"): ("contexts by attention", "context"),
    }
    for (folder, name), texts in expected.items():
        svg = (folder / "figures" / f"{name}.svg").read_text()
        assert all(text in svg for text in texts)
        assert (folder / "figures" / f"{name}.png").stat().st_size > 0


@table(
    "driver, key, value, message",
    [
        (regression, "problems", ("double 3x4",), "problems must be named as 'single 200x16'"),
        (regression, "problems", ("single 3x0",), "problems must be named"),
        (regression, "kinds", ("soft",), "kinds must be one of"),
        (regression, "methods", ("adam",), "methods must be one of"),
        (regression, "dtype", "float32", "dtype must be one of"),
        (regression, "max_iterations.single", 0, "max_iterations.single must be at least 1"),
        (lipschitz, "problems", ("single 1x3",), "problems must have at least 2 rows"),
        (lipschitz, "radii", (), "radii must hold at least one radius"),
        (lipschitz, "radii", (0.0,), "radii must be finite and above 0"),
        (lipschitz, "pairs", 1, "pairs must be at least 2"),
        (shift, "step_share", 0.0, "step_share must be finite and above 0"),
        (shift, "steps", 0, "steps must be at least 1"),
        (shift, "contexts.length", 0, "length must be at least 1"),
        (shift, "contexts.drift", -1.0, "drift must be finite and above 0"),
    ],
)
def test_a_bad_config_is_refused_before_anything_is_computed(driver, key, value, message, tmp_path):
    config = CONFIGS[driver].get_config("quick")
    config.update_from_flattened_dict({key: value})
    with pytest.raises(RunError, match=message):
        engine.run(driver.EXPERIMENT, config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


@table("config_file", CONFIGS.values())
def test_an_unknown_mode_is_refused(config_file):
    with pytest.raises(ValueError, match="mode must be 'full' or 'quick', got 'fast'"):
        config_file.get_config("fast")


def test_planted_labels_are_explained_by_the_planted_weights():
    for name in ("single 6x2", "matrix 6x2"):
        problem, weights = problems.planted(name, [0])
        assert float(problem.loss(weights)) <= 1e-30
    assert problems.shown("matrix 6x2") == "matrix 6×2"
