import io

import pytest
from rich.console import Console

from configs import algorithm_match as config_file
from elsa import training
from elsa.readback.matching_candidates import CANDIDATES
from experiments.constructed import algorithm_match, algorithm_match_report
from experiments.constructed.algorithm_match import EXPERIMENT
from experiments.harness import engine
from experiments.harness.experiment import FAILED, Place, RunError
from tests.helpers import table


def small():
    """The quick config without what has to be trained."""
    config = config_file.get_config("quick")
    config.depths = ()
    return config


@pytest.fixture(scope="module")
def outcome(tmp_path_factory):
    folder, screen = tmp_path_factory.mktemp("run"), Console(file=io.StringIO(), width=160)
    summary = engine.run(EXPERIMENT, small(), folder, screen=screen)
    return summary, screen.file.getvalue(), folder


def test_every_compiled_algorithm_is_named_at_a_distance_of_rounding(outcome):
    summary, _, _ = outcome
    assert summary["all_named"]
    assert [row["algorithm"] for row in summary["rows"]] == [*CANDIDATES]
    assert all(row["sensitivities"][row["algorithm"]] < 1e-8 for row in summary["rows"])
    (noise,) = summary["noise"]
    assert noise["stacks"] == 6 and noise["share"] == 1.0 and noise["distance"] < 0.1


def test_a_stack_that_is_near_none_has_no_frame():
    one = {"kind": "compiled", "algorithms": ["a", "b"], "case": "one"}
    one |= {name: [[0.5, 0.6]] for name in ("predictions", "sensitivities", "directions")}
    for named, frames in (("a", 1), ("none", 0)):
        figure = algorithm_match_report._matrices([{**one, "named": named}])
        assert [len(axes.patches) for axes in figure.axes[:3]] == [frames] * 3


def test_tables_and_figures_are_there(outcome):
    _, printed, folder = outcome
    assert "Newton-Schulz, compiled" in printed and "100 %" in printed
    for name in ("match", "noise"):
        assert (folder / "figures" / f"{name}.png").stat().st_size > 0


def test_the_line_of_95_percent_shows_where_there_is_one_size_of_noise(outcome):
    summary, _, _ = outcome
    (axes,) = algorithm_match_report._noise(summary).axes
    low, high = axes.lines[-1].get_xdata()
    assert low < summary["noise"][0]["noise"] < high


@pytest.mark.slow
def test_the_quick_config_trains_a_transformer_and_loads_it_again(tmp_path):
    config = small()
    config.depths, config.noises = (2,), (1e-2,)
    screen = Console(file=io.StringIO(), width=160)
    summary = engine.run(EXPERIMENT, config, tmp_path / "first", screen=screen)
    trained = summary["rows"][-1]
    assert trained["case"] == "2 layers, trained" and trained["named"] in (*CANDIDATES, "none")
    config.depths, config.folders = (), (str(tmp_path / "first"),)
    again = engine.run(EXPERIMENT, config, tmp_path / "again", screen=screen)
    assert again["rows"][-1]["sensitivities"] == trained["sensitivities"]


@table(
    "key, value, message",
    [
        ("steps", 0, "steps must be at least 1"),
        ("noises", (0.0,), "noises must be finite and above 0"),
        ("depths", (0,), "depths must be at least 1"),
        ("folders", ("nowhere",), "is no run folder"),
    ],
)
def test_a_bad_config_is_refused_before_anything_is_computed(key, value, message, tmp_path):
    config = small()
    config[key] = value
    with pytest.raises(RunError, match=message):
        engine.run(EXPERIMENT, config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_trained_stack_that_diverges_is_said_with_the_rate_and_the_way_out(monkeypatch, tmp_path):
    config = config_file.get_config("quick")

    def diverges(*_, **__):
        raise training.TrainingError("every model diverged")

    monkeypatch.setattr(training, "fit", diverges)
    case = {"kind": algorithm_match.TRAINED, "depth": 2}
    with pytest.raises(RunError, match=r"diverged; config\.train\.learning_rate sets it") as caught:
        algorithm_match.measure(config, case, Place(tmp_path, Console(quiet=True)))
    assert caught.value.exit_code == FAILED
