"""Whether a run is slower than an earlier one, beyond noise.

What is judged is a row's score: its ratio to the baseline beside it, where it has one, so that a
busy or a slower machine does not count; else its value, where both runs were on the same machine.
A row has regressed where

1. its score is worse than the saved one by more than the tolerance (10 % by default; a single
   measurement of seconds, which has no turns, by more than five times that; an exponent by that
   much as a difference), and
2. the 95 % intervals of both medians do not overlap (`harness.median_interval`). If the turns of
   two runs come from one distribution, that happens with a probability below 0.4 % for five turns
   each, and below 0.1 % for twenty.

What was found so is measured again by `benchmarks/run.py`, and counts if it is found again.
"""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from benchmarks.harness import HIGHER_IS_BETTER

TOLERANCE = 0.1
EXPONENT = "exponent"  # unit of what is fitted to growing costs
_SINGLE = 5.0  # times the tolerance, where there is one measurement and no spread

Rows = Mapping[tuple[str, str], Mapping[str, Any]]


class Change(NamedTuple):
    """A judged row of two runs.

    case, metric, unit: of the row.
    before, now: its scores.
    is_ratio: whether they are ratios to a baseline.
    worse: by which factor it is worse, below 1 where it is better; a difference for exponents.
    regressed: whether that is beyond tolerance and noise.
    """

    case: str
    metric: str
    unit: str
    before: float
    now: float
    is_ratio: bool
    worse: float
    regressed: bool

    def __str__(self) -> str:
        what = "ratio" if self.is_ratio else self.unit
        by = f"{self.worse:+.2f}" if self.unit == EXPONENT else f"{self.worse:.2f}x"
        return f"{self.case}: {self.metric}: {self.before:.4g} -> {self.now:.4g} {what}, {by} worse"


def changes(
    saved: Rows, now: Rows, *, same_machine: bool, tolerance: float = TOLERANCE
) -> list[Change]:
    """Every row that both runs have and that can be judged.

    Args:
      saved, now: case and metric -> the row as `Row.to_json` writes it.
      same_machine: whether values without a baseline may be compared.
      tolerance: relative change that is let pass.

    Raises:
      ValueError: for a tolerance that is not above 0.
    """
    if not tolerance > 0.0:
        raise ValueError(f"changes: tolerance must be above 0, got {tolerance}")
    found = (
        _change(saved[key], row, same_machine, tolerance)
        for key, row in now.items()
        if key in saved
    )
    return [change for change in found if change is not None]


def missing(saved: Rows, now: Rows, cases: Iterable[str]) -> list[tuple[str, str]]:
    """Judged rows of the saved run that this one lacks, of the benchmarks that this one ran."""
    ran = set(cases)
    return [
        key
        for key, row in saved.items()
        if row["judged"] and row.get("name") in ran and row["value"] is not None and key not in now
    ]


def _change(
    before: Mapping[str, Any], now: Mapping[str, Any], same_machine: bool, tolerance: float
) -> Change | None:
    is_ratio = before["ratio"] is not None and now["ratio"] is not None
    first, second = (row["ratio" if is_ratio else "value"] for row in (before, now))
    if not now["judged"] or first is None or second is None or before["unit"] != now["unit"]:
        return None
    if now["unit"] == EXPONENT:
        worse, allowed = second - first, tolerance
    else:
        if not (is_ratio or same_machine) or first <= 0.0 or second <= 0.0:
            return None
        rate = now["unit"].endswith(HIGHER_IS_BETTER)
        worse = first / second if rate else second / first
        single = now["unit"] == "s" and 0 in (before["turns"], now["turns"])
        allowed = 1.0 + tolerance * (_SINGLE if single else 1.0)
    regressed = worse > allowed and not _overlap(before, now)
    texts = (now["case"], now["metric"], now["unit"])
    return Change(*texts, first, second, is_ratio, worse, regressed)


def _overlap(before: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    """Whether the intervals share a point; without turns the tolerance alone rules."""
    if before["low"] is None or now["low"] is None:
        return False
    return bool(before["low"] <= now["high"] and now["low"] <= before["high"])
