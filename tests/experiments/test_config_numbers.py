"""A setting that is not finite is refused by its name, before anything is computed."""

import importlib
import math

import jax
import pytest
from ml_collections import ConfigDict

from experiments import run
from experiments.harness import command_line, engine
from experiments.harness.experiment import RunError

CONFIGS = sorted(path.stem for path in command_line.CONFIGS.glob("*.py") if path.stem != "base")


def numbers(config, prefix=""):
    """Dotted keys of a config's numbers, and of its rows of numbers, each with an infinite one."""
    for key, value in config.items():
        if isinstance(value, ConfigDict):
            yield from numbers(value, f"{prefix}{key}.")
        elif isinstance(value, float):
            yield f"{prefix}{key}", math.inf
        elif isinstance(value, tuple) and value and all(isinstance(v, float) for v in value):
            yield f"{prefix}{key}", (math.inf, *value[1:])


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_an_infinite_number_in_any_config_is_refused_by_its_name():
    tried = 0
    for name in CONFIGS:
        get_config = importlib.import_module(f"configs.{name}").get_config
        config = get_config("quick")
        experiment = importlib.import_module(run.DRIVERS[config.experiment]).EXPERIMENT
        for key, infinite in numbers(config):
            asked = get_config("quick")
            with asked.unlocked():
                asked.update_from_flattened_dict({key: infinite})
            # of a row its name in the singular, of a name its last word
            word = key.rpartition(".")[2].rpartition("_")[2].removesuffix("s")
            double = asked.get("dtype") != "float32"
            with jax.enable_x64(double), pytest.raises(RunError, match=word):
                engine.question(experiment, asked)
            tried += 1
    assert tried > 100
