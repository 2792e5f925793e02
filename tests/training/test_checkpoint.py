"""Checkpoints alone: what is restored is what was saved, or the one before it."""

import errno
import os
import shutil

import jax.numpy as jnp
import numpy as np
import pytest

from elsa.base import files
from elsa.training.checkpoint import Checkpoints
from elsa.training.stored import ForeignCheckpointError
from tests.training import cases

# Where one array of a checkpoint cannot be read, orbax closes its event loop while tensorstore
# still reads the others, whose threads then complain to nobody.
pytestmark = pytest.mark.filterwarnings(
    "ignore:Exception ignored in:pytest.PytestUnraisableExceptionWarning"
)


def state_at(step):
    return {
        "w": jnp.arange(6.0).reshape(2, 3) * step,
        "more": (jnp.full((2,), step, jnp.int32), jnp.array([True, False])),
    }


def assert_is(found, step):
    assert (found.step, found.notes) == (step, {"position": 10 * step, "finished": False})
    expected = state_at(step)
    np.testing.assert_array_equal(found.state["w"], expected["w"])
    assert found.state["w"].dtype == expected["w"].dtype
    for a, b in zip(found.state["more"], expected["more"], strict=True):
        np.testing.assert_array_equal(a, b)
        assert a.dtype == b.dtype


def save(checkpoints, *steps):
    for step in steps:
        checkpoints.save(step, state_at(step), {"position": 10 * step, "finished": False})


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """A folder with the checkpoints 1 and 2, to be copied."""
    folder = tmp_path_factory.mktemp("two")
    with Checkpoints(folder) as checkpoints:
        save(checkpoints, 1, 2)
    return folder


def restore(folder, **options):
    with Checkpoints(folder, **options) as checkpoints:
        return checkpoints.restore(state_at(0))


def test_a_checkpoint_that_another_process_wrote_meanwhile_is_left_as_it_is(two, tmp_path):
    folder = cases.copy(two, tmp_path / "two")
    before = cases.contents(folder)
    refused = pytest.raises(files.ReplacedError, match="2 was written by another process, and this")
    with Checkpoints(folder) as checkpoints, refused:
        save(checkpoints, 2)
    assert cases.contents(folder) == before


def test_the_newest_comes_back_with_its_notes_bit_for_bit(two):
    assert_is(restore(two), 2)


def test_an_empty_folder_and_none_at_all_hold_no_checkpoint(tmp_path):
    assert restore(tmp_path) is None and restore(tmp_path / "none") is None
    assert not (tmp_path / "none").exists()


def test_no_more_than_keep_stay(tmp_path):
    with Checkpoints(tmp_path, keep=2) as checkpoints:
        save(checkpoints, 1, 2, 3)
        checkpoints.wait()
        assert checkpoints.steps() == [2, 3]


def harmed_files(folder):
    """Every file of a checkpoint's arrays and of its notes."""
    parts = [folder / "2" / "state", folder / "2" / "notes"]
    return sorted(path for part in parts for path in part.rglob("*") if path.is_file())


def flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def truncate(path):
    os.truncate(path, path.stat().st_size // 2)


def empty(path):
    os.truncate(path, 0)


@pytest.mark.filterwarnings("ignore:.*is corrupt:UserWarning")
@pytest.mark.parametrize("harm", [flip, truncate, empty])
def test_whatever_file_is_harmed_no_wrong_number_is_restored(harm, two, tmp_path):
    noticed = 0
    names = [path.relative_to(two) for path in harmed_files(two) if path.stat().st_size]
    for index, name in enumerate(names):
        folder = cases.copy(two, tmp_path / str(index))
        harm(folder / name)
        found = restore(folder)
        assert found.step in (1, 2)  # a file that says nothing about the arrays may not matter
        assert_is(found, found.step)
        assert (folder / "2.corrupt").exists() == (found.step == 1)
        noticed += found.step == 1
    assert noticed >= 3  # notes, manifest and the file that holds the arrays at the least


def test_a_flipped_bit_of_the_notes_is_seen(two, tmp_path):
    folder = cases.copy(two, tmp_path / "harmed")
    notes = folder / "2" / "notes" / "metadata"
    text = notes.read_text()
    assert text.count("20") >= 1
    notes.write_text(text.replace('position\\": 20', 'position\\": 21'))
    assert notes.read_text() != text
    with pytest.warns(UserWarning, match=r"2 is corrupt \(the checksum of the notes does not"):
        assert_is(restore(folder), 1)


def test_changed_arrays_that_orbax_can_read_are_seen_by_their_checksum(two, tmp_path):
    folder, other = cases.copy(two, tmp_path / "harmed"), tmp_path / "other"
    with Checkpoints(other) as checkpoints:
        save(checkpoints, 3)
    shutil.rmtree(folder / "2" / "state")
    shutil.copytree(other / "3" / "state", folder / "2" / "state")
    with pytest.warns(UserWarning, match="the checksum of more/0 does not match|checksum of w"):
        assert_is(restore(folder), 1)


def test_a_corrupt_one_is_moved_aside_with_a_warning_that_names_both_and_saving_goes_on(
    two, tmp_path
):
    folder = cases.copy(two, tmp_path / "harmed")
    for _ in range(2):
        shutil.rmtree(folder / "2" / "notes")
        with Checkpoints(folder) as checkpoints:
            message = rf"{folder}/2 is corrupt \(.*\) and is now {folder}/2\.corrupt(-2)?; going on"
            with pytest.warns(UserWarning, match=message + " from step 1"):
                assert_is(checkpoints.restore(state_at(0)), 1)
            save(checkpoints, 2)
            checkpoints.wait()
        assert_is(restore(folder), 2)
    assert (folder / "2.corrupt").is_dir() and (folder / "2.corrupt-2").is_dir()


def test_a_reader_changes_nothing_about_a_corrupt_one(two, tmp_path):
    folder = cases.copy(two, tmp_path / "harmed")
    shutil.rmtree(folder / "2" / "notes")
    before = cases.contents(folder)
    with pytest.warns(UserWarning, match=rf"{folder}/2 is corrupt \(.*\); going on from step 1"):
        assert_is(restore(folder, read_only=True), 1)
    assert cases.contents(folder) == before


@pytest.mark.parametrize(
    "change, message",
    [
        ({"w": jnp.zeros((3, 3))}, r"w is float64\[2, 3\] there, float64\[3, 3\] here"),
        (
            {"w": jnp.zeros((2, 3), jnp.float32)},
            r"w is float64\[2, 3\] there, float32\[2, 3\] here",
        ),
        ({"new": jnp.zeros(1)}, r"new is absent there, float64\[1\] here"),
    ],
)
def test_a_whole_checkpoint_of_another_program_is_refused_and_stays(change, message, two):
    with Checkpoints(two) as checkpoints:
        with pytest.raises(ForeignCheckpointError, match=message):
            checkpoints.restore({**state_at(0), **change})
        assert checkpoints.steps() == [1, 2]


def test_where_it_cannot_be_moved_aside_that_is_said(two, tmp_path, monkeypatch):
    folder = cases.copy(two, tmp_path / "harmed")
    shutil.rmtree(folder / "2" / "notes")

    def refuses(*_):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(os, "rename", refuses)
    with pytest.raises(files.WriteError, match=r"cannot move .*/2: Read-only file system"):
        restore(folder)


# as orbax says it in the call, and as tensorstore says it in the background
FULL = [
    OSError(errno.ENOSPC, "No space left on device"),
    ValueError("RESOURCE_EXHAUSTED: Failed writing: [os_error_code='28']"),
]


@pytest.mark.parametrize("error", FULL)
@pytest.mark.parametrize("call", ["save", "wait_until_finished", "close"])
def test_a_full_disk_is_a_write_error_whichever_call_it_shows_in(call, error, two, tmp_path):
    folder = cases.copy(two, tmp_path / "full")

    class Full:
        """An orbax manager with no space left."""

        def __getattr__(self, name):
            def method(*_, **__):
                if name == call:
                    raise error

            return method

    checkpoints = Checkpoints(folder)
    checkpoints._manager = Full()
    with pytest.raises(files.WriteError, match=r"cannot write .*: No space left on device"):
        save(checkpoints, 3)
        checkpoints.wait()
        checkpoints.close()
    assert_is(restore(folder), 2)


def test_a_write_that_fails_as_another_process_has_the_folder_by_now_says_so(two, tmp_path):
    """The successor has cleared what its predecessor, suspended for long, was writing."""
    folder, replaced = cases.copy(two, tmp_path / "lost"), []

    class Cleared:
        def save(self, *_, **__):
            replaced.append(True)
            raise FileNotFoundError(errno.ENOENT, "No such file or directory")

    def check(path):
        if replaced:
            raise files.ReplacedError("process 12 on node7 has taken it over")

    checkpoints = Checkpoints(folder)
    checkpoints._manager = Cleared()
    files.guard(folder, check)
    try:
        with pytest.raises(files.ReplacedError, match="process 12 on node7"):
            save(checkpoints, 3)
    finally:
        files.unguard(folder, check)


def test_another_error_of_orbax_comes_as_it_is(tmp_path, monkeypatch):
    checkpoints = Checkpoints(tmp_path)

    def fails():
        raise ValueError("a bug")

    monkeypatch.setattr(checkpoints, "_open", fails)
    with pytest.raises(ValueError, match="a bug"):
        save(checkpoints, 1)
