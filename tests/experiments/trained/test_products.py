"""The experiment on products of matrices: its theory, its records, and what it trains."""

import io
import json
from types import SimpleNamespace

import numpy as np
import pytest
from ml_collections import ConfigDict
from rich.console import Console

from configs import products as config_file
from configs import train as train_config
from elsa import tasks
from experiments.harness import engine
from experiments.trained import measure, products, report, train_task
from experiments.trained.predictions import Run

K = 4


def predicted(model, **task):
    run = Run(config=ConfigDict(), model={"name": model})
    found = products.predict(tasks.Products(K, **task), {}, run)
    return found["target"] / found["unit"]


def records_of(config, risk=lambda target: 1.01 * target):
    """As if training ended near theory."""
    made = []
    for case in measure.cases(config).values():
        ((point, prediction),) = measure.predictions(config, case, products.predict)
        absolute = K * np.full(config.num_seeds, risk(prediction["target"] / K))
        record = measure.record_of(case, point, prediction, absolute, 0.01 * absolute)
        (own,) = products.series(case, SimpleNamespace(), [record])
        made.append({**record, **own})
    return made


def test_theory_is_a_floor_without_biases_and_nothing_with_them():
    assert predicted("block_lsa") == 1.0
    assert predicted("block_lsa", factors=3) == 1.0 - 1.0 / K**2
    for told in (predicted("block_elsa", factors=3), predicted("block_lsa", row_channels=True)):
        assert told == 0.0


def test_risks_are_relative_and_a_target_of_zero_has_no_excess():
    config = config_file.get_config()
    records = records_of(config, lambda target: 1.01 * target or 1e-6)
    by_run = {record["run"]: record for record in records}
    lsa, elsa = by_run["ABC_lsa_2"], by_run["ABC_elsa_2"]
    assert lsa["risks"] == pytest.approx([1.01 * 15 / 16] * 3) and lsa["target"] == 15 / 16
    assert lsa["excess"] == pytest.approx(0.01)
    assert lsa["evaluation_error"] == pytest.approx(0.01 * lsa["risk"])
    assert (elsa["target"], elsa["excess"], elsa["best_excess"]) == (0.0, None, None)
    summary = report.summarise(config, records)
    assert summary["largest_excess"] == {"block_lsa": pytest.approx(0.01)}
    made = report.table(summary, title="products")
    assert "block_lsa: within 1.00 % of theory" in str(made.caption)
    exact = records_of(config, lambda target: target)  # a risk of 0
    report.table(report.summarise(config, exact), title="products")


def test_the_figure_has_a_marker_for_every_seed_and_the_three_lines_of_theory():
    config = config_file.get_config()
    figure = products.figures(config, records_of(config), {})["risk"]
    heights = []
    for axes in figure.axes:
        theory = [line for line in axes.lines if "theory" in str(line.get_label())]
        heights.append(sorted(line.get_ydata()[0] for line in theory))
        seeds = [line for line in axes.lines if "every seed" in str(line.get_label())]
        assert [len(line.get_xdata()) for line in seeds] == [2 * 3, 3, 3]
    assert heights == [[0.0, 1.0], [0.0, 1.0 - 1.0 / K**2]]


def test_what_is_compared_with_ridge_refuses_a_matrix_by_name():
    config = train_config.get_config("quick")
    config.task.name = "products"
    with pytest.raises(ValueError, match=r"task.name='products' asks for a matrix.*configs/produc"):
        train_task.settings(config)


def _run(mode, folder):
    screen = Console(file=io.StringIO(), width=140)
    engine.run(products.EXPERIMENT, config_file.get_config(mode), folder, screen=screen)
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    assert (folder / "figures" / "risk.png").stat().st_size > 0
    assert "relative risk" in screen.file.getvalue()
    return {record["run"]: record for record in map(json.loads, lines)}


@pytest.mark.slow
def test_a_quick_run_tells_the_two_apart_and_comes_back(tmp_path):
    found = _run("quick", tmp_path)
    assert min(found["AB_lsa_1"]["risks"]) > 0.95 and min(found["AB_elsa_1"]["risks"]) < 0.01
    assert _run("quick", tmp_path) == found  # from its records


@pytest.mark.slow
def test_trained_stacks_reach_the_floor_of_lsa_and_nothing(tmp_path):
    found = {run: record["risks"] for run, record in _run("full", tmp_path).items()}
    for run, risks in found.items():
        if "lsa" in run.split("_"):
            low, high = (0.98, 1.02) if run.startswith("AB_") else (0.92, 0.96)
            assert low <= min(risks) and max(risks) <= high, (run, risks)
        else:
            assert max(risks) < (1e-3 if run.startswith("AB_") else 1e-2), (run, risks)
