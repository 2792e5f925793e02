"""Follows the jobs of a sweep, by their folders and the cluster's list, until none is left."""

import contextlib
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from elsa.base.stopping import PREEMPTED
from experiments.cluster.ledger import Ended, Job, Ledger
from experiments.cluster.places import LOCAL, Cluster, NoAnswerError, State
from experiments.cluster.progress import JobProgress, counted
from experiments.harness import engine, sweep_folder, terminal
from experiments.harness.gathering import Gathering
from experiments.harness.grouping import Group
from experiments.harness.sweep_folder import GROUPS, SweepFolder
from experiments.harness.table import Outcome

_SECONDS_TO_BE_TOLD = 2.0  # until a job has noted a signal that came to this process as well
_FASTER = 0.2  # looks at jobs that are about to end, for the seconds of others
_LOOKS = 3  # without a sign of a job, in its folder and in the list, until it counts as gone


class Watch:
    """The jobs of one sweep that have not ended, and what comes of them.

    Attributes:
      live: number -> job, of those that wait or run.
      lost: jobs that ended before their groups.
    """

    def __init__(self, found: Gathering, folder: SweepFolder, ledger: Ledger):
        self.live: dict[int, Job] = {}
        self.lost: list[Job] = []
        self._found, self._folder, self._ledger = found, folder, ledger
        self._groups = {group.name: group for group in found.groups}
        self._states: dict[int, State] = {}
        self._unseen: dict[int, int] = {}
        self._queue: list[Job] = []  # planned, for which the cluster has no room yet
        self._silent: set[str] = set()  # places that did not answer

    def take_up(self, places: Sequence[Cluster]) -> None:
        """Gathers what jobs of an earlier command have done, and follows those that still live."""
        earlier = [job for job in self._ledger.jobs() if self._open(job)]
        for place in places:  # first: one that ends meanwhile has its groups in its folder
            own = [job for job in earlier if job.cluster == place.name]
            self._states |= place.states(own) if own else {}
        self._gather(earlier, failures=False)
        self.live = {
            job.number: job for job in earlier if job.number in self._states and self._open(job)
        }

    def missing(self) -> list[str]:
        """The groups that no living job has, in the order of the sweep."""
        taken = {name for job in self.live.values() for name in job.groups}
        return [group.name for group in self._found.ahead if group.name not in taken]

    def follow(
        self, places: Mapping[str, Cluster], jobs: Sequence[Job], words: Sequence[str]
    ) -> None:
        """Submits jobs as there is room, and gathers until all have ended.

        Args:
          places: by their names.
          jobs: to be submitted, all to one place.
          words: the command that a job runs, but for its number.
        """
        self._queue = list(jobs)
        sizes = {group.name: len(group.points) for group in self._found.groups}
        kept = sum(sizes[name] for name in self._found.outcomes)
        with JobProgress(self._found.screen, total=sum(sizes.values()), kept=kept) as progress:
            while self.live or self._queue:
                self._submit(places, words)
                self._look(places)
                self._gather(list(self.live.values()), failures=True)
                self._let_go()
                done = sum(sizes[name] for name in self._found.outcomes)
                progress.shows(done, self._states, len(self._queue))
                if self.live:
                    time.sleep(min(places[job.cluster].seconds for job in self.live.values()))

    def see_who_stops(self, places: Mapping[str, Cluster]) -> None:
        """After a scheduler's signal: waits for the end of those local jobs that it reached too.

        So it does where it was sent to a process group, a container or all that a user has. Ctrl-C
        leaves them to themselves.
        """
        here = {name: place for name, place in places.items() if name == LOCAL}
        said, until = False, time.monotonic() + _SECONDS_TO_BE_TOLD
        with contextlib.suppress(KeyboardInterrupt):
            while own := [job for job in self.live.values() if job.cluster == LOCAL]:
                told = sum(self._ledger.is_told(job) for job in own)
                if not told and time.monotonic() > until:
                    return
                if told and not said:
                    text = f"the signal reached jobs, too: waiting until {told} of them have saved"
                    terminal.say(self._found.screen, text)
                    said = True
                time.sleep(here[LOCAL].seconds * _FASTER)
                self._look(here)
                self._gather(own, failures=True)
                self._let_go()

    def where(self, places: Mapping[str, Cluster]) -> str:
        """What becomes of the jobs if nobody watches them, and what cancels them."""
        saved = [job for job in self.lost if self._ledger.exit_code(job) == PREEMPTED]
        others = [job for job in self.lost if job not in saved]
        lines = [f"Jobs that have saved and stopped, too: {len(saved)}."] if saved else []
        lines += [lost(others, self._ledger, self._folder.path)] if others else []
        if self.live:
            lines.append(f"The jobs go on: {counted(self._states, 0)}. To cancel them:")
        elif not lines:
            lines.append("No job is left.")
        for name, place in places.items():
            own = [job for job in self.live.values() if job.cluster == name]
            lines += [f"  {place.cancel(own)}"] if own else []
        if self._queue:
            lines.append(f"Jobs that the same command starts: {len(self._queue)}.")
        return "\n".join(lines)

    def _submit(self, places: Mapping[str, Cluster], words: Sequence[str]) -> None:
        if not self._queue:
            return
        place = places[self._queue[0].cluster]
        now = self._queue[: place.room(len(self.live))]
        if now:
            place.submit(now, words)
            self.live |= {job.number: job for job in now}
            self._queue = self._queue[len(now) :]

    def _look(self, places: Mapping[str, Cluster]) -> None:
        """Asks how the jobs are; where nobody answers, all is as it was."""
        for name, place in places.items():
            own = [job for job in self.live.values() if job.cluster == name]
            if not own:
                continue
            try:
                states = place.states(own)
            except NoAnswerError as error:
                if name not in self._silent:
                    terminal.say(self._found.screen, f"{error}. The jobs may be well; waiting.")
                self._silent.add(name)
                continue
            self._silent.discard(name)
            for job in own:
                if job.number in states:
                    self._states[job.number] = states[job.number]
                    self._unseen.pop(job.number, None)
                else:
                    self._unseen[job.number] = self._unseen.get(job.number, 0) + 1

    def _let_go(self) -> None:
        """Follows no longer those that are through with their groups, or gone."""
        for number, job in list(self.live.items()):
            if self._open(job) and self._unseen.get(number, 0) < _LOOKS:
                continue
            del self.live[number]
            self._states.pop(number, None)
            if self._open(job):
                self.lost.append(job)

    def _gather(self, jobs: Sequence[Job], *, failures: bool) -> None:
        """Takes into the table what has come to its end in jobs.

        Args:
          jobs: whose folders are read.
          failures: whether a group that failed is behind; else it is tried again.
        """
        outcomes = []
        for job in jobs:
            for name, ended in self._ledger.ended(job).items():
                group = self._groups.get(name)
                is_behind = name in self._found.outcomes
                if group is None or is_behind or (ended.failure and not failures):
                    continue
                outcome = self._outcome(group, ended)
                if outcome is not None:
                    outcomes.append(outcome)
        if outcomes:
            self._found.add(outcomes, self._folder)

    def _outcome(self, group: Group, ended: Ended) -> Outcome | None:
        """What came of a group; None where its folder does not show it, or not yet."""
        records = sweep_folder.read(self._folder.path / GROUPS / group.name)
        if not ended.failure:
            _, cases = engine.question(self._found.experiment, group.config)
            if {record["case"] for record in records} != set(cases):
                return None
            if group.name not in self._folder.cases:
                points = {"points": len(group.points)}
                self._folder.append(group.name, points, seconds=ended.seconds)
        return Outcome(group, records, ended.failure)

    def _open(self, job: Job) -> bool:
        """Whether the job has groups of this sweep ahead."""
        return any(name in self._groups and name not in self._found.outcomes for name in job.groups)


def lost(jobs: Sequence[Job], ledger: Ledger, folder: Path) -> str:
    """Lines on jobs that ended before their groups, with where their last words are."""
    lines = [f"{len(jobs)} job{'s' * (len(jobs) > 1)} ended before their points were done:"]
    for job in jobs:
        code = ledger.exit_code(job)
        how = "killed" if code is None else f"exit code {code}"
        name = f", {job.cluster}'s {ledger.id(job)}" if ledger.id(job) else ""
        done = sum(not ended.failure for ended in ledger.ended(job).values())
        lines.append(
            f"  job {job.number}{name}: {how}, {done} of {len(job.groups)} groups done; it printed "
            f"in {ledger.printed(job)}"
        )
    return "\n".join(lines)
