"""A diverged point costs only itself: its record and row say so, all others have what they had."""

import importlib
import json
import warnings

import numpy as np
import pytest

from elsa.training import diverged
from experiments import run as entry_of
from experiments.harness import command_line, engine, table
from experiments.harness.diverged import NothingLeftError
from experiments.trained import runs

NAMES = [
    *("alignment", "attention_vs_h3", "block_vs_attention", "depth", "drift", "elsa_vs_lsa"),
    *(
        "from_construction",
        "length",
        "literature",
        "lora",
        "low_rank",
        "mlp_ablation",
        "prior_mean_gap",
    ),
    *("products", "retrieval", "train", "trained_format"),
]


def quick(name):
    """As few steps and prompts as may be."""
    config = command_line.load(f"configs/{name}.py:quick").unlock()
    config.train.num_steps = config.train.evaluate_every = 20
    config.train.warmup = 0
    for run in config.get("runs", {}).values():
        for key in ("num_steps", "evaluate_every"):
            if key in run.get("train", {}):
                run.train[key] = 20
    config.eval_prompts = 64
    for key, value in {"bayes_samples": 16, "watch_prompts": 8}.items():
        if key in config:
            config[key] = value
    config.train.optimise = False
    return config.lock()


@pytest.fixture
def losing(monkeypatch):
    """A function: lets the models of these runs and points diverge in their third step."""

    def lose(chosen):
        before = runs.trained

        def trained(settings, name, place, **words):
            found = before(settings, name, place, **words)
            lost, stale = (np.array(part) for part in (found.state.diverged, found.state.stale))
            for point in range(lost.shape[1]):
                if chosen(name, point):
                    lost[:, point], stale[:, point] = True, -3
            found = found._replace(state=found.state._replace(diverged=lost, stale=stale))
            if lost.all():
                raise diverged.DivergedError("every model diverged", found)
            return found

        monkeypatch.setattr(runs, "trained", trained)

    return lose


def ran(name, config, folder, screen):
    experiment = importlib.import_module(entry_of.DRIVERS[name]).EXPERIMENT
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)  # no mean of nothing
        try:
            engine.run(experiment, config, folder, screen=screen)
        finally:
            lines = (folder / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines], experiment


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_every_experiment_records_and_draws_what_has_not_diverged(name, losing, screen, tmp_path):
    config = quick(name)
    first = next(iter(config.get("runs", {})), None)
    skipped = name == "lora"  # all other runs start from the weights of the first
    losing(lambda run, point: point == 0 and (first is None or (run == first) is not skipped))
    if name in ("depth", "length", "train"):  # one point is trained: nothing is left
        with pytest.raises(NothingLeftError, match=r"diverged: (1 of 1|3 of 3) points"):
            ran(name, config, tmp_path, screen)
        return
    records, experiment = ran(name, config, tmp_path, screen)
    lost = [record for record in records if "lost" in record]
    assert 0 < len(lost) < len(records)
    for record in records:
        assert (record["risk"] is None) is (record in lost)
        rows = experiment.rows(record) if experiment.rows else table.by_seed(record)
        status = "diverged" if record in lost else "done"
        assert set(rows.each["status"]) == {status}
    for record in lost:
        assert all(seed["step"] == 3 for seed in record["lost"]["seeds"])
        assert f"{record['case']}" in screen.file.getvalue()
    assert list((tmp_path / "figures").iterdir())
    printed = screen.file.getvalue()
    assert "a lower --config.train.learning_rate may help, it was" in printed.splitlines()[-1]


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in NAMES if name != "lora"])
def test_an_experiment_of_which_nothing_is_left_still_records_it(name, losing, screen, tmp_path):
    losing(lambda run, point: True)
    for _ in range(2):  # and trains nothing again
        with pytest.raises(NothingLeftError, match="seed 0 in step 3"):
            ran(name, quick(name), tmp_path, screen)
        losing(lambda run, point: pytest.fail("it trained again"))
