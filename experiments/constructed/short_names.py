"""Names of columns, short enough for a figure: broken between words, units kept, none like another.

A long name loses words of its middle, as its end often is a unit.
"""

import collections
import re
import textwrap
from collections.abc import Sequence


def within(name: str, letters: int) -> str:
    """A name in two lines of at most this many letters; of a longer one its beginning and end."""
    found = textwrap.wrap(name, letters)
    if len(found) <= 2:
        return "\n".join(found)
    return f"{textwrap.wrap(name, letters - 1)[0]}…\n{_end(name.split(), letters)}"


def apart(names: Sequence[str], letters: int) -> list[str]:
    """Every name as `within` has it; those that would look alike say what sets them apart.

    Where that is nothing, or too long, it is their place among the names, from 1.
    """
    short = [within(name, letters) for name in names]
    alike: dict[str, list[int]] = {}
    for place, text in enumerate(short):
        alike.setdefault(text, []).append(place)
    for text, places in alike.items():
        if len(places) > 1:
            own = _own([re.findall(r"[^\s_]+", names[place]) for place in places])
            for place, words in zip(places, own, strict=True):
                short[place] = _with(text, words, letters)
    count = collections.Counter(short)
    return [
        _with(within(name, letters), f"no. {place}", letters) if count[text] > 1 else text
        for place, (name, text) in enumerate(zip(names, short, strict=True), start=1)
    ]


def _end(words: Sequence[str], letters: int) -> str:
    """As many of the last words as a line has room for; of a longer last one its end."""
    kept = list(words[-1:])
    for word in reversed(words[:-1]):
        if len(" ".join([word, *kept])) > letters:
            break
        kept.insert(0, word)
    return " ".join(kept)[-letters:]


def _own(names: Sequence[Sequence[str]]) -> list[str]:
    """The words of each name between those that all of them begin and end with."""

    def shared(most: int, place: int, step: int) -> int:
        """How many words from a place on are the same in all."""
        for number in range(most):
            if len({name[place + step * number] for name in names}) > 1:
                return number
        return most

    shortest = min(map(len, names))
    before = shared(shortest, 0, 1)
    behind = shared(shortest - before, -1, -1)
    return [" ".join(name[before : len(name) - behind]) for name in names]


def _with(text: str, words: str, letters: int) -> str:
    """A short name whose first line ends with these words."""
    if not words:
        return text
    first, *others = text.split("\n")
    room = max(1, letters - 2 - len(words))
    begun = textwrap.wrap(first.rstrip("…"), room)[0]
    return "\n".join([f"{begun}… {words}"[-letters:], *others])
