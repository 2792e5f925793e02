"""A trained experiment from a few words: its predictions, its records, its figure."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
from ml_collections import ConfigDict

from elsa import models, tasks, theory
from elsa.report import style
from experiments.trained import measure, predictions
from experiments.trained.spec import TrainedSpec
from tests.helpers import table

SPEC = TrainedSpec(title="risks", x="context_length", x_label="n")
TASK = {"name": "drift", "dim": 2, "context_length": 4, "correlation": 0.9, "noise_var": 0.1}
NAMES = ("linear_attention", "h3")


def config_of(sweep, task=TASK, names=NAMES):
    runs = {name: {"task": task, "model": {"name": name}, "sweep": sweep} for name in names}
    base = {"seed": 0, "dtype": "float32", "num_seeds": 2, "train": {"num_steps": 100}}
    return ConfigDict({**base, "runs": runs})


def records_of(config, predict=predictions.of, factor=1.01):
    """As if training ended a little above theory."""
    made = []
    for case in measure.cases(config).values():
        for point, found in measure.predictions(config, case, predict):
            risks = [factor * found["target"], None, 1.1 * found["target"]]
            record = {"run": case["run"], "model": case["model"]["name"], "point": point}
            record |= {"risk": risks[0], "risks": risks, "target": found["target"]}
            record |= {"standard_error": None, "evaluation_error": 0.1}
            made.append({**record, "lines": dict(found.get("lines", {}))})
    return made


def theory_lines(axes):
    return [line for line in axes.lines if str(line.get_label()).startswith("theory")]


def run_of(name):
    return predictions.Run(config=ConfigDict(), model={"name": name})


def test_a_model_that_weighs_rows_is_compared_with_the_weighted_step():
    task = tasks.build(TASK)
    sizes = {"dim": 2, "noise_var": 0.1}
    weighted = theory.drift_optimum(task.task_corr, **sizes).risk
    unweighted = theory.unweighted_drift_optimum(task.task_corr, **sizes).risk
    for name, expected in (("h3", weighted), ("linear_attention", unweighted)):
        found = predictions.of(task, {}, run_of(name))
        assert found["target"] == expected
        assert list(found["lines"].values()) == [weighted, unweighted]


def test_a_rank_in_the_point_is_the_rank_of_the_optimum():
    task = tasks.LinearRegression(3, 5, noise_var=0.1)
    found = predictions.of(task, {"rank": 1}, run_of("low_rank_attention"))
    assert np.linalg.matrix_rank(found["preconditioner"]) == 1
    assert found["target"] > predictions.of(task, {}, run_of("linear_attention"))["target"]


def test_a_task_without_a_closed_form_says_where_to_add_one():
    task = tasks.PrescribedSpectrum(2, 3, 4.0)
    with pytest.raises(TypeError, match=r"no closed form for PrescribedSpectrum.*predictions.py"):
        predictions.of(task, {}, run_of("h3"))


def test_a_model_that_does_not_say_whether_it_weighs_rows_is_told_to(monkeypatch):
    monkeypatch.setitem(models.MODELS, "mute", type("Mute", (), {}))
    with pytest.raises(TypeError, match=r"Mute must say .* add weighs_rows = True or False"):
        predictions.of(tasks.build(TASK), {}, run_of("mute"))


@pytest.mark.parametrize("name", models.MODELS)
def test_every_model_says_whether_it_weighs_rows_and_has_a_look_of_its_own(name):
    assert isinstance(models.MODELS[name].weighs_rows, bool)
    assert style.colour(name) in style.PALETTE and style.marker(name)


def test_every_record_gets_the_fields_that_the_spec_adds(monkeypatch, tmp_path):
    monkeypatch.setattr(measure, "train", lambda *_, **__: ("models", [{"a": 1}, {"a": 2}]))
    assert SPEC.measure(ConfigDict(), {"run": "r"}, tmp_path) == [{"a": 1}, {"a": 2}]
    spec = TrainedSpec(
        title="", x="b", x_label="", more=lambda case, trained, records: [{"b": trained}] * 2
    )
    found = spec.measure(ConfigDict(), {"run": "r"}, tmp_path)
    assert found == [{"a": 1, "b": "models"}, {"a": 2, "b": "models"}]


def test_models_with_targets_of_their_own_have_lines_of_their_own():
    config = config_of({"correlation": (0.5, 0.9)})
    spec = TrainedSpec(title="", x="correlation", x_label="rho")
    (axes,) = spec.risk(config, records_of(config), {})["risk"].axes
    lines = theory_lines(axes)
    assert {line.get_label() for line in lines} == {
        "theory: weighted step",
        "theory: unweighted step",
    }
    assert len({line.get_linestyle() for line in lines}) == 2
    assert len(lines[0].get_xdata()) > 2  # between the points too


@pytest.mark.parametrize("factor, has_zero", [(1.01, False), (3.0, True)])
def test_an_axis_begins_at_0_where_that_leaves_no_empty_half(factor, has_zero):
    config = config_of({"correlation": (0.9, 0.95)})
    spec = TrainedSpec(title="", x="correlation", x_label="rho")
    (axes,) = spec.risk(config, records_of(config, factor=factor), {})["risk"].axes
    assert (axes.get_ylim()[0] == 0.0) == has_zero


@table("name", ["x", "hue", "panel"])
def test_a_name_that_no_record_has_is_refused_with_those_there_are(name):
    config = config_of({"correlation": (0.5, 0.9)})
    names = {"x": "correlation", name: "corelation"}
    spec = TrainedSpec(title="", x_label="", **names)
    with pytest.raises(ValueError, match=r"no record and no point has 'corelation'; .*correlation"):
        spec.risk(config, records_of(config), {})


def test_colours_have_theory_in_their_own_and_the_legend_says_what_strokes_and_bars_are():
    config = config_of({"correlation": (0.5, 0.9), "context_length": (4, 8)}, names=("h3",))
    spec = dataclasses.replace(SPEC, hue="correlation", lines=tuple(predictions.of(
        tasks.build(TASK), {}, run_of("h3"))["lines"]), log=True)  # fmt: skip
    figure = spec.risk(config, records_of(config), {})["risk"]
    dotted = [line.get_color() for line in figure.axes[0].lines if line.get_linestyle() == ":"]
    assert dotted[:2] == [style.colour(0), style.colour(1)]
    (legend,) = figure.legends
    texts = [text.get_text() for text in legend.get_texts()]
    assert len(texts) == len(set(texts)) and "± s.e., seeds and prompts" in texts
    assert "theory: weighted step" in texts and {"ρ = 0.5", "ρ = 0.9"} < set(texts)


def test_models_with_one_target_share_its_line():
    task = {"name": "linear_regression", "dim": 2, "context_length": 4}
    config = config_of({"context_length": (2, 4)}, task)
    (axes,) = SPEC.risk(config, records_of(config), {})["risk"].axes
    assert [line.get_label() for line in theory_lines(axes)] == ["theory: optimum"]
    np.testing.assert_array_equal(theory_lines(axes)[0].get_xdata(), [2, 3, 4])


def test_every_panel_holds_its_own_points_and_says_which():
    task = {"name": "linear_regression", "dim": 2, "context_length": 4}
    config = config_of({"noise_var": (0.0, 1.0), "context_length": (2, 4)}, task)
    spec = TrainedSpec(title="", x="context_length", x_label="n", panel="noise_var")
    records = records_of(config)
    panels = spec.risk(config, records, {})["risk"].axes
    assert [axes.get_title("left") for axes in panels] == ["s2 = 0", "s2 = 1"]
    for axes, noise_var in zip(panels, (0.0, 1.0), strict=True):
        (line,) = theory_lines(axes)
        expected = [r["target"] for r in records if r["point"]["noise_var"] == noise_var]
        np.testing.assert_allclose(line.get_ydata()[[0, -1]], expected[:2], rtol=1e-12)


def test_points_that_differ_in_more_than_colour_and_panel_tell_have_theory_at_the_points():
    task = {"name": "linear_regression", "dim": 2, "context_length": 4}
    config = config_of({"noise_var": (0.0, 1.0), "context_length": (2, 4)}, task, NAMES[:1])
    (axes,) = SPEC.risk(config, records_of(config), {})["risk"].axes
    assert list(theory_lines(axes)[0].get_xdata()) == [2, 2, 4, 4]


def test_the_best_seed_takes_the_place_of_the_mean_where_asked():
    config = config_of({"correlation": (0.5, 0.9)}, names=NAMES[:1])
    spec = TrainedSpec(title="", x="correlation", x_label="rho", best=True, log=True)
    records = records_of(config)
    (axes,) = spec.risk(config, records, {})["risk"].axes
    seeds = next(line for line in axes.lines if line.get_label() == "every seed")
    assert np.isfinite(seeds.get_ydata()).sum() == 4
    best = [min(r for r in record["risks"] if r) for record in records]
    bars, _ = axes.containers
    np.testing.assert_allclose(bars[0].get_ydata(), best)
    assert bars.get_label() == "linear attention, best seed" and axes.get_yscale() == "log"


def test_the_arrays_that_a_run_was_given_reach_its_prediction(monkeypatch, tmp_path):
    seen = {}

    def train(config, case, place, predict, *, given):
        seen.update(given)
        return SimpleNamespace(), []

    monkeypatch.setattr(measure, "train", train)
    spec = TrainedSpec(title="", x="rank", x_label="r", given=lambda *_: {"base_weight": 3})
    assert spec.measure(ConfigDict(), {"run": "r"}, tmp_path) == [] and seen == {"base_weight": 3}

    def predict(task, point, run):
        assert run.given == seen
        return {"target": 1.0}

    config = config_of({}, names=NAMES[:1])
    (case,) = measure.cases(config).values()
    assert measure.predictions(config, case, predict, seen) == [({}, {"target": 1.0})]


def test_every_colour_has_its_own_line_of_theory():
    task = {"name": "linear_regression", "dim": 2, "context_length": 4}
    sweep = {"noise_var": (0.1, 1.0), "context_length": (2, 4)}
    spec = TrainedSpec(title="", x="context_length", x_label="n", hue="noise_var")
    records = records_of(config_of(sweep, task, NAMES[:1]))
    (axes,) = spec.risk(config_of(sweep, task, NAMES[:1]), records, {})["risk"].axes
    dotted = [line for line in axes.lines if line.get_linestyle() == ":" and len(line.get_xdata())]
    assert len(records) == 4 and len(dotted) == 2
