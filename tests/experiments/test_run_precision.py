"""What a config's dtypes do to the process that runs it."""

import jax
import pytest

from experiments import run
from experiments.harness.experiment import RunError


@pytest.mark.parametrize(
    "settings, x64",
    [
        ({"dtype": "float64"}, True),
        ({"dtype": "float32"}, False),
        ({"dtypes": ("float32", "float64")}, True),
        ({"dtypes": ("float32",)}, False),
        ({}, None),
    ],
)
def test_the_config_decides_on_x64(monkeypatch, settings, x64):
    switched = []
    monkeypatch.setattr(jax.config, "update", lambda name, value: switched.append((name, value)))
    run.use_precision(run.ConfigDict(settings))
    assert switched == ([] if x64 is None else [("jax_enable_x64", x64)])


def test_a_dtype_that_does_not_exist_is_refused():
    with pytest.raises(RunError, match=r"dtype must be one of float64, .* got 'float46'"):
        run.use_precision(run.ConfigDict({"dtypes": ("float46",)}))
