"""Small runs that tests share: equal settings give equal programs, which are compiled once."""

import json
import shutil
from pathlib import Path

import jax
import numpy as np

from elsa import training
from elsa.training.program import Program
from elsa.training.settings import RunSettings
from elsa.training.sweep import make_sweep

METRICS = "metrics.jsonl"
STEPS, EVERY = 24, 6  # four evaluations


def config(**changes):
    """A sweep of two points and two seeds; `train` adds to the training settings."""
    train = {
        "num_steps": STEPS,
        "batch": 8,
        "learning_rate": 0.05,
        "average": 0.25,
        "evaluate_every": EVERY,
        "checkpoint_seconds": 0.0,
    }
    made = {
        "task": {"name": "linear_regression", "dim": 2, "context_length": 4, "noise_var": 0.1},
        "model": {"name": "merged_attention"},
        "sweep": {"noise_var": (0.1, 0.5)},
        "num_seeds": 2,
        "seed": 3,
        "dtype": "float64",
        "train": train,
    }
    return {**made, **changes, "train": {**train, **changes.get("train", {})}}


def quiet(**changes):
    """The same without checkpoints along the way."""
    return config(**{**changes, "train": {"checkpoint_seconds": 1e9, **changes.get("train", {})}})


def weights(trained):
    """All weights that were found, named by their path."""
    leaves = jax.tree_util.tree_leaves_with_path(trained.program.weights(trained.state))
    return {jax.tree_util.keystr(path): np.asarray(leaf) for path, leaf in leaves}


def weight(trained):
    """W of merged attention, [seeds, points, d, d]."""
    (array,) = weights(trained).values()
    return array


def assert_same_bits(first, second):
    """Parameters, optimiser and plateau state of two runs."""
    one, other = jax.tree.leaves(first.state), jax.tree.leaves(second.state)
    assert len(one) == len(other)
    for a, b in zip(one, other, strict=True):
        assert np.asarray(a).tobytes() == np.asarray(b).tobytes()


def lines(folder):
    """The records of metrics.jsonl."""
    return [json.loads(line) for line in (Path(folder) / "metrics.jsonl").read_text().splitlines()]


def copy(folder, place):
    """A copy of a run that a test may harm."""
    return Path(shutil.copytree(folder, place))


def contents(folder):
    """Every file below a folder with its bytes."""
    files = sorted(path for path in Path(folder).rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def interrupt_at(step, monkeypatch, error=KeyboardInterrupt):
    """Lets training die once the metrics of this step are written, before its checkpoint is."""
    from elsa.training.writers import MetricsFile

    append = MetricsFile.append

    def dies(self, record):
        append(self, record)
        if record["step"] == step:
            raise error

    monkeypatch.setattr(MetricsFile, "append", dies)


def interrupted(folder, step, monkeypatch, **changes):
    """A run that has checkpoints up to the evaluation before `step`, and the metrics of `step`."""
    with monkeypatch.context() as patch:
        interrupt_at(step, patch)
        try:
            training.fit(config(**changes), folder)
        except KeyboardInterrupt:
            return folder
    raise AssertionError("the run was not interrupted")


def assert_equal_runs(trained, unbroken):
    assert trained.step == unbroken.step
    assert_same_bits(trained, unbroken)
    assert (trained.folder / METRICS).read_bytes() == (unbroken.folder / METRICS).read_bytes()


def program_of(**changes):
    settings = RunSettings.from_config(config(**changes))
    return Program(settings, make_sweep(settings))
