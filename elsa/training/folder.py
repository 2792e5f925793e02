"""A run's folder for one process alone."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from elsa.base import files, strict_json
from elsa.base.owner import Owner, is_owner_s
from elsa.base.settings import taken_over
from elsa.training.errors import TrainingError
from elsa.training.resuming import plain_config, with_defaults
from elsa.training.settings import RunSettings
from elsa.training.trained import CHECKPOINTS, CONFIG, METRICS


@contextlib.contextmanager
def held(
    folder: Path, settings: RunSettings, *, overwrite: bool = False, extend: bool = False
) -> Iterator[list[str]]:
    """The folder for this process alone, its config.json the one asked for.

    Args:
      folder: made if need be.
      settings: of the run.
      overwrite: moves what the folder holds to `<folder>.<time>` first.
      extend: lets the run that the folder holds go on to more steps.

    Yields:
      Lines about the folder for the screen.

    Raises:
      TrainingError: where another process holds it, or has taken it over since, or it holds another
        run or other files.
      files.WriteError: where the disk or a permission forbids it.
    """
    files.make_folder(folder)
    owner, said = _hold(folder), list[str]()
    try:
        if overwrite and not all(is_owner_s(path.name) for path in folder.iterdir()):
            aside = _start_over(owner)
            said.append(f"the old folder is now {aside}")
        asked = strict_json.dumps(settings.to_dict(), where="config", indent=2)
        path = folder / CONFIG
        if path.exists():
            more = goes_on_to_more_steps(folder, settings, extend=extend)
            if more or _changes_without_result(path, settings):
                files.replace(path, f"{asked}\n".encode())
        elif (folder / CHECKPOINTS).exists() or (folder / METRICS).exists():
            raise TrainingError(
                f"{folder} holds a run without {CONFIG}; put it back, or give another workdir"
            )
        else:
            _refuse_strangers(folder)
            files.replace(path, f"{asked}\n".encode())
        yield said
    except files.ReplacedError as error:
        raise TrainingError(str(error)) from error
    finally:
        owner.close()


def _config_of(path: Path) -> dict[str, Any]:
    try:
        return strict_json.loads_object(path.read_bytes())
    except (ValueError, OSError) as error:
        raise TrainingError(
            f"cannot read {path}: {error}. Put it back, or give another workdir"
        ) from error


def _changes_without_result(path: Path, settings: RunSettings) -> bool:
    """Whether a config that is the run's own asks for another `keep`, or the like."""
    there = with_defaults(_config_of(path))
    return bool(taken_over(there, plain_config(settings)) != there)


def _hold(folder: Path) -> Owner:
    try:
        return Owner(folder)
    except files.BusyError as error:
        raise TrainingError(f"{error}; wait for its end, or give another workdir") from error


def _start_over(owner: Owner) -> Path:
    if Path.cwd().resolve().is_relative_to(owner.path.resolve()):
        raise TrainingError(
            f"{owner.path} holds the current folder and is not moved; give another workdir"
        )
    try:
        return owner.start_over()
    except files.BusyError as error:
        raise TrainingError(f"{error}; wait for its end, or give another workdir") from error


def _refuse_strangers(folder: Path) -> None:
    """Hidden files are ignored: an interrupted write of config.json leaves one."""
    found = sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
    if found:
        raise TrainingError(
            f"{folder} is not empty, it holds {found[0]!r}, and no run; give another workdir"
        )


def goes_on_to_more_steps(folder: Path, settings: RunSettings, *, extend: bool) -> bool:
    """Whether the config has more steps than the folder's run, and those are to be trained.

    Args:
      folder: of a run, with its config.json; nothing in it is changed.
      settings: of the requested run.
      extend: whether a run may go on to more steps.

    Raises:
      TrainingError: for any other difference; for fewer steps, and for a run that cannot be
        extended.
    """
    asked = plain_config(settings)
    # an older version has written fewer settings; those it had not stand at their defaults
    there = taken_over(with_defaults(_config_of(folder / CONFIG)), asked)
    before, now = (config.get("train", {}).get("num_steps") for config in (there, asked))
    more = extend and isinstance(before, int) and before != now
    if more:
        there["train"]["num_steps"] = now
    difference = strict_json.first_difference(there, asked)
    if difference:
        key, was, wanted = difference
        raise TrainingError(
            f"{folder} holds a run with another config: {key} is {was} there, {wanted} is asked "
            "for. Give another workdir"
        )
    if more and now < before:
        raise TrainingError(
            f"{folder} holds a run of {before:,} steps, which extend cannot shorten to {now:,}. "
            "Give another workdir"
        )
    if more and before:
        _refuse_what_depends_on_the_end(asked["train"])
    return more


def _refuse_what_depends_on_the_end(train: Any) -> None:
    """More steps go on where fewer ended only if nothing was chosen with the end in view."""
    for name, needed in {"decay": "constant", "average": 0.0, "patience": 0}.items():
        if train[name] != needed:
            raise TrainingError(
                f"extend: train.{name} must be {needed!r}, got {train[name]!r}: a run of more "
                "steps would have trained otherwise from the start. training.branch starts a new "
                "run, in a folder of its own, from this one's checkpoint"
            )
