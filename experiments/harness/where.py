"""env.json: where the cases of a folder were computed, and whether others may stand beside them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from elsa.base import environment as computed
from elsa.base import files, sealed_json


class ElsewhereError(Exception):
    """Cases that were computed elsewhere, or nobody knows where."""


def record(path: Path, environment: Mapping[str, Any], *, kept: bool, accept: bool) -> list[str]:
    """Writes down the environment of this process beside those before it.

    Args:
      path: of env.json.
      environment: of this process.
      kept: whether there are cases that were computed before.
      accept: goes on where these have other bits than they would have here.

    Returns:
      Notes for the user: what differs, a damaged file set aside.

    Raises:
      ElsewhereError: where these have other bits, or that cannot be known; where the runs ahead
        would start from another place.
      files.WriteError: where the disk or a permission forbids it.
    """
    if not path.exists():
        sealed_json.write(path, environment)
        return [f"{path} is missing: where the kept cases were computed is not known"] * kept
    try:
        first = sealed_json.read(path)
    except (ValueError, OSError) as error:
        if kept and not accept:
            raise ElsewhereError(
                f"cannot read {path}: {error}: where the kept cases were computed is not known. "
                "Put it back; --environment=accept goes on without it."
            ) from error
        aside = files.rename_free(path, f"{path}.corrupt")
        sealed_json.write(path, environment)
        return [f"{path} is damaged ({error}) and is now {aside}"]
    resumed = first.get("resumed", [])
    latest = {**first, **(resumed[-1] if resumed else {})}
    begun, now = (place.get("branch") for place in (latest, environment))
    if begun is not None and begun != now:
        raise ElsewhereError(
            f"{path.parent / 'origin.json'} is missing or another run's: {path.name} says that "
            f"this one starts from {begun['folder']}@{begun['at']}. Put it back, or start anew."
        )
    changes = computed.changes_results(latest, environment) if kept else None
    if changes and not accept:
        raise ElsewhereError(
            f"{path.parent} holds cases that were computed elsewhere: {changes}, so that those "
            f"ahead would not be what one run gives. To go on as it began, {changes.way_back}; "
            f"--environment=accept goes on in this environment, as {path.name} then says."
        )
    changed = {key: value for key, value in environment.items() if first.get(key) != value}
    sealed_json.write(path, {**first, "resumed": [*resumed, changed]})
    differs = changes or computed.beside_results(first, environment)
    return [f"the kept cases were computed elsewhere: {differs}"] if kept and differs else []
