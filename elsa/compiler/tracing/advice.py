"""What a primitive is that linear attention cannot run, and what can be written instead."""

from elsa.compiler.tracing import arithmetic, solving

_EIGEN = "use an iteration of products, such as elsa.algorithms.power_iteration or polar"
_COMPARE = "linear attention cannot compare"
_ONLY = (
    "only matrix products, transposes, sums, scalings, slices and element-wise products with "
    "constants are linear algebra"
)
DIAGONAL = (
    "a sum over one axis of an element-wise product of two data blocks is the diagonal of a matrix "
    "product: write jnp.diag(A @ B.T), or jnp.diag(A.T @ B), a head for each entry"
)
ADVICE = {
    "exp": "linear attention has no exponential; use a polynomial",
    "div": arithmetic.INVERSE,
    "while": "give the loop a static length",
    "cond": "write both cases with coefficients",
    "sort": _COMPARE,
    **dict.fromkeys(("lu", "cholesky", "qr", "householder_product"), solving.ITERATION),
    **dict.fromkeys(("eigh", "svd", "eig"), _EIGEN),
}
# Added to what is linear algebra.
_FUNCTIONS = {
    "abs": "an absolute value",
    "atan2": "an arc tangent",
    "cbrt": "a root",
    "cos": "a cosine",
    "cosh": "a hyperbolic cosine",
    "erf": "the error function",
    "exp2": "an exponential",
    "expm1": "an exponential",
    "log": "a logarithm",
    "log1p": "a logarithm",
    "logistic": "the logistic function",
    "pow": "a power",
    "sin": "a sine",
    "sinh": "a hyperbolic sine",
    "tan": "a tangent",
    "tanh": "a hyperbolic tangent",
}
_LINES = {"logistic": "0.5 + 0.25 x", "tanh": "x", "sin": "x", "expm1": "x", "log1p": "x"}
_NORMS = ("sqrt", "rsqrt")
_COMPARISONS = ("eq", "ne", "lt", "le", "gt", "ge", "lt_to", "le_to")
_LARGEST = ("max", "min", "clamp", "argmax", "argmin", "cummax", "scatter-max", "scatter-min")
_REDUCED = ("reduce_max", "reduce_min")
_ROUNDED = ("round", "floor", "ceil", "rem", "nextafter")


def _functions() -> dict[str, str]:
    words = {}
    for name, what in _FUNCTIONS.items():
        line = _LINES.get(name)
        instead = f"its line near 0, {line}" if line else "a polynomial in matrix products"
        words[name] = f"{what} of each entry is none: use {instead}, or compute it outside the step"
    words |= dict.fromkeys(
        _NORMS,
        "a root is none: leave the normalisation out, as the unnormalised iteration has the same "
        "direction, and normalise after the last step",
    )
    words |= dict.fromkeys(
        _COMPARISONS,
        "a comparison of data is none: compare constants only, or write both cases with "
        "coefficients",
    )
    words |= dict.fromkeys(
        _LARGEST,
        f"{_COMPARE} data, or take the larger of two: leave the bound out, or apply it outside the "
        "step",
    )
    words |= dict.fromkeys(
        _REDUCED,
        f"{_COMPARE} data, or take the larger of two: leave the bound out, or apply it outside the "
        "step; a softmax, which takes a largest entry, is no linear algebra either",
    )
    words |= dict.fromkeys(
        ("sign", "is_finite"),
        f"{_COMPARE} data, or round it: use the value itself, as gradient descent does where sign "
        "descent takes its sign",
    )
    words |= dict.fromkeys(
        _ROUNDED, "it rounds: use the value itself, or round it outside the step"
    )
    return words


ADVICE |= {name: f"{_ONLY}; {words}" for name, words in _functions().items()}


def refusal(primitive: str, place: str, reason: str = "") -> str:
    """The message of a CompileError: the primitive, the user's line, and what to write instead."""
    why = reason or ADVICE.get(primitive, _ONLY)
    return f"compile: `{primitive}` cannot run on linear attention ({place}): {why}"
