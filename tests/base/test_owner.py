"""One owner a folder where no lock tells: who beats keeps it, who is silent loses it."""

import errno
import fcntl
import json
import os
import shutil
import threading
import time

import pytest

from elsa.base import files, owner
from elsa.base.owner import Owner

BEAT = 0.05


@pytest.fixture
def no_locks(monkeypatch):
    """Two machines: no lock between them, and each owner comes from a host of its own."""

    def flock(descriptor, operation):
        raise OSError(errno.ENOLCK, "No locks available")

    machine, count = owner._machine, iter(range(1000))
    monkeypatch.setattr(fcntl, "flock", flock)
    monkeypatch.setattr(owner, "_machine", lambda: {**machine(), "host": f"node{next(count)}"})
    monkeypatch.setattr(owner, "_DEAD", set())
    monkeypatch.setattr(owner, "BEAT_SECONDS", BEAT)


def suspended(path):
    """An owner that gives no sign any more, and does not know it."""
    held = Owner(path)
    held._stop.set()
    held._thread.join()
    return held


def test_a_living_owner_keeps_its_folder_and_the_newcomer_names_it(no_locks, tmp_path, monkeypatch):
    monkeypatch.setenv("SLURM_JOB_ID", "4711")
    first = Owner(tmp_path)
    begin = time.monotonic()
    match = rf"in use by another run, process {os.getpid()} on node\d+, job 4711"
    with (
        pytest.warns(UserWarning, match="waiting for"),
        pytest.raises(files.BusyError, match=match),
    ):
        Owner(tmp_path)
    assert time.monotonic() - begin >= owner._PATIENCE * BEAT
    files.replace(tmp_path / "a", b"mine")
    assert sorted(os.listdir(tmp_path)) == [owner.OWNER, "a"]
    first.close()
    assert os.listdir(tmp_path) == ["a"]


def test_a_folder_whose_owner_ends_while_a_newcomer_waits_is_taken_then(no_locks, tmp_path):
    first = Owner(tmp_path)
    threading.Timer(5 * BEAT, first.close).start()
    with pytest.warns(UserWarning, match="waiting"):
        Owner(tmp_path).close()
    assert os.listdir(tmp_path) == []


def test_a_silent_owner_loses_its_folder_and_writes_nothing_any_more(no_locks, tmp_path):
    first = suspended(tmp_path)
    files.append(tmp_path / "a", b"old\n")
    begin = time.monotonic()
    with pytest.warns(UserWarning, match="waiting"):
        second = Owner(tmp_path)
    assert time.monotonic() - begin >= owner._MISSED * BEAT
    files.append(tmp_path / "a", b"new\n")
    files.guard(tmp_path, first.check)  # as in the first one's process
    for write in (files.replace, files.append):
        with pytest.raises(files.ReplacedError, match=r"process \d+ on node\d+ has taken it over"):
            write(tmp_path / "a", b"late\n")
    with pytest.raises(files.ReplacedError):
        files.rename_free(tmp_path / "a", str(tmp_path / "b"))
    first.close()
    assert (tmp_path / "a").read_bytes() == b"old\nnew\n"
    second.check(tmp_path / "a")
    second.close()
    assert os.listdir(tmp_path) == ["a"]


def test_a_process_found_silent_once_is_not_waited_for_in_its_other_folders(
    no_locks, tmp_path, monkeypatch
):
    here = owner._machine()
    with monkeypatch.context() as patch:
        patch.setattr(owner, "_machine", lambda: here)
        for name in ("a", "b"):
            (tmp_path / name).mkdir()
            suspended(tmp_path / name)
    with pytest.warns(UserWarning, match="waiting for .*a, which"):
        Owner(tmp_path / "a").close()
    Owner(tmp_path / "b").close()


def test_a_copy_of_a_folder_is_one_whose_owner_is_silent(no_locks, tmp_path):
    (tmp_path / "a").mkdir()
    first = Owner(tmp_path / "a")
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    with pytest.warns(UserWarning, match="waiting for .*b, which"):
        Owner(tmp_path / "b").close()
    files.replace(tmp_path / "a" / "x", b"mine")
    first.close()
    assert os.listdir(tmp_path / "a") == ["x"] and os.listdir(tmp_path / "b") == []


def test_an_owner_whose_file_was_removed_writes_nothing_any_more(no_locks, tmp_path):
    first = Owner(tmp_path)
    os.unlink(tmp_path / owner.OWNER)
    with pytest.raises(files.ReplacedError, match=r"its \.owner is gone"):
        files.replace(tmp_path / "a", b"")
    first.close()
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe\x00", b'{"pid": "x"}'])
def test_a_damaged_owner_s_file_is_waited_for_as_a_whole_one(content, no_locks, tmp_path):
    (tmp_path / owner.OWNER).write_bytes(content)
    with pytest.warns(UserWarning, match="waiting for"):
        Owner(tmp_path).close()
    assert os.listdir(tmp_path) == []


def test_a_link_to_nowhere_in_the_place_of_the_file_is_taken_over(no_locks, tmp_path):
    (tmp_path / owner.OWNER).symlink_to(tmp_path / "nowhere" / "x")
    with pytest.warns(UserWarning, match="waiting for"):
        Owner(tmp_path).close()
    assert os.listdir(tmp_path) == []


def test_on_the_same_machine_nobody_waits_for_a_dead_process(tmp_path, monkeypatch):
    held = suspended(tmp_path)
    copied = shutil.copytree(tmp_path, tmp_path.parent / "copied")
    Owner(copied).close()  # the lock of the copy is free
    shutil.copy(tmp_path / owner.OWNER, tmp_path.parent / "file")
    held.close()
    about = json.loads((tmp_path.parent / "file").read_text())
    monkeypatch.setattr(fcntl, "flock", lambda *_: (_ for _ in ()).throw(OSError(errno.ENOLCK, "")))
    gone = {**about, "process": "another", "pid": 2**22 + 1}  # above what Linux gives
    (tmp_path / owner.OWNER).write_text(json.dumps(gone))
    Owner(tmp_path).close()
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES, errno.ENOSPC])
def test_where_the_file_cannot_be_written_nothing_is_and_reading_goes_on(
    number, tmp_path, monkeypatch
):
    (tmp_path / "a").write_bytes(b"old")
    fails = OSError(number, os.strerror(number))

    def write(self):
        raise fails

    monkeypatch.setattr(Owner, "_write", write)
    held = Owner(tmp_path)
    assert os.listdir(tmp_path) == ["a"]
    with pytest.raises(files.WriteError, match=f"cannot write .*a: {os.strerror(number)}"):
        files.replace(tmp_path / "a", b"new")
    held.close()
    assert (tmp_path / "a").read_bytes() == b"old" and os.listdir(tmp_path) == ["a"]


def test_a_file_system_without_links_serves_too(no_locks, tmp_path, monkeypatch):
    def link(*_):
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", link)
    first = suspended(tmp_path)
    first.check(tmp_path / "a")
    with pytest.warns(UserWarning, match="waiting"):
        second = Owner(tmp_path)
    with pytest.raises(files.ReplacedError):
        first.check(tmp_path / "a")
    second.close()


@pytest.mark.filterwarnings("ignore:waiting for")
def test_of_many_who_take_over_at_once_one_alone_writes_at_any_time(no_locks, tmp_path):
    suspended(tmp_path)
    inside, most, refused = [], [], []

    def takes():
        try:
            held = Owner(tmp_path)
        except files.BusyError:
            return refused.append(1)
        try:
            for _ in range(3):
                held.check(tmp_path / "a")
                inside.append(1)
                most.append(len(inside))
                time.sleep(0.002)
                inside.pop()
        except files.ReplacedError:
            refused.append(1)
        held.close()

    threads = [threading.Thread(target=takes) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(most) == {1}
    assert len(most) >= 3 * (len(threads) - len(refused)) and len(refused) < len(threads)
    assert os.listdir(tmp_path) == []
