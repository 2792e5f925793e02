"""Jobs of Slurm."""

import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from typing import Any

import submitit

from experiments.cluster import limits
from experiments.cluster.ledger import Job, Ledger
from experiments.cluster.places import RUNNING, WAITING, NoAnswerError, State, by_value, command
from experiments.harness.experiment import FAILED, RunError


class Slurm:
    """Jobs of Slurm, one array for each submission, found again by their name in squeue."""

    name, seconds = "slurm", 5.0

    def __init__(self, ledger: Ledger, options: Mapping[str, Any]):
        self._ledger, self._options = ledger, dict(options)

    def room(self, alive: int) -> int:
        """Slurm takes them all."""
        return 2**31

    def submit(self, jobs: Sequence[Job], words: Sequence[str]) -> None:
        """Submits jobs as one array.

        Raises:
          RunError: with what sbatch says, and the way out.
        """
        if shutil.which("sbatch") is None:
            raise RunError(
                "--cluster=slurm: there is no sbatch on this machine. Start the command where jobs "
                "are submitted, or take --cluster=local. Nothing was run."
            )
        options = dict(self._options)
        before = options.pop("signal", limits.BEFORE)
        cpus = options.get("cpus_per_task")
        executor = submitit.SlurmExecutor(folder=self._ledger.log)
        executor.update_parameters(
            job_name=jobs[0].name,
            time=None,
            wckey=None,
            array_parallelism=len(jobs),
            signal_delay_s=before,
            stderr_to_stdout=True,
            # which srun does not take over from sbatch
            srun_args=None if cpus is None else [f"--cpus-per-task={cpus}"],
            additional_parameters={"requeue": True, **options},
        )
        commands = [command(self._ledger, job, words) for job in jobs]
        try:
            with by_value():
                accepted = executor.submit_array(commands)
        except submitit.core.utils.FailedJobError as error:
            raise RunError(self._refused(str(error)), exit_code=FAILED) from error
        for job, its in zip(jobs, accepted, strict=True):
            self._ledger.accepted(job, its.job_id, its.paths.stdout)

    def states(self, jobs: Sequence[Job]) -> Mapping[int, State]:
        """Of the jobs that squeue lists.

        Raises:
          NoAnswerError: where squeue does not answer.
        """
        if not jobs:
            return {}
        names = ",".join(dict.fromkeys(job.name for job in jobs))
        asked = ["squeue", "--noheader", "--array", f"--name={names}", "--format=%j|%K|%T|%r"]
        try:
            ran = subprocess.run(asked, check=True, capture_output=True, text=True, timeout=60)
        except (OSError, subprocess.SubprocessError) as error:
            said = str(getattr(error, "stderr", "") or error).strip()
            raise NoAnswerError(f"squeue does not answer: {said}") from error
        listed = {}
        for line in ran.stdout.splitlines():
            name, index, state, reason = line.strip().split("|", 3)
            waits = state in ("PENDING", "REQUEUED", "REQUEUE_HOLD", "SPECIAL_EXIT", "SUSPENDED")
            place = (name, int(index) if index.isdecimal() else 0)
            listed[place] = State(WAITING, reason) if waits else State(RUNNING)
        return {
            job.number: listed[job.name, job.index]
            for job in jobs
            if (job.name, job.index) in listed
        }

    def cancel(self, jobs: Sequence[Job]) -> str:
        """scancel, by the names of the jobs."""
        return f"scancel --name={','.join(dict.fromkeys(job.name for job in jobs))}"

    def _refused(self, said: str) -> str:
        lines = re.findall(r"^sbatch: (?:error: )?(.*)$", said, re.MULTILINE)
        words = "; ".join(dict.fromkeys(lines)) or said
        hint = "--slurm.KEY=VALUE takes the long options of sbatch"
        if re.search("partition", words, re.IGNORECASE):
            hint = f"--slurm.partition takes one of {', '.join(_partitions()) or 'sinfo'}"
        elif "array" in words:
            hint = "Slurm takes no array of so many jobs: ask for fewer by --jobs=N"
        return f"Slurm refuses the jobs: {words}. {hint}. Nothing was run."


def _partitions() -> list[str]:
    """The partitions that Slurm has."""
    try:
        asked = ["sinfo", "--noheader", "--format=%R"]
        ran = subprocess.run(asked, check=True, capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.SubprocessError):
        return []
    return ran.stdout.split()
