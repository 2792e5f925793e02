"""What cannot be read here and now is refused by name; only what was altered is damage."""

import contextlib
import errno
import os
import shutil
import threading
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
import pytest

from elsa.training import stored
from elsa.training.checkpoint import Checkpoints
from elsa.training.damage import UnreadableCheckpointError
from elsa.training.errors import TrainingError
from tests.training import cases

pytestmark = pytest.mark.filterwarnings(
    "ignore:Exception ignored in:pytest.PytestUnraisableExceptionWarning"
)

STATE = {"w": jnp.arange(6.0), "b": jnp.zeros(2, jnp.int32)}


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """A folder with the checkpoints 1 and 2, to be copied."""
    folder = tmp_path_factory.mktemp("two")
    with Checkpoints(folder) as checkpoints:
        checkpoints.save(1, STATE, {"position": 1})
        checkpoints.save(2, STATE, {"position": 2})
    return folder


def restore(folder, at="newest", **options):
    with Checkpoints(folder, **options) as checkpoints:
        return checkpoints.restore(STATE, at)


# what a disk, a network file system, a small machine and a broken installation raise
FAILURES = {
    "permission": (PermissionError(errno.EACCES, "Permission denied"), "Permission denied"),
    "stale handle": (OSError(errno.ESTALE, "Stale file handle"), "Stale file handle"),
    "too many open files": (OSError(errno.EMFILE, "Too many open files"), "Too many open files"),
    "input/output": (ValueError("UNKNOWN: read [os_error_code='5']"), "Input/output error"),
    "memory": (MemoryError("Unable to allocate 3 GiB"), "MemoryError: Unable to allocate 3 GiB"),
    "module": (ModuleNotFoundError("No module named 'zstd'"), "No module named 'zstd'"),
}


@pytest.mark.parametrize("part", ["state", "notes"])
@pytest.mark.parametrize("cause", FAILURES)
def test_a_failure_to_read_is_refused_by_name_and_changes_nothing(
    cause, part, two, tmp_path, monkeypatch
):
    folder = cases.copy(two, tmp_path / "run")
    error, said = FAILURES[cause]

    def fails(self, place, *arguments, **options):
        if part in Path(place).parts:
            raise RuntimeError("while reading") from error
        return restores(self, place, *arguments, **options)

    owner = ocp.StandardCheckpointer if part == "state" else ocp.Checkpointer
    restores = owner.restore
    before = cases.contents(folder)
    monkeypatch.setattr(owner, "restore", fails)
    for at in ("newest", "best", 2):
        message = rf"cannot read checkpoint {folder}/2: .*{said}; nothing was changed"
        with pytest.raises(UnreadableCheckpointError, match=message):
            restore(folder, at)
    assert cases.contents(folder) == before


def test_a_file_that_plain_reading_cannot_read_either_is_no_damage(two, tmp_path, monkeypatch):
    folder = cases.copy(two, tmp_path / "run")
    opens = Path.open

    def denied(self, *arguments):
        if self.name == "manifest.ocdbt":
            raise PermissionError(errno.EACCES, "Permission denied", str(self))
        return opens(self, *arguments)

    def fails(*_, **__):
        raise ValueError("DATA_LOSS: Error opening driver")

    monkeypatch.setattr(ocp.StandardCheckpointer, "restore", fails)
    monkeypatch.setattr(Path, "open", denied)
    with pytest.raises(UnreadableCheckpointError, match=r"manifest\.ocdbt: Permission denied"):
        restore(folder)
    assert {path.name for path in folder.iterdir()} == {"1", "2"}


def test_a_folder_that_must_not_be_read_is_not_taken_for_none(two, tmp_path, monkeypatch):
    folder, scans = cases.copy(two, tmp_path / "run"), os.scandir

    def denied(place):
        if Path(place) == folder / "2":
            raise PermissionError(errno.EACCES, "Permission denied", str(place))
        return scans(place)

    def fails(*_, **__):  # what orbax says of it
        raise FileNotFoundError(f"Checkpoint at {folder}/2/notes not found.")

    monkeypatch.setattr(ocp.Checkpointer, "restore", fails)
    monkeypatch.setattr(os, "scandir", denied)
    with pytest.raises(UnreadableCheckpointError, match=rf"{folder}/2: Permission denied; nothing"):
        restore(folder)
    monkeypatch.undo()
    assert {path.name for path in folder.iterdir()} == {"1", "2"}


def test_another_version_of_what_writes_the_files_is_named(two, tmp_path, monkeypatch):
    folder = cases.copy(two, tmp_path / "run")

    def fails(*_, **__):
        raise KeyError("tree_metadata")

    monkeypatch.setattr(ocp.StandardCheckpointer, "restore", fails)
    monkeypatch.setattr(stored, "_WRITERS", {"orbax-checkpoint": "0.0.1"})
    with pytest.raises(
        UnreadableCheckpointError, match=r"with orbax-checkpoint 0\.0\.1: it was written"
    ):
        restore(folder)
    assert {path.name for path in folder.iterdir()} == {"1", "2"}


def test_what_fails_at_every_checkpoint_is_no_damage_of_one(two, tmp_path, monkeypatch):
    folder = cases.copy(two, tmp_path / "run")

    def fails(*_, **__):
        raise AttributeError("module 'jax' has no attribute 'sharding'")

    monkeypatch.setattr(ocp.StandardCheckpointer, "restore", fails)
    with pytest.raises(
        UnreadableCheckpointError,
        match=r"no checkpoint in .*2: Attribute.*; 1: Attribute",
    ):
        restore(folder)
    assert {path.name for path in folder.iterdir()} == {"1", "2"}


def test_a_checkpoint_under_another_step_s_name_is_no_checkpoint_of_that_step(two, tmp_path):
    folder = cases.copy(two, tmp_path / "run")
    os.rename(folder / "2", folder / "7")
    with pytest.warns(UserWarning, match=r"it is the checkpoint of step 2, renamed"):
        assert restore(folder).step == 1
    shutil.rmtree(folder / "7.corrupt")


@pytest.mark.parametrize("name", ["07", "٧"])
@pytest.mark.parametrize("left", [1, 2])
def test_a_number_that_no_run_writes_so_is_refused_by_name(left, name, two, tmp_path):
    """It was read as step 7, at which orbax finds nothing."""
    folder = cases.copy(two, tmp_path / "run")
    os.rename(folder / "2", folder / name)
    if left == 1:
        shutil.rmtree(folder / "1")
    before = cases.contents(folder)
    message = rf"{folder / name} is no name of a checkpoint: that of step 7 is '7'; nothing was ch"
    for read_only in (True, False):
        with pytest.raises(UnreadableCheckpointError, match=message):
            restore(folder, read_only=read_only)
    assert cases.contents(folder) == before


@pytest.mark.filterwarnings("ignore:.*fork:RuntimeWarning")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_fork_of_a_process_that_has_read_checkpoints_is_refused_and_not_ended(two, tmp_path):
    restore(two)
    reader, writer = os.pipe()
    pid = os.fork()
    if not pid:
        try:
            with contextlib.suppress(TrainingError):
                stored.read(two / "2", STATE)
                os.write(writer, b"read")
            restore(two)
        except TrainingError as error:
            os.write(writer, str(error).encode())
        finally:
            os._exit(0)
    os.close(writer)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    said = os.read(reader, 10_000).decode()
    os.close(reader)
    assert said.startswith(f"process {pid} is a fork of {os.getpid()}, which has read or written")
    assert "multiprocessing.get_context('spawn')" in said


def test_a_reader_beside_a_run_that_replaces_its_only_checkpoint_reads_the_next(
    two, tmp_path, monkeypatch
):
    folder, reads, lock = cases.copy(two, tmp_path / "run"), stored.read, threading.Lock()
    shutil.rmtree(folder / "1")
    left = [3, 4, 5]

    def replaced(place, like):
        with lock:  # the run has moved on between the listing and the reading
            if left:
                step = left.pop(0)
                with Checkpoints(folder / "next") as checkpoints:
                    checkpoints.save(step, STATE, {"position": step})
                os.rename(folder / "next" / str(step), folder / str(step))
                shutil.rmtree(place)
        return reads(place, like)

    monkeypatch.setattr(stored, "read", replaced)
    found = restore(folder, read_only=True)
    assert found.step == 5
    np.testing.assert_array_equal(found.state["w"], STATE["w"])
