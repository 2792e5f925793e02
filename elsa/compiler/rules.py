"""One rule for each JAX primitive that is linear algebra: equation and operands to values."""

from elsa.compiler import arithmetic, rearranging

RULES = {**arithmetic.RULES, **rearranging.RULES}
_ADVICE = {
    "exp": "linear attention has no exponential; use a polynomial",
    "div": arithmetic.INVERSE,
    "while": "give the loop a static length",
    "cond": "write both cases with coefficients",
    "sort": "linear attention cannot compare",
}


def refusal(primitive: str, place: str, reason: str = "") -> str:
    """The message of a CompileError: the primitive, the user's line, and what to write instead."""
    why = reason or _ADVICE.get(
        primitive,
        "only matrix products, transposes, sums, scalings, slices and element-wise products with "
        "constants are linear algebra",
    )
    return f"compile: `{primitive}` cannot run on linear attention ({place}): {why}"
