"""How many cores of the machine are this process's."""

import os


def own() -> int:
    """Those that it may run on, which a job's limits can make fewer; all where none says."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1
