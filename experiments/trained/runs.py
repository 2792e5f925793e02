"""The training runs of an experiment's folder: begun, gone on with, or started from others."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from elsa import training
from elsa.base import checks
from elsa.training import branching, origin
from elsa.training.folder import goes_on_to_more_steps
from elsa.training.loading import RUNS
from elsa.training.trained import CONFIG
from experiments.harness.experiment import Branch, Place


def trained(
    settings: Mapping[str, Any],
    name: str,
    place: Place,
    *,
    init: Any = None,
    init_noise: float = 0.0,
    **words: Any,
) -> training.Trained:
    """One run, in `training/NAME` of the place's folder.

    Args:
      settings: of the run, as `training.fit` takes them.
      name: of the run.
      place: where, and what it starts from.
      init, init_noise: where its models start, as `training.fit` takes it; not with a branch.
      **words: given, targets, target_name, watch, as `training.fit` takes them.

    Raises:
      TrainingError, KeyError, ValueError, FileNotFoundError, KeyboardInterrupt, files.WriteError:
        as `training.fit` and `training.branch`.
    """
    folder = place.folder / RUNS / name
    # the folder's own config.json is the one asked for: where a run below it has fewer steps, it
    # is one that --extend has not come to yet
    shared: dict[str, Any] = {**words, "screen": place.screen, "name": name, "extend": True}
    shared["environment"] = place.environment
    if place.branch is None:
        return training.fit(settings, folder, init=init, init_noise=init_noise, **shared)
    source, run = place.branch.folder, _source_run(place.branch, folder, name)
    return training.branch(source, settings, folder, run=run, at=place.branch.at, **shared)


def refuse_extension(settings: Mapping[str, Any], name: str, folder: Path) -> None:
    """Refuses a run that cannot go on to the steps of its new settings; nothing is changed.

    Raises:
      ValueError: in the words of training, and the way out on the command line.
    """
    run = folder / RUNS / name
    if not (run / CONFIG).exists():
        return
    try:
        goes_on_to_more_steps(run, training.RunSettings.from_config(settings), extend=True)
    except training.TrainingError as error:
        raise ValueError(
            f"{error}; on the command line, --branch={folder} does, with another --workdir"
        ) from error


def refuse_branch(
    settings: Mapping[str, Any], name: str, folder: Path, branch: Branch, overwrite: bool
) -> None:
    """Refuses a run that cannot start, or does not come, from a branch; nothing is changed.

    Args:
      overwrite: whether what the folder holds is moved away before the run begins.

    Raises:
      ValueError: in the words of training, naming the flag.
    """
    place = folder / RUNS / name
    try:
        run = _source_run(branch, place, name, overwrite=overwrite)
        branching.refuse(branch.folder, settings, place, run=run, at=branch.at, overwrite=overwrite)
    except (training.TrainingError, FileNotFoundError) as error:
        raise ValueError(f"--branch={branch.folder}@{branch.at}: {error}") from error


def _source_run(branch: Branch, folder: Path, name: str, *, overwrite: bool = False) -> str | None:
    """Which of the source's runs this one comes from: its namesake, or the only one.

    Raises:
      KeyError: where there are several, and none of that name.
    """
    begun = None if overwrite else origin.read(folder)
    if begun is not None:
        return begun.run  # the source may be gone
    there = sorted(path.parent.name for path in (branch.folder / RUNS).glob(f"*/{CONFIG}"))
    if len(there) < 2:
        return there[0] if there else None
    checks.known_names(f"--branch={branch.folder}", "run", [name], there)
    return name
