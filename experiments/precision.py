"""The switch of jax that a config's numbers need."""

from ml_collections import ConfigDict

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
