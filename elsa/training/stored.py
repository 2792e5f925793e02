"""What one checkpoint holds, with a SHA-256 of each part: orbax passes over a flipped bit."""

import hashlib
import importlib.metadata
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
import orbax.checkpoint as ocp

from elsa.training import forks
from elsa.training.damage import (
    CorruptCheckpointError,
    UnreadableCheckpointError,
    broken_files_are_corrupt,
)
from elsa.training.errors import TrainingError

# what writes the files; another version may not read what this one wrote, which is no damage
_WRITERS = {name: importlib.metadata.version(name) for name in ("orbax-checkpoint", "tensorstore")}


class Restored(NamedTuple):
    """The contents of a checkpoint.

    step: steps trained so far.
    state: the tree of arrays, of the structure asked for.
    notes: the plain values saved beside it.
    """

    step: int
    state: Any
    notes: dict[str, Any]


class ForeignCheckpointError(TrainingError):
    """A whole checkpoint of another program."""


def parts(step: int, state: Any, notes: Mapping[str, Any]) -> ocp.args.Composite:
    """What orbax saves: the arrays by name, and a text with their checksums and the notes.

    Raises:
      TrainingError: in a fork of a process that has read or written checkpoints.
    """
    forks.use()
    arrays = named(jax.device_get(state))
    text = json.dumps(
        {
            "step": step,
            "written_by": _WRITERS,
            "kinds": {name: _kind(array) for name, array in arrays.items()},
            "checksums": {name: digest(array) for name, array in arrays.items()},
            "notes": dict(notes),
        }
    )
    return ocp.args.Composite(
        state=ocp.args.StandardSave(arrays),
        notes=ocp.args.JsonSave({"text": text, "checksum": digest(text)}),
    )


def read(place: Path, like: Any) -> Restored:
    """One checkpoint, its arrays compared with their checksums.

    Args:
      place: the checkpoint's folder, named after its step.
      like: a tree with the structure, shapes and dtypes of the state; or a function to it from the
        names of the arrays that were saved.

    Raises:
      ForeignCheckpointError: where it holds other arrays than `like`.
      CorruptCheckpointError: where it is not what was saved.
      UnreadableCheckpointError: where it cannot be read, whole or not.
      TrainingError: in a fork of a process that has read or written checkpoints.
    """
    forks.use()
    step, saved = int(place.name), beside(place)
    like = like(saved["kinds"]) if callable(like) else like
    wanted = named(like)
    written_at = saved.get("step", step)  # earlier versions did not write it
    if written_at != step:
        raise CorruptCheckpointError(f"it is the checkpoint of step {written_at}, renamed")
    _refuse_foreign(place, saved["kinds"], {name: _kind(leaf) for name, leaf in wanted.items()})
    abstract = {name: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype) for name, leaf in wanted.items()}
    try:
        with broken_files_are_corrupt(place), _reader() as reader:
            kept = reader.restore(place / "state", abstract)
            arrays = {name: np.asarray(kept[name]) for name in wanted}
    except CorruptCheckpointError as error:
        _refuse_other_writers(place, saved.get("written_by", _WRITERS), error)
        raise
    for name, array in arrays.items():
        if digest(array) != saved["checksums"][name]:
            raise CorruptCheckpointError(f"the checksum of {name} does not match")
    leaves = [jax.numpy.asarray(arrays[name]) for name in wanted]
    state = jax.tree.unflatten(jax.tree.structure(like), leaves)
    return Restored(step, state, saved["notes"])


def beside(place: Path) -> dict[str, Any]:
    """The text beside the arrays: step, writers, kinds, checksums and notes.

    Raises:
      CorruptCheckpointError, UnreadableCheckpointError: as `read`.
    """
    with (
        broken_files_are_corrupt(place),
        ocp.Checkpointer(
            ocp.JsonCheckpointHandler(multiprocessing_options=by_this_process()),
            multiprocessing_options=by_this_process(),
        ) as reader,
    ):
        content = reader.restore(place / "notes")
        intact = content["checksum"] == digest(content["text"])
    if not intact:
        raise CorruptCheckpointError("the checksum of the notes does not match")
    saved: dict[str, Any] = json.loads(content["text"])
    return saved


def by_this_process() -> ocp.options.MultiprocessingOptions:
    """Lets orbax read and write in this process alone, and wait for no other that there may be."""
    here = jax.process_index()
    return ocp.options.MultiprocessingOptions(primary_host=here, active_processes={here})


def _reader() -> ocp.StandardCheckpointer:
    return ocp.StandardCheckpointer(multiprocessing_options=by_this_process())


def loss_of(notes: Mapping[str, Any]) -> float:
    """The loss that tells which checkpoint is the best; infinity where there is none."""
    loss = notes.get("loss")
    return math.inf if loss is None else float(loss)


def named(tree: Any) -> dict[str, Any]:
    """The leaves by their path in the tree."""
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {jax.tree_util.keystr(path, simple=True, separator="/"): leaf for path, leaf in leaves}


def digest(content: Any) -> str:
    """SHA-256 of a text, or of an array's bytes."""
    data = content.encode() if isinstance(content, str) else np.asarray(content).tobytes()
    return hashlib.sha256(data).hexdigest()


def _kind(array: Any) -> str:
    """Dtype and shape."""
    return f"{np.dtype(array.dtype).name}{list(array.shape)}"


def _refuse_foreign(place: Path, there: dict[str, str], asked: dict[str, str]) -> None:
    for name in [*asked, *there]:
        before, now = there.get(name, "absent"), asked.get(name, "absent")
        if before != now:
            raise ForeignCheckpointError(
                f"checkpoint {place} holds other arrays than this model has: {name} is {before} "
                f"there, {now} here. It was written by another version of the program; give "
                "another folder"
            )


def _refuse_other_writers(
    place: Path, there: Mapping[str, str], error: CorruptCheckpointError
) -> None:
    for name, now in _WRITERS.items():
        if there.get(name, now) != now:
            raise UnreadableCheckpointError(
                f"cannot read checkpoint {place} with {name} {now}: it was written with "
                f"{there[name]}; nothing was changed. Install that version, or give another "
                f"workdir ({error})"
            ) from error
