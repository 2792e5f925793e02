"""The program of a step: matrix values made of leaves, constants, sums, products and scalings.

Equal expressions are one node, so that common work is found by identity. Constants carry a leading
axis of variants: one for a tied step, one for each step otherwise.
"""

import dataclasses
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np

from elsa.base import matrices
from elsa.base.matrices import Matrix, Structured, of_entries
from elsa.base.matrices import structured as by_structure
from elsa.compiler.tracing import constants
from elsa.compiler.tracing.constants import Constant

Kind = Literal["leaf", "const", "add", "mul", "scale", "sum"]


@dataclasses.dataclass(eq=False)
class Node:
    """One matrix value.

    kind: "leaf" (an input block), "const", "add" (of scaled parts), "mul" (of two parts), "scale"
      (a 1 x 1 part times a part of any shape), or "sum" (monomials gathered by the planner).
    shape: (rows, columns).
    uid: the order of creation, which makes every choice repeatable.
    name: of a leaf.
    constant: its matrix for every variant.
    symmetric: whether it is a constant that equals its transpose.
    inverse: whether it is a constant by which a solution multiplies.
    parts: (coefficients [variants], Ref) of an add; (None, Ref) otherwise.
    carried: True where a loop hands the value on to its next iteration.
    stored: True where every plan computes the value as it stands.
    monomials: of a "sum".
    places: where the value can be other than zero, once the planner has looked.
    apart: whether no two parts of a sum can be so in one place, once it has looked.
    """

    kind: Kind
    shape: tuple[int, int]
    uid: int
    name: str = ""
    constant: Constant | None = None
    symmetric: bool = False
    inverse: bool = False
    parts: tuple[tuple[np.ndarray | None, "Ref"], ...] = ()
    carried: bool = False
    stored: bool = False
    monomials: tuple[Any, ...] = ()
    places: tuple[Any, ...] = ()
    apart: bool | None = None

    def __repr__(self) -> str:
        return self.name or f"v{self.uid}"


class Ref(NamedTuple):
    """A node, or its transpose."""

    node: Node
    flipped: bool = False

    @property
    def shape(self) -> tuple[int, int]:
        rows, columns = self.node.shape
        return (columns, rows) if self.flipped else (rows, columns)

    @property
    def T(self) -> "Ref":  # noqa: N802, as in NumPy
        if self.node.symmetric or self.node.shape == (1, 1):
            return self
        return Ref(self.node, not self.flipped)


class Graph:
    """Makes nodes, each expression once, and folds constants on the way."""

    def __init__(self, variants: int = 1) -> None:
        self.variants = variants
        self.nodes: dict[object, Node] = {}

    def _node(self, key: object, kind: Kind, shape: tuple[int, int], **fields: object) -> Node:
        if key not in self.nodes:
            self.nodes[key] = Node(kind, shape, len(self.nodes), **fields)  # type: ignore[arg-type]
        return self.nodes[key]

    def leaf(self, name: str, shape: tuple[int, int]) -> Ref:
        return Ref(self._node(("leaf", name), "leaf", shape, name=name))

    def const(self, matrix: Matrix | Constant) -> Ref:
        """A constant [rows, columns], or [variants, rows, columns]."""
        if isinstance(matrix, Structured):
            return self._const(constants.constant_of([matrix], self.variants))
        if isinstance(matrix, constants.Varied):
            return self._const(matrix)
        array = np.asarray(matrix, dtype=np.float64)
        if array.ndim == 2:
            return self._const(constants.constant_of([by_structure(array)], self.variants))
        if array[0].size <= matrices.SMALL:
            return self._const(array)
        each = [by_structure(one) for one in (array if constants.varies(array) else array[:1])]
        return self._const(constants.constant_of(each, self.variants))

    def _const(self, constant: Constant) -> Ref:
        if isinstance(constant, np.ndarray):
            constant = np.ascontiguousarray(constant) + 0.0  # no negative zeros in the key
        key = ("const", constants.key_of(constant))
        if key in self.nodes:
            return Ref(self.nodes[key])
        symmetric = constants.is_symmetric(constant)
        shape = constant.shape[1:]
        return Ref(self._node(key, "const", shape, constant=constant, symmetric=symmetric))

    def unit(self, index: int, size: int) -> Ref:
        """The unit vector e_index of some length, a column."""
        return self.const(of_entries(np.ones(1), np.array([index]), np.zeros(1, int), (size, 1)))

    def coefficient(self, value: float) -> np.ndarray:
        return np.full(self.variants, float(value))

    def add(self, terms: Iterable[tuple[np.ndarray, Ref]]) -> Ref:
        """Sum of scaled values of one shape; constants are added up, zero terms dropped."""
        total: dict[Ref, np.ndarray] = {}
        fixed: list[tuple[np.ndarray, Constant]] = []
        shape = (0, 0)
        for coefficient, ref in terms:
            shape = ref.shape
            if ref.node.kind == "const":
                fixed.append((coefficient, constant_of(ref)))
            else:
                total[ref] = total.get(ref, 0.0) + coefficient
        parts = [(c, ref) for ref, c in total.items() if np.any(c != 0)]
        constant = constants.summed(fixed) if fixed else None
        if not parts:
            return self.const(np.zeros((self.variants, *shape)) if constant is None else constant)
        if constant is not None and not constants.is_zero(constant):
            parts.append((self.coefficient(1.0), self.const(constant)))
        if len(parts) == 1 and np.all(parts[0][0] == 1.0):
            return parts[0][1]
        if _all_flipped(ref for _, ref in parts):
            return self.add((c, ref.T) for c, ref in parts).T
        key = ("add", tuple((c.tobytes(), ref.node.uid, ref.flipped) for c, ref in parts))
        return Ref(self._node(key, "add", shape, parts=tuple(parts)))

    def scaled(self, coefficient: np.ndarray, ref: Ref) -> Ref:
        return self.add([(coefficient, ref)])

    def mul(self, a: Ref, b: Ref) -> Ref:
        """The matrix product; a product of constants is a constant, a product by 0 or I is none."""
        if a.node.kind == "const" and b.node.kind == "const":
            return self.const(constants.multiplied(constant_of(a), constant_of(b)))
        for factor, other in ((a, b), (b, a)):
            if factor.node.kind == "const":
                multiple = constants.identity_multiple(constant_of(factor))
                if multiple is not None:
                    return self.scaled(multiple, other)
                if constants.is_zero(constant_of(factor)):
                    return self.const(np.zeros((a.shape[0], b.shape[1])))
        if _all_flipped((a, b)):
            return self.mul(b.T, a.T).T
        key = ("mul", a.node.uid, a.flipped, b.node.uid, b.flipped)
        shape = (a.shape[0], b.shape[1])
        return Ref(self._node(key, "mul", shape, parts=((None, a), (None, b))))

    def scale(self, scalar: Ref, ref: Ref) -> Ref:
        """A 1 x 1 value times a value of any shape: a matrix product where a side has length 1."""
        if scalar.node.kind == "const":
            return self.scaled(number(scalar), ref)
        if ref.shape[1] == 1:
            return self.mul(ref, scalar)
        if ref.shape[0] == 1:
            return self.mul(scalar, ref)
        key = ("scale", scalar.node.uid, ref.node.uid, ref.flipped)
        return Ref(self._node(key, "scale", ref.shape, parts=((None, scalar), (None, ref))))

    def carried(self, ref: Ref) -> Ref:
        """The value, marked as what a loop hands on, which is never multiplied out."""
        ref.node.carried = True
        return ref

    def stored(self, ref: Ref) -> Ref:
        """The value, marked as one that is computed as it stands."""
        ref.node.stored = True
        return ref

    def sum(self, monomials: Sequence[Any], shape: tuple[int, int]) -> Ref:
        """A value that the planner gathered from monomials of an output."""
        key = ("sum", tuple((m.coefficient.tobytes(), m.chain) for m in monomials))
        node = self._node(key, "sum", shape, monomials=tuple(monomials), stored=True)
        return Ref(node)


def _all_flipped(refs: Iterable[Ref]) -> bool:
    """Whether values are transposes, apart from constants: what is made of them is one too.

    So that A^T B^T is (B A)^T, the same node however it is spelled, and a residual is the column
    that it is where the step has its transpose.
    """
    data = [ref for ref in refs if ref.node.kind != "const"]
    return bool(data) and all(ref.flipped for ref in data)


def constant_of(ref: Ref) -> Constant:
    """The constant, transposed where the reference is."""
    constant = ref.node.constant
    assert constant is not None
    return constants.transposed(constant) if ref.flipped else constant


def number(ref: Ref) -> np.ndarray:
    """The number [variants] that a constant of one entry is."""
    constant = constant_of(ref)
    assert isinstance(constant, np.ndarray)
    return constant[:, 0, 0]


def in_front(number: float) -> str:
    """A number in front of a product: nothing for 1, `-` for -1."""
    return {1.0: "", -1.0: "-"}.get(number, f"{number:.6g} ")


def letters(constants: Iterable[Ref]) -> dict[Node, str]:
    """Names of the constants of a listing, in this order: C, or C1, C2 where they differ."""
    nodes = list(dict.fromkeys(ref.node for ref in constants))
    return {node: f"C{index}" if len(nodes) > 1 else "C" for index, node in enumerate(nodes, 1)}


def lettered(const: Ref, names: Mapping[Any, str]) -> str:
    """A constant in a formula: its name with its shape."""
    return "{}[{}x{}]".format(names[const.node], *const.node.shape) + "^T" * const.flipped


def joined(terms: Iterable[str]) -> str:
    """Terms of a sum, those that begin with `-` taken away."""
    first, *rest = terms
    return first + "".join(f" - {t[1:]}" if t.startswith("-") else f" + {t}" for t in rest)


def reachable(refs: Iterable[Ref], stops: Collection[Node] = ()) -> list[Node]:
    """The nodes that values are made of, parts first, not looking into the nodes of `stops`."""
    seen: set[Node] = set()
    queue = [ref.node for ref in refs]
    while queue:
        node = queue.pop()
        if node not in seen and node not in stops:
            seen.add(node)
            queue += [part.node for _, part in node.parts]
    return sorted(seen, key=lambda node: node.uid)


def leaves_of(ref: Ref, stops: Collection[Node] = ()) -> set[Node]:
    """The leaves that a value is made of, not looking into the nodes of `stops`."""
    return {node for node in reachable([ref], stops) if node.kind == "leaf"}
