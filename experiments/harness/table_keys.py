"""The keys of a config that name a user's table, refused without jax."""

from ml_collections import ConfigDict

from elsa.base import values as checks
from elsa.base.tables import rows

_OF_A_FILE = ("target", "drop", "separator", "decimal")


def refuse(where: str, data: ConfigDict) -> None:
    """Refuses a share that is none, keys without a file, and a file that is no such table.

    Args:
      where: name of the experiment, which opens the messages.
      data: path, target, drop, separator, decimal and held_out.

    Raises:
      OSError, KeyError, ValueError, TypeError: as `elsa.tasks.read_csv` for the file; of a large
        one its columns are looked at, and its entries later.
    """
    checks.at_least(where, **{"data.held_out": (data.held_out, 0.0)})
    if not data.held_out < 1.0:
        raise ValueError(
            f"{where}: data.held_out must be a share of the rows below 1, got {data.held_out}"
        )
    refuse_without_a_file(where, data)
    if data.path:
        rows.refuse(
            data.path,
            data.target,
            drop=data.drop,
            separator=data.separator,
            decimal=data.decimal,
        )


def refuse_without_a_file(where: str, data: ConfigDict) -> None:
    """Refuses what is said of a file where none is named.

    Raises:
      ValueError: naming the first such key.
    """
    given = [key for key in _OF_A_FILE if data[key]]
    if given and not data.path:
        raise ValueError(
            f"{where}: data.{given[0]}={data[given[0]]!r} is of a file; name a CSV file by "
            "data.path"
        )
