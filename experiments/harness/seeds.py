"""The seed of a config, refused without jax."""

from ml_collections import ConfigDict

from elsa.base import values


def refuse(config: ConfigDict) -> None:
    """Refuses a seed that makes no key; not every config has one.

    Raises:
      TypeError, ValueError: naming it, with what it must be.
    """
    if "seed" in config:
        values.seed(config.experiment, config.seed)
