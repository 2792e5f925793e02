"""Time limits of jobs: those that end a job before it has worked, so that it would never end."""

import re
from collections.abc import Mapping
from typing import Any

from experiments.harness.experiment import RunError

BEFORE = 90  # seconds before its end at which a job is told of it, where nobody says
EARLY = 60  # seconds by which Slurm may tell it too soon
_DAYS = re.compile(r"(?:(?P<days>\d+)-)?(?P<first>\d+)(?::(?P<second>\d+))?(?::(?P<third>\d+))?")


def refuse(options: Mapping[str, Any]) -> None:
    """Refuses limits within which a job is told of its end before it has begun to work.

    It would save nothing, put itself back into the queue, and be told again, forever.

    Args:
      options: of sbatch; `signal` in seconds.

    Raises:
      RunError: naming both options, before anything is submitted.
    """
    before = options.get("signal", BEFORE)
    its = f"--slurm.signal={before}" + (" (the default)" if "signal" not in options else "")
    if before == 0:
        raise RunError(
            f"{its}: Slurm tells no job of its end 0 s before it, so that none is saved and put "
            "back; expected 1 or more. Nothing was run."
        )
    for key in ("time", "time_min"):  # Slurm may shorten the first to the second
        limit = seconds(options.get(key))
        if limit is None or limit > before + EARLY:
            continue
        least = (before + EARLY) // 60 + 1
        most = limit - EARLY - 1
        or_less = f", or --slurm.signal={most} or less" if most > 0 else ""
        raise RunError(
            f"--slurm.{key}={options[key]} and {its} leave a job no time to work: of its "
            f"{limit} s it is told of the end {before} s before, by Slurm up to {EARLY} s early, "
            f"and each try would end as it begins. Give --slurm.{key}={least} (minutes) or more"
            f"{or_less}. Nothing was run."
        )


def seconds(limit: Any) -> int | None:
    """The seconds of a limit as sbatch reads it, which counts whole minutes, rounded up.

    M, M:S, H:M:S, D-H, D-H:M and D-H:M:S; None for no limit, and for what sbatch itself refuses.
    """
    match = _DAYS.fullmatch(str(limit).strip())
    if match is None:
        return None
    days, *parts = (match[name] for name in ("days", "first", "second", "third"))
    numbers = [int(part) for part in parts if part is not None]
    if days is not None:
        hours, minutes, rest = [*numbers, 0, 0][:3]
        total = ((int(days) * 24 + hours) * 60 + minutes) * 60 + rest
    elif len(numbers) == 3:
        total = (numbers[0] * 60 + numbers[1]) * 60 + numbers[2]
    else:
        total = numbers[0] * 60 + sum(numbers[1:])
    return -(-total // 60) * 60 or None  # 0 is no limit
