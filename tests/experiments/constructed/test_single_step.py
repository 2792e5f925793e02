import io

import pytest
from rich.console import Console

from configs import single_step as config_file
from experiments.constructed.single_step import EXPERIMENT
from experiments.harness import engine
from experiments.harness.experiment import RunError
from tests.helpers import table


@pytest.fixture(scope="module")
def outcome(tmp_path_factory):
    folder, screen = tmp_path_factory.mktemp("run"), Console(file=io.StringIO(), width=120)
    config = config_file.get_config("quick")
    config.shapes = ("3x5",)  # each shape is compiled for each construction and dtype
    summary = engine.run(EXPERIMENT, config, folder, screen=screen)
    return summary, screen.file.getvalue(), folder


def test_one_step_is_the_gradient_to_1e_12_in_float64(outcome):
    assert 0 < outcome[0]["largest_error"]["float64"] <= 1e-12
    assert 0 < outcome[0]["largest_error_jax_grad"]["float64"] <= 1e-12


def test_every_error_is_within_its_rounding_bound(outcome):
    assert outcome[0]["within_bound"]
    assert outcome[0]["largest_error"]["float32"] <= 1e-3


def test_only_the_designed_prompt_does_not_admit_lambda_zero_and_says_why(outcome):
    summary, printed, _ = outcome
    assert summary["not_admitted"] == ["ridge_lsa, lambda = 0"]
    assert "not admitted" in printed and "the weights are read from the rows sqrt(lam)" in printed


def test_figure_is_there(outcome):
    assert (outcome[2] / "figures" / "errors.svg").stat().st_size > 0


@table(
    "key, value, message",
    [
        ("shapes", ("3x4x5",), "shapes must be N x d"),
        ("dtypes", ("bfloat16",), "dtypes must be one of"),
        ("lams", (0.0, -1.0), "lams must be at least 0"),
        ("lams", (float("nan"),), "lams must be finite"),
        ("batch", 0, "batch must be at least 1"),
    ],
)
def test_a_bad_config_is_refused_before_anything_is_computed(key, value, message, tmp_path):
    config = config_file.get_config("quick")
    config[key] = value
    with pytest.raises(RunError, match=message):
        engine.run(EXPERIMENT, config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_an_unknown_mode_is_refused():
    with pytest.raises(ValueError, match="mode must be 'full' or 'quick', got 'fast'"):
        config_file.get_config("fast")


def test_no_regulariser_at_all_is_refused():
    config = config_file.get_config("quick")
    config.lams = ()
    with pytest.raises(ValueError, match="lams must hold at least one"):
        EXPERIMENT.check(config)
