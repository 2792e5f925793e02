"""What a config of the softmax experiments must hold, as far as no jax is needed to tell.

`experiments/run.py` asks before it imports a driver, which takes seconds; the drivers ask again.
"""

from ml_collections import ConfigDict

from elsa.base import values as checks

FORMS = ("single", "matrix")
KINDS = ("normalized", "rescaled")
METHODS = ("newton-cg", "lbfgs", "gd")


def softmax_lipschitz(config: ConfigDict) -> None:
    """Refuses a config that cannot be measured."""
    where = "softmax_lipschitz"
    for problem in config.problems:
        _, n, _ = sizes(where, problem)
        if n < 2:
            raise ValueError(f"{where}: problems must have at least 2 rows, got {problem!r}")
    if not config.radii:
        raise ValueError(f"{where}: radii must hold at least one radius, got ()")
    for radius in config.radii:
        checks.positive(where, radii=radius)
    checks.integer(where, pairs=(config.pairs, 2))
    checks.one_of(where, "dtype", config.dtype, ("float64",))


def softmax_regression(config: ConfigDict) -> None:
    """Refuses a config that cannot be measured."""
    where = "softmax_regression"
    for problem in config.problems:
        sizes(where, problem)
    for kind in config.kinds:
        checks.one_of(where, "kinds", kind, KINDS)
    for method in config.methods:
        checks.one_of(where, "methods", method, METHODS)
    checks.one_of(where, "dtype", config.dtype, ("float64",))
    for form in FORMS:
        checks.integer(where, **{f"max_iterations.{form}": (config.max_iterations[form], 1)})


def softmax_shift(config: ConfigDict) -> None:
    """Refuses a config that cannot be measured."""
    where = "softmax_shift"
    for problem in config.problems:
        sizes(where, problem)
    for kind in config.kinds:
        checks.one_of(where, "kinds", kind, KINDS)
    checks.one_of(where, "dtype", config.dtype, ("float64",))
    checks.positive(where, step_share=config.step_share)
    contexts = config.contexts
    lengths = {key: (contexts[key], 1) for key in ("length", "rows", "dim")}
    checks.integer(where, steps=(config.steps, 1), **lengths)
    checks.positive(where, drift=contexts.drift, attention=contexts.attention)


def sizes(where: str, problem: str) -> tuple[str, int, int]:
    """Form, n and d of a problem's name.

    Raises:
      ValueError: where the name is not of that form.
    """
    form, _, size = problem.partition(" ")
    parts = size.split("x")
    if form not in FORMS or len(parts) != 2 or not all(p.isdecimal() and int(p) for p in parts):
        raise ValueError(
            f"{where}: problems must be named as 'single 200x16' or 'matrix 200x16' (n x d), "
            f"got {problem!r}"
        )
    return form, int(parts[0]), int(parts[1])
