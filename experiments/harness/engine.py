"""The loop of every experiment: runs the cases that are not recorded yet, then reports."""

import contextlib
import dataclasses
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict
from rich.console import Console

from elsa.base import strict_json
from elsa.base.files import ReplacedError, WriteError
from elsa.base.refusal import RefusalError
from elsa.report.charts import Chart, chart
from experiments.harness import diverged, going_on, run_page, seeds, terminal
from experiments.harness.environment import environment
from experiments.harness.experiment import (
    FAILED,
    Branch,
    Case,
    Experiment,
    Place,
    RunError,
    Summary,
    message_of,
    stopped,
)
from experiments.harness.folder import (
    CONFIG,
    ENV,
    METRICS,
    SUMMARY,
    TIMING,
    FolderError,
    RunFolder,
    ways_out,
)
from experiments.harness.newer import NEWER


def run(
    experiment: Experiment,
    config: ConfigDict,
    workdir: str | Path,
    *,
    overwrite: bool = False,
    extend: bool = False,
    branch: Branch | None = None,
    accept: bool = False,
    command: str = "",
    screen: Console | None = None,
    brief: bool = False,
) -> Summary:
    """Runs an experiment in a folder, or takes up the run that the folder holds.

    Args:
      experiment: the five functions.
      config: the resolved config.
      workdir: the run folder; the same config in it goes on, any other is refused.
      overwrite: moves what is in the folder to `<workdir>.<time>` first.
      extend: lets the folder's run go on to a larger train.num_steps, all else equal; what the
        shorter one measured is set aside, and an empty folder starts a run.
      branch: where training runs start, in a folder that begins; origin.json keeps it.
      accept: goes on beside what was computed in an environment that gives other bits.
      command: the command line that repeats this run, for env.json and for whoever resumes.
      screen: where to print; standard output by default.
      brief: prints progress alone, no tables and no places of files.

    Returns:
      The summary, as it stands in summary.json.

    Raises:
      RunError: for a bad config, a folder that holds something else, a record that is not JSON, a
        full disk, a folder that another process has taken over, Ctrl-C or a scheduler's signal;
        the message says what is kept. As its kind NothingLeftError, at the end, where every model
        of every point diverged. A driver's other errors are passed on.
    """
    screen = screen or terminal.console()
    settings, cases = question(experiment, config)
    place = Path(workdir)
    about = experiment, config, cases, place
    if extend and branch is not None:
        raise RunError(
            "--extend goes on in the folder, --branch starts from another's runs: leave one out"
        )
    more = going_on.extension(*about, overwrite=overwrite) if extend else None
    start = going_on.origin(*about, branch, overwrite=overwrite)
    folder: RunFolder | None = None
    try:
        with RunFolder.open(
            place, settings, overwrite=overwrite, newer=NEWER, extend=more
        ) as folder:
            if start is not None:
                going_on.write_origin(place, start)
            _refuse_foreign_cases(folder, cases)
            if len(folder.cases) < len(cases):
                here = {**environment(settings, command), "branch": going_on.as_json(start)}
                folder.write_environment(here, accept=accept)
            _announce(folder, cases, screen, brief=brief)
            finished = len(folder.cases) == len(cases) and folder.has_summary
            about_it = _about(experiment, settings, cases, folder, command)
            try:
                _compute(experiment, config, cases, Place(place, screen, start, accept), folder)
            except BaseException:
                _write_stopped(about_it)
                raise
            shown = None if brief else screen
            summary = _report(experiment, config, folder, shown, about_it, finished=finished)
            found = diverged.lines(folder.records)
            if diverged.nothing_is_left(folder.records):
                raise diverged.NothingLeftError(diverged.said(found, of=len(folder.records)))
            if found and not brief:
                terminal.say(screen, diverged.said(found, of=len(folder.records)))
            return summary
    except FolderError as error:
        raise RunError(message_of(error)) from error
    except WriteError as error:
        moved = "".join(f"\n{note}" for note in getattr(error, "__notes__", ()))
        text = f"{error}. {_kept(folder, cases)} When it can be written, {_resume(command)}{moved}"
        raise RunError(text, exit_code=FAILED) from error
    except ReplacedError as error:
        raise RunError(f"{error}. {_kept(folder, cases)}", exit_code=FAILED) from error
    except KeyboardInterrupt as error:
        reason = f"{error}. " if str(error) else ""
        text = f". {reason}{_kept(folder, cases)} To go on, {_resume(command)}"
        raise stopped(error, text) from error
    except RunError:
        raise
    except RefusalError as error:
        text = f"{error}\n{_kept(folder, cases)} To go on, {_resume(command)}"
        raise RunError(text, exit_code=FAILED) from error
    except Exception as error:
        error.add_note(f"{_kept(folder, cases)} To go on, {_resume(command)}")
        raise


def question(
    experiment: Experiment, config: ConfigDict
) -> tuple[dict[str, Any], Mapping[str, Case]]:
    """The config as plain values, and its cases.

    Raises:
      RunError: for a config that the driver's check refuses, is not plain JSON, or has no case.
    """
    try:
        if experiment.check is not None:
            experiment.check(config)
        seeds.refuse(config)
        settings = config.to_dict()
        strict_json.dumps(settings, where="config")
    except (ValueError, TypeError, KeyError, OSError, RefusalError) as error:
        raise RunError(message_of(error)) from error
    cases = experiment.cases(config)
    if not cases:
        raise RunError("this config asks for no case at all")
    return settings, cases


def _refuse_foreign_cases(folder: RunFolder, cases: Mapping[str, Case]) -> None:
    foreign = [case for case in folder.cases if case not in cases]
    if foreign:
        raise FolderError(
            f"{folder.path} holds the case {foreign[0]!r}, which this config does not ask for: the "
            f"program has changed since. {ways_out(folder.path)}"
        )


def _announce(
    folder: RunFolder, cases: Mapping[str, Case], screen: Console, *, brief: bool
) -> None:
    """Prints what the folder holds already."""
    for note in folder.notes:
        terminal.say(screen, note)
    kept, total = len(folder.cases), len(cases)
    if kept == total and folder.has_summary:
        text = (
            f"{folder.path} holds this run, finished: nothing is computed; "
            f"its table and figures are made again from {METRICS}"
        )
    elif kept:
        text = f"resuming {folder.path}: {kept} of {total} cases are kept"
    elif brief:
        return
    else:
        text = f"{total} case{'s' * (total > 1)} in {folder.path}"
    terminal.say(screen, text)


def _compute(
    experiment: Experiment,
    config: ConfigDict,
    cases: Mapping[str, Case],
    place: Place,
    folder: RunFolder,
) -> None:
    """Runs the cases ahead, each recorded on the disk before the next begins."""
    kept = folder.cases
    if len(kept) == len(cases):
        return
    with terminal.CaseProgress(place.screen, total=len(cases), kept=len(kept)) as progress:
        for case, settings in cases.items():
            if case in kept:
                continue
            progress.begins(case)
            start = time.perf_counter()
            results = experiment.measure(config, settings, place)
            seconds = time.perf_counter() - start
            try:
                folder.append(case, results, seconds=seconds)
            except (ValueError, TypeError) as error:
                text = f"{error}. {_kept(folder, cases)}"
                raise RunError(text, exit_code=FAILED) from error
            progress.ends(case, seconds)


def _about(
    experiment: Experiment,
    settings: Mapping[str, Any],
    cases: Mapping[str, Case],
    folder: RunFolder,
    command: str,
) -> run_page.Run:
    """What the run's page shows, as far as it is known before the end."""
    return run_page.Run(
        path=folder.path,
        config=settings,
        environment=run_page.environment_of(folder.path),
        records=folder.records,
        cases=len(cases),
        command=command,
        grows=run_page.grows(experiment, settings),
    )


def _write_stopped(about_it: run_page.Run) -> None:
    """Writes the page of a run that ends early, whose error counts more than one of the page."""
    with contextlib.suppress(WriteError, ReplacedError, OSError):
        run_page.write(about_it)


def _report(
    experiment: Experiment,
    config: ConfigDict,
    folder: RunFolder,
    screen: Console | None,
    about_it: run_page.Run,
    *,
    finished: bool,
) -> Summary:
    """Writes summary, figures and page, prints the tables and where the files are.

    A run that was finished before may lie in a folder that nobody may write in.
    """
    timeless = [{k: v for k, v in record.items() if k != "seconds"} for record in folder.records]
    text = strict_json.dumps(experiment.summarise(config, timeless), where=SUMMARY)
    summary: Summary = strict_json.loads(text)  # as a rebuild from the files would read it
    seconds = {record["case"]: record["seconds"] for record in folder.records}
    paths = [folder.path / name for name in (SUMMARY, TIMING, METRICS, CONFIG, ENV)]
    tables = experiment.tables({**summary, "seconds": seconds})
    charts: dict[str, Chart | None] = {}
    try:
        folder.write_json(SUMMARY, summary)
        folder.write_json(TIMING, {"cases": seconds, "total": round(sum(seconds.values()), 6)})
        if experiment.files is not None:
            for name, content in experiment.files(folder.records).items():
                paths.append(folder.write_text(name, content))
        for name, figure in experiment.figures(config, folder.records, summary).items():
            paths += folder.write_figure(name, figure)
            charts[name] = chart(figure)
        about_it = dataclasses.replace(about_it, summary=summary, tables=tables, charts=charts)
        paths.append(run_page.write(about_it))
        said = "\n".join(["files:", *(f"  {path}" for path in paths)])
    except WriteError as error:
        if not (finished and error.forbidden):
            raise
        said = f"{error}. Nothing was written; the files there are as they were."
    if screen:
        for table in tables:
            terminal.show(screen, table)
        terminal.say(screen, said)
    return summary


def _kept(folder: RunFolder | None, cases: Mapping[str, Case]) -> str:
    if folder is None:
        return "Nothing was computed."
    return f"{len(folder.cases)} of {len(cases)} cases are kept in {folder.path}."


def _resume(command: str) -> str:
    return f"run:\n  {command}" if command else "run the same config in the same folder."
