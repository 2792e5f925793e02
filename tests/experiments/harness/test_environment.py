"""What env.json says about the machine and the program."""

import json
import os

import jax

from experiments.harness.environment import environment


def test_it_names_versions_commit_device_precision_seed_and_command():
    found = environment({"dtype": "float64", "seed": 3, "depth": 2}, "python -m experiments.run")
    assert json.loads(json.dumps(found)) == found
    assert found["versions"]["jax"] == jax.__version__
    packages = {"python", "elsa", "jax", "jaxlib", "flax", "optax", "numpy"}
    assert set(found["versions"]) == packages
    assert found["device"]["count"] == jax.device_count() and found["device"]["platform"]
    assert found["dtype"] == "float64" and found["seed"] == 3 and found["x64"] is True
    assert (found["command"], found["folder"]) == ("python -m experiments.run", os.getcwd())
    assert "depth" not in found and "dtypes" not in found
