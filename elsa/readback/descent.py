"""What the steps of a stack that started as gradient descent have become."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from elsa.base import checks
from elsa.base.precision import exact
from elsa.models import ELSAModel
from elsa.prompts.layout import BlockLayout

_UPDATE = 1  # of the two layers of a step: the residual, then the weights
_BLOCKS = ("X", "w", "residual")


@exact
def step_matrices(model: ELSAModel) -> Float[Array, "steps d d"]:
    """P_t of the update w += P_t X^T r that step t of `constructions.ridge_elsa` makes.

    The row of w_k asks by its bias, keys and values are X and r, in either place, so that

        P[k, a] = sum over heads (bq[k] . Wk[X_a]) Wv[r, w] + (bq[k] . Wk[r]) Wv[X_a, w]

    which no change of a head's basis, no split of a head and no scale between its factors changes.
    As built it is eta I. Of a trained stack it is this one term of its updates and no more: other
    terms may have come beside it.

    Args:
      model: an `ELSAModel` on the natural prompt with the layers of that construction, as
        init="construction" makes it.

    Raises:
      TypeError: for another model. ValueError: for other layers.
    """
    where = "step_matrices"
    checks.instance(where, ELSAModel, "an ELSAModel", model=model)
    n, dim = model.context_length, model.dim
    readout, body = model.readout(n), model.stack.body
    if len(body) != 2 or any(name not in readout for name in _BLOCKS):
        raise ValueError(
            f"{where}: model must have the two layers a step and the blocks {list(_BLOCKS)} of "
            f"constructions.ridge_elsa, got {len(body)} layers and {list(readout)}"
        )
    if model.biases == "position":
        rows = np.arange(dim) + readout.box("w").row
    else:
        rows = np.array(
            [i for k in range(dim) for i, role in enumerate(model.roles) if ("w", k) in role]
        )
    covariates, residual = _channels(readout, "X"), _channels(readout, "residual")
    weights = _channels(readout, "w")
    layer = body[_UPDATE]
    bq, wk, wv = (getattr(layer, name)[...] for name in ("bq", "wk", "wv"))
    if bq.ndim == 3:  # tied: every step has the same
        bq, wk, wv = (jnp.repeat(a[None], model.stack.depth, 0) for a in (bq, wk, wv))
    asks = bq[..., rows, :]
    to_x, to_r = (
        jnp.einsum("thkp,thap->thka", asks, wk[..., channels, :])
        for channels in (covariates, residual)
    )
    of_r, of_x = (wv[..., channels, :][..., weights] for channels in (residual, covariates))
    matrices: Array = jnp.einsum("thka,thuv->tka", to_x, of_r)
    return matrices + jnp.einsum("thku,thav->tka", to_r, of_x)


def _channels(readout: BlockLayout, name: str) -> np.ndarray:
    return np.array(readout.box(name).channels)
