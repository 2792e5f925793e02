"""What no stack without biases can do, of whatever depth: it treats the rows as a group does.

A stack of linear self-attention layers multiplies the prompt from the right by functions of its
Gram matrix: LSA(U H) = U LSA(H) for every orthogonal U, [n, n]. Where the law of the prompts does
not change under a group of such U, the best stack is at best the projection of the target t,
E_U[U^T t(U H)].
Derivations: docs/theory.md.
"""

import itertools
from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
from jaxtyping import Float, Real

from elsa.base import checks, functions
from elsa.base.arrays import AnyShape
from elsa.theory import matrices
from elsa.theory.results import Estimate

Target: TypeAlias = Callable[[np.ndarray], AnyShape]

_ORTHOGONAL = 1e-6  # how far U U^T may be from I: float32 has made it


def sign_flips(rows: int, flipped: Sequence[int]) -> Float[np.ndarray, "group n n"]:
    """The group of all sign changes of some rows: 2^k diagonal matrices, the identity first.

    Args:
      rows: n.
      flipped: the k rows, counted from 0; all others keep their sign.

    Raises:
      ValueError: for a row outside 0 .. n - 1, one named twice, or n below 1.
      TypeError: for what is no integer.
    """
    where = "sign_flips"
    checks.size(where, rows=(rows, 1))
    checks.instance(where, Sequence, "a list of rows", flipped=flipped)
    checks.integer(where, **{f"flipped[{i}]": (row, 0) for i, row in enumerate(flipped)})
    if len(set(flipped)) < len(flipped) or max(flipped, default=0) >= rows:
        raise ValueError(
            f"{where}: flipped must name rows below {rows}, each once, got {list(flipped)}"
        )
    signs = np.ones((2 ** len(flipped), rows))
    signs[:, list(flipped)] = list(itertools.product((1.0, -1.0), repeat=len(flipped)))
    group: np.ndarray = signs[:, :, None] * np.eye(rows)
    return group


def equivariant_floor(
    target: Target,
    prompts: Real[np.ndarray, "samples n m"],
    group: Real[np.ndarray, "group n n"],
) -> Estimate:
    """E |t - E_U[U^T t(U H)]|^2, below which no stack without biases gets, of any depth.

    Estimated by the mean over prompts of |t(H)|^2 - <t(H), U^T t(U H)>, averaged over U, which has
    this expectation for all elements of a group and for elements sampled uniformly from it.

    Args:
      target: t, from a prompt [n, m] to [n, k], what should be written into its rows; zero in rows
        that do not count. It may read channels that the stack does not see, as the task behind the
        prompt, in rows on which U acts as it acts on the task.
      prompts: H, drawn from a law that does not change under U.
      group: orthogonal matrices U, all of a finite group, as `sign_flips`, or some.

    Raises:
      ValueError: for shapes that do not fit, fewer than 2 prompts, a U that is not orthogonal, NaN
        or infinity. TypeError: for a target that is no function.
    """
    where = "equivariant_floor"
    functions.function_of_one(where, "a function of a prompt", target=target)
    shapes = {"prompts": (prompts, "samples n m"), "group": (group, "group n n")}
    sizes = matrices.data(where, **shapes)
    if sizes["samples"] < 2:
        raise ValueError(f"{where}: prompts must be at least 2, got {sizes['samples']}")
    turns = matrices.real(where, "group", group)
    if np.abs(turns @ turns.swapaxes(1, 2) - np.eye(sizes["n"])).max() > _ORTHOGONAL:
        raise ValueError(f"{where}: group must hold orthogonal matrices, got others")

    def written(prompt: np.ndarray) -> np.ndarray:
        found = matrices.real(where, "the result of target", target(prompt))
        if found.ndim != 2 or len(found) != sizes["n"]:
            raise ValueError(
                f"{where}: target must return ({sizes['n']}, k), a row for each of the prompt's, "
                f"got {found.shape}"
            )
        return found

    errors = []
    for prompt in matrices.real(where, "prompts", prompts):
        wanted = written(prompt)
        projected = np.mean([turn.T @ written(turn @ prompt) for turn in turns], axis=0)
        errors.append(np.sum(wanted * (wanted - projected)))
    return Estimate(float(np.mean(errors)), float(np.std(errors, ddof=1) / len(errors) ** 0.5))


def product_floor(*, size: int, factors: int) -> float:
    """The least relative risk of a product of square matrices for stacks without biases.

    E |out - t|^2 / E |t|^2 for t = A_1 .. A_m, k x k of independent entries N(0, 1/k), which lie
    side by side in k rows of the prompt. At any depth, number of heads and tying it is

        1             for an even m: E_U[U^T (U A_1) .. (U A_m)] = 0, as U and -U are equally likely
        1 - 1 / k^2   for m = 3: A_1 E[U A_2 U] A_3 = A_1 A_2^T A_3 / k, one head

    With biases m - 1 layers of one head make the product exactly.

    Args:
      size: k.
      factors: m, 3 or an even number.

    Raises:
      ValueError: for a size below 1, fewer than 2 factors, or an odd number of factors above 3.
      TypeError: for what is no integer.
    """
    where = "product_floor"
    checks.size(where, size=(size, 1), factors=(factors, 2))
    if factors % 2 == 0:
        return 1.0
    if factors > 3:
        raise ValueError(
            f"{where}: factors must be 3 or even, got {factors}: other odd numbers have no closed "
            "form here"
        )
    return 1.0 - 1.0 / size**2
