"""report.html of a sweep: its figure and table, and the way to the page of every group."""

import dataclasses
import os
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from elsa.base import files
from elsa.report import document
from elsa.report.charts import Chart, chart
from experiments.harness import run_page, typed
from experiments.harness.folder import FIGURES, PAGE
from experiments.harness.sweep_folder import GROUPS

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from rich.table import Table

WAITING = "not run yet"


@dataclasses.dataclass(frozen=True, kw_only=True)
class SweptGroup:
    """A group as the page lists it: its folder's name, how many points it has, and its state."""

    name: str
    points: int
    state: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class SweepReport:
    """What a page shows of a sweep.

    Attributes:
      path: its folder.
      groups: all of them, in their order.
      asked: contents of sweep.json: the base config and the axes.
      table: as it is printed.
      figure: name and figure, None where nothing is drawn.
      command: the command line that repeats it.
    """

    path: Path
    groups: Sequence[SweptGroup]
    asked: Mapping[str, Any]
    table: "Table | None" = None
    figure: "tuple[str, Figure] | None" = None
    command: str = ""


def write(report: SweepReport) -> Path:
    """Replaces the page of a sweep, and returns its path.

    Raises:
      files.WriteError: the old page is untouched.
    """
    files.replace(report.path / PAGE, page(report).encode("utf-8"))
    return report.path / PAGE


def page(report: SweepReport) -> str:
    """The page; the same files give the same bytes."""
    charts: list[Chart] = []
    sections = {
        "Figures": _figure(report, charts),
        "Results": "" if report.table is None else run_page.printed(report.table),
        "Runs": _groups(report),
        "Config": document.table(
            ("key", "value"), run_page.rows(report.asked), caption="sweep.json: what was asked"
        ),
        "Run it again": _again(report),
    }
    shown = {name: inside for name, inside in sections.items() if inside}
    behind = sum(group.state != WAITING for group in report.groups)
    title = f"{report.asked['config'].get('experiment', 'sweep')}, sweep: {report.path.name}"
    points = sum(group.points for group in report.groups)
    head = document.paragraph(
        f"{points} points in {len(report.groups)} runs, of which {behind} are behind.", "status"
    )
    head += run_page.smoke_line(report.command)
    return document.document(title, shown, head=head, charts=charts)


def _figure(report: SweepReport, charts: list[Chart]) -> str:
    if report.figure is None:
        return ""
    name, figure = report.figure
    found = chart(figure)
    if found is None:
        return document.picture(name, (report.path / FIGURES / f"{name}.png").read_bytes())
    charts.append({"name": name, **found})
    return document.paragraph(run_page.HINT, "note") + document.figure(name, 0)


def _groups(report: SweepReport) -> str:
    """A line for each group; those that have a page are links to it."""
    lines = []
    for group in report.groups:
        address = f"{GROUPS}/{quote(group.name)}/{PAGE}"
        has_page = (report.path / GROUPS / group.name / PAGE).is_file()
        name = document.link(group.name, address) if has_page else document.text(group.name)
        lines.append((document.Markup(name), group.points, group.state))
    caption = "the runs of the sweep, each with a page of its own"
    return document.table(("run", "points", "state"), lines, caption=caption)


def _again(report: SweepReport) -> str:
    if not report.command:
        return ""
    beside = f"{shlex.join([*typed.report(), str(report.path / GROUPS)])}/*"
    return "".join(
        [
            document.paragraph("Commands are for this folder:"),
            document.command(shlex.join(["cd", os.getcwd()])),
            document.paragraph("The same command goes on where the sweep was stopped:"),
            document.command(report.command),
            document.paragraph("Its runs beside one another, on one page:"),
            document.command(beside),
        ]
    )
