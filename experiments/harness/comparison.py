"""Runs side by side on one page, from the files of their folders."""

import dataclasses
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from elsa.base import strict_json
from elsa.report import document
from elsa.report.charts import Chart
from experiments.harness import beside, overlay, records, run_page, terminal
from experiments.harness.chain import LineError
from experiments.harness.experiment import RunError
from experiments.harness.folder import CONFIG, METRICS, PAGE, SUMMARY, SWEEP
from experiments.harness.sweep_folder import GROUPS

_CHARTS = re.compile(rf'<script type="application/json" id="{document.NUMBERS}">(.*?)</script>')


@dataclasses.dataclass(frozen=True, kw_only=True)
class Compared:
    """A run as its folder has it.

    Attributes:
      name: what readers call it.
      config, environment, summary: dotted key -> value, for readers; no summary before the end.
      rows: dotted key of the summary -> the rows that it holds.
      finished: whether it has come to its end.
      done: cases that are recorded.
      seconds: that they took.
      charts: figure -> its numbers.
    """

    name: str
    config: Mapping[str, str]
    environment: Mapping[str, str]
    summary: Mapping[str, str]
    rows: Mapping[str, Sequence[beside.Row]]
    finished: bool
    done: int
    seconds: float
    charts: Mapping[str, Chart]


def read(paths: Sequence[Path]) -> list[Compared]:
    """The runs of some folders.

    Raises:
      RunError: for a folder that holds no run, one given twice, or a damaged file, naming it.
    """
    whole = [path.resolve() for path in paths]
    for number, path in enumerate(whole):
        if path in whole[:number]:
            raise RunError(f"{paths[number]} is given twice; give each run once")
    last = [path.name for path in whole]
    alone = len(set(last)) == len(last)
    named = zip(paths, last, strict=True)
    return [_read(path, name if alone else str(path)) for path, name in named]


def page(runs: Sequence[Compared]) -> str:
    """The page; the same files give the same bytes."""
    charts: list[Chart] = []
    places: list[str] = []
    for name in dict.fromkeys(name for run in runs for name in run.charts):
        places.append(document.figure(name, len(charts)))
        charts.append(
            overlay.overlaid({run.name: run.charts[name] for run in runs if name in run.charts})
        )
    told = [
        (
            run.name,
            run.config.get("experiment", ""),
            "finished" if run.finished else "stopped before its end",
            *(run.done, terminal.duration(run.seconds)),
            *(run.environment.get(key, "") for key in ("time_started", "commit")),
        )
        for run in runs
    ]
    heads = ("run", "experiment", "state", "cases recorded", "time", "started", "commit")
    hint = "A colour is a run; what all runs share, as theory of the same problem, is drawn once."
    if len(runs) > overlay.COLOURS:
        hint += " Filled marks and broken lines are of the seventh run to the twelfth."
    if len(runs) > 2 * overlay.COLOURS:
        hint += (
            f" From run {2 * overlay.COLOURS + 1} on the looks of the first repeat: switch runs "
            f"off by their names, or compare {2 * overlay.COLOURS} at a time."
        )
    sections = {
        "Runs": document.table(heads, told, caption="the runs, in the order given"),
        "Config": _differences(runs, "config", "config.json"),
        "Results": _results(runs),
        "Figures": document.paragraph(hint, "note") + "".join(places) if places else "",
        "Environment": _differences(runs, "environment", "env.json"),
    }
    shown = {name: inside for name, inside in sections.items() if inside}
    title = f"comparison: {', '.join(run.name for run in runs)}"
    return document.document(title, shown, head="", charts=charts)


def _read(path: Path, name: str) -> Compared:
    if (path / SWEEP).is_file():
        groups = path / GROUPS
        raise RunError(f"{path} holds a sweep; give its runs, as {groups}/*, or see {path / PAGE}")
    if not (path / CONFIG).is_file():
        raise RunError(f"{path} holds no run (no {CONFIG}); give folders of runs, as runs/NAME")
    try:
        config = strict_json.loads_object((path / CONFIG).read_bytes())
        metrics, summary = path / METRICS, path / SUMMARY
        found = records.parse(metrics.read_bytes())[0] if metrics.exists() else []
        is_finished = summary.exists()
        whole = strict_json.loads_object(summary.read_bytes()) if is_finished else {}
        charts = _charts(path / PAGE) if is_finished else {}
    except (ValueError, OSError, LineError) as error:
        raise RunError(f"cannot read the run in {path}: {error}. Put the file back") from error
    numbers, rows = beside.split(whole)
    return Compared(
        name=name,
        config=dict(run_page.rows(config)),
        environment=dict(run_page.rows(run_page.environment_of(path))),
        summary={
            key: run_page.shown(run_page.rounded(one)) for key, one in _named(numbers).items()
        },
        rows=rows,
        finished=is_finished,
        done=len({record["case"] for record in found}),
        seconds=sum({record["case"]: record["seconds"] for record in found}.values()),
        charts=charts,
    )


def _named(numbers: Mapping[str, Any]) -> dict[str, Any]:
    """Lists of a number for each of a table's `columns` as single numbers, named by them."""
    found: dict[str, Any] = {}
    for key, value in numbers.items():
        above, dot, last = key.rpartition(".")
        columns = numbers.get(f"{above}{dot}columns")
        if not (isinstance(columns, list) and isinstance(value, list)):
            found[key] = value
        elif last != "columns" and len(columns) == len(value):
            found |= {f"{key}, {column}": one for column, one in zip(columns, value, strict=True)}
        elif last != "columns":
            found[key] = value
    return found


def _charts(path: Path) -> dict[str, Chart]:
    """The figures of a run's page; none of a run from before there were pages."""
    found = _CHARTS.search(path.read_text(encoding="utf-8")) if path.exists() else None
    charts: list[Any] = strict_json.loads(found[1]) if found else []
    return {chart["name"]: chart for chart in charts}


def _results(runs: Sequence[Compared]) -> str:
    """Rows of summary.json by their names, then its single numbers."""
    lists = dict.fromkeys(name for run in runs for name in run.rows)
    found = {name: [run.rows.get(name, ()) for run in runs] for name in lists}
    told = beside.section([run.name for run in runs], found)
    return told + _beside(
        runs, "summary", "summary.json; shaded where runs differ in the six digits shown"
    )


def _beside(runs: Sequence[Compared], what: str, caption: str, *, differing: bool = False) -> str:
    """A column for each run; only the rows that differ, if asked."""
    values: list[Mapping[str, str]] = [getattr(run, what) for run in runs]
    names = dict.fromkeys(name for own in values for name in own)
    lines = [(name, *(own.get(name, "") for own in values)) for name in names]
    if differing:
        lines = [line for line in lines if len(set(line[1:])) > 1]
    if not lines:
        return ""
    heads = ("key", *(run.name for run in runs))
    return document.table(heads, lines, caption=caption, differing=not differing)


def _differences(runs: Sequence[Compared], what: str, file: str) -> str:
    found = _beside(runs, what, f"what differs in {file}", differing=True)
    same = document.paragraph(f"Nothing in {file} differs.")
    return (found or same) + document.folded("All of it", _beside(runs, what, file))
