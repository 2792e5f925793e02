"""A small experiment whose cases can be made to fail, and what it takes to run it."""

import dataclasses
import io
from collections.abc import Callable
from typing import Any

import pytest
from matplotlib.figure import Figure
from ml_collections import ConfigDict
from rich.console import Console
from rich.table import Table

from experiments.harness.experiment import Experiment


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
