"""Numbers of things in words."""

from elsa.base.counting import counted


def test_one_thing_is_in_the_singular():
    assert [counted(n, "row") for n in (0, 1, 2, 1500)] == [
        "0 rows",
        "1 row",
        "2 rows",
        "1500 rows",
    ]
