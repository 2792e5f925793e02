"""A config file of one's own: what is wrong with it, and its keys beside those of our configs.

A driver reads the keys that it knows: a misspelt one would do nothing, without a word.
"""

import contextlib
import difflib
import traceback
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from elsa.base.counting import counted
from experiments.harness.experiment import RunError, message_of

_FREE = ("runs", "settings", "train")  # groups with names of one's own, or checked by themselves


@contextlib.contextmanager
def told(spec: str, path: Path) -> Iterator[None]:
    """Errors of a config's code as what is wrong with it; mistakes of writing with their line.

    Raises:
      RunError: for them.
    """
    try:
        yield
    except SyntaxError as error:
        raise RunError(f"{path}, line {error.lineno}: {error.msg}") from error
    except (ValueError, TypeError, KeyError) as error:
        raise RunError(f"{spec}: {message_of(error)}") from error
    except (AttributeError, NameError, ImportError) as error:
        frames = traceback.extract_tb(error.__traceback__)
        lines = [frame.lineno for frame in frames if Path(frame.filename) == path.absolute()]
        place = f", line {lines[-1]}" if lines else ""
        raise RunError(f"{path}{place}: {message_of(error)}") from error


def refuse(path: str, own: Collection[str], others: Sequence[tuple[str, Collection[str]]]) -> None:
    """Refuses keys that no config of the experiment has, and the lack of one that the nearest has.

    Args:
      path: of the file.
      own: its dotted keys.
      others: name and dotted keys of each config of the experiment; where there is none, it is an
        experiment of one's own, of which nothing is known.

    Raises:
      RunError: naming the first such key with the nearest one, or all that are missing.
    """
    if not others:
        return
    names = " or ".join(dict.fromkeys(name for name, _ in others))
    known = list(dict.fromkeys(key for _, keys in others for key in keys))
    for key in filter(_is_held, own):
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"there are: {', '.join(known)}."
            raise RunError(
                f"{path} sets the key {key!r}, which configs of {names} lack, so that it would do "
                f"nothing; {hint} Nothing was run."
            )
    nearest, needed = max(others, key=lambda other: len(set(own).intersection(other[1])))
    missing = [key for key in filter(_is_held, needed) if key not in own]
    if missing:
        raise RunError(
            f"{path} lacks {counted(len(missing), 'key')} of {nearest}: {', '.join(missing)}. "
            f"Start from it, `from configs import {nearest}`: config = {nearest}.get_config(). "
            "Nothing was run."
        )


def _is_held(key: str) -> bool:
    return key.partition(".")[0] not in _FREE
