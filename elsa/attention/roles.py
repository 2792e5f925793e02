"""Biases are channels: ELSA is LSA on a prompt widened by what its rows are."""

import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Real

from elsa.base import checks
from elsa.base.arrays import Rows
from elsa.base.jit import at_once


def with_roles(
    h: Real[ArrayLike, "*batch n m"] | Rows, roles: Real[ArrayLike, "n r"] | Rows
) -> Real[Array, "*batch n width"]:
    """[H | R], a prompt or a batch of prompts with the roles of their rows as r more channels.

    Args:
      h: H.
      roles: R; I_n for biases by position; for biases R b that rows share, 1 at [i, k] where row i
        has role k, else 0, or what `prompts.packed` returns.

    Raises:
      ValueError: for shapes that do not fit.
    """
    where = "with_roles"
    checks.shapes(where, h=(h, "... n m"), roles=(roles, "n r"))
    return _widened(jnp.asarray(h), jnp.asarray(roles))


def without_biases(
    wq: Real[ArrayLike, "*heads m p"] | Rows,
    wk: Real[ArrayLike, "*heads m p"] | Rows,
    wv: Real[ArrayLike, "*heads m m"] | Rows,
    bq: Real[ArrayLike, "*heads r p"] | Rows,
    bk: Real[ArrayLike, "*heads r p"] | Rows,
    bv: Real[ArrayLike, "*heads r m"] | Rows,
) -> tuple[
    Real[Array, "*heads width p"], Real[Array, "*heads width p"], Real[Array, "*heads width width"]
]:
    """The weights (wq, wk, wv) of LSA on [H | R] that do what ELSA with biases R b does on H.

        Wq' = [Wq; bq],  Wk' = [Wk; bk],  Wv' = [[Wv, 0], [bv, 0]]:    H Wq + R bq = [H | R] Wq'

    so that the first m channels of LSA([H | R]) are ELSA(H), and the last r are zero: with a
    residual the roles stay what they are, and a stack of any depth turns layer by layer.
    `with_roles` widens the prompt; biases with a row for each position have R = I_n. So what biases
    buy is what these constant channels buy.

    Args:
      wq, wk, wv: of one head or of several along any leading axes.
      bq, bk, bv: a row for each role.

    Raises:
      ValueError: for shapes that do not fit.
    """
    where = "without_biases"
    arrays = {"wq": wq, "wk": wk, "wv": wv, "bq": bq, "bk": bk, "bv": bv}
    axes = ("m p", "m p", "m m", "r p", "r p", "r m")
    named = zip(arrays.items(), axes, strict=True)
    checks.shapes(where, **{name: (array, f"... {own}") for (name, array), own in named})
    given = {name: jnp.asarray(array) for name, array in arrays.items()}
    for name, array in given.items():
        if array.shape[:-2] != given["wq"].shape[:-2]:
            raise ValueError(
                f"{where}: {name} must have the leading axes {given['wq'].shape[:-2]} of wq, got "
                f"{array.shape[:-2]}"
            )
    return _with_rows(*given.values())


@at_once
def _widened(h: Array, roles: Array) -> Array:
    added = jnp.broadcast_to(roles, (*h.shape[:-1], roles.shape[1]))
    return jnp.concatenate([h, added], axis=-1)


@at_once
def _with_rows(
    wq: Array, wk: Array, wv: Array, bq: Array, bk: Array, bv: Array
) -> tuple[Array, Array, Array]:
    query, key, value = (jnp.concatenate(pair, axis=-2) for pair in ((wq, bq), (wk, bk), (wv, bv)))
    lead = [(0, 0)] * (value.ndim - 1)
    return query, key, jnp.pad(value, [*lead, (0, bv.shape[-2])])
