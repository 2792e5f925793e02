"""Where and with what a run was computed."""

import datetime
import os
from collections.abc import Mapping
from typing import Any

from elsa.base import environment as computed
from elsa.base.plain import decoded


def environment(config: Mapping[str, Any], command: str) -> dict[str, Any]:
    """What env.json records: versions, commit, device, precision, seeds, time, command, folder.

    Args:
      config: the resolved config, whose dtypes and seeds are repeated here.
      command: the command line that repeats the run.
    """
    return {
        "time_started": datetime.datetime.now().astimezone().isoformat(timespec="seconds"),
        "command": decoded(command),
        "folder": decoded(os.getcwd()),
        **computed.environment(),
        **{key: config[key] for key in ("dtype", "dtypes", "seed", "seeds") if key in config},
    }
