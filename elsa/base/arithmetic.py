"""Which way of computing the same numbers is used, where several differ by rounding.

A run that goes on must end with the bits that it began with, so that a faster way of summing is for
runs that begin with it: a checkpoint says which version its run was begun with, and `as_of` goes
back to that for its steps.

    1    products of small matrices with the batch as the first axis
    2    on a CPU with the batch as the last axis (`elsa.base.lanes`), and normal variables compiled
         apart from what reads them; large dense layers by `elsa.attention.many_heads`
    3    the last layer of `elsa.models.GPT2` for the query's token alone
    4    all random variables of prompts compiled apart from what reads them
    5    labels of `elsa.tasks.Drift` and predictions of `elsa.models.LinearAttention` without what
         short contexts can spare: a weight vector for every row, a Gram matrix for every prompt
    6    what depends on one axis of a sweep once for all values of the others; in `elsa.models.H3`
         of pairs the covariates' own before those with labels
"""

import contextlib
import contextvars
from collections.abc import Iterator

LATEST = 6
_version = contextvars.ContextVar("arithmetic", default=LATEST)


def version() -> int:
    """The version for what is traced or computed now."""
    return _version.get()


@contextlib.contextmanager
def as_of(number: int) -> Iterator[None]:
    """What is traced within the `with` block is computed as by this version.

    Raises:
      ValueError: for a version that there is not.
    """
    if not 1 <= number <= LATEST:
        raise ValueError(f"as_of: number must be a version from 1 to {LATEST}, got {number}")
    token = _version.set(number)
    try:
        yield
    finally:
        _version.reset(token)
