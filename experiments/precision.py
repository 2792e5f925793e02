"""What jax is told before a run: the switch that the config's numbers need, and the devices."""

import contextlib
from collections.abc import Iterator

from ml_collections import ConfigDict

from elsa.base import stopping
from experiments.harness.experiment import RunError

_DTYPES = ("float64", "float32", "float16", "bfloat16")


def use_precision(config: ConfigDict) -> None:
    """Sets jax's x64 switch from the config's `dtype` or `dtypes`; to be called before any array.

    Raises:
      RunError: for a dtype that is not on the list.
    """
    dtypes = [*config.get("dtypes", ()), *([config.dtype] if "dtype" in config else [])]
    for dtype in dtypes:
        if dtype not in _DTYPES:
            raise RunError(f"dtype must be one of {', '.join(_DTYPES)}, got {dtype!r}")
    if dtypes:
        import jax

        jax.config.update("jax_enable_x64", "float64" in dtypes)


@contextlib.contextmanager
def on_devices(count: int | None) -> Iterator[None]:
    """Computes on as many devices as --devices says.

    Raises:
      RunError: where there are fewer.
    """
    from elsa.base import devices

    with contextlib.ExitStack() as limit:
        try:
            limit.enter_context(devices.limited(count))
        except ValueError as error:
            raise RunError(f"--devices={count}: {error}") from error
        stopping.begins()  # all that the run needs is imported
        yield
