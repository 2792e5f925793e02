"""Errors of the compiler, for steps that cannot become attention weights."""


class CompileError(ValueError):
    """A step that linear attention cannot run exactly, or that is not what it was said to be.

    The message names the primitive, the user's file and line, and what can be written instead.
    """


class NotLinearError(Exception):
    """Why an equation is not linear algebra, in words for the user."""
