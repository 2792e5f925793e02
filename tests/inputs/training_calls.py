"""Training: what a run is asked for, and what it leaves."""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from elsa import training
from tests.inputs.calls import Call, Made, call
from tests.precision.data import DIM, ROWS

_TRAIN: dict[str, Any] = {
    "num_steps": 2,
    "batch": 2,
    "learning_rate": 0.01,
    "warmup": 1,
    "decay": "cosine",
    "average": 0.5,
    "max_gradient_norm": 1.0,
    "evaluate_every": 2,
    "patience": 1,
    "min_improvement": 0.001,
    "sampler": "auto",
    "share_data": False,
    "checkpoint_seconds": 30.0,
    "keep": 1,
    "optimise": False,
    "matmul_precision": "highest",
    "loss": "squared",
    "huber_delta": 3.0,
    "adam_b2": 0.9,
    "skip_nonfinite": 1,
    "tracker": "tensorboard",
}
_CONFIG: dict[str, Any] = {
    "task": {"name": "linear_regression", "dim": DIM, "context_length": ROWS},
    "model": {"name": "low_rank_attention", "rank": 1},
    "train": {"num_steps": 2, "batch": 2, "evaluate_every": 2, "optimise": False},
    "sweep": {"learning_rate": (0.01, 0.02)},
    "seed": 1,
    "num_seeds": 2,
    "dtype": "float64",
}


def _of_config(function: Any, **others: Any) -> Call:
    """A function of a config, as one of the config's entries."""

    def run(**entries: Any) -> Any:
        given = {name: entries.pop(name) for name in others}
        return function(entries, **given)

    return call(run, **_CONFIG, **others)


def calls() -> dict[str, Call]:
    folder = Path(tempfile.mkdtemp(prefix="elsa-inputs-")) / "run"
    trained = training.fit(_CONFIG, folder)
    named = {
        "TrainSettings": call(training.TrainSettings, **_TRAIN),
        "RunSettings": call(
            training.RunSettings,
            **{**_CONFIG, "train": Made(lambda: training.TrainSettings(**_TRAIN))},
        ),
        "RunSettings.from_config": _of_config(training.RunSettings.from_config),
        "validate": _of_config(training.validate),
        "across_seeds": call(training.across_seeds, values=np.array([[1.0, 2.0], [3.0, 4.0]])),
        "all_models": call(training.all_models, workdir=folder),
        "load": call(training.load, workdir=folder, point=1, seed=1),
        # before the rows that make folders where its `init` would lie
        "fit, from a start": call(
            training.fit,
            init=folder,
            init_noise=0.1,
            config=_CONFIG,
            workdir=Made(lambda: Path(tempfile.mkdtemp(dir=folder.parent))),
        ),
        "branch": call(
            training.branch,
            source=folder,
            config=_CONFIG,
            workdir=Made(lambda: Path(tempfile.mkdtemp(dir=folder.parent))),
            run=None,
            at="newest",
            overwrite=False,
            extend=False,
            name="run",
            given={},
        ),
        "fit": call(
            training.fit,
            config=_CONFIG,
            workdir=folder,
            targets=np.array([1.0, 1.0]),
            target_name="ridge",
            name="run",
            given={},
        ),
        "Trained.model": call(trained.model, seed=1, point=1, context_length=ROWS),
        "Trained.task": call(trained.task, point=1),
        "Trained.risk": call(trained.risk, num_prompts=4),
        "Trained.evaluate": call(trained.evaluate, num_prompts=4, task=None, draw=0, depth=None),
        "Trained.each": call(trained.each, read=Made(lambda: lambda model: model.preconditioner)),
    }
    return {f"training.{name}": one for name, one in named.items()}
