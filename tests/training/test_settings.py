import dataclasses
import json

import pytest
from ml_collections import ConfigDict

from elsa.training import RunSettings, TrainSettings
from tests.helpers import table
from tests.training import cases


@table(
    "field, value, error, message",
    [
        ("num_steps", -1, ValueError, "num_steps must be at least 0, got -1"),
        ("num_steps", 2.5, TypeError, "num_steps must be an integer, got 2.5"),
        ("num_steps", 25, ValueError, "num_steps must be a multiple of evaluate_every=6, got 25"),
        ("batch", 0, ValueError, "batch must be at least 1"),
        ("learning_rate", 0.0, ValueError, "learning_rate must be finite and above 0"),
        ("learning_rate", float("nan"), ValueError, "learning_rate must be finite and above 0"),
        ("learning_rate", "fast", TypeError, "learning_rate must hold real numbers"),
        ("average", -0.1, ValueError, "average must be at least 0.0, got -0.1"),
        ("average", 1.5, ValueError, "average must be at most 1.0, got 1.5"),
        ("average", "half", TypeError, "average must hold real numbers"),
        ("max_gradient_norm", [1.0], ValueError, "max_gradient_norm must be a single number"),
        ("warmup", -1, ValueError, "warmup must be at least 0"),
        ("warmup", 25, ValueError, "warmup must be at most num_steps=24, got 25"),
        ("decay", "linear", ValueError, "decay must be one of .*cosine.*constant.*, got 'linear'"),
        ("max_gradient_norm", -1.0, ValueError, "max_gradient_norm must be at least 0"),
        ("evaluate_every", 0, ValueError, "evaluate_every must be at least 1"),
        ("patience", -1, ValueError, "patience must be at least 0"),
        ("min_improvement", float("nan"), ValueError, "min_improvement must be finite"),
        ("checkpoint_seconds", float("inf"), ValueError, "checkpoint_seconds must be finite"),
        ("optimise", 1, TypeError, "optimise must be True or False, got 1"),
        ("sampler", "columns", ValueError, "sampler must be one of .*'gram'.*, got 'columns'"),
        ("share_data", "False", TypeError, "share_data must be True or False, got 'False'"),
        ("checkpoint_seconds", -1.0, ValueError, "checkpoint_seconds must be at least 0"),
        ("keep", 0, ValueError, "keep must be at least 1"),
        ("loss", "hubert", ValueError, "loss must be one of .*'huber'.*, got 'hubert'"),
        ("tracker", "comet", ValueError, "tracker must be one of .*'mlflow'.*, got 'comet'"),
        ("huber_delta", 0.0, ValueError, "huber_delta must be finite and above 0"),
        ("adam_b2", 1.0, ValueError, "adam_b2 must be below 1, got 1.0"),
        ("adam_b2", -0.1, ValueError, "adam_b2 must be at least 0"),
        ("skip_nonfinite", -1, ValueError, "skip_nonfinite must be at least 0"),
        ("skip_nonfinite", True, TypeError, "skip_nonfinite must be an integer, got True"),
    ],
)
def test_a_bad_training_setting_is_refused_by_its_name(field, value, error, message):
    with pytest.raises(error, match=f"^train: {message}"):
        RunSettings.from_config(cases.config(train={field: value}))


@table(
    "changes, error, message",
    [
        ({"seed": 2**32}, ValueError, r"training: seed must be below 2\*\*32, got 4294967296"),
        ({"seed": -1}, ValueError, "training: seed must be at least 0"),
        ({"num_seeds": 0}, ValueError, "training: num_seeds must be at least 1"),
        ({"dtype": "float16"}, ValueError, "training: dtype must be one of"),
        ({"sweep": {"noise_var": ()}}, ValueError, "noise_var must be a tuple of at least one"),
        ({"sweep": {"noise_var": 0.5}}, ValueError, "noise_var must be a tuple of at least one"),
        ({"sweep": (1, 2)}, TypeError, "training: sweep must map names to values"),
        ({"task": "linear_regression"}, TypeError, "training: task must map names to values"),
        ({"sede": 1}, KeyError, "training: unknown key 'sede'.*did you mean 'seed'"),
        ({"train": {"num_step": 1}}, KeyError, "train: unknown key 'num_step'.*'num_steps'"),
    ],
)
def test_a_bad_run_setting_is_refused_by_its_name(changes, error, message):
    with pytest.raises(error, match=message):
        RunSettings.from_config(cases.config(**changes))


def test_a_run_of_no_steps_may_name_a_warmup_and_any_spacing_of_evaluations():
    settings = RunSettings.from_config(cases.config(train={"num_steps": 0, "warmup": 5}))
    assert settings.train.num_steps == 0


@table("key", ["task", "model", "train"])
def test_a_missing_part_is_named(key):
    config = cases.config()
    del config[key]
    with pytest.raises(KeyError, match=f"the config must have '{key}'"):
        RunSettings.from_config(config)


def test_num_steps_has_no_default():
    with pytest.raises(KeyError, match="train: missing 'num_steps'"):
        RunSettings.from_config({"task": {}, "model": {}, "train": {}})


def test_settings_come_back_from_json_with_every_default_written_out():
    settings = RunSettings.from_config(cases.config())
    plain = settings.to_dict()
    assert set(plain["train"]) == {field.name for field in dataclasses.fields(TrainSettings)}
    assert plain["train"]["keep"] == 3 and plain["train"]["sampler"] == "auto"
    assert RunSettings.from_config(plain) == settings
    assert RunSettings.from_config(json.loads(json.dumps(plain))) == settings
    assert RunSettings.from_config(ConfigDict(plain)) == settings


def test_the_points_of_a_sweep_are_the_product_of_its_axes_the_last_the_fastest():
    settings = RunSettings.from_config(cases.config(sweep={"a": (1, 2), "b": (3, 4)}))
    assert settings.points == [
        {"a": 1, "b": 3},
        {"a": 1, "b": 4},
        {"a": 2, "b": 3},
        {"a": 2, "b": 4},
    ]
    assert RunSettings.from_config(cases.config(sweep={})).points == [{}]
