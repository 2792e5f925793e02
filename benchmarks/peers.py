"""The n x n form of a linear transformer in PyTorch, where it is installed.

Z <- Z + scale P Z M (Z^T Q Z) with the tokens as columns of Z, as it is written, with the scores
of all tokens on all others; `elsa.models.LinearTransformer` has the same parametrisation.
"""

import importlib
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

MISSING = "PyTorch is not installed"


def linear_transformer(
    x: jax.Array, y: jax.Array, query_x: jax.Array, p: jax.Array, q: jax.Array, *, scale: float
) -> Callable[[], Any] | None:
    """A function that computes the predictions, as NumPy would read them; None without PyTorch.

    Args:
      x, y, query_x: a batch of prompts, [batch, n, d], [batch, n] and [batch, d].
      p, q: [depth, m, m], of one head a layer.
      scale: multiplies every layer's sum.
    """
    try:
        torch = importlib.import_module("torch")
    except ImportError:
        return None
    rows = np.concatenate([np.asarray(x), np.asarray(y)[..., None]], axis=-1)
    row = np.concatenate([np.asarray(query_x), np.zeros((len(rows), 1), rows.dtype)], axis=-1)
    tokens = torch.from_numpy(np.concatenate([rows, row[:, None]], axis=1))
    mask = torch.ones(tokens.shape[1], dtype=tokens.dtype)
    mask[-1] = 0.0
    layers = [
        tuple(torch.from_numpy(np.array(matrix)) for matrix in pair)
        for pair in zip(p, q, strict=True)
    ]

    def predict() -> Any:
        with torch.no_grad():
            h = tokens
            for value, query_key in layers:
                scores = h @ query_key.T @ h.transpose(1, 2)
                h = h + scale * (scores * mask) @ (h @ value.T)
            return -h[:, -1, -1].numpy()

    return predict
