"""Arguments of the closed forms as checked float64 NumPy, and symmetric square roots."""

from typing import Any, NamedTuple, TypeAlias

import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Real

from elsa.base import checks
from elsa.base.arrays import AnyShape, Numbers, Rows

Vector: TypeAlias = Real[ArrayLike, " d"] | Real[ArrayLike, "d 1"] | Numbers | Rows


class Gaussian(NamedTuple):
    """The task distribution in coordinates where the covariates are white.

    root, inverse_root: h = Sx^{1/2} and its pseudo-inverse, [d, d].
    values, vectors: eigenvalues l of h Sb h, largest first, and eigenvectors, columns of [d, d].
    floor: M + s2, the variance of a label.
    """

    root: np.ndarray
    inverse_root: np.ndarray
    values: np.ndarray
    vectors: np.ndarray
    floor: float


LARGEST = 1e75  # products of four such numbers are finite in float64


def real(where: str, name: str, array: AnyShape) -> np.ndarray:
    """The array in float64; only finite real numbers of at most 1e75 are accepted."""
    checks.finite(where, **{name: array})
    values = np.asarray(array, dtype=np.float64)
    if values.size and (largest := float(np.abs(values).max())) > LARGEST:
        raise ValueError(
            f"{where}: {name} must have entries of at most {LARGEST:g} in size, whose products "
            f"float64 holds, got {largest:g}"
        )
    return values


def data(where: str, /, **arrays: tuple[Any, str]) -> dict[str, int]:
    """Shapes and values at once, for formulas in jax: name -> (array, axes), as `checks.shapes`.

    Raises:
      ValueError: for shapes that do not fit, an empty array, NaN, infinity, or entries above 1e75.
      TypeError: for anything but real numbers.
    """
    sizes = checks.shapes(where, **arrays)
    for name, (array, _) in arrays.items():
        if np.size(array) == 0:
            raise ValueError(f"{where}: {name} must not be empty, got shape {np.shape(array)}")
        if checks.is_concrete(array):
            real(where, name, array)
    return sizes


def spectrum(where: str, array: AnyShape) -> np.ndarray:
    """Eigenvalues [d] of a positive semi-definite matrix, up to what rounding leaves below 0."""
    values = vector(where, "eigenvalues", array)
    slack = 8.0 * values.size * float(np.finfo(np.float32).eps) * np.abs(values).max()
    if (smallest := float(values.min())) < -slack:
        raise ValueError(f"{where}: eigenvalues must be at least 0, got {smallest:g}")
    return values


def rounds(where: str, array: AnyShape) -> np.ndarray:
    """Numbers of steps, in float64: integers of at least 0, in an array of any axes."""
    values = real(where, "steps", array)
    if values.size == 0 or np.any(values < 0) or np.any(values != np.rint(values)):
        shown = "none" if values.size == 0 else values.ravel().tolist()
        raise ValueError(f"{where}: steps must be integers of at least 0, got {shown}")
    return values


def vector(where: str, name: str, array: AnyShape, size: int | None = None) -> np.ndarray:
    """[d] from [d] or a column [d, 1]."""
    values = real(where, name, array)
    flat = values[:, 0] if values.ndim == 2 and values.shape[1] == 1 else values
    if flat.ndim != 1 or flat.size == 0 or (size is not None and flat.size != size):
        wanted = "d" if size is None else str(size)
        raise ValueError(f"{where}: {name} must have shape ({wanted},), got {values.shape}")
    return flat


def covariance(where: str, name: str, array: AnyShape, size: int | None = None) -> np.ndarray:
    """A symmetric positive semi-definite matrix.

    Raises:
      ValueError: for another shape, an asymmetric matrix or a negative eigenvalue, up to rounding
        (of float32, in which a caller may have computed it).
    """
    matrix = real(where, name, array)
    sizes = checks.shapes(where, **{name: (matrix, "d d")})
    if sizes["d"] == 0 or (size is not None and sizes["d"] != size):
        wanted = "d, d" if size is None else f"d={size}, d={size}"
        raise ValueError(f"{where}: {name} must have shape ({wanted}), got {matrix.shape}")
    slack = 8.0 * sizes["d"] * float(np.finfo(np.float32).eps) * np.abs(matrix).max()
    if np.abs(matrix - matrix.T).max() > slack:
        raise ValueError(f"{where}: {name} must be symmetric, got {matrix.tolist()}")
    symmetric: np.ndarray = (matrix + matrix.T) / 2.0
    if (smallest := float(np.linalg.eigvalsh(symmetric)[0])) < -slack:
        raise ValueError(
            f"{where}: {name} must be positive semi-definite, got an eigenvalue {smallest:g}"
        )
    return symmetric


def weight(where: str, name: str, array: AnyShape, size: int) -> np.ndarray:
    """Any d x d matrix."""
    matrix = real(where, name, array)
    if matrix.shape != (size, size):
        raise ValueError(
            f"{where}: {name} must have shape (d={size}, d={size}), got {matrix.shape}"
        )
    return matrix


def sizes(where: str, *, noise_var: float, **counts: int) -> None:
    """Refuses counts that are not integers of at least 1 and a variance below 0."""
    checks.integer(where, **{name: (count, 1) for name, count in counts.items()})
    checks.number(where, noise_var=noise_var)
    checks.finite(where, noise_var=noise_var)
    checks.at_least(where, noise_var=(noise_var, 0.0))


def rank_at_most(where: str, rank: int, dim: int) -> None:
    """Refuses a rank outside 0..d."""
    checks.integer(where, rank=(rank, 0))
    if rank > dim:
        raise ValueError(f"{where}: rank must be at most d = {dim}, got {rank}")


def roots(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The symmetric square root of a positive semi-definite matrix, and its pseudo-inverse."""
    values, vectors = np.linalg.eigh(matrix)
    kept = values > values.size * np.finfo(np.float64).eps * max(values[-1], 0.0)
    root = np.sqrt(np.where(kept, values, 0.0))
    inverse = np.divide(1.0, root, out=np.zeros_like(root), where=kept)
    return (vectors * root) @ vectors.T, (vectors * inverse) @ vectors.T


def whiten(*, cov_x: np.ndarray, moment: np.ndarray, noise_var: float) -> Gaussian:
    """What the risks of one preconditioned step depend on; `moment` is Sb, of the task."""
    root, inverse_root = roots(cov_x)
    values, vectors = np.linalg.eigh(root @ moment @ root)
    values = np.maximum(values[::-1], 0.0)
    floor = float(values.sum() + noise_var)
    return Gaussian(root, inverse_root, values, vectors[:, ::-1], floor)
