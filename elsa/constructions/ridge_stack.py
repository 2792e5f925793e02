"""What the ridge constructions share: their inputs, their checks, their outputs."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from elsa.base import checks
from elsa.base.arrays import AnyShape
from elsa.base.precision import exact
from elsa.heads.head import Head
from elsa.nn.block_stack import BlockStack
from elsa.nn.stack import Stack
from elsa.prompts.layout import BlockLayout


class RidgeStack(BlockStack):
    """A stack of layers that runs gradient descent on the ridge loss of the prompt's data.

        w_{t+1} = w_t - eta (X^T X w_t - X^T y + lam w_t),    t = 0 .. depth - 1

    Call it with one task: `stack(X=X, y=y, lam=lam)` returns {"w": ...}, and with `query_x=` also
    {"prediction": ...}. Made by `ridge_lsa`, `ridge_lsa_state`, `ridge_elsa` and
    `ridge_elsa_one_layer`.

    Attributes:
      depth: T, steps of gradient descent.
      step_size: eta.
      name: of the construction; its messages start with it.
    """

    def __init__(
        self,
        stack: Stack,
        layout: BlockLayout,
        readout: BlockLayout,
        layers: Sequence[Sequence[Head]],
        *,
        inputs: Mapping[str, tuple[int, int]],
        step_size: float,
        name: str,
        holds: Mapping[str, str] | None = None,
    ) -> None:
        answers = ("w", "prediction") if "prediction" in readout else ("w",)
        super().__init__(
            stack,
            layout,
            readout,
            layers,
            inputs=inputs,
            outputs={block: readout.shape_of(block) for block in answers},
            name=name,
            holds=holds,
        )
        self.step_size, self.depth = float(step_size), stack.depth

    def __call__(self, /, *unnamed: AnyShape, **blocks: AnyShape) -> dict[str, Array]:
        """The weights after `depth` steps, and the predictions for the query rows.

        Args:
          X: covariates, [n, d].
          y: labels, [n, 1] or [n].
          lam: the regulariser, [1, 1] or a number.
          w: where to start, [d, 1] or [d]; zeros by default.
          query_x: [num_queries, d], where the construction was made with queries.

        Returns:
          "w" [d, 1], and "prediction" [num_queries, 1] where there are queries. Where y was given
          as a 1-D array, prediction is one; likewise w (by y where w was not given).

        Raises:
          KeyError: for a block the construction does not take. TypeError: for one without its name.
          ValueError: for a missing block, a wrong shape, NaN or infinity, lam < 0 (lam = 0 where
            the construction divides by it), or a step size that diverges on this data, with the
            interval that does not. Values are checked on concrete arrays only, not under jit.
        """
        return super().__call__(*unnamed, **blocks)

    @exact
    def encode(self, /, **blocks: AnyShape) -> dict[str, Array]:
        """The blocks of the layout, as `layout.pack` takes them, from those of a call.

        Arguments and errors as for a call. A designed prompt has further blocks:
        that of `ridge_lsa` the rows sqrt(lam) I, the fit, and sqrt(lam) w for w, that of
        `ridge_lsa_state` the rows lam I and sqrt(eta) I.
        """
        return self._encode(self._given(blocks))

    @exact
    def trajectory(self, /, **blocks: AnyShape) -> dict[str, Array]:
        """ "w" after every step, [depth + 1, d, 1] or [depth + 1, d], the start first.

        Arguments and errors as for a call.
        """
        return self._shaped(self._steps(self._given(blocks), ("w",), ended=False), blocks)

    def verify(self, key: Array, /, **blocks: AnyShape) -> float:
        """Largest error against plain gradient descent, relative to the largest entry of the
        truth or of the start.

        Blocks that are not given are drawn: X with its spectrum scaled so that the step size
        converges, everything else standard normal, lam = 0.1 / step_size.

        Raises:
          ValueError: where the reference itself is not finite.
        """
        return super().verify(key, **blocks)

    def _expected(self, given: Mapping[str, Array]) -> dict[str, Array]:
        X, y, lam, w = (given[name] for name in ("X", "y", "lam", "w"))

        def descend(w: Array, _: None) -> tuple[Array, None]:
            return w - self.step_size * (X.T @ (X @ w - y) + lam * w), None

        expected = {"w": jax.lax.scan(descend, w, length=self.depth)[0]}
        if "query_x" in given:
            expected["prediction"] = given["query_x"] @ expected["w"]
        return expected

    def _drawn(self, key: Array, blocks: Mapping[str, AnyShape]) -> dict[str, Any]:
        drawn = super()._drawn(key, blocks)
        if "lam" not in blocks:
            drawn["lam"] = jnp.full((1, 1), 0.1 / self.step_size, self.dtype)
        if "X" not in blocks:
            drawn["X"] = drawn["X"] / jnp.linalg.norm(drawn["X"], 2) * self.step_size**-0.5
        return drawn

    def _filled(self, blocks: Mapping[str, AnyShape]) -> Mapping[str, AnyShape]:
        """w starts at zero unless it is given."""
        zero = {} if "w" in blocks else {"w": jnp.zeros(self.inputs["w"], self.dtype)}
        return {**blocks, **zero}

    def _check(self, given: Mapping[str, Array | np.ndarray]) -> None:
        """Refuses a regulariser, and a step size that diverges on this data."""
        self._check_regulariser(given["lam"])
        self._check_step_size(given["X"], given["lam"])

    def _check_regulariser(self, lam: Array | np.ndarray) -> None:
        if checks.is_concrete(lam):
            checks.at_least(self.name, lam=(np.asarray(lam)[0, 0], 0.0))

    def _check_step_size(self, X: Array | np.ndarray, lam: Array | np.ndarray) -> None:
        """Refuses a step size that diverges on this data, with the interval that does not."""
        if not (checks.is_concrete(X) and checks.is_concrete(lam)):
            return
        largest = _largest_eigenvalue(X, lam)
        if not np.isfinite(largest):
            raise ValueError(
                f"{self.name}: X must be small enough for X^T X to be finite, got entries up to "
                f"{np.abs(np.asarray(X)).max():.3g}"
            )
        checks.interval(
            self.name,
            self.step_size,
            0.0,
            2.0 / largest if largest else np.inf,
            name="step_size",
            reason="outside it gradient descent on this data diverges "
            f"(the largest eigenvalue of X^T X + lam I is {largest:.6g})",
        )

    def _axes(self, name: str, blocks: Mapping[str, AnyShape]) -> int:
        """1-D outputs for 1-D inputs."""
        like = name if name in blocks else "y"
        return 1 if np.ndim(blocks[like]) < 2 else 2


def _largest_eigenvalue(X: Array | np.ndarray, lam: Array | np.ndarray) -> float:
    """Of X^T X + lam I, from the smaller of the two Gram matrices."""
    data = np.asarray(X, dtype=np.float64)
    with np.errstate(over="ignore", invalid="ignore"):  # an overflow is refused by name
        gram = data.T @ data if data.shape[0] >= data.shape[1] else data @ data.T
    if not np.isfinite(gram).all():
        return np.inf
    return float(np.linalg.eigvalsh(gram)[-1] + np.asarray(lam, dtype=np.float64).max())


def check_sizes(
    where: str, context_length: int, dim: int, depth: int, step_size: float, num_queries: int
) -> dict[str, tuple[int, int]]:
    """Refuses bad sizes and returns the shapes of the blocks a call takes."""
    checks.size(
        where,
        context_length=(context_length, 1),
        dim=(dim, 1),
        depth=(depth, 0),
        num_queries=(num_queries, 0),
    )
    checks.shapes(where, step_size=(step_size, ""))
    checks.positive(where, step_size=step_size)
    shapes = {"X": (context_length, dim), "y": (context_length, 1), "lam": (1, 1), "w": (dim, 1)}
    return shapes | ({"query_x": (num_queries, dim)} if num_queries else {})
