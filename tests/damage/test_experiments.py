"""Harm to every file of an experiment's or a sweep's folder that is read back."""

import dataclasses
import functools
import json
import shutil
from pathlib import Path

import pytest
from ml_collections import ConfigDict

from experiments.harness import engine, groups, sweep
from experiments.harness.environment import environment
from experiments.harness.experiment import Branch, RunError
from tests.damage import harm

COMMAND = "python -m experiments.run"
STARTS = {0: Branch(Path("/there"), 40), 1: Branch(Path("/elsewhere"), "best")}


@pytest.fixture
def folders(squares, screen, tmp_path):
    """Runs and sweeps that were stopped, each with one of another seed beside it."""
    return _Folders(squares, screen, tmp_path)


class _Folders:
    def __init__(self, squares, screen, place):
        self.squares, self.screen, self.place = squares, screen, place
        self.experiment = dataclasses.replace(
            squares.experiment, branches=lambda *_: None, figures=lambda *_: {}
        )
        self.unbroken = {}
        for kind in ("run", "sweep"):
            for shift in (0, 1):
                squares.measured.clear()
                squares.before = self.stop_in_the_second_group if kind == "sweep" else self.stop
                with pytest.raises(RunError, match="interrupted"):
                    self.go(kind, place / f"{kind} {shift}", shift, begins=True)
            squares.before = lambda n: None
            self.go(kind, place / f"{kind} unbroken", begins=True)
            self.unbroken[kind] = self.results(place / f"{kind} unbroken")

    def stop_in_the_second_group(self, n):
        if self.squares.measured.count(3):
            self.stop(n)

    @staticmethod
    def stop(n):
        if n == 3:
            raise KeyboardInterrupt

    def go(self, kind, folder, shift=0, *, begins=False):
        config = ConfigDict(
            {"experiment": "squares", "sizes": (1, 2, 3), "shift": float(shift), "repeats": 1}
        )
        if kind == "run":
            branch = STARTS[shift] if begins else None
            words = {"command": COMMAND, "screen": self.screen, "branch": branch}
            engine.run(self.experiment, config, folder, **words)
        else:
            asked = sweep.ask(config, {"repeats": "1,2"}, mode="product", samples=None)
            groups.run(self.experiment, config, asked, folder, screen=self.screen)

    @staticmethod
    def results(folder):
        """What a folder says, but for clock times."""
        lines = {}
        for path in sorted(folder.rglob("*.json*")):
            if path.name == "summary.json":
                lines[str(path.relative_to(folder))] = path.read_bytes()
            if path.name == "metrics.jsonl":
                records = [json.loads(line) for line in path.read_text().splitlines()]
                lines[str(path.relative_to(folder))] = [
                    {k: v for k, v in record.items() if k != "seconds"} for record in records
                ]
        return lines

    def one(self, kind, name, harmed, place):
        """One case: "recovered" or "refused"; None for no harm, anything else fails."""
        folder = Path(shutil.copytree(self.place / f"{kind} 0", place))
        path, twin = folder / name, self.place / f"{kind} 1" / name
        with harm.patched() as patch:
            if not harm.apply(harmed, path, twin if twin.exists() else None, patch):
                return None
            before = None if harmed == "unreadable" else _contents(folder)
            try:
                self.go(kind, folder)
            except RunError as error:
                harm.assert_named(error, path, folder)
                if before is not None:
                    assert _contents(folder) == before, "a refusal has changed something"
                return "refused"
        assert self.results(folder) == self.unbroken[kind]
        return "recovered"


def _contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


DONE, BEGUN = "groups/repeats=1", "groups/repeats=2"
FILES = {
    "run": ["config.json", "env.json", "metrics.jsonl", "origin.json"],
    "sweep": [
        *("sweep.json", "metrics.jsonl", f"{DONE}/config.json", f"{DONE}/metrics.jsonl"),
        *(f"{BEGUN}/{name}" for name in ("config.json", "env.json", "metrics.jsonl")),
    ],
}


def test_the_environment_of_one_process_differs_in_time_alone():
    first, second = environment({}, COMMAND), environment({}, COMMAND)
    assert {**first, "time_started": ""} == {**second, "time_started": ""}


@pytest.mark.parametrize("kind", FILES)
def test_every_harm_to_every_file_is_recovered_from_or_refused(
    kind, folders, tmp_path, record_property
):
    tried = {
        f"{kind}, {name} {harmed}": functools.partial(
            folders.one, kind, name, harmed, tmp_path / harmed / str(number)
        )
        for number, name in enumerate(FILES[kind])
        for harmed in harm.HARMS
    }
    counts = harm.outcomes(f"the folder of a {kind}", tried, record_property)
    assert counts["recovered"] + counts["refused"] >= 30
