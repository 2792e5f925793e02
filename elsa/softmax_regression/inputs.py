"""Checks of the arguments of every function of the package, and the error for an overflow."""

import contextlib
from collections.abc import Iterator
from typing import TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Real

from elsa.base import checks
from elsa.base.arrays import AnyShape, Numbers, Rows
from elsa.softmax_regression.formulas import Data

Weights: TypeAlias = Real[ArrayLike, "*weights"] | Numbers | Rows  # [d1, d2], or [d] if single


def arrays(where: str, /, **axes: tuple[AnyShape, str]) -> list[jax.Array]:
    """Checks shapes and values, name -> (array, axis names); returns them in one floating dtype."""
    sizes = checks.shapes(where, **axes)
    named = {name: array for name, (array, _) in axes.items()}
    empty = [name for name, array in named.items() if np.size(array) == 0]
    if empty:
        raise ValueError(f"{where}: {empty[0]} must not be empty, got sizes {sizes}")
    checks.finite(where, **named)
    return floats(*named.values())


@contextlib.contextmanager
def way_from_classes(a1: AnyShape | None, a2: AnyShape, b: AnyShape) -> Iterator[None]:
    """Adds to an error that labels do not fit how rows of them are made, where b may be classes.

    Classes are a number, a name or a truth value for each row; labels are a row of numbers.

    Raises:
      ValueError, TypeError: as what is checked within.
    """
    try:
        yield
    except (ValueError, TypeError) as error:
        way = _way_from_classes(a1, a2, b)
        if not way:
            raise
        raise type(error)(f"{error}; {way}") from error


def _way_from_classes(a1: AnyShape | None, a2: AnyShape, b: AnyShape) -> str:
    """How labels are made of what was given; "" where it is no row of classes."""
    try:
        shape, kind = np.shape(b), np.asarray(b).dtype.kind
        rows, count = None if a1 is None else np.shape(a1)[0], np.shape(a2)[0]
    except (ValueError, TypeError, IndexError):  # ragged lists, tracers, what is no array
        return ""
    if kind == "b" and len(shape) == (1 if rows is None else 2):
        return "truth values are labels of 0 and 1 by np.asarray(b, float)"
    if rows is None or shape not in ((rows,), (rows, 1)):
        return ""
    return f"labels are {count} numbers for each row of a1{_of_classes(np.asarray(b), count)}"


def _of_classes(b: np.ndarray, count: int) -> str:
    """How labels are made of a number or a name for each row, with as many columns as keys."""
    given_integers = b.dtype.kind in "iu"  # truth values choose, as an index
    if b.dtype.kind == "b":
        b = b.astype(int)
    try:
        found = np.unique(b)
    except TypeError:  # names and numbers, or None among them
        return ""
    if len(found) > count:
        return (
            f"; b holds {len(found)} different values, and a2 has {count} rows, one for each class"
        )
    flat = ".ravel()" if b.ndim > 1 else ""
    whole = b.dtype.kind in "iu" or (
        b.dtype.kind == "f" and np.isfinite(b).all() and (b % 1 == 0).all()
    )
    if not whole or int(found[-1]) - int(found[0]) >= count:
        classes = f"np.unique(b, return_inverse=True)[1]{flat}"
        return f"; of any classes: np.eye({count})[classes], with classes = {classes}"
    first = int(found[0]) if not 0 <= found[0] <= found[-1] < count else 0
    less = "" if not first else f" - {first}" if first > 0 else f" + {-first}"
    said = f"; of classes {first} .. {first + count - 1}: np.eye({count})"
    if given_integers and not flat:
        return f"{said}[b{less}]"
    return f"{said}[classes], with classes = np.asarray(b, int){flat}{less}"


def floats(*arrays: AnyShape) -> list[jax.Array]:
    """The arrays in the floating dtype that holds all of them; integers count as jax's own."""
    made = [jnp.asarray(array) for array in arrays]
    dtype = jnp.result_type(*made, float)
    return [array.astype(dtype) for array in made]


def refuse_negative_labels(where: str, b: AnyShape) -> None:
    """Raises an error for labels below 0, of which a cross-entropy has no lower bound."""
    if checks.is_concrete(b) and np.asarray(b).min() < 0:
        raise ValueError(
            f"{where}: labels b of kind 'cross_entropy' must be at least 0, as probabilities and "
            f"counts are, got {np.asarray(b).min():g}; kind 'normalized' takes any labels"
        )


def refuse_entropy(where: str, kind: str) -> None:
    """Raises an error where only the squared losses are residuals that labels can shift."""
    if kind == "cross_entropy":
        raise ValueError(
            f"{where}: kind must be 'normalized' or 'rescaled', got 'cross_entropy', whose value "
            "no shift of the labels keeps; dataclasses.replace(problem, kind='normalized') has them"
        )


def concrete(where: str, /, **arrays: AnyShape) -> None:
    """Refuses tracers, for functions that decide by values or compute outside of jax.

    Raises:
      TypeError: naming the first tracer.
    """
    for name, array in arrays.items():
        if not checks.is_concrete(array):
            raise TypeError(
                f"{where}: {name} must be an array with values, got a tracer; "
                f"call {where} outside of jit, grad and vmap"
            )


def radius(where: str, value: float | None, *, needed: bool) -> float:
    """The radius of the ball as a number; 0 where none is needed and none given.

    Raises:
      ValueError: where it is needed and missing, below 0 or not finite.
      TypeError: where it is not a real number.
    """
    if value is None:
        if needed:
            raise ValueError(
                f"{where}: radius must be given for kind 'rescaled', got None: exp(A x) has a "
                "Lipschitz constant on a ball |x| <= radius only"
            )
        return 0.0
    concrete(where, radius=value)
    checks.shapes(where, radius=(value, ""))
    checks.finite(where, radius=value)
    checks.at_least(where, radius=(value, 0.0))
    return float(value)


def refuse_overflow(where: str, kind: str, result: jax.Array, x: jax.Array, data: Data) -> None:
    """Raises an error for a concrete result that is not finite, with the logits at x."""
    if not checks.is_concrete(result) or bool(jnp.isfinite(result).all()):
        return
    factors = [array for array in (data.a1, np.atleast_2d(x), data.a2.T) if array is not None]
    with np.errstate(over="ignore", invalid="ignore"):
        values = np.linalg.multi_dot([np.asarray(factor, np.float64) for factor in factors])
    largest, dtype = float(np.max(values)), result.dtype
    limit = float(np.log(float(jnp.finfo(dtype).max))) / 2
    if kind != "rescaled":  # which takes logits of any size that the dtype holds
        raise ValueError(
            f"{where}: the result overflows {dtype}: the largest logit is {largest:.6g}; the "
            "entries of data, weights (x, init) or labels are too large, scale them down"
        )
    raise ValueError(
        f"{where}: the {kind} loss overflows {dtype}: the largest logit is {largest:.6g}, and "
        f"squares of its exponential are representable up to about {limit:.0f}; "
        "log_loss stays finite, and kind 'normalized' takes logits of any size"
    )
