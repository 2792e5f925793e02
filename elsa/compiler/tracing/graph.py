"""The program of a step: matrix values made of leaves, constants, sums, products and scalings.

Equal expressions are one node, so that common work is found by identity. Constants carry a leading
axis of variants: one for a tied step, one for each step otherwise.
"""

import dataclasses
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np

Kind = Literal["leaf", "const", "add", "mul", "scale", "sum"]


@dataclasses.dataclass(eq=False)
class Node:
    """One matrix value.

    kind: "leaf" (an input block), "const", "add" (of scaled parts), "mul" (of two parts), "scale"
      (a 1 x 1 part times a part of any shape), or "sum" (monomials gathered by the planner).
    shape: (rows, columns).
    uid: the order of creation, which makes every choice repeatable.
    name: of a leaf.
    array: of a constant, [variants, rows, columns].
    symmetric: whether it is a constant that equals its transpose.
    inverse: whether it is a constant by which a solution multiplies.
    parts: (coefficients [variants], Ref) of an add; (None, Ref) otherwise.
    carried: True where a loop hands the value on to its next iteration.
    stored: True where every plan computes the value as it stands.
    monomials: of a "sum".
    places: where the value can be other than zero, once the planner has looked.
    """

    kind: Kind
    shape: tuple[int, int]
    uid: int
    name: str = ""
    array: np.ndarray | None = None
    symmetric: bool = False
    inverse: bool = False
    parts: tuple[tuple[np.ndarray | None, "Ref"], ...] = ()
    carried: bool = False
    stored: bool = False
    monomials: tuple[Any, ...] = ()
    places: tuple[Any, ...] = ()

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

    def const(self, array: np.ndarray) -> Ref:
        """A constant [rows, columns], or [variants, rows, columns]."""
        full = np.asarray(array, dtype=np.float64)
        if full.ndim == 2:
            full = np.broadcast_to(full, (self.variants, *full.shape))
        full = np.ascontiguousarray(full) + 0.0  # no negative zeros in the key
        key = ("const", full.shape, full.tobytes())
        symmetric = full.shape[1] == full.shape[2] and np.array_equal(full, full.swapaxes(1, 2))
        return Ref(self._node(key, "const", full.shape[1:], array=full, symmetric=symmetric))

    def coefficient(self, value: float) -> np.ndarray:
        return np.full(self.variants, float(value))

    def add(self, terms: Iterable[tuple[np.ndarray, Ref]]) -> Ref:
        """Sum of scaled values of one shape; constants are added up, zero terms dropped."""
        total: dict[Ref, np.ndarray] = {}
        constant: np.ndarray | float = 0.0
        shape = (0, 0)
        for coefficient, ref in terms:
            shape = ref.shape
            if ref.node.kind == "const":
                constant = constant + coefficient[:, None, None] * const_array(ref)
            else:
                total[ref] = total.get(ref, 0.0) + coefficient
        parts = [(c, ref) for ref, c in total.items() if np.any(c != 0)]
        if np.any(constant != 0) or not parts:
            fixed = self.const(np.broadcast_to(constant, (self.variants, *shape)))
            if not parts:
                return fixed
            parts.append((self.coefficient(1.0), fixed))
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
            return self.const(const_array(a) @ const_array(b))
        for factor, other in ((a, b), (b, a)):
            if factor.node.kind == "const":
                multiple = identity_multiple(const_array(factor))
                if multiple is not None:
                    return self.scaled(multiple, other)
                if not const_array(factor).any():
                    return self.const(np.zeros((a.shape[0], b.shape[1])))
        if _all_flipped((a, b)):
            return self.mul(b.T, a.T).T
        key = ("mul", a.node.uid, a.flipped, b.node.uid, b.flipped)
        shape = (a.shape[0], b.shape[1])
        return Ref(self._node(key, "mul", shape, parts=((None, a), (None, b))))

    def scale(self, scalar: Ref, ref: Ref) -> Ref:
        """A 1 x 1 value times a value of any shape: a matrix product where a side has length 1."""
        if scalar.node.kind == "const":
            return self.scaled(const_array(scalar)[:, 0, 0], ref)
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


def const_array(ref: Ref) -> np.ndarray:
    """The constant [variants, rows, columns], transposed where the reference is."""
    array = ref.node.array
    assert array is not None
    return np.swapaxes(array, 1, 2) if ref.flipped else array


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


def varies(array: np.ndarray) -> bool:
    """True where the numbers differ between variants."""
    return bool((array != array[:1]).any())


def identity_multiple(array: np.ndarray) -> np.ndarray | None:
    """c [variants] where the constant is c I in every variant, else None."""
    _, rows, columns = array.shape
    if rows != columns or rows == 0:
        return None
    diagonal = array[:, 0, 0]
    same = np.array_equal(array, diagonal[:, None, None] * np.eye(rows))
    return diagonal.copy() if same and diagonal.any() else None


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
