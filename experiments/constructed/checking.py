"""What a config of the constructed experiments must hold, as far as no jax is needed to tell.

`experiments/run.py` asks before it imports a driver, which takes seconds; the drivers ask again.
"""

import numpy as np
from ml_collections import ConfigDict

from elsa.base import train_settings
from elsa.base import values as checks
from elsa.base.tables import names, rows
from experiments.harness import table_keys

CONSTRUCTIONS = ("ridge_lsa", "ridge_lsa_state", "ridge_elsa", "ridge_elsa_one_layer")
METHODS = ("gradient_descent", *CONSTRUCTIONS)
SOLVERS = ("gradient_descent", "heavy_ball", "chebyshev", "newton_schulz")
SOLVED = 1e-8  # relative error below which a problem of layout_ablation counts as solved
TRAINED_ALIKE = {"max_gradient_norm": 1.0, "evaluate_every": 50}  # of algorithm_match's models
_DTYPES = ("float64", "float32")


def algorithm_match(config: ConfigDict) -> None:
    """Refuses sizes and noises that make no measurement."""
    where, task = "algorithm_match", config.task
    checks.integer(
        where,
        **{"task.dim": (task.dim, 2), "task.context_length": (task.context_length, 2)},
        steps=(config.steps, 1),
        batch=(config.batch, 2),
        draws=(config.draws, 1),
    )
    checks.positive(where, **{"task.lam": task.lam})
    for noise in config.noises:
        checks.positive(where, noises=noise)
    for depth in config.depths:
        checks.integer(where, depths=(depth, 1))
    train_settings.of({**config.train.to_dict(), **TRAINED_ALIKE})


def convergence(config: ConfigDict) -> None:
    """Refuses a config that cannot be measured, and a table that is not there."""
    where = "convergence"
    for method in config.methods:
        checks.one_of(where, "methods", method, METHODS)
    for dtype in config.dtypes:
        checks.one_of(where, "dtypes", dtype, _DTYPES)
    if "float64" not in config.dtypes:
        raise ValueError(
            f"{where}: dtypes must hold 'float64', in which the reference is computed, got "
            f"{config.dtypes}"
        )
    if "ridge_lsa" in config.methods and "lam" in config and config.lam == 0:
        raise ValueError(
            f"{where}: lam must be above 0 for ridge_lsa, which divides by its root, got 0; leave "
            "ridge_lsa out of methods, the others take lam = 0"
        )
    checks.integer(where, max_depth=(config.max_depth, 1))
    checks.interval(
        where, config.tolerance, 0.0, 1.0, name="tolerance", reason="it is a relative distance"
    )
    for depth in config.shown_depths:
        checks.integer(where, shown_depths=(depth, 1))
    checks.at_least(where, curve_points=(config.curve_points, len(config.shown_depths) + 2))
    if "path" in config.data:
        _table(where, config)
    else:
        _drawn(where, config.data)


def _table(where: str, config: ConfigDict) -> None:
    """Of problems that are a table."""
    data = config.data
    checks.finite(where, lam=config.lam)
    checks.at_least(where, lam=(config.lam, 0.0))
    if data.path and not data.target:
        read = {"separator": data.separator, "decimal": data.decimal}
        raise ValueError(
            f"{where}: data.target must name the label column of {data.path}, got ''; its columns "
            f"are {names.shown(rows.columns_of(data.path, **read))}"
        )
    table_keys.refuse(where, data)
    for dtype in config.dtypes if config.lam else ():
        kind = np.finfo(dtype)
        if not kind.tiny <= config.lam <= kind.max**0.5:
            raise ValueError(
                f"{where}: lam must lie in [{kind.tiny:.3g}, {kind.max**0.5:.3g}] for {dtype}, got "
                f"{config.lam:g}: it or a product of two such numbers cannot be represented"
            )


def _drawn(where: str, data: ConfigDict) -> None:
    """Of problems that are drawn."""
    _design(where, data)
    if data.ridge_fraction == 0.0:
        raise ValueError(
            f"{where}: data.ridge_fraction must be above 0, got 0: ridge_lsa divides by sqrt(lam)"
        )
    checks.integer(where, **{"data.short_context_length": (data.short_context_length, 1)})
    for kappa in data.short_condition_numbers:
        checks.finite(where, **{"data.short_condition_numbers": kappa})
        checks.at_least(where, **{"data.short_condition_numbers": (kappa, 1.0)})
    if data.short_condition_numbers and data.short_context_length >= data.dim:
        raise ValueError(
            f"{where}: data.short_context_length must be below data.dim={data.dim}, got "
            f"{data.short_context_length}"
        )


def _design(where: str, data: ConfigDict) -> None:
    """Of designs with a condition number, as far as each number is concerned alone."""
    for key in ("tasks", "dim", "context_length"):
        checks.integer(where, **{f"data.{key}": (data[key], 1)})
    for kappa in data.condition_numbers:
        checks.finite(where, **{"data.condition_numbers": kappa})
        checks.at_least(where, **{"data.condition_numbers": (kappa, 1.0)})
    checks.finite(where, **{"data.noise_var": data.noise_var})
    checks.at_least(where, **{"data.noise_var": (data.noise_var, 0.0)})
    checks.at_least(where, **{"data.ridge_fraction": (data.ridge_fraction, 0.0)})
    if not data.ridge_fraction <= 1.0:
        raise ValueError(
            f"{where}: data.ridge_fraction must be at most 1, got {data.ridge_fraction}"
        )


def depth_to_accuracy(config: ConfigDict) -> None:
    """Refuses a config that cannot be measured."""
    where = "depth_to_accuracy"
    for method in config.methods:
        checks.one_of(where, "methods", method, SOLVERS)
    checks.one_of(where, "dtype", config.dtype, ("float64",))
    _design(where, config.data)
    checks.positive(where, **{"data.diabetes_lam": config.data.diabetes_lam})
    checks.interval(
        where, config.tolerance, 0.0, 1.0, name="tolerance", reason="it is a relative distance"
    )
    for kappa in config.data.condition_numbers:
        checks.at_least(where, condition_numbers=(kappa, 1.0 + 1e-6))


def layout_ablation(config: ConfigDict) -> None:
    """Refuses tasks and sizes that cannot be measured."""
    where, task = "layout_ablation", config.task
    checks.one_of(where, "dtype", config.dtype, ("float64",))
    if not config.constructions:
        raise ValueError(f"{where}: constructions must name at least one of {[*CONSTRUCTIONS]}")
    for name in config.constructions:
        checks.one_of(where, "constructions", name, CONSTRUCTIONS)
    checks.one_of(where, "task.name", task.name, ("spectrum", "diabetes"))
    checks.integer(
        where,
        batch=(config.batch, 2),
        spare=(config.spare, 1),
        dim=(task.dim, 2),
        context_length=(task.context_length, 2),
    )
    if task.name == "diabetes":
        checks.interval(where, task.dim, 1, 11, name="task.dim", reason="there are 10 covariates")
    checks.positive(where, noise=config.noise, lam=task.diabetes_lam)
    for noise in config.noises:
        checks.positive(where, noises=noise)
    share, accuracy = config.step_share, config.accuracy
    checks.interval(where, share, 0, 1.001, name="step_share", reason="1 is the best step size")
    checks.interval(where, accuracy, 0, SOLVED, name="accuracy", reason="of the unperturbed stack")


def primitives(config: ConfigDict) -> None:
    """Refuses sizes, dtypes and scales that cannot be measured."""
    for dtype in config.dtypes:
        checks.one_of("primitives", "dtypes", dtype, (*_DTYPES, "bfloat16"))
    for shape in config.shapes:
        sizes_of_primitives(shape)
    checks.integer("primitives", draws=(config.draws, 1))
    for name in ("magnitudes", "scales"):
        for value in config[name]:
            checks.positive("primitives", **{name: abs(value)})


def sizes_of_primitives(shape: str) -> dict[str, int]:
    """n, d, k of a shape such as "3x8x5"."""
    sizes = _sizes("primitives", shape, "n x d x k, three", "3x8x5")
    return dict(zip("ndk", sizes, strict=True))


def single_step(config: ConfigDict) -> None:
    """Refuses dtypes, shapes and regularisers that cannot be measured."""
    for dtype in config.dtypes:
        checks.one_of("single_step", "dtypes", dtype, _DTYPES)
    for shape in config.shapes:
        sizes_of_a_step(shape)
    checks.integer("single_step", batch=(config.batch, 1))
    checks.finite("single_step", lams=config.lams)
    if not config.lams:
        raise ValueError("single_step: lams must hold at least one regulariser, got ()")
    checks.at_least("single_step", lams=(min(config.lams), 0.0))


def sizes_of_a_step(shape: str) -> tuple[int, int]:
    """N and d of a shape such as "20x4"."""
    rows, dim = _sizes("single_step", shape, "N x d, two", "20x4")
    return rows, dim


def _sizes(where: str, shape: str, axes: str, example: str) -> list[int]:
    """The numbers of a shape, as many as the example has."""
    parts = shape.split("x")
    if len(parts) != len(example.split("x")) or not all(p.isdecimal() and int(p) for p in parts):
        raise ValueError(
            f"{where}: shapes must be {axes} numbers of at least 1 as in {example!r}, got {shape!r}"
        )
    return [int(part) for part in parts]
