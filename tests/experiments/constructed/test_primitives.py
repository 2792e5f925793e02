import io

import pytest
from rich.console import Console

from configs import primitives as config_file
from experiments.constructed.primitives import EXPERIMENT
from experiments.harness import engine
from experiments.harness.experiment import RunError
from tests.helpers import table


@pytest.fixture(scope="module")
def outcome(tmp_path_factory):
    folder, screen = tmp_path_factory.mktemp("run"), Console(file=io.StringIO(), width=120)
    summary = engine.run(EXPERIMENT, config_file.get_config("quick"), folder, screen=screen)
    return summary, screen.file.getvalue(), folder


def test_every_head_stays_within_its_rounding_bound_in_every_dtype(outcome):
    summary, _, _ = outcome
    assert summary["within_bound"]
    assert summary["largest_elsewhere"] == 0.0
    assert len(summary["errors"]) == 10 * 3


def test_mask_and_move_and_the_input_itself_are_exact_in_every_dtype(outcome):
    exact = [row for row in outcome[0]["errors"] if row["primitive"] in ("MskMov(A)", "H")]
    assert {row["error"] for row in exact} == {0.0}
    assert {row["dtype"] for row in exact} == {"float64", "float32", "bfloat16"}


def test_float64_errors_are_of_the_size_of_the_unit_roundoff(outcome):
    errors = [row["error"] for row in outcome[0]["errors"] if row["dtype"] == "float64"]
    assert max(errors) <= 1e-14


def test_table_and_figure_are_there(outcome):
    _, printed, folder = outcome
    assert "s A B^T C" in printed and "all within the bound" in printed
    assert (folder / "figures" / "errors.png").stat().st_size > 0


@table(
    "key, value, message",
    [
        ("shapes", ("3x4",), "shapes must be n x d x k"),
        ("shapes", ("3x0x4",), "three numbers of at least 1"),
        ("dtypes", ("float16",), "dtypes must be one of"),
        ("draws", 0, "draws must be at least 1"),
        ("scales", (0.0,), "scales must be finite and above 0"),
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
