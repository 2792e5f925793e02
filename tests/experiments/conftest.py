"""A small experiment whose cases can be made to fail, and what it takes to run it."""

import dataclasses
import io
import sys
import types
from collections.abc import Callable
from typing import Any

import jax
import pytest
from absl.testing import flagsaver
from matplotlib.figure import Figure
from ml_collections import ConfigDict
from rich.console import Console
from rich.table import Table

from experiments import run
from experiments.harness import command_line
from experiments.harness.experiment import Experiment

CONFIG = '''"""Squares are squares.

Time:   no time
"""
from ml_collections import ConfigDict

def get_config(mode="full"):
    if mode not in ("full", "quick"):
        raise ValueError(f"mode must be full or quick, got {mode!r}")
    sizes = (1, 2, 3) if mode == "full" else (1,)
    config = ConfigDict(dict(experiment="squares", dtype="float64", sizes=sizes))
    config.shift, config.repeats = 0.0, 1
    return config
'''


@dataclasses.dataclass
class Squares:
    """Measures n^2 for every n of the config.

    Attributes:
      measured: the n that were computed, in order.
      before: called with n before it is measured.
    """

    measured: list[int] = dataclasses.field(default_factory=list)
    before: Callable[[int], Any] = lambda n: None

    @property
    def experiment(self) -> Experiment:
        return Experiment(
            cases=lambda config: {f"n = {n}": {"n": n} for n in config.sizes},
            measure=self._measure,
            summarise=lambda config, records: {
                "squares": [record["square"] for record in records],
                "cases": [record["case"] for record in records],
            },
            tables=self._tables,
            figures=self._figures,
            check=self._check,
        )

    def _measure(self, config: ConfigDict, case: Any, place: Any) -> Any:
        n = case["n"]
        self.before(n)
        self.measured.append(n)
        records = [{"n": n, "square": float(n) * n + config.shift} for _ in range(config.repeats)]
        return records if config.repeats > 1 else records[0]

    @staticmethod
    def _check(config: ConfigDict) -> None:
        for n in config.sizes:
            if n < 0:
                raise ValueError(f"sizes: must not be negative, got {n}")

    @staticmethod
    def _tables(summary: dict[str, Any]) -> list[Table]:
        table = Table("case", "square")
        for case, square in zip(summary["cases"], summary["squares"], strict=True):
            table.add_row(case, f"{square:g}")
        return [table]

    @staticmethod
    def _figures(config: ConfigDict, records: Any, summary: Any) -> dict[str, Figure]:
        figure = Figure(figsize=(1, 1), dpi=30)
        figure.subplots().plot([record["n"] for record in records], summary["squares"])
        return {"growth": figure}


@pytest.fixture
def squares():
    return Squares()


@pytest.fixture
def config():
    return ConfigDict(
        {"experiment": "squares", "sizes": (1, 2, 3), "size": 0, "shift": 0.0, "repeats": 1}
    )


@pytest.fixture
def screen():
    """A console in a pipe; what it printed is `screen.file.getvalue()`."""
    return Console(file=io.StringIO(), width=120, highlight=False)


@pytest.fixture
def entry(tmp_path, monkeypatch, squares):
    """The entry in a folder of its own, with one config and one driver."""
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "squares.py").write_text(CONFIG)
    driver = types.ModuleType("driver_of_squares")
    driver.EXPERIMENT = squares.experiment
    monkeypatch.setitem(sys.modules, driver.__name__, driver)
    monkeypatch.setitem(run.DRIVERS, "squares", driver.__name__)
    monkeypatch.setattr(command_line, "CONFIGS", tmp_path / "configs")
    monkeypatch.chdir(tmp_path)

    def call(*words):
        with flagsaver.flagsaver():
            return run.main(run.parse_flags(["run.py", *words]))

    yield call
    jax.config.update("jax_enable_x64", True)
