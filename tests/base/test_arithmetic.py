"""Which version of the arithmetic is in force."""

import pytest

from elsa.base import arithmetic


def test_a_version_holds_within_its_block_and_others_are_refused():
    assert arithmetic.version() == arithmetic.LATEST
    with arithmetic.as_of(1):
        assert arithmetic.version() == 1
    assert arithmetic.version() == arithmetic.LATEST
    with pytest.raises(ValueError, match=r"version from 1 to .*, got 0"):
        arithmetic.as_of(0).__enter__()
