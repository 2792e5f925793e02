"""A disk that is full when a record, the summary, a figure or a table is written."""

import builtins
import errno
import os

import pytest

PLACES = {  # what cannot be written, what is measured until then, and the words of the command
    "/metrics.jsonl": (1, ()),
    "/.summary.json": (1, ()),
    "/figures/": (1, ()),
    "/.table.parquet": (1, ("--sweep.shift=0,1",)),
    "/groups/shift=1.0/figures/": (2, ("--sweep.shift=0,1",)),
}


@pytest.mark.parametrize("place", PLACES)
def test_the_command_ends_with_one_error_and_the_same_one_goes_on(
    place, entry, squares, monkeypatch, capsys
):
    measured, words = PLACES[place]
    command = ("--config=configs/squares.py:quick", "--workdir=runs/squares", *words)
    opened, descriptor_of = builtins.open, os.open

    def full(path, mode="r", *arguments, **options):
        if not isinstance(path, int) and set(mode) & set("wax") and place in os.fspath(path):
            raise OSError(errno.ENOSPC, "No space left on device")
        return opened(path, mode, *arguments, **options)

    def full_too(path, flags, *arguments, **options):
        if flags & (os.O_WRONLY | os.O_RDWR) and place in os.fspath(path):
            raise OSError(errno.ENOSPC, "No space left on device")
        return descriptor_of(path, flags, *arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(builtins, "open", full)
        patch.setattr(os, "open", full_too)
        assert entry(*command) == 1
    error, *rest = capsys.readouterr().err.splitlines()
    assert error.startswith("error: cannot write ") and ": No space left on device. " in error
    again, *behind = rest  # the command, which is the way out, and of a sweep how far it is
    assert " -m experiments.run --config=configs/squares.py:quick " in again
    assert behind in ([], ["1 of 2 groups are done."])
    assert len(squares.measured) == measured
    assert entry(*command) == 0
    kept = place != "/metrics.jsonl"
    assert len(squares.measured) == (2 if words else 1) + (not kept)
