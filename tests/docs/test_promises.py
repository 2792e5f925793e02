"""What the pages promise about runs that are stopped, harmed or taken over, each held by a test."""

import re
from pathlib import Path

from tests.docs.promises import ELSEWHERE, FILES, STOPPING

ROOT = Path(__file__).resolve().parents[2]


def page(name):
    """The text of a page, with single spaces."""
    return " ".join((ROOT / name).read_text().split())


def section():
    """The sentences on stopping and going on, without their script."""
    text = (ROOT / "docs" / "training.md").read_text()
    text = text[text.index("## Stopping and going on") : text.index("## More steps")]
    text = re.sub(r"```.*?```", "\n", re.sub(r"^#+ .*$", "", text, flags=re.M), flags=re.S)
    return re.split(r"(?<=\.) (?=[A-Z`-])", " ".join(text.split()))


def test_every_sentence_on_stopping_and_going_on_is_held_by_a_test():
    held = {sentence: [k for k in STOPPING if sentence.startswith(k)] for sentence in section()}
    assert [sentence for sentence, keys in held.items() if len(keys) != 1] == []
    assert set(STOPPING) == {keys[0] for keys in held.values()}


def test_promises_of_other_places_stand_there():
    lost = [
        sentence
        for name, promises in ELSEWHERE.items()
        for sentence in promises
        if sentence not in page(name)
    ]
    assert lost == []


def test_the_tests_that_hold_a_promise_are_there():
    source = {name: (ROOT / "tests" / path).read_text() for name, path in FILES.items()}
    named = [
        one for table in (STOPPING, *ELSEWHERE.values()) for held in table.values() for one in held
    ]
    assert [one for one in named if f"\ndef test_{one[1]}" not in source[one[0]]] == []
    assert {name for name, _ in named} == set(FILES)
