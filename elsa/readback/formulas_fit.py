"""The lines of the head table that write a group of coefficients: numbers first, then constants."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from elsa.readback.formulas_forms import Form, Group

_DEPENDENT = 1e-9  # of a line's size, what earlier lines leave of it where they say the same
_IDENTITY = 1e-9  # of a constant's largest entry, its distance from a multiple of the identity
_TERMS = 3  # products whose mean over an exchange of B and C is asked for
_ROUNDS, _STAYS, _SETTLED = 500, 1e-15, 1e-14  # alternating least squares: at most, ends, is exact


class Fitted(NamedTuple):
    """A line of a group.

    form: which line on which blocks.
    coefficient: in front of it.
    left, right: its constants, None for the identity.
    size: norm of what it writes.
    """

    form: Form
    coefficient: float
    left: np.ndarray | None
    right: np.ndarray | None
    size: float


def fit(group: Group, least: float, *, constants: bool) -> tuple[list[Fitted], float]:
    """Lines for a group, and the norm of what they leave.

    Lines with numbers alone are tried first, all at once, and taken where they leave no more than
    `least`; else, with `constants`, as few products with constant matrices as leave no more.

    Args:
      group: its coefficients.
      least: lines whose norm is not above it are left out.
      constants: whether lines may hold matrices.
    """
    lines, left = _with_numbers(group, least)
    if left <= least or not constants:
        return lines, left
    made: list[Fitted] = []
    rest = group.vector
    for source in dict.fromkeys(form.source for form in group.forms):
        own = [form for form in group.forms if form.source == source]
        products = min((_products(form, least) for form in own), key=len)
        for line, vector in products:
            made.append(line)
            rest = rest - vector
    remains = float(np.linalg.norm(rest))
    return (made, remains) if remains < left else (lines, left)


def _with_numbers(group: Group, least: float) -> tuple[list[Fitted], float]:
    """The least-squares coefficients of lines without matrices."""
    known: list[tuple[Form, np.ndarray]] = []
    basis: list[np.ndarray] = []
    for form in group.forms:
        x, y, z, o = form.values.shape
        if x != y or z != o:
            continue
        column = form.embed(np.einsum("xy,zo->xyzo", np.eye(x), np.eye(z)))
        rest = column
        for _ in range(2):  # twice is enough
            for other in basis:
                rest = rest - (other @ rest) * other
        if np.linalg.norm(rest) > _DEPENDENT * np.linalg.norm(column):
            known.append((form, column))
            basis.append(rest / np.linalg.norm(rest))
    while known:
        columns = np.stack([column for _, column in known], axis=1)
        solution = np.linalg.lstsq(columns, group.vector, rcond=None)[0]
        sizes = np.abs(solution) * np.linalg.norm(columns, axis=0)
        if np.all(sizes > least):
            rest = group.vector - columns @ solution
            lines = [
                Fitted(form, float(number), None, None, float(size))
                for (form, _), number, size in zip(known, solution, sizes, strict=True)
            ]
            return lines, float(np.linalg.norm(rest))
        known = [pair for pair, size in zip(known, sizes, strict=True) if size > least]
    return [], float(np.linalg.norm(group.vector))


def _products(form: Form, least: float) -> list[tuple[Fitted, np.ndarray]]:
    """L (x) R, as few as leave no more than `least` of the form's values, and their vectors."""
    made = []
    for left, right in _factors(form, least):
        vector = form.embed(np.einsum("xy,zo->xyzo", left, right))
        size = float(np.linalg.norm(vector))
        if size > least:
            made.append((Fitted(form, *_normal(left, right), size), vector))
    return made


def _factors(form: Form, least: float) -> list[tuple[np.ndarray, np.ndarray]]:
    x, y, z, o = form.values.shape
    if not form.values.any():
        return []
    u, s, vt = np.linalg.svd(form.values.reshape(x * y, z * o), full_matrices=False)
    count = int(np.sum(s > max(least, s[0] * np.finfo(np.float64).eps * max(x * y, z * o))))
    pairs = [(u[:, k].reshape(x, y) * s[k], vt[k].reshape(z, o)) for k in range(min(count, len(s)))]
    if not form.symmetric:
        return pairs
    kept = [pair for pair, value in zip(pairs, s, strict=False) if value > least]
    best, left = kept, float(np.linalg.norm(s[len(kept) :]))
    for rank in range(1, min(len(pairs), _TERMS + 1)):
        found, rest = _symmetric(form.values, pairs[:rank])
        if rest < left or rest <= max(least, _SETTLED * s[0]):
            best, left = found, rest
        if left <= max(least, _SETTLED * s[0]):
            break
    return best


def _symmetric(
    values: np.ndarray, pairs: Sequence[tuple[np.ndarray, np.ndarray]]
) -> tuple[list[tuple[np.ndarray, np.ndarray]], float]:
    """Products whose mean over y <-> z is nearest to the values, and what it leaves.

    Alternating least squares: with the right constants fixed the left ones are a linear problem,
    the same for every row, and the other way round the same for every column.
    """
    x, y, _, o = values.shape
    rank, eye = len(pairs), np.eye(y)
    lefts = np.stack([pair[0] for pair in pairs])  # k x y
    rights = np.stack([pair[1] for pair in pairs])  # k z o
    by_row = values.transpose(1, 2, 3, 0).reshape(-1, x)
    by_column = values.reshape(-1, o)
    left_over = np.inf
    for _ in range(_ROUNDS):
        design = np.einsum("yu,kzo->yzoku", eye, rights)
        design = (design + np.einsum("zu,kyo->yzoku", eye, rights)) / 2
        solved = np.linalg.lstsq(design.reshape(-1, rank * y), by_row, rcond=None)[0]
        lefts = solved.reshape(rank, y, x).swapaxes(1, 2)
        design = np.einsum("kxy,zu->xyzku", lefts, eye)
        design = (design + np.einsum("kxz,yu->xyzku", lefts, eye)) / 2
        flat = design.reshape(-1, rank * y)
        solved = np.linalg.lstsq(flat, by_column, rcond=None)[0]
        rights = solved.reshape(rank, y, o)
        before, left_over = left_over, float(np.linalg.norm(flat @ solved - by_column))
        if before - left_over <= _STAYS * np.linalg.norm(values):
            break
    return list(zip(lefts, rights, strict=True)), left_over


def _normal(
    left: np.ndarray, right: np.ndarray
) -> tuple[float, np.ndarray | None, np.ndarray | None]:
    """Coefficient and constants of L (x) R: multiples of the identity become numbers.

    Of two constants the right one has the largest entry 1.
    """
    number, other = _multiple(left), _multiple(right)
    if number is not None and other is not None:
        return number * other, None, None
    if number is not None:
        return 1.0, None, number * right
    if other is not None:
        return 1.0, other * left, None
    largest = right.flat[np.argmax(np.abs(right))]
    return 1.0, largest * left, right / largest


def _multiple(matrix: np.ndarray) -> float | None:
    """s where the matrix is s I."""
    rows, columns = matrix.shape
    if rows != columns:
        return None
    number = float(np.trace(matrix)) / rows
    distance = np.abs(matrix - number * np.eye(rows)).max()
    return number if distance <= _IDENTITY * np.abs(matrix).max() else None
