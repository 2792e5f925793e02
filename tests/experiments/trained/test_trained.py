"""Models that diverged are left out of the means, and said so."""

from types import SimpleNamespace

import numpy as np
import pytest
from matplotlib.figure import Figure
from ml_collections import ConfigDict
from rich.console import Console

from elsa import training
from experiments.harness.experiment import Place
from experiments.trained import depth, lost, measure, report, rows, weight_distances

CONFIG = ConfigDict(
    {
        "seed": 0,
        "dtype": "float32",
        "num_seeds": 3,
        "eval_prompts": 10,
        "train": {"num_steps": 100, "learning_rate": 0.5},
    }
)
CASE = {
    "run": "merged",
    "task": {"name": "linear_regression", "dim": 2, "context_length": 3},
    "model": {"name": "merged_attention"},
    "sweep": {"noise_var": (0.0, 1.0)},
}


POINT = {"noise_var": 1.0}


def records_of(diverged, monkeypatch, tmp_path):
    models = SimpleNamespace(
        risk=lambda *_, **__: (
            np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 9.0]]),
            np.full((3, 2), 0.1),
        ),
        risk_along_training=lambda: (np.zeros(0, int), np.zeros((0, 3, 2))),
        state=SimpleNamespace(diverged=np.array(diverged), stale=np.full((3, 2), -7)),
        program=SimpleNamespace(sweep=SimpleNamespace(names=[{"noise_var": 0.0}, POINT])),
        step=100,
        model=type("Merged", (), {"preconditioner": None}),
        each=lambda read: np.array([[np.eye(2)] * 2, [2 * np.eye(2)] * 2, [-np.eye(2)] * 2]),
    )
    monkeypatch.setattr(training, "fit", lambda *args, **kwargs: models)
    place = Place(tmp_path, Console(quiet=True))
    prediction = {"target": 1.0, "preconditioner": np.eye(2)}
    return measure.train(CONFIG, CASE, place, lambda task, point, run: prediction)[1]


def test_a_diverged_seed_is_no_part_of_the_mean(monkeypatch, tmp_path):
    which = [[False, False], [False, False], [False, True]]
    first, second = records_of(which, monkeypatch, tmp_path)
    assert (first["risk"], first["diverged"]) == (3.0, 0)
    assert (second["risk"], second["diverged"], second["risks"]) == (3.0, 1, [2.0, 4.0, None])
    summary = report.summarise(CONFIG, [first, second])
    table = report.table(summary, title="risks")
    assert "1 diverged models are left out" in str(table.caption)
    assert "of the prompts, which all seeds share: up to 3.3 %" in str(table.caption)
    excess, error = (next(c for c in table.columns if c.header == h) for h in ("excess", "± s.e."))
    assert next(iter(error.cells)) == f"{report.total_error(first):.2g}"
    assert next(iter(excess.cells)).endswith(
        f" ± {100 * report.total_error(first) / first['target']:.2g}"
    )


def test_the_weights_of_a_diverged_seed_are_left_out_of_the_distances(monkeypatch, tmp_path):
    which = [[False, False], [False, False], [False, True]]
    first, second = records_of(which, monkeypatch, tmp_path)
    assert first["preconditioner_distance"]["largest"] == pytest.approx(2.0)
    assert second["preconditioner_distance"] == pytest.approx(
        {"mean": 0.0, "largest": 0.0, "of_mean_weight": 0.0}
    )


def test_a_distance_is_one_of_directions_and_a_weight_of_zero_has_none():
    best = np.diag([3.0, 4.0])
    found = weight_distances.between(np.stack([10.0 * best, 0.1 * best, np.zeros((2, 2))]), best)
    assert found["mean"] == pytest.approx(1 / 3) and found["largest"] == pytest.approx(1.0)
    assert found["of_mean_weight"] == pytest.approx(0.0, abs=1e-15)


def test_error_bars_hold_the_spread_of_the_seeds_and_the_error_of_the_prompts():
    record = {"point": {"n": 1}, "risk": 2.0, "target": 2.0}
    record |= {"standard_error": 0.3, "evaluation_error": 0.4}
    axes = Figure().subplots()
    report.draw(axes, [record], "n", name=0)
    (bars,) = axes.containers
    _, _, (lines,) = bars
    np.testing.assert_allclose(lines.get_segments()[0][:, 1], [1.5, 2.5])


def test_the_best_seed_has_its_own_error_and_not_that_of_a_seed_that_went_wrong():
    record = {"risks": [9.0, 2.0, None], "evaluation_errors": [5.0, 0.1, None]}
    record |= {"evaluation_error": 2.55}
    assert report.best_measured(record) == (2.0, 0.1)
    before = {"risks": [9.0, 2.0, None], "evaluation_error": 2.55}  # as older versions wrote it
    assert report.best_measured(before) == (2.0, 2.55)


@pytest.mark.parametrize(
    "axis, values, places",
    [
        ("context_length", (2, 4, 9), range(2, 10)),
        ("noise_var", (0.5, 0.0), np.linspace(0.0, 0.5, 51)),
    ],
)
def test_lines_of_theory_are_drawn_between_the_points_too(axis, values, places):
    others = {"task_mean": ((0.0, 0.0), (1.0, 1.0))}
    run = {**CASE, "sweep": {axis: values, **others}}
    config = ConfigDict({**CONFIG.to_dict(), "runs": {"one": run}})

    def predict(task, point, run):
        assert point[axis] == getattr(task, axis)
        return {"target": float(task.task_mean.sum()) + point[axis]}

    found = measure.predictions_along(config, "one", predict, axis, task_mean=(1.0, 1.0))
    np.testing.assert_allclose([place for place, _ in found], list(places), rtol=1e-12)
    record = {"point": {axis: values[0]}, "risk": 1.0, "target": 1.0}
    record |= {"standard_error": None, "evaluation_error": 0.0}
    axes = Figure().subplots()
    report.draw(axes, [record], axis, name=0, predicted=found)
    line = next(line for line in axes.lines if line.get_label() == "theory")
    np.testing.assert_allclose(line.get_ydata(), 2.0 + np.array(places), rtol=1e-12)


def test_a_single_depth_has_lines_of_theory_that_show():
    lines = {"one step a layer": 0.7, "best polynomial": 0.6, "Bayes": 0.5}
    record = {"run": "two", "model": "linear_transformer", "point": {"depth": 2}}
    record |= {"risks": [0.61, None], "evaluation_error": 0.01, "target": 0.6, "lines": lines}
    config = ConfigDict({"runs": {"two": {"sweep": {}}}})
    (axes,) = depth.SPEC.risk(config, [record], {})["risk"].axes
    theory = [line for line in axes.lines if line.get_label().startswith("theory")]
    assert [tuple(line.get_ydata()) for line in theory] == [(0.6, 0.6), (0.7, 0.7), (0.5, 0.5)]
    assert all(np.ptp(line.get_xdata()) > 0 for line in theory)


def test_a_point_without_any_model_left_has_a_record_that_says_what_may_help(monkeypatch, tmp_path):
    sound = records_of([[False, False]] * 3, monkeypatch, tmp_path)
    first, second = records_of([[False, True]] * 3, monkeypatch, tmp_path)
    assert first == sound[0] and "lost" not in first
    seeds = [{"seed": seed, "step": 7} for seed in range(3)]
    assert second["lost"] == {"seeds": seeds, "key": "config.train.learning_rate", "rate": 0.5}
    assert (second["risk"], second["diverged"]) == (None, 3) and second["target"] == 1.0
    columns = rows.of(second)
    assert columns.each["status"] == ["diverged"] * 3 and columns.same["point"] == POINT
    assert columns.each["diverged_at"] == [7] * 3 and columns.each["seed"] == [0, 1, 2]
    summary = report.summarise(CONFIG, [first, second])
    cells = report.table(summary, title="risks").columns[2]._cells
    assert cells == ["3", "diverged, step 7"]
    axes = Figure().subplots()
    report.draw(axes, [first, second], "noise_var", name=0)
    assert axes.containers[0][0].get_xdata().tolist() == [0.0]  # theory alone at the other


@pytest.mark.parametrize(
    "own, point, expected",
    [
        ({}, {}, ("config.train.learning_rate", 0.5)),
        ({"train": {"learning_rate": 0.2}}, {}, ("config.runs.merged.train.learning_rate", 0.2)),
        (
            {"train": {"learning_rate": 0.2}},
            {"learning_rate": 3.0},
            ("config.runs.merged.sweep.learning_rate", 3.0),
        ),
    ],
)
def test_the_rate_that_is_named_is_the_one_that_the_point_had(own, point, expected):
    assert lost._rate(CONFIG, {**CASE, **own}, point) == expected
    swept = ConfigDict({**CONFIG.to_dict(), "axes": {"learning_rate": (3.0,)}})
    if point:
        assert lost._rate(swept, CASE, point) == ("sweep.train.learning_rate", 3.0)


def test_another_dimension_names_the_numbers_that_go_with_it():
    task = {"name": "linear_regression", "dim": 3, "context_length": 3, "cov_task": (2.0, 1.0)}
    run = {"task": task, "model": {"name": "merged_attention"}, "sweep": {}}
    config = ConfigDict({**CONFIG.to_dict(), "runs": {"one": run}})
    with pytest.raises(
        ValueError, match=r"got \(2, 2\).* give --config\.runs\.one\.task\.cov_task,"
    ):
        measure.check(config)
    config.runs.one.task.cov_task = (2.0, 1.0, 0.5)
    measure.check(config)
    config.runs.one.sweep = ConfigDict({"task_mean": ((1.0, 1.0),)})
    with pytest.raises(ValueError, match=r"give --config\.runs\.one\.sweep\.task_mean,"):
        measure.check(config)


def test_means_of_few_prompts_and_targets_of_rounding_say_so(monkeypatch, tmp_path):
    first, second = records_of(np.zeros((3, 2), bool), monkeypatch, tmp_path)
    plain = report.table(report.summarise(CONFIG, [first, second]), title="risks", target="ridge")
    assert "best 99.9 %" not in [column.header for column in plain.columns]
    first |= {"of_seeds": {"trimmed_mean": [0.5, 0.7, None]}, "excess": 14.0}
    rounded = measure.record_of(
        CASE, {}, {"target": 1e-13}, np.array([0.3]), np.array([0.1]), rounding=1e-10
    )
    assert rounded["excess"] is None and rounded["best_excess"] is None
    summary = report.summarise(CONFIG, [first, second, rounded])
    table = report.table(summary, title="risks", target="ridge")
    cells = {column.header: list(column.cells) for column in table.columns}
    assert cells["best 99.9 %"] == ["0.6", "-", "-"]
    assert [cells["excess"][index] for index in (0, 2)] == ["15 times", "-"]
    assert "merged_attention: within a factor 15 of ridge" in str(table.caption)
    assert "no excess over a ridge that is rounding" in str(table.caption)
