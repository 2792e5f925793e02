"""report.html: a run on one page, from its files and its figures."""

import dataclasses
import os
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from elsa.base import files, sealed_json, strict_json
from elsa.report import document
from elsa.report.charts import Chart
from experiments.harness import diverged, smoke, terminal, typed
from experiments.harness.experiment import Experiment, Record, RunError
from experiments.harness.folder import ENV, FIGURES, PAGE
from experiments.harness.newer import NEWER
from experiments.harness.table import flat

if TYPE_CHECKING:
    from rich.table import Table

_LONGEST = 40  # entries of a list that are shown
HINT = (
    "Point at a curve, or reach a panel with Tab and use the arrow keys, to read its numbers; "
    "the names switch curves off and on. Theory is dotted or dashed."
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Run:
    """What a page shows of a run.

    Attributes:
      path: its folder.
      config, environment: contents of config.json and env.json.
      records: of metrics.jsonl.
      cases: how many the config asks for.
      summary: of summary.json; empty for a run that has not come to its end.
      tables: as they are printed.
      charts: figure -> its numbers, None for one that is shown as it was printed.
      command: the command line that repeats it.
      grows: whether --extend trains it further.
    """

    path: Path
    config: Mapping[str, Any]
    environment: Mapping[str, Any]
    records: Sequence[Record]
    cases: int
    summary: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    tables: Sequence["Table"] = ()
    charts: Mapping[str, Chart | None] = dataclasses.field(default_factory=dict)
    command: str = ""
    grows: bool = False

    @property
    def done(self) -> int:
        """How many cases are recorded."""
        return len({record["case"] for record in self.records})


def write(run: Run) -> Path:
    """Replaces the page of a run, and returns its path.

    Raises:
      files.WriteError: the old page is untouched.
    """
    files.replace(run.path / PAGE, page(run).encode("utf-8"))
    return run.path / PAGE


def environment_of(folder: Path) -> dict[str, Any]:
    """What env.json says; nothing where it is missing or damaged, which the run itself refuses."""
    try:
        return sealed_json.read(folder / ENV)
    except (ValueError, OSError):
        return {}


def grows(experiment: Experiment, config: Mapping[str, Any]) -> bool:
    """Whether the command of a run with more steps goes on from it."""
    train = config.get("train")
    return experiment.extends is not None and isinstance(train, Mapping) and "num_steps" in train


def page(run: Run) -> str:
    """The page; the same files give the same bytes."""
    charts = [{"name": name, **chart} for name, chart in run.charts.items() if chart is not None]
    sections = {
        "Results": _results(run),
        "Figures": _figures(run),
        "Progress": _progress(run),
        "Config": document.table(
            ("key", "value"), rows(run.config), caption="config.json: the config as it was resolved"
        ),
        "Environment": _environment(run),
        "Run it again": _again(run),
    }
    shown = {name: inside for name, inside in sections.items() if inside}
    title = f"{run.config.get('experiment', 'run')}: {run.path.name}"
    return document.document(title, shown, head=_status(run), charts=charts)


def rows(values: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Dotted keys and values, as a table shows them."""
    return [(name, shown(value)) for name, value in flat(values).items()]


def shown(value: Any) -> str:
    """A value for readers; of a long list the first entries."""
    if isinstance(value, list) and len(value) > _LONGEST:
        first = strict_json.dumps(value[:_LONGEST], where="value")
        return f"{first[:-1]}, ... {len(value) - _LONGEST} more]"
    return value if isinstance(value, str) else strict_json.dumps(value, where="value")


def rounded(value: Any) -> Any:
    """A value with six digits of its floats, of lists too."""
    if isinstance(value, list):
        return [rounded(part) for part in value]
    return float(f"{value:.6g}") if isinstance(value, float) else value


def command_of(run: Run) -> str:
    """The command that began the run, or else the one that repeats it."""
    return str(run.environment.get("command") or run.command)


def smoke_line(command: str) -> str:
    """What the page of a small version says of its numbers; nothing on a full one's."""
    try:
        full = smoke.of_command(command)
    except RunError:  # its config is no longer there
        return ""
    if not full:
        return ""
    said = "This is a small version, a smoke run: its numbers are not the result, which this gives:"
    return document.paragraph(said, "status stopped") + document.command(full)


def _status(run: Run) -> str:
    seconds = sum({r["case"]: r["seconds"] for r in run.records}.values())
    took = f"{terminal.duration(seconds)} of measuring"
    if run.summary:
        said = document.paragraph(
            f"Finished: {run.cases} case{'s' * (run.cases > 1)}, {took}.", "status"
        )
    else:
        text = f"Stopped before its end: {run.done} of {run.cases} cases are recorded, {took}."
        said = document.paragraph(text, "status stopped")
    said += smoke_line(command_of(run))
    lost = diverged.lines(run.records)
    if lost:
        text = diverged.said(lost, of=len(run.records))
        said += f'<pre class="status stopped" tabindex="0">{document.text(text)}</pre>\n'
    return said


def _figures(run: Run) -> str:
    if not run.charts:
        return ""
    parts, number = [], 0
    for name, chart in run.charts.items():
        if chart is None:
            png = (run.path / FIGURES / f"{name}.png").read_bytes()
            parts.append(document.picture(name, png))
        else:
            parts.append(document.figure(name, number))
            number += 1
    return document.paragraph(HINT, "note") + "".join(parts)


def _results(run: Run) -> str:
    told = "".join(printed(table) for table in run.tables)
    numbers = rows(run.summary)
    if not numbers:
        return told
    table = document.table(("number", "value"), numbers, caption="summary.json")
    return told + document.folded("All numbers of summary.json", table)


def printed(table: "Table") -> str:
    """A table of the terminal as one of a page."""

    columns = [str(column.header) for column in table.columns]
    lines = zip(*(map(str, column.cells) for column in table.columns), strict=True)
    title, below = (str(part) if part else "" for part in (table.title, table.caption))
    told = document.table(columns, list(lines), caption=title or "results")
    return told + (document.paragraph(below, "note") if below else "")


def _progress(run: Run) -> str:
    """The cases; what training went through is in their figures and records."""
    if not run.records:
        return document.paragraph("No case is recorded yet.")
    seconds = {record["case"]: record["seconds"] for record in run.records}
    counted = {case: sum(r["case"] == case for r in run.records) for case in seconds}
    times = [(case, counted[case], terminal.duration(took)) for case, took in seconds.items()]
    told = document.table(("case", "records", "time"), times, caption="cases, in their order")
    each = [
        document.folded(
            f"{record['case']}, record {record.get('part', 0) + 1}",
            document.table(("field", "value"), rows(record), caption="as in metrics.jsonl"),
        )
        for record in run.records[:_LONGEST]
    ]
    more = len(run.records) - _LONGEST
    rest = document.paragraph(f"{more} more records are in metrics.jsonl.") if more > 0 else ""
    return told + document.folded("Every record", "".join(each) + rest)


def _environment(run: Run) -> str:
    if not run.environment:
        return document.paragraph("env.json is missing or damaged.")
    caption = "env.json: where and with what it was computed"
    return document.table(("key", "value"), rows(run.environment), caption=caption)


def _again(run: Run) -> str:
    command = command_of(run)
    if not command:
        return ""
    here = os.getcwd()
    folder = str(run.environment.get("folder", here))  # where the command was typed
    path = run.path if folder == here else run.path.resolve()
    parts = [
        document.paragraph("Commands are for this folder:"),
        document.command(shlex.join(["cd", folder])),
        document.paragraph(
            "The same command goes on where a run was stopped, and makes the tables and figures of "
            "a finished one again:"
        ),
        document.command(command),
    ]
    if run.grows:
        train, own = run.config["train"], shlex.quote(str(path))
        steps = train["num_steps"]
        place = "" if _is_open(train) else ", in a folder of its own"
        way = f"--branch={own} --workdir={own}-longer" if place else "--extend"
        parts += [
            document.paragraph(f"To train on from the {steps:,} steps that it has{place}:"),
            document.command(f"{command} --config.train.num_steps={2 * steps} {way}"),
        ]
    parts += [
        document.paragraph("Afresh, with what is there moved aside:"),
        document.command(f"{command} --overwrite"),
        document.paragraph("Beside others, on one page:"),
        document.command(shlex.join([*typed.report_from(folder), str(path), "OTHER_RUN"])),
    ]
    return "".join(parts)


def _is_open(train: Mapping[str, Any]) -> bool:
    """Whether nothing of a training run was chosen with its end in view, so that it goes on."""
    needed = {"decay": "constant", "average": 0.0, "patience": 0}
    return all(train.get(key, NEWER[f"train.{key}"]) == value for key, value in needed.items())
