"""The experiments that train: each in its quick mode, measurement beside theory."""

import importlib
import io
import json
import signal

import jax
import numpy as np
import pytest
from jax.experimental.compilation_cache import compilation_cache
from rich.console import Console

from elsa import training
from elsa.training.writers import MetricsFile
from experiments import run
from experiments.harness import engine
from experiments.harness.experiment import INTERRUPTED, RunError
from tests.helpers import table, wide

# name -> how far the best seed may stay above theory after the quick mode's few hundred steps,
# beside 4 standard errors of the evaluation: what Adam at its step size has not removed by then
NAMES = {
    "alignment": 0.02,
    "attention_vs_h3": 0.02,
    "depth": 0.02,
    "drift": 0.02,
    "length": 0.02,
    "literature": 0.02,
    "lora": 0.02,
    "low_rank": 0.02,
    "retrieval": 0.02,
}
KEPT = ("low_rank",)  # the points of a sweep; the others share its machinery
FIGURES = {
    "drift": ("risk_by_correlation", "filters"),
    "literature": ("depth", "context_length"),
}


@pytest.fixture(scope="module", autouse=True)
def single_precision_compiled_fast(tmp_path_factory):
    """As `experiments.run` sets it for these configs; equal programs are compiled once."""
    wanted = {
        "jax_enable_x64": False,
        "jax_disable_most_optimizations": True,
        "jax_compilation_cache_dir": str(tmp_path_factory.mktemp("compiled")),
    }
    before = {name: jax.config.values[name] for name in wanted}
    for name, value in wanted.items():
        jax.config.update(name, value)
    compilation_cache.reset_cache()
    yield
    for name, value in before.items():
        jax.config.update(name, value)
    compilation_cache.reset_cache()


def config_of(name, mode="quick"):
    return importlib.import_module(f"configs.{name}").get_config(mode)


def experiment_of(name):
    return importlib.import_module(run.DRIVERS[config_of(name).experiment]).EXPERIMENT


def console():
    return Console(file=io.StringIO(), width=140)


@pytest.fixture(scope="module", params=wide(NAMES, keep=KEPT))
def outcome(request, tmp_path_factory):
    """Name, summary, what was printed, and the folder of a quick run."""
    folder, screen = tmp_path_factory.mktemp(request.param), console()
    summary = engine.run(
        experiment_of(request.param), config_of(request.param), folder, screen=screen
    )
    return request.param, summary, screen.file.getvalue(), folder


def lines(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def test_a_quick_run_reaches_theory_and_comes_back_from_its_records(outcome):
    name, summary, printed, folder = outcome
    records = lines(folder)
    config = config_of(name)
    assert {record["run"] for record in records} == set(config.runs)
    for record in records:
        error = record["evaluation_error"]
        assert len(record["risks"]) == config.num_seeds
        assert record["risk"] == pytest.approx(np.mean(record["risks"]), rel=1e-6)
        assert 0 < error < 0.05 * record["target"]
        # nothing is below theory (a stack of several layers: below Bayes), the best seed reaches it
        lowest = record["lines"].get("Bayes", record["target"])
        assert min(record["risks"]) >= lowest - 4 * error, record
        allowed = 4 * error / record["target"] + NAMES[name]
        assert record["best_excess"] <= allowed, record
    assert len(summary["rows"]) == len(records)
    assert "theory" in printed
    for figure in FIGURES.get(name, ("risk",)):
        assert (folder / "figures" / f"{figure}.png").stat().st_size > 0
    again = console()
    assert engine.run(experiment_of(name), config, folder, screen=again) == summary
    assert "holds this run, finished: nothing is computed" in again.file.getvalue()
    config_read, task, model = training.load(folder)
    assert config_read.train.num_steps == config.train.num_steps
    assert model(task.sample(jax.random.key(0), 2)).shape == (2,)


def test_what_an_experiment_says_beyond_its_target(outcome):
    name, summary, _, folder = outcome
    records = lines(folder)
    if name == "drift":
        for record in records:
            weighted, unweighted = record["lines"].values()
            assert record["target"] == weighted < unweighted
            learnt, optimal = (np.array(record["filter"][key]) for key in ("learnt", "optimal"))
            cosine = learnt @ optimal / np.linalg.norm(learnt) / np.linalg.norm(optimal)
            assert cosine > 0.95  # weights far back are near 0 and learnt the slowest
    elif name in ("retrieval", "alignment"):
        assert all("approximation for large d" in record["lines"] for record in records)
    elif name == "depth":
        (record,) = records
        descent, polynomial, bayes = record["lines"].values()
        assert bayes <= polynomial * 1.01 and polynomial < descent  # Bayes is sampled
        assert min(record["risks"]) < descent + 4 * record["evaluation_error"]
    elif name == "length":
        for record in records:
            rescaled, optimum = record["lines"].values()
            known = optimum - 1e-12  # that of a length is the best at it, to rounding
            assert min(record["own_weights"]) >= known and rescaled >= known
            at_training = record["point"]["context_length"] == 5
            assert (rescaled == pytest.approx(optimum)) is at_training
            lows, highs = (record["of_seeds"][end] for end in ("low", "high"))
            for low, risk, high in zip(lows, record["risks"], highs, strict=True):
                assert low < risk < high
    elif name == "lora":
        by_rank = {r["point"]["rank"]: r for r in records if "rank" in r["point"]}
        full = by_rank[max(by_rank)]
        assert by_rank[0]["target"] > by_rank[1]["target"] > full["target"]
        assert by_rank[0]["preconditioner_distance"]["largest"] == pytest.approx(0.0, abs=1e-6)
    elif name == "literature":
        assert not [one for one in summary["claims"] if one["verdict"] == "fails"]
        assert len(summary["claims"]) == 3 + 3  # a length each, and what holds of two layers
    elif name == "low_rank":
        targets = [record["target"] for record in records]
        assert targets == sorted(targets, reverse=True)
    else:
        assert {record["model"] for record in records} == {"linear_attention", "h3"}


def test_ctrl_c_in_the_middle_keeps_a_checkpoint_and_the_same_command_goes_on(
    tmp_path, monkeypatch
):
    config = config_of("low_rank")
    config.train.num_steps, config.eval_prompts = 100, 100
    whole = engine.run(experiment_of("low_rank"), config, tmp_path / "whole", screen=console())
    append = MetricsFile.append

    def presses_ctrl_c(self, record):
        append(self, record)
        if record["step"] == 50:
            signal.raise_signal(signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(MetricsFile, "append", presses_ctrl_c)
        message = r"interrupted\. training stopped at step 50 of 100; .* 0 of 1 cases are kept"
        with pytest.raises(RunError, match=message) as stopped:
            engine.run(experiment_of("low_rank"), config, tmp_path / "run", screen=console())
    assert stopped.value.exit_code == INTERRUPTED
    (run_folder,) = (tmp_path / "run" / "training").iterdir()
    assert (run_folder / "checkpoints" / "50").is_dir()
    screen = console()
    assert engine.run(experiment_of("low_rank"), config, tmp_path / "run", screen=screen) == whole
    assert "going on from step 50" in screen.file.getvalue()


@table(
    "key, value, message",
    [
        ("train.evaluate_every", 7, "num_steps must be a multiple of evaluate_every=7"),
        ("eval_prompts", 0, "eval_prompts must be at least 1"),
        ("num_seeds", 0, "num_seeds must be at least 1"),
    ],
)
@table("name", NAMES)
def test_a_bad_config_is_refused_before_anything_is_computed(name, key, value, message, tmp_path):
    config = config_of(name)
    config.update_from_flattened_dict({key: value})
    with pytest.raises(RunError, match=message):
        engine.run(experiment_of(name), config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


@table("name", NAMES)
def test_an_unknown_mode_is_refused(name):
    with pytest.raises(ValueError, match=f"{name}: mode must be 'full' or 'quick', got 'fast'"):
        config_of(name, "fast")


@pytest.mark.parametrize(
    "key, value, error, message",
    [
        ("lengths", (4, 0), ValueError, "lengths must be at least 1, got 0"),
        ("runs.merged_attention.model.name", "merged_h3", ValueError, "model must be one of"),
        ("runs.merged_attention.sweep", {"noise_var": (0.1, 0.2)}, ValueError, "without a sweep"),
        (
            "runs.merged_attention.task",
            {"name": "retrieval", "dim": 2, "context_length": 5, "alignment": 0.1},
            ValueError,
            "every run must train one linear_regression, without a sweep, got 'retrieval'",
        ),
    ],
)
def test_lengths_are_for_one_weight_trained_on_one_linear_regression(key, value, error, message):
    config = config_of("length")
    with config.unlocked():
        *path, last = key.split(".")
        place = config
        for part in path:
            place = place[part]
        del place[last]
        place[last] = value
    with pytest.raises(error, match=message):
        experiment_of("length").check(config)
