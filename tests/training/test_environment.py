"""The environment is part of a run: one that gives other bits is refused, or accepted by name."""

import copy
import json
import os
import subprocess
import sys
from pathlib import Path

import jax
import pytest

from elsa import training
from elsa.base import environment as module
from elsa.training.checkpoint import Checkpoints
from elsa.training.errors import TrainingError
from tests.helpers import wide
from tests.training import cases
from tests.training.cases import EVERY, STEPS, assert_equal_runs

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    """A run with checkpoints 6 and 12 and metrics up to 18, where it died; to be copied."""
    folder = tmp_path_factory.mktemp("runs") / "stopped"
    with pytest.MonkeyPatch.context() as patch:
        return cases.interrupted(folder, 3 * EVERY, patch)


def elsewhere(patch, **entries):
    """Lets the process take itself for another one; `versions__jax` is an entry of a group."""
    other = copy.deepcopy(module.environment())
    for key, value in entries.items():
        group, _, name = key.partition("__")
        if name:
            other[group][name] = value
        else:
            other[group] = value
    patch.setattr(module, "environment", lambda: copy.deepcopy(other))


def environments(folder):
    return json.loads((folder / "env.json").read_text())["environments"]


def test_a_run_and_its_checkpoints_say_where_they_were_computed(unbroken):
    (only,) = environments(unbroken.folder)
    assert only == {"from_step": 0, **module.environment()}
    with Checkpoints(unbroken.folder / "checkpoints", read_only=True) as checkpoints:
        found = checkpoints.restore(jax.eval_shape(unbroken.program.init))
    assert found.notes["environments"] == [only]
    assert found.notes["config"]["seed"] == cases.config()["seed"]


@pytest.mark.parametrize("began, now", wide([(True, False), (False, True)], keep=[(False, True)]))
def test_a_float32_run_is_refused_under_another_x64_switch(began, now, tmp_path, monkeypatch):
    config = cases.config(dtype="float32", sweep={}, num_seeds=1)
    with jax.enable_x64(began):
        cases.interrupted(tmp_path, 2 * EVERY, monkeypatch, **config)
    before = cases.contents(tmp_path)
    message = (
        rf"x64 was {str(began).lower()}, now {str(now).lower()}, .* set JAX_ENABLE_X64={began:d}; "
        r"to go on in this environment .* environment='accept' .*; or give another workdir"
    )
    with jax.enable_x64(now), pytest.raises(TrainingError, match=message):
        training.fit(config, tmp_path)
    assert cases.contents(tmp_path) == before


def test_another_version_is_refused_unless_it_is_accepted_and_then_written_down(
    stopped, unbroken, tmp_path, monkeypatch, console
):
    folder = cases.copy(stopped, tmp_path / "run")
    before = cases.contents(folder)
    jax_here = module.environment()["versions"]["jax"]
    with monkeypatch.context() as patch:
        elsewhere(patch, versions__jax="99.0")
        message = rf'versions.jax was "{jax_here}", now "99.0", .* install jax=={jax_here}'
        with pytest.raises(TrainingError, match=message):
            training.fit(cases.config(), folder)
        assert cases.contents(folder) == before
        cases.interrupt_at(STEPS, patch)
        with pytest.raises(KeyboardInterrupt):
            training.fit(cases.config(), folder, environment="accept", screen=console)
        assert 'computed elsewhere: versions.jax was "' in console.file.getvalue()
        patch.undo()
        elsewhere(patch, versions__jax="99.0")
        # from its next checkpoint on it is a run of that environment
        assert_equal_runs(training.fit(cases.config(), folder), unbroken)
    assert [each["from_step"] for each in environments(folder)] == [0, 12]
    assert [each["versions"]["jax"] for each in environments(folder)] == [jax_here, "99.0"]


def test_what_changes_no_bits_is_mentioned_and_a_finished_run_is_opened_anywhere(
    stopped, unbroken, tmp_path, monkeypatch, console
):
    folder = cases.copy(stopped, tmp_path / "run")
    elsewhere(monkeypatch, commit="0" * 40, host__cpu_count=999)
    assert_equal_runs(training.fit(cases.config(), folder, screen=console), unbroken)
    assert "the steps before were computed elsewhere: commit was" in console.file.getvalue()
    elsewhere(monkeypatch, device__kind="TPU v4")
    assert_equal_runs(training.fit(cases.config(), folder), unbroken)


def test_a_run_of_a_version_that_wrote_no_environment_goes_on(unbroken, tmp_path, monkeypatch):
    save = Checkpoints.save

    def as_before(self, step, state, notes):
        newer = ("metrics", "config", "environments")
        save(self, step, state, {key: value for key, value in notes.items() if key not in newer})

    with monkeypatch.context() as patch:
        patch.setattr(Checkpoints, "save", as_before)
        cases.interrupted(tmp_path, 3 * EVERY, patch)
    (tmp_path / "env.json").unlink()
    elsewhere(monkeypatch, versions__jax="99.0")
    assert_equal_runs(training.fit(cases.config(), tmp_path), unbroken)
    assert [each["from_step"] for each in environments(tmp_path)] == [12]


def test_settings_that_change_no_result_may_change_where_a_run_goes_on(stopped, unbroken, tmp_path):
    folder = cases.copy(stopped, tmp_path / "run")
    changed = cases.config(train={"keep": 1, "checkpoint_seconds": 1e9})
    resumed = training.fit(changed, folder)
    assert_equal_runs(resumed, unbroken)
    written = json.loads((folder / "config.json").read_text())["train"]
    assert (written["keep"], written["checkpoint_seconds"]) == (1, 1e9)
    with pytest.raises(TrainingError, match=r"train\.batch is 8 there, 9 is asked for"):
        training.fit(cases.config(train={"keep": 2, "batch": 9}), folder)


def test_an_environment_is_the_same_or_accepted(tmp_path):
    for call in (
        lambda: training.fit(cases.config(), tmp_path / "a", environment="any"),
        lambda: training.branch(tmp_path, cases.config(), tmp_path / "a", environment=None),
    ):
        with pytest.raises(ValueError, match=r"environment must be one of \['same', 'accept'\]"):
            call()


PROGRAM = """
import hashlib, json, sys
import jax, numpy as np
from elsa import training
from elsa.base.environment import environment
trained = training.fit(json.loads(sys.argv[1]), sys.argv[2])
leaves = [np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(trained.state)]
digest = hashlib.sha256(b"".join(leaves)).hexdigest()
print(json.dumps([digest, environment()]))
"""


def bits(folder, **variables):
    """The digest of a float32 run's state in a process with these variables, and where it ran."""
    model = {"name": "linear_attention"}
    task = {"name": "linear_regression", "dim": 8, "context_length": 40, "noise_var": 0.1}
    train = {"num_steps": 40, "batch": 64, "evaluate_every": 20, "sampler": "rows"}
    config = {"task": task, "model": model, "num_seeds": 2, "train": train}
    ours = ("JAX_", "XLA_", "OMP_")
    own = {k: v for k, v in os.environ.items() if not k.startswith(ours)}
    found = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(config), str(folder)],
        env={**own, "PYTHONPATH": str(ROOT), **variables},
        capture_output=True,
        check=True,
    )
    return json.loads(found.stdout.splitlines()[-1])


# what XLA's flags can imitate of another CPU, and jax's variables of another user
CHANGES = {
    "JAX_ENABLE_X64": "1",
    "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
    "JAX_DEFAULT_PRNG_IMPL": "rbg",
    "JAX_THREEFRY_PARTITIONABLE": "0",
    "JAX_RANDOM_SEED_OFFSET": "1",
    "XLA_FLAGS": "--xla_cpu_enable_fast_math=true",
}
KEEPS = {"OMP_NUM_THREADS": "1", "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false"}


@pytest.mark.slow
def test_what_changes_the_bits_of_a_run_is_what_is_refused(tmp_path):
    digest, here = bits(tmp_path / "here")
    for kind, variables in {"changes": CHANGES, "keeps": KEEPS}.items():
        for name, value in variables.items():
            other, there = bits(tmp_path / f"{kind} {name}", **{name: value})
            assert (other != digest) == (kind == "changes"), name
            assert (module.changes_results(here, there) is not None) == (kind == "changes"), name
