"""Errors whose text is all that a user needs."""


class RefusalError(Exception):
    """Something cannot begin or go on; the message says why and what can be done."""
