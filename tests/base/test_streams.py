"""A program goes on, and ends with the right code, whatever becomes of what it prints."""

import io
import os
import subprocess
import sys

import pytest

from elsa.base import streams


def ends(monkeypatch, file, code=0):
    """The exit code of a program that prints to a file, works on and ends."""
    monkeypatch.setattr(sys, "stdout", file)
    done = []
    with pytest.raises(SystemExit) as stopped, streams.guarded():
        for _ in range(3):
            print("λ" * 5000, flush=True)
            done.append("work")
        sys.exit(code)
    assert len(done) == 3 and sys.stdout is file
    return stopped.value.code


def test_a_reader_that_has_gone_ends_nothing_and_nothing_is_said(monkeypatch, capfd):
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "w", encoding="utf-8") as file:
        assert ends(monkeypatch, file, 75) == 75
        with streams.guarded():
            print("λ", flush=True)  # and the program ends by itself, with 0
    assert capfd.readouterr().err == ""


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="a device of Linux")
def test_a_full_disk_is_one_line_and_an_exit_code(monkeypatch, capfd):
    with open("/dev/full", "w", encoding="utf-8") as file:
        assert ends(monkeypatch, file, 3) == 3
        with pytest.raises(SystemExit) as stopped, streams.guarded():
            print("x")  # comes to the disk at the end
    assert stopped.value.code == 1
    said = "error: cannot write standard output: No space left on device; all else goes on\n"
    assert capfd.readouterr().err == 2 * said


@pytest.mark.parametrize(
    "encoding, errors, written",
    [
        ("ascii", "strict", b"lambda x 2\n"),
        ("latin-1", "surrogateescape", b"lambda \xd7 2\n"),
        ("cp1252", "strict", b"lambda \xd7 2\n"),
        ("utf-8", "strict", "λ × 2\n".encode()),
        ("ascii", "replace", b"? ? 2\n"),  # PYTHONIOENCODING=ascii:replace asks for it
    ],
)
def test_every_encoding_shows_what_is_printed(tmp_path, monkeypatch, encoding, errors, written):
    with open(tmp_path / "out", "w", encoding=encoding, errors=errors) as file:
        monkeypatch.setattr(sys, "stdout", file)
        with streams.guarded():
            print("λ × 2")
    assert (tmp_path / "out").read_bytes() == written


def test_a_slow_reader_of_a_pipe_that_does_not_block_gets_everything(monkeypatch):
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    code = (
        f"import os, time\ntime.sleep(0.2)\nn = 0\n"
        f"while part := os.read({reading}, 9999): n += len(part)\nprint(n)"
    )
    reader = subprocess.Popen(
        [sys.executable, "-c", code], pass_fds=[reading], stdout=subprocess.PIPE
    )
    os.close(reading)
    with open(writing, "w", encoding="utf-8") as file:
        monkeypatch.setattr(sys, "stdout", file)
        with streams.guarded():
            print("x" * 200_000)
    assert int(reader.communicate(timeout=60)[0]) == 200_001


def test_what_is_no_file_stays(monkeypatch):
    file = io.StringIO()
    monkeypatch.setattr(sys, "stdout", file)
    with streams.guarded():
        assert sys.stdout is file


def test_streams_that_are_closed_from_the_start_are_no_error_and_leave_no_file_open_to_libraries(
    tmp_path,
):
    program = (
        "import os, sys; from elsa.base import streams\n"
        "with streams.guarded():\n"
        "    print('nobody reads this'); print('nor this', file=sys.stderr)\n"
        "    with open('results', 'wb') as file:\n"
        "        assert file.fileno() > 2\n"
        "        os.write(1, b'a library'); os.write(2, b'another'); file.write(b'kept')\n"
        "    sys.exit(75)\n"
    )
    shell = f'{sys.executable} -c "$PROGRAM" <&- >&- 2>&-; echo $?'
    environment = {**os.environ, "PROGRAM": program, "PYTHONPATH": os.getcwd()}
    done = subprocess.run(
        ["sh", "-c", shell], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert (done.stdout, done.stderr) == ("75\n", "")
    assert (tmp_path / "results").read_bytes() == b"kept"
