"""Numbers of things in words."""


def counted(number: int, name: str) -> str:
    """The number and the name: in the plural, but of one thing."""
    return f"{number} {name}{'s' * (number != 1)}"
