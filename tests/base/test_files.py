"""A failing write leaves what was there; a folder has one owner."""

import errno
import os
import subprocess
import sys

import pytest

from elsa.base import files


@pytest.fixture
def full_disk(monkeypatch):
    """A disk that takes three more bytes."""
    write, room = os.write, [3]

    def short_write(descriptor, data):
        if room[0] == 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        done = write(descriptor, bytes(data)[: room[0]])
        room[0] -= done
        return done

    monkeypatch.setattr(files.os, "write", short_write)


def test_replace_writes_the_whole_file_and_makes_its_folder(tmp_path):
    path = tmp_path / "figures" / "a.png"
    files.replace(path, b"old")
    files.replace(path, b"new content")
    assert path.read_bytes() == b"new content"
    assert os.listdir(path.parent) == ["a.png"]


def test_a_write_in_many_small_pieces_is_complete(tmp_path, monkeypatch):
    write = os.write
    monkeypatch.setattr(files.os, "write", lambda fd, data: write(fd, bytes(data)[:2]))
    files.replace(tmp_path / "a", b"seven b")
    files.append(tmp_path / "a", b" more")
    assert (tmp_path / "a").read_bytes() == b"seven b more"


@pytest.mark.parametrize("write", [files.replace, files.append])
def test_a_full_disk_leaves_the_old_content(tmp_path, full_disk, write):
    path = tmp_path / "a"
    path.write_bytes(b"old\n")
    with pytest.raises(files.WriteError, match=r"cannot write .*a: No space left on device"):
        write(path, b"new line\n")
    assert path.read_bytes() == b"old\n"
    assert os.listdir(tmp_path) == ["a"]


@pytest.mark.parametrize("write", [files.replace, files.append])
def test_ctrl_c_in_a_write_leaves_the_old_content(tmp_path, monkeypatch, write):
    def interrupt(descriptor):
        raise KeyboardInterrupt

    path = tmp_path / "a"
    path.write_bytes(b"old\n")
    monkeypatch.setattr(files.os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write(path, b"new line\n")
    assert path.read_bytes() == b"old\n"
    assert os.listdir(tmp_path) == ["a"]


def test_a_file_that_another_process_wrote_to_is_not_appended_to(tmp_path):
    path = tmp_path / "a"
    files.append(path, b"mine\n", at=0)
    files.append(path, b"other\n")
    with pytest.raises(files.ReplacedError, match="a holds 11 bytes, this process left 5: another"):
        files.append(path, b"more\n", at=5)
    assert path.read_bytes() == b"mine\nother\n"


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(files.WriteError, match=r"cannot make folder .*file/run: Not a directory"):
        files.make_folder(tmp_path / "file" / "run")


def test_new_files_have_the_rights_that_the_umask_gives(tmp_path):
    old = os.umask(0o027)
    try:
        files.replace(tmp_path / "a", b"")
    finally:
        os.umask(old)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o640


def test_hold_keeps_other_processes_out_until_it_is_closed(tmp_path):
    attempt = (
        f"from pathlib import Path; from elsa.base import files; files.hold(Path('{tmp_path}'))"
    )
    descriptor = files.hold(tmp_path)
    refused = subprocess.run([sys.executable, "-c", attempt], capture_output=True, text=True)
    os.close(descriptor)
    admitted = subprocess.run([sys.executable, "-c", attempt], capture_output=True, text=True)
    assert "BusyError" in refused.stderr and "is in use by another run" in refused.stderr
    assert admitted.returncode == 0, admitted.stderr
    assert os.listdir(tmp_path) == []


def test_hold_refuses_a_folder_that_was_moved_in_this_moment(tmp_path, monkeypatch):
    path = tmp_path / "run"
    path.mkdir()
    flock = files.fcntl.flock

    def flock_late(descriptor, how):
        path.rename(tmp_path / "moved")
        path.mkdir()
        flock(descriptor, how)

    monkeypatch.setattr(files.fcntl, "flock", flock_late)
    with pytest.raises(files.BusyError):
        files.hold(path)


def test_hold_says_which_folder_cannot_be_opened(tmp_path):
    with pytest.raises(files.WriteError, match=r"cannot open folder .*none: No such file"):
        files.hold(tmp_path / "none")


def test_hold_does_without_locks_where_the_file_system_has_none(tmp_path, monkeypatch):
    def flock(descriptor, how):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(files.fcntl, "flock", flock)
    os.close(files.hold(tmp_path))


def test_move_aside_keeps_the_content_and_numbers_a_name_that_is_taken(tmp_path, monkeypatch):
    class Noon(files.datetime.datetime):
        @classmethod
        def now(cls, tz=None):
            return cls(2026, 1, 2, 12, 0, 5)

    monkeypatch.setattr(files.datetime, "datetime", Noon)
    for content, name in [("a", "run.20260102-120005"), ("b", "run.20260102-120005-2")]:
        (tmp_path / "run").mkdir()
        (tmp_path / "run" / "kept").write_text(content)
        assert files.move_aside(tmp_path / "run") == tmp_path / name
        assert (tmp_path / name / "kept").read_text() == content
    assert not (tmp_path / "run").exists()


def test_move_aside_says_what_cannot_be_moved(tmp_path):
    with pytest.raises(files.WriteError, match=r"cannot move .*none: No such file"):
        files.move_aside(tmp_path / "none")


def test_start_over_holds_a_new_folder_and_lets_the_old_one_go(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "kept").write_text("a")
    aside, held = files.start_over(folder, files.hold(folder))
    assert (aside / "kept").read_text() == "a" and list(folder.iterdir()) == []
    with pytest.raises(files.BusyError, match="is in use by another run"):
        files.hold(folder)
    os.close(files.hold(aside))
    os.close(held)
