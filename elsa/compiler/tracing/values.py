"""What an equation's operand is while a step is traced: data, or numbers known at compile time."""

import dataclasses

import numpy as np

from elsa.base.checks import matrix_shape
from elsa.compiler.errors import NotLinearError
from elsa.compiler.tracing.graph import Graph, Ref


@dataclasses.dataclass(frozen=True, eq=False)
class Known:
    """An array without data, [variants, *shape]."""

    array: np.ndarray

    @property
    def shape(self) -> tuple[int, ...]:
        return self.array.shape[1:]


@dataclasses.dataclass(frozen=True, eq=False)
class Value:
    """A matrix of the graph that stands for a JAX value of `shape`.

    () is 1 x 1 and (n,) is n x 1. A side of the matrix may be 1 where the JAX value has been
    broadcast along it, so that `lam * w` and outer products stay what they are.
    """

    ref: Ref
    shape: tuple[int, ...]


@dataclasses.dataclass(frozen=True, eq=False)
class Refused:
    """What linear attention cannot compute: an error, in these words, where an output needs it."""

    message: str


Operand = Value | Known


def whole(graph: Graph, value: Value) -> Ref:
    """The value as a full matrix: what was broadcast lazily is multiplied by ones."""
    ref, (rows, columns) = value.ref, matrix_shape(value.shape)
    if ref.shape[0] != rows:
        ref = graph.mul(graph.const(np.ones((rows, 1))), ref)
    if ref.shape[1] != columns:
        ref = graph.mul(ref, graph.const(np.ones((1, columns))))
    return ref


def as_ref(graph: Graph, value: Value | Known) -> Ref:
    """Data or numbers, as a full matrix of the graph."""
    if isinstance(value, Value):
        return whole(graph, value)
    array = np.asarray(value.array, dtype=np.float64)
    return graph.const(array.reshape(len(array), *matrix_shape(value.shape)))


def require_two_axes(shape: tuple[int, ...]) -> None:
    """Refuses an array that is not a matrix."""
    if len(shape) > 2:
        raise NotLinearError(
            f"blocks are matrices, got an array of shape {shape}, which may be summed over, or "
            "multiplied with constants"
        )


def broadcast(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """[variants, *own shape] to [variants, *shape], new axes behind that of the variants."""
    axes = (1,) * (len(shape) + 1 - array.ndim)
    return np.broadcast_to(array.reshape(len(array), *axes, *array.shape[1:]), (len(array), *shape))


def sized(graph: Graph, value: Operand, shape: tuple[int, ...]) -> Ref:
    """The operand as a full matrix for an array of `shape`, broadcast along sides of length 1."""
    require_two_axes(shape)
    if isinstance(value, Known):
        return as_ref(graph, Known(broadcast(value.array, shape)))
    return whole(graph, Value(value.ref, shape))
