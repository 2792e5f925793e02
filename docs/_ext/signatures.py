"""Signatures as they are written, so that `Real[ArrayLike, "n d"]` stays what the reader knows.

Evaluated, this annotation is a union of every type that an array may be given as.
"""

import ast
import inspect
import textwrap
from typing import Any


def written_signature(function: Any) -> tuple[str, str | None] | None:
    """(arguments in brackets, annotation of the result) from the source; None without a source."""
    try:
        source = inspect.getsource(inspect.unwrap(function))
    except (OSError, TypeError):
        return None
    (tree,) = ast.parse(textwrap.dedent(source)).body
    if not isinstance(tree, ast.FunctionDef):
        return None
    arguments = tree.args
    for named in (arguments.posonlyargs, arguments.args):
        if named and named[0].arg in ("self", "cls"):
            del named[0]
    return f"({ast.unparse(arguments)})", ast.unparse(tree.returns) if tree.returns else None


def as_written(
    app: Any, what: str, name: str, obj: Any, options: Any, signature: str, result: str
) -> tuple[str, str | None] | None:
    """Sphinx's hook: functions and methods, and classes that have an __init__ of their own."""
    if what == "class":
        found = written_signature(vars(obj)["__init__"]) if "__init__" in vars(obj) else None
        return (found[0], None) if found else None
    if what in ("function", "method"):
        return written_signature(getattr(obj, "__func__", obj))
    return None


def setup(app: Any) -> dict[str, bool]:
    """Registers the hook."""
    app.connect("autodoc-process-signature", as_written)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
