"""What one job of a sweep runs: its groups, one after the other, and nothing of the sweep's own."""

import time
from pathlib import Path

from ml_collections import ConfigDict
from rich.console import Console

from elsa.base import files
from experiments.cluster import plan
from experiments.cluster.ledger import Ledger
from experiments.harness import groups, sweep_folder, terminal
from experiments.harness.experiment import FAILED, Experiment, RunError, stopped
from experiments.harness.gathering import Gathering
from experiments.harness.sweep import Sweep
from experiments.harness.sweep_folder import GROUPS
from experiments.harness.table import Outcome


def run(
    experiment: Experiment,
    config: ConfigDict,
    sweep: Sweep,
    workdir: str | Path,
    number: int,
    *,
    command: str = "",
    accept: bool = False,
    screen: Console | None = None,
    prepare: groups.Prepare = lambda config: None,
) -> None:
    """Runs the groups of a job that have not come to their end; a group that fails ends no other.

    Args:
      experiment, config, sweep, workdir, command, accept, screen, prepare: as `groups.run`.
      number: of the job.

    Raises:
      RunError: where there is no such job, or its plan is not of this config and sweep; for Ctrl-C
        and the cluster's signals, once all is saved; at the end, if a group failed.
    """
    screen = screen or terminal.console()
    ledger = Ledger(Path(workdir))
    job = ledger.job(number)
    if job is None:
        raise RunError(f"--job={number}: {ledger.path} has no such job; --jobs=N submits them")
    own = plan.read(ledger.folder(number), experiment, config, sweep, Path(workdir))
    found = Gathering(experiment, own, command, screen)
    done = {name for name, ended in ledger.ended(job).items() if not ended.failure}
    failed = []
    for index, group in enumerate(found.groups, start=1):
        if group.name in done:
            found.take(Outcome(group, sweep_folder.read(Path(workdir) / GROUPS / group.name)))
            continue
        terminal.say(screen, f"group {index} of {len(found.groups)}: {group.name}")
        start = time.perf_counter()
        try:
            outcome = groups.one(found, group, Path(workdir), prepare, accept=accept)
            found.take(outcome)
            ledger.end(job, group.name, outcome.failure, seconds=time.perf_counter() - start)
        except files.WriteError as error:
            raise RunError(f"{error}. {found.done}", exit_code=FAILED) from error
        except KeyboardInterrupt as error:
            raise stopped(error, f" in job {number}.") from error
        failed += [group.name] if outcome.failure else []
    if failed:
        raise RunError(f"{len(failed)} of {len(job.groups)} groups failed", exit_code=FAILED)
