"""What env.json says about the machine and the program."""

import json
import subprocess

import jax
import pytest

from experiments.harness import environment as module
from experiments.harness.environment import environment


def test_it_names_versions_commit_device_precision_seed_and_command():
    found = environment({"dtype": "float64", "seed": 3, "depth": 2}, "python -m experiments.run")
    assert json.loads(json.dumps(found)) == found
    assert found["versions"]["jax"] == jax.__version__
    assert set(found["versions"]) == {"python", "elsa", "jax", "jaxlib", "flax", "numpy"}
    assert found["device"]["count"] == jax.device_count() and found["device"]["platform"]
    assert found["dtype"] == "float64" and found["seed"] == 3 and found["x64"] is True
    assert found["command"] == "python -m experiments.run"
    assert "depth" not in found and "dtypes" not in found


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A package of another repository: <tmp_path>/experiments/harness/environment.py."""
    (tmp_path / "experiments" / "harness").mkdir(parents=True)
    monkeypatch.setattr(
        module, "__file__", str(tmp_path / "experiments" / "harness" / "environment.py")
    )
    return tmp_path


def git(folder, *arguments):
    name = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
    hooks = ["-c", "core.hooksPath=/dev/null"]
    subprocess.run(
        ["git", "-C", folder, *name, *hooks, *arguments], check=True, capture_output=True
    )


def test_the_commit_and_whether_it_is_all_of_the_program(checkout):
    git(checkout, "init")
    git(checkout, "commit", "--allow-empty", "-m", "first")
    found = environment({}, "")
    assert len(found["commit"]) == 40 and found["uncommitted_changes"] is False
    (checkout / "experiments" / "new.py").write_text("")
    assert environment({}, "")["uncommitted_changes"] is True


def test_a_package_installed_inside_a_strangers_repository_has_no_commit(checkout, monkeypatch):
    git(checkout, "init")
    git(checkout, "commit", "--allow-empty", "-m", "first")
    monkeypatch.setattr(
        module, "__file__", str(checkout / "venv" / "experiments" / "harness" / "e.py")
    )
    (checkout / "venv").mkdir()
    found = environment({}, "")
    assert found["commit"] is None and found["uncommitted_changes"] is None


def test_no_repository_and_no_git_are_no_error(checkout, monkeypatch):
    assert environment({}, "")["commit"] is None
    monkeypatch.setenv("PATH", "")
    assert environment({}, "")["commit"] is None


def test_a_package_that_is_not_installed_has_no_version(monkeypatch):
    monkeypatch.setattr(module, "_PACKAGES", ("no-such-package",))
    assert environment({}, "")["versions"]["no-such-package"] is None
