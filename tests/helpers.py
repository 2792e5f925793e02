"""Shared by the tests: tables, problems, reference loops, layouts, and a look into jaxprs."""

import functools
import inspect
from collections.abc import Iterable, Iterator
from typing import Any

import jax
import numpy as np
import pytest
from hypothesis import strategies as st

from elsa import BlockLayout, constructions

EPS = np.finfo(np.float64).eps

RIDGE_FORMS = {
    "ridge_lsa": constructions.ridge_lsa,
    "ridge_lsa_state": constructions.ridge_lsa_state,
    "ridge_elsa": constructions.ridge_elsa,
    "ridge_elsa_one_layer": constructions.ridge_elsa_one_layer,
}

# (n, d, num_queries), edges and the middle: one row, one channel, fewer rows than channels, square,
# tall, more queries than rows. A fixed set, because jax compiles each shape anew.
RIDGE_SIZES = [(1, 1, 0), (1, 4, 3), (6, 1, 2), (3, 5, 1), (4, 4, 0), (9, 3, 2)]


def table(names: str, rows: Iterable[Any]):
    """`pytest.mark.parametrize` in one item, for rows of which each takes no time.

    Every row runs, whatever became of those before, and the item fails with all that failed. Rows
    share the item's fixtures.
    """
    keys, rows = [name.strip() for name in names.split(",")], list(rows)
    assert rows

    def decorate(test):
        @functools.wraps(test)
        def every_row(**fixtures):
            failed = []
            for row in rows:
                values = dict(zip(keys, row if len(keys) > 1 else [row], strict=True))
                try:
                    test(**fixtures, **values)
                except (Exception, pytest.fail.Exception) as error:
                    failed.append((values, error))
            if failed:
                told = "\n".join(f"{values}: {error!r}" for values, error in failed)
                message = f"{len(failed)} of {len(rows)} rows fail:\n{told}"
                raise AssertionError(message) from failed[0][1]

        asked = inspect.signature(test).parameters.values()
        every_row.__signature__ = inspect.Signature([a for a in asked if a.name not in keys])
        return every_row

    return decorate


def wide(cases: Iterable[Any], *, keep: Iterable[Any]) -> list[Any]:
    """Cases for `pytest.mark.parametrize`: those kept are for `make test`, the others are slow.

    keep: those with a code path of their own, and the edges. A tuple holds several arguments:

        @pytest.mark.parametrize("name", wide(NAMES, keep=("a", "b")))
        @pytest.mark.parametrize("n, d", wide([(1, 1), (3, 5)], keep=[(1, 1)]))
    """
    cases, keep = list(cases), list(keep)
    strange = [case for case in keep if case not in cases]
    if strange or not keep:
        raise ValueError(f"wide: keep must name some of the cases {cases}, got {strange or keep}")
    return [
        case
        if case in keep
        else pytest.param(*(case if isinstance(case, tuple) else (case,)), marks=pytest.mark.slow)
        for case in cases
    ]


def ridge_problem(n, d, num_queries=0, *, lam=0.5, seed=0, start=True):
    """Blocks of one ridge problem with |X| = 1 (spectral), and eta = 1 / (1 + lam)."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d))
    blocks = {
        "X": X / np.linalg.norm(X, 2),
        "y": rng.normal(size=(n, 1)),
        "lam": np.full((1, 1), float(lam)),
    }
    if start:
        blocks["w"] = rng.normal(size=(d, 1))
    if num_queries:
        blocks["query_x"] = rng.normal(size=(num_queries, d))
    return blocks, 1.0 / (1.0 + lam)


def ridge_gradient(X, y, lam, w):
    """Of |y - X w|^2 / 2 + lam |w|^2 / 2."""
    return X.T @ (X @ w - y) + lam * w


def descend(blocks, step_size, depth, dtype=np.float64):
    """Gradient descent in NumPy: w_0 .. w_depth, [depth + 1, d, 1]."""
    X, y, lam = (np.asarray(blocks[name], dtype) for name in ("X", "y", "lam"))
    w = np.asarray(blocks.get("w", np.zeros((X.shape[1], 1))), dtype)
    eta, path = dtype(step_size), [w]
    for _ in range(depth):
        w = w - eta * ridge_gradient(X, y, lam, w)
        path.append(w)
    return np.stack(path)


def relative_error(actual, expected, floor=0.0):
    """|actual - expected| / |expected| in the Euclidean norm; `floor` bounds the divisor below."""
    actual, expected = np.asarray(actual, np.float64), np.asarray(expected, np.float64)
    assert actual.shape == expected.shape, (actual.shape, expected.shape)
    scale = max(np.linalg.norm(expected), floor)
    return np.linalg.norm(actual - expected) / (scale or 1.0)


def attention_reference(h, w):
    """(H Wq + Bq) (H Wk + Bk)^T (H Wv + Bv) in NumPy: one sum over four indices, no association."""
    q, k, v = h @ w.wq + w.bq, h @ w.wk + w.bk, h @ w.wv + w.bv
    return np.einsum("ip,jp,jc->ic", q, k, v, optimize=False)


def stack_reference(stack, h):
    """A `Stack` in NumPy, layer by layer and head by head."""
    layers, first = stack.weights, len(stack.prologue)
    last = first + len(stack.body)
    order = [*layers[:first]]
    for step in range(stack.depth):
        order += [
            w if stack.tied else type(w)(*(array[step] for array in w)) for w in layers[first:last]
        ]
    for w in [*order, *layers[last:]]:
        arrays = [a if a.shape[-2] else np.zeros((1, 1, 1)) for a in w]  # LSA has no biases
        heads = zip(*(np.broadcast_to(a, (len(w.wq), *a.shape[1:])) for a in arrays), strict=True)
        added = sum(attention_reference(h, type(w)(*head)) for head in heads)
        h = h + added if stack.skip == "residual" else added
    return h


def attention_rounding(h, w):
    """What two evaluations of one head may differ by, entry by entry.

    A sum of products with k roundings on any path errs by at most k eps (1 + ..) times the same sum
    over absolute values (Higham, Accuracy and Stability, section 3.5). Here k is at most
    3 (m + 2) + p + n, and each of two evaluations errs.
    """
    (n, m), p = h.shape, w.wq.shape[-1]
    absolute = type(w)(*(np.abs(array) for array in w))
    return 2 * (3 * (m + 2) + p + n) * EPS * attention_reference(np.abs(h), absolute)


def assert_within(actual, expected, bound):
    """Entry by entry; the bound may be zero, where equality is exact."""
    actual = np.asarray(actual)
    assert actual.shape == expected.shape, (actual.shape, expected.shape)
    excess = np.abs(actual - expected) - bound
    assert (excess <= 0).all(), f"largest excess {excess.max():.3g} over a bound of {bound.max()}"


def scattered_layout(shapes, rng, transposed=()):
    """Boxes for the blocks in a 32 x 32 prompt: random order, each below or right of the others."""
    boxes, n, m = {}, 0, 0
    for name in rng.permutation(list(shapes)):
        height, width = shapes[name][::-1] if name in transposed else shapes[name]
        gap, along = int(rng.integers(0, 3)), int(rng.integers(0, 3))
        row, col = (n + gap, along) if rng.integers(2) else (along, m + gap)
        boxes[str(name)] = (row, col, height, width)
        n, m = max(n, row + height), max(m, col + width)
    return BlockLayout(boxes, (32, 32), transposed)  # one shape, so that jax compiles once


def outside(layout):
    """True where an entry of the prompt lies in no block."""
    free = np.ones(layout.shape, bool)
    for name in layout:
        box = layout.box(name)
        free[box.row : box.row + box.height, box.col : box.col + box.width] = False
    return free


@st.composite
def layouts(draw):
    """Layouts whose boxes tile a part of the prompt, some of them stored transposed."""

    def split(row, col, height, width, cuts):
        if cuts == 0 or height * width == 1:
            return [(row, col, height, width)]
        if draw(st.booleans()) and height > 1:
            at = draw(st.integers(1, height - 1))
            first = split(row, col, at, width, cuts - 1)
            return first + split(row + at, col, height - at, width, cuts - 1)
        if width > 1:
            at = draw(st.integers(1, width - 1))
            first = split(row, col, height, at, cuts - 1)
            return first + split(row, col + at, height, width - at, cuts - 1)
        return [(row, col, height, width)]

    n, m = draw(st.integers(1, 5)), draw(st.integers(1, 5))
    boxes = [box for box in split(0, 0, n, m, 3) if draw(st.integers(0, 3))]
    named = {f"block {index}": box for index, box in enumerate(boxes)}
    stored = [name for name in named if draw(st.booleans())]
    return BlockLayout(named, (n + draw(st.integers(0, 1)), m), stored)


def subjaxprs(value: Any) -> Iterator[Any]:
    """The jaxprs among an equation's parameters."""
    if hasattr(value, "eqns"):
        yield value
    elif hasattr(value, "jaxpr"):
        yield from subjaxprs(value.jaxpr)
    elif isinstance(value, tuple | list):
        for entry in value:
            yield from subjaxprs(entry)
    elif isinstance(value, dict):
        yield from subjaxprs(list(value.values()))


def equations(jaxpr) -> Iterator[Any]:
    """Every equation of a jaxpr, those of inner jaxprs included."""
    for inner in subjaxprs(jaxpr):
        for equation in inner.eqns:
            yield equation
            yield from equations(list(equation.params.values()))


def program_size(function, *arguments) -> int:
    """The number of equations that jax traces."""
    return sum(1 for _ in equations(jax.make_jaxpr(function)(*arguments)))


def intermediate_shapes(function, *arguments) -> set[tuple[int, ...]]:
    """The shapes of everything the traced program computes."""
    traced = jax.make_jaxpr(function)(*arguments)
    return {tuple(out.aval.shape) for equation in equations(traced) for out in equation.outvars}
