import io

import numpy as np
import pytest
from rich.console import Console

from configs import layout_ablation as config_file
from experiments.constructed.ablation_problems import problems
from experiments.constructed.layout_ablation import EXPERIMENT
from experiments.harness import engine
from experiments.harness.experiment import RunError
from tests.helpers import table

POSED = {"rows of X permuted", "columns of X permuted", "X × 0.9", "y × 2", "λ × 2"}
ALL = config_file.get_config().constructions


SOME = ("ridge_lsa", "ridge_elsa_one_layer")  # one without biases and one with them
WHICH = {"indirect": True, "scope": "module"}
slow_all = pytest.param(ALL, id="all", marks=pytest.mark.slow)
runs = pytest.mark.parametrize("outcome", [pytest.param(SOME, id="some"), slow_all], **WHICH)
run_of_all = pytest.mark.parametrize("outcome", [slow_all], **WHICH)


@pytest.fixture(scope="module")
def outcome(request, tmp_path_factory):
    config = config_file.get_config("quick")
    config.constructions = request.param
    config.accuracy = 1e-12  # of a stack as it was made: nothing here is held below 1e-10
    config.noises = (1e-6, 1e-3)  # for which there is theory
    folder, screen = tmp_path_factory.mktemp("run"), Console(file=io.StringIO(), width=120)
    summary = engine.run(EXPERIMENT, config, folder, screen=screen)
    return summary, screen.file.getvalue(), folder


def with_biases(summary):
    return [name for name in summary["verdicts"] if "elsa" in name]


def having(summary, name, *verdicts):
    return {label for label, found in summary["verdicts"][name].items() if found in verdicts}


@runs
def test_unperturbed_stacks_converge(outcome):
    assert outcome[0]["unperturbed"] <= 1e-10


@runs
def test_bias_free_weights_survive_what_moves_whole_rows(outcome):
    assert having(outcome[0], "ridge_lsa", "survives") == {
        "none",
        "X, y to other rows",
        "λ, w to other rows",
        "all to other rows",
        "context rows permuted",
    }


@run_of_all
def test_bias_free_weights_that_hold_w_forget_the_start_and_solve_every_problem_posed(outcome):
    assert having(outcome[0], "ridge_lsa_state", "survives") == {
        "none",
        "X, y to other rows",
        "w to other rows",
        "λ, √η, w to other rows",
        "all to other rows",
        "context rows permuted",
        "noise on w",
    }
    assert having(outcome[0], "ridge_lsa_state", "solves") == POSED


@runs
def test_weights_with_biases_forget_the_start_and_see_declared_blocks_only(outcome):
    for name in with_biases(outcome[0]):
        assert having(outcome[0], name, "survives") == {
            "none",
            "w to other rows",
            "context rows permuted",
            "noise on w",
            "noise on the rest",
        }


@runs
def test_weights_with_biases_solve_every_problem_posed_in_place(outcome):
    for name in with_biases(outcome[0]):
        assert having(outcome[0], name, "solves") == POSED
    assert having(outcome[0], "ridge_lsa", "solves") == {"y × 2"}  # the fit and w are stale else


@runs
def test_weights_with_biases_are_rebuilt_for_every_layout_and_problem(outcome):
    for name in with_biases(outcome[0]):
        records = outcome[0]["perturbations"][name]
        rebuilt = [r["rebuilt"] for r in records if not r["perturbation"].startswith("no")]
        assert len(rebuilt) == 20 and max(rebuilt) <= 1e-8


@runs
def test_bias_free_weights_refuse_exactly_the_layouts_that_break_a_column_or_a_row(outcome):
    records = outcome[0]["perturbations"]["ridge_lsa"]
    refused = {r["perturbation"]: r["refusal"] for r in records if r["refusal"]}
    assert set(refused) == {
        "X to other rows",
        "X to other channels",
        "λ to other rows",
        "w to other rows",
        "X and y exchanged",
        "X stored transposed",
    }
    assert "layers without biases cannot undo" in refused["X stored transposed"]
    assert "must share their channels" in refused["X to other channels"]


@run_of_all
def test_bias_free_weights_that_hold_w_refuse_exactly_the_layouts_that_break_a_row(outcome):
    records = outcome[0]["perturbations"]["ridge_lsa_state"]
    refused = {r["perturbation"]: r["refusal"] for r in records if r["refusal"]}
    assert set(refused) == {
        "X to other rows",
        "λ to other rows",
        "w to other rows",
        "λ, w to other rows",
        "X stored transposed",
    }
    assert "must share their rows" in refused["λ, w to other rows"]


@runs
def test_another_layout_costs_weights_with_biases_one_layer(outcome):
    for name in with_biases(outcome[0]):
        (natural,) = {record["layers"] for record in outcome[0]["noise"][name]}
        rebuilt = {r["perturbation"]: r["layers"] for r in outcome[0]["perturbations"][name]}
        for label in ("X to other rows", "X and y exchanged", "X stored transposed"):
            assert rebuilt[label] == natural + 1


@runs
def test_small_noise_shifts_the_answer_by_its_first_order_closed_form(outcome):
    checked = 0
    for records in outcome[0]["noise"].values():
        for record in records:
            if record["theory"] and record["size"] <= 1e-3 and record["theory"] > 1e-22:
                off = abs(record["mean_square"] - record["theory"])
                assert off <= 4.0 * record["standard_error"], record
                checked += 1
    assert checked >= 8 * len(outcome[0]["noise"])


@runs
def test_tables_and_figures_are_there(outcome):
    _, printed, folder = outcome
    assert "first-order theory" in printed
    for name in ("perturbations", "noise"):
        assert (folder / "figures" / f"{name}.png").stat().st_size > 0


def test_real_data_poses_problems_of_the_same_kind():
    config = config_file.get_config("quick")
    config.task.name = "diabetes"
    given = problems(config)
    assert given.depth(config.step_share, config.accuracy) > 100
    assert given.X.shape == (32, 12, 4) and given.lam == 0.2
    gradient = np.swapaxes(given.X, 1, 2) @ (given.X @ given.solution - given.y)
    np.testing.assert_allclose(gradient, -given.lam * given.solution, atol=1e-12)


@table(
    "key, value, message",
    [
        ("task.name", "iris", "task.name must be one of"),
        ("task.dim", 1, "dim must be at least 2"),
        ("task.condition_number", 0.5, "condition_number must be at least 1"),
        ("dtype", "float32", "dtype must be one of"),
        ("constructions", ("ridge",), "constructions must be one of"),
        ("constructions", (), "constructions must name at least one"),
        ("spare", 0, "spare must be at least 1"),
        ("noise", 0.0, "noise must be finite and above 0"),
        ("step_share", 1.5, "step_share must lie in"),
        ("accuracy", 0.1, "accuracy must lie in"),
    ],
)
def test_a_bad_config_is_refused_before_anything_is_computed(key, value, message, tmp_path):
    config = config_file.get_config("quick")
    config.update_from_flattened_dict({key: value})
    with pytest.raises(RunError, match=message):
        engine.run(EXPERIMENT, config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_an_unknown_mode_is_refused():
    with pytest.raises(ValueError, match="mode must be 'full' or 'quick', got 'fast'"):
        config_file.get_config("fast")
