"""Where two JSON values first differ."""

import pytest

from elsa.base import strict_json


@pytest.mark.parametrize(
    "there, asked, found",
    [
        ({"a": 1}, {"a": 1}, None),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3}}, ("a.c", "2", "3")),
        ({"a": True}, {"a": 1}, ("a", "true", "1")),
        ({"a": 1, "b": 2}, {"a": 1}, ("b", "2", "absent")),
        ({"a": None}, {}, ("a", "null", "absent")),
        ({"a": "x"}, {"a": {"b": 1}}, ("a", '"x"', '{"b": 1}')),
    ],
)
def test_first_difference_names_the_key_and_both_values(there, asked, found):
    assert strict_json.first_difference(there, asked) == found
