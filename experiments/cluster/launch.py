"""A sweep whose groups run in jobs: submitted, followed, gathered into the one table."""

import uuid
from collections.abc import Sequence
from pathlib import Path

import polars as pl
from ml_collections import ConfigDict
from rich.console import Console

from elsa.base.counting import counted
from elsa.base.stopping import PREEMPTED, Preempted
from experiments.cluster import plan, watching
from experiments.cluster.asked import Asked
from experiments.cluster.ledger import Ledger
from experiments.cluster.local import Local
from experiments.cluster.places import Cluster
from experiments.cluster.slurm import Slurm
from experiments.harness import dividing, groups, sweep_folder, terminal
from experiments.harness.experiment import FAILED, Experiment, RunError, stopped
from experiments.harness.gathering import Gathering
from experiments.harness.sweep import Sweep
from experiments.harness.sweep_folder import SweepFolder


def run(
    experiment: Experiment,
    config: ConfigDict,
    sweep: Sweep,
    workdir: str | Path,
    *,
    asked: Asked,
    words: Sequence[str],
    overwrite: bool = False,
    command: str = "",
    screen: Console | None = None,
    prepare: groups.Prepare = lambda config: None,
) -> pl.DataFrame:
    """Runs all points of a sweep in jobs, or takes up the sweep that the folder holds.

    What shares a program is cut into `asked.jobs` groups at least, once, when the folder is made.
    Groups that are not done and that no living job has are dealt out to jobs. The command follows
    the jobs until all have ended; where it is stopped they go on, and the same command gathers what
    they have done since.

    Args:
      experiment: what runs.
      config: the base config.
      sweep: the points.
      workdir: the folder; the same base config and sweep in it go on, anything else is refused.
      asked: how many jobs, and where.
      words: the command that a job runs, but for its number.
      overwrite: moves what is in the folder to `<workdir>.<time>` first.
      command: the command line that repeats this sweep.
      screen: where to print; standard output by default.
      prepare: called with the config of a group before that is checked.

    Returns:
      The table.

    Raises:
      RunError: as `groups.run`; where the cluster refuses the jobs; at the end, if jobs ended
        before their groups, with exit code 75 where all of them only ask to be run again.
    """
    screen = screen or terminal.console()
    parts = sweep_folder.parts(workdir, overwrite=overwrite, asked=asked.jobs)
    all_groups = groups.checked(experiment, config, sweep, parts, prepare)
    found = Gathering(experiment, all_groups, command, screen)
    with groups.opened(found, config, sweep, workdir, parts=parts, overwrite=overwrite) as folder:
        ledger = Ledger(folder.path)
        places: dict[str, Cluster] = {"slurm": Slurm(ledger, asked.options), "local": Local(ledger)}
        found.keep(folder)
        watch = watching.Watch(found, folder, ledger)
        finished = not found.ahead
        try:
            of = plan.digest(config, sweep)
            _follow(found, watch, ledger, places, asked, words, folder, of)
        except KeyboardInterrupt as error:
            if isinstance(error, Preempted):
                watch.see_who_stops(places)
            again = f"\nTo come back, run:\n  {command}" if command else ""
            raise stopped(error, f". {found.done} {watch.where(places)}{again}") from error
        if watch.lost:
            _refuse_lost(found, watch, ledger, folder)
        rows = found.report(folder, finished=finished)
    found.refuse_failures()
    return rows


def _follow(
    found: Gathering,
    watch: watching.Watch,
    ledger: Ledger,
    places: dict[str, Cluster],
    asked: Asked,
    words: Sequence[str],
    folder: SweepFolder,
    of: str,
) -> None:
    watch.take_up(list(places.values()))
    missing = watch.missing()
    hands = dividing.dealt(missing, asked.jobs)
    of_groups, of_jobs, of_live = (
        counted(len(many), name)
        for many, name in ((missing, "group"), (hands, "job"), (watch.live, "job"))
    )
    said = [f"{of_groups} in {of_jobs} ({asked.cluster})"] if hands else []
    go = "goes" if len(watch.live) == 1 else "go"
    said += [f"{of_live} of an earlier command {go} on"] if watch.live else []
    if said:
        terminal.say(found.screen, f"{', '.join(said)}; they print in {ledger.log}")
    name = f"{folder.path.resolve().name}-{uuid.uuid4().hex[:8]}"
    jobs = ledger.plan(hands, cluster=asked.cluster, name=name)
    by_name = {group.name: group for group in found.groups}
    for job in jobs:
        plan.write(ledger.folder(job.number), [by_name[name] for name in job.groups], of)
    try:
        watch.follow(places, jobs, words)
    except RunError:
        ledger.drop([job for job in jobs if not ledger.id(job)])
        raise


def _refuse_lost(
    found: Gathering, watch: watching.Watch, ledger: Ledger, folder: SweepFolder
) -> None:
    """Ends a sweep of whose jobs some ended early; its table has all others.

    Raises:
      RunError: which jobs, and the way on.
    """
    codes = {ledger.exit_code(job) for job in watch.lost}
    failed = sum(bool(each.failure) for each in found.outcomes.values())
    also = f" {failed} groups failed, and are tried again too." if failed else ""
    again = (
        f"\nTo run what is missing, and nothing else:\n  {found.command}" if found.command else ""
    )
    raise RunError(
        f"{watching.lost(watch.lost, ledger, folder.path)}\n{found.done}{also}{again}",
        exit_code=PREEMPTED if codes == {PREEMPTED} else FAILED,
    )
