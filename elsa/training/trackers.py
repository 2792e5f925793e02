"""Where a run's numbers are shown: one small interface, and what `train.tracker` names.

A tracker may fail, by a disk or a network; training goes on, as `tracking.Tracking` sees to it.
"""

import contextlib
import importlib.util
import os
import re
import time
import uuid
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol, runtime_checkable

from elsa.base import files, strict_json
from elsa.training.writers import EventFiles, last_event

EVENTS = "tensorboard"  # the folder of TensorBoard's files
IDENTITY = "tracker.json"  # by which a resumed run finds its tracker's run again
PROJECT = "elsa"  # of Weights & Biases, and MLflow's experiment, where the user names no other


class TrackedRun(NamedTuple):
    """What a tracker is told of a run when it is opened.

    folder: of the run.
    name: of the run.
    config: every setting of the run, nested.
    step: steps trained so far.
    """

    folder: Path
    name: str
    config: dict[str, Any]
    step: int


@runtime_checkable
class Tracker(Protocol):
    """One process's part of a run, as a tracker shows it.

    Any error of a method ends the tracker, with a warning, and not the run.
    """

    def last(self) -> int:
        """The last step whose numbers the run holds already; -1 for none.

        Those after it that were evaluated before this process come first, from metrics.jsonl.
        """

    def add(self, step: int, numbers: Mapping[str, float]) -> None:
        """Finite numbers by name, of one evaluation; steps rise."""

    def flush(self) -> None:
        """Brings what was added to where it stays; before each checkpoint."""

    def close(self) -> None:
        """Ends this process's part."""


OpenTracker = Callable[[TrackedRun], Tracker]


class TensorBoard:
    """TensorBoard's event files, in the run's folder."""

    def __init__(self, run: TrackedRun) -> None:
        folder = run.folder / EVENTS
        self._last = last_event(folder, run.step)
        self._files = EventFiles(folder, max(self._last, 0))

    def last(self) -> int:
        """What came after the checkpoint is dropped by TensorBoard, and comes again."""
        return self._last

    def add(self, step: int, numbers: Mapping[str, float]) -> None:
        """Events of one evaluation."""
        self._files.add(step, dict(numbers))

    def flush(self) -> None:
        """Brings all events to the disk."""
        self._files.flush()

    def close(self) -> None:
        """Brings all events to the disk, and lets go of the file."""
        self._files.close()


class WeightsAndBiases:
    """A run of Weights & Biases, of one id for all processes of the run.

    What the server holds is not sent again. Offline a process knows nothing of what earlier ones
    wrote, and a kill takes what is not on the disk yet: each writes the whole history anew, and
    moves the files of those before it, unless they are synchronised, to `wandb/replaced/`.
    WANDB_MODE, WANDB_PROJECT and the like are the user's.
    """

    def __init__(self, run: TrackedRun) -> None:
        import wandb

        own = _identity(run.folder, "wandb", lambda: {"id": uuid.uuid4().hex[:12]})["id"]
        before = sorted((run.folder / "wandb").glob(f"offline-run-*-{own}"))
        self._run = wandb.init(
            dir=run.folder,
            id=own,
            resume="allow",
            name=run.name,
            project=os.environ.get("WANDB_PROJECT", PROJECT),
            config=run.config,
            reinit="create_new",  # a run that the caller has open stays open
            settings=wandb.Settings(silent=True, console="off"),
        )
        if self._run.offline:
            self._replace(run.folder / "wandb" / "replaced", before)

    def last(self) -> int:
        """wandb counts on from the last step that its server holds; offline from 0."""
        return int(self._run.step) - 1

    def add(self, step: int, numbers: Mapping[str, float]) -> None:
        """One row of the history."""
        self._run.log(dict(numbers), step=step)

    def flush(self) -> None:
        """wandb writes and sends by a process of its own, all the time."""

    def close(self) -> None:
        """Ends the process that writes; the run can go on later."""
        self._run.finish()

    @staticmethod
    def _replace(place: Path, before: list[Path]) -> None:
        for folder in before:
            if not list(folder.glob("*.synced")):
                files.make_folder(place)
                files.rename_free(folder, str(place / folder.name))


class MLflow:
    """A run of MLflow, in the store that MLFLOW_TRACKING_URI names, or MLflow's own choice.

    The store is asked what it holds, so that no step is repeated or lost.
    """

    def __init__(self, run: TrackedRun) -> None:
        with _quietly():
            from mlflow.exceptions import MlflowException
            from mlflow.tracking import MlflowClient

            self._client = MlflowClient()
            uri = self._client.tracking_uri

            def begin() -> dict[str, str]:
                name = os.environ.get("MLFLOW_EXPERIMENT_NAME", PROJECT)
                experiment = self._client.get_experiment_by_name(name)
                place = experiment.experiment_id if experiment else None
                place = place or self._client.create_experiment(name)
                made = self._client.create_run(place, run_name=run.name)
                return {"uri": uri, "id": made.info.run_id}

            known = _identity(run.folder, "mlflow", begin)
            if known["uri"] != uri or not self._holds(known["id"], MlflowException):
                known = _identity(run.folder, "mlflow", begin, anew=True)
            self._id = known["id"]
            self._client.update_run(self._id, status="RUNNING")
            self._describe(run.config)

    def last(self) -> int:
        """Every evaluation is one transaction of the store."""
        with _quietly():
            names = self._client.get_run(self._id).data.metrics
            history = [m for n in names for m in self._client.get_metric_history(self._id, n)]
        return max((metric.step for metric in history), default=-1)

    def add(self, step: int, numbers: Mapping[str, float]) -> None:
        """Metrics of one evaluation."""
        from mlflow.entities import Metric

        now = int(1000 * time.time())
        plain = {re.sub(r"[^\w./ :-]", "_", name): value for name, value in numbers.items()}
        with _quietly():
            metrics = [Metric(name, value, now, step) for name, value in plain.items()]
            self._client.log_batch(self._id, metrics=metrics)

    def flush(self) -> None:
        """Nothing waits."""

    def close(self) -> None:
        """The run is marked as finished; going on marks it as running."""
        with _quietly():
            self._client.set_terminated(self._id)

    def _holds(self, run: str, missing: type[Exception]) -> bool:
        try:
            self._client.get_run(run)
        except missing as error:
            if getattr(error, "error_code", "") != "RESOURCE_DOES_NOT_EXIST":
                raise
            return False
        return True

    def _describe(self, config: Mapping[str, Any]) -> None:
        """The settings as parameters, which MLflow lets nobody change: once."""
        from mlflow.entities import Param

        there = self._client.get_run(self._id).data.params
        wanted = {name: value for name, value in _flat(config) if name not in there}
        params = [Param(name, str(value)[:500]) for name, value in wanted.items()]
        for start in range(0, len(params), 100):  # no more at once
            self._client.log_batch(self._id, params=params[start : start + 100])


OPENS: Mapping[str, OpenTracker | None] = MappingProxyType(
    {"tensorboard": TensorBoard, "wandb": WeightsAndBiases, "mlflow": MLflow, "none": None}
)


def require(where: str, name: str) -> None:
    """Refuses a tracker whose package is missing.

    Raises:
      ValueError: with the line that installs it.
    """
    if name in ("wandb", "mlflow") and importlib.util.find_spec(name) is None:
        raise ValueError(
            f"{where}: train.tracker={name!r} needs the package {name}, which is not installed: "
            f"pip install {name}; or choose train.tracker='tensorboard' or 'none'"
        )


def _identity(
    folder: Path, kind: str, begin: Callable[[], dict[str, str]], *, anew: bool = False
) -> dict[str, str]:
    """What tells a tracker's run from others, kept in the folder; begun where there is none."""
    path = folder / IDENTITY
    known: dict[str, Any] = strict_json.loads_object(path.read_bytes()) if path.exists() else {}
    if kind not in known or anew:
        known[kind] = begin()
        text = strict_json.dumps(known, where=IDENTITY, indent=2)
        files.replace(path, f"{text}\n".encode())
    found: dict[str, str] = known[kind]
    return found


def _flat(config: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """Settings of nested mappings, by names with dots."""
    for name, value in config.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{before}{name}.")
        else:
            yield f"{before}{name}", value


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """MLflow's libraries warn of one another."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
