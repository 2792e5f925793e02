"""Types of arguments other than arrays of a given shape: numbers, and lists read as arrays.

A shape is written with jaxtyping, `Real[ArrayLike, "n d"] | Rows`; a list has no
shape to annotate, and is checked where it is read.
"""

from collections.abc import Sequence
from typing import TypeAlias

from jax.typing import ArrayLike
from jaxtyping import Real

Number: TypeAlias = Real[ArrayLike, ""]  # of Python, NumPy or jax; a traced one too
NumberBlock: TypeAlias = Number | Real[ArrayLike, "1 1"]  # or as it lies in a prompt
Numbers: TypeAlias = Sequence[float]  # read as a 1-D array
Rows: TypeAlias = Sequence[Sequence[float]]  # read as a matrix
AnyShape: TypeAlias = Real[ArrayLike, "..."] | Numbers | Rows
