"""Products of many small matrices at once: the batch is the last axis, a vector for each entry.

A CPU's vector instructions then work on prompts, eight and more at a time, where a product of
6 x 6 matrices has no dimension that fills them. A product is a sum over its inner index alone,

    (X Y)[i, k] = X[i, 1] Y[1, k] + .. + X[i, m] Y[m, k],    vectors over the batch throughout,

so that the program has m terms, not m^3. XLA would compute such a sum anew in whatever reads it,
and in whatever reads that: a chain of three products at 6^3 times the cost. `apart` forbids it.

The product is a primitive of jax, as its derivatives are products again: what jax makes of the
sums by itself takes ten times as long.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir
from jaxtyping import Array, Float

from elsa.base import arithmetic, checks

# Measured on two cores, forward and backward of 3 layers of `attention.many_prompts`: faster from a
# few prompts on, 9 to 14 times at 6 channels, 3 at 21, and no longer at 41.
_LEAST_LANES = 8
_MOST_ROWS = 24
# Which axis of a factor is summed over, counted from the end: lanes are the last.
_ROW, _COLUMN = -3, -2
_SUMMED = {"nn": (_COLUMN, _ROW), "tn": (_ROW, _ROW), "nt": (_COLUMN, _COLUMN)}
# kind -> the products that take a cotangent C to the first factor and to the second; "c", "x" and
# "y" name what is multiplied
_FIRST = {"nn": ("nt", "cy"), "tn": ("nt", "yc"), "nt": ("nn", "cy")}
_SECOND = {"nn": ("tn", "xc"), "tn": ("nn", "xc"), "nt": ("tn", "cx")}


def product(
    x: Float[Array, "*batch i j lanes"], y: Float[Array, "*batch j k lanes"]
) -> Float[Array, "*batch i k lanes"]:
    """X Y for every lane; leading axes of length 1 serve all of the other factor's."""
    return _bind(x, y, "nn")


def product_of_transpose(
    x: Float[Array, "*batch j i lanes"], y: Float[Array, "*batch j k lanes"]
) -> Float[Array, "*batch i k lanes"]:
    """X^T Y for every lane."""
    return _bind(x, y, "tn")


def product_with_transpose(
    x: Float[Array, "*batch i j lanes"], y: Float[Array, "*batch k j lanes"]
) -> Float[Array, "*batch i k lanes"]:
    """X Y^T for every lane."""
    return _bind(x, y, "nt")


def serve(batch: int, channels: int) -> bool:
    """Whether products of so many matrices of so many rows are to be taken so.

    It is on a CPU, whose cores work on vectors; an accelerator has batched products of its own. A
    run that was begun when there was but one way stays with it (`base.arithmetic`).
    """
    small = batch >= _LEAST_LANES and channels <= _MOST_ROWS
    return small and arithmetic.version() >= 2 and jax.default_backend() == "cpu"


def apart(array: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """The array, computed once: what reads it is compiled apart from what made it.

    In a program it goes through a loop that is never entered, as no number is above infinity, which
    XLA does not know. `jax.lax.optimization_barrier` is gone before a CPU's operations are fused.
    Op by op, nothing is fused.
    """
    if array.size == 0 or checks.is_concrete(array):
        return array
    first = (0,) * array.ndim
    kept: Array = jax.lax.while_loop(lambda a: a[first] > jnp.inf, jnp.negative, array)
    return kept


_product = Primitive("lanes_product")


def _bind(x: Array, y: Array, kind: str) -> Array:
    common = jnp.result_type(x, y)
    out: Array = _product.bind(x.astype(common), y.astype(common), kind=kind)
    return out


def _sums(x: Array, y: Array, *, kind: str) -> Array:
    first, second = _SUMMED[kind]
    total: Any = None
    for index in range(x.shape[first]):
        left = jax.lax.index_in_dim(x, index, x.ndim + first, keepdims=False)
        right = jax.lax.index_in_dim(y, index, y.ndim + second, keepdims=False)
        term = jnp.expand_dims(left, -2) * jnp.expand_dims(right, -3)
        total = term if total is None else total + term
    return apart(total)


_compiled = jax.jit(_sums, static_argnames="kind")


def _now(x: Array, y: Array, *, kind: str) -> Array:
    out: Array = _compiled(x, y, kind=kind)
    return out


def _shape(x: Any, y: Any, *, kind: str) -> Any:
    first, second = _SUMMED[kind]
    rows, columns = x.shape[_other(first)], y.shape[_other(second)]
    leading = jnp.broadcast_shapes(x.shape[:-3], y.shape[:-3])
    assert x.shape[first] == y.shape[second], (kind, x.shape, y.shape)
    return jax.core.ShapedArray((*leading, rows, columns, x.shape[-1]), x.dtype)


def _other(axis: int) -> int:
    return _ROW + _COLUMN - axis


def _to_first(cotangent: Array, x: Any, y: Array, *, kind: str) -> Array:
    made, order = _FIRST[kind]
    return _served({"c": cotangent, "y": y}, made, order, x.aval.shape)


def _to_second(cotangent: Array, x: Array, y: Any, *, kind: str) -> Array:
    made, order = _SECOND[kind]
    return _served({"c": cotangent, "x": x}, made, order, y.aval.shape)


def _served(factors: dict[str, Array], kind: str, order: str, shape: tuple[int, ...]) -> Array:
    """A product, summed over the leading axes along which its result served all."""
    out = _bind(factors[order[0]], factors[order[1]], kind)
    axes = tuple(axis for axis, size in enumerate(shape[:-3]) if size != out.shape[axis])
    return jnp.sum(out, axis=axes, keepdims=True) if axes else out


def _many(operands: Any, axes: Any, *, kind: str) -> tuple[Array, int]:
    """The rule of vmap: one more leading axis, of length 1 where an operand is not mapped."""
    mapped = [
        jnp.expand_dims(operand, 0) if axis is None else jnp.moveaxis(operand, axis, 0)
        for operand, axis in zip(operands, axes, strict=True)
    ]
    most = max(operand.ndim for operand in mapped)
    aligned = [
        operand.reshape(operand.shape[0], *(1,) * (most - operand.ndim), *operand.shape[1:])
        for operand in mapped
    ]
    return _bind(aligned[0], aligned[1], kind), 0


_product.def_impl(_now)
_product.def_abstract_eval(_shape)
ad.defbilinear(_product, _to_first, _to_second)
batching.primitive_batchers[_product] = _many
mlir.register_lowering(_product, mlir.lower_fun(_sums, multiple_results=False))
