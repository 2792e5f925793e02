"""How far trained weights are from the best ones, in direction."""

import numpy as np
from jaxtyping import Float


def between(
    weights: Float[np.ndarray, "seeds d d"], best: Float[np.ndarray, "d d"]
) -> dict[str, float]:
    """|W/|W| - W*/|W*|| in the Frobenius norm: over the seeds, and of their mean direction.

    Directions alone: a model's merged weight may carry a factor of its own, as H3's filter does.
    """

    def direction(weight: np.ndarray) -> np.ndarray:
        norm = np.linalg.norm(weight)
        return weight / norm if norm else weight

    directions = np.stack([direction(weight) for weight in weights])
    each = np.linalg.norm(directions - direction(best), axis=(1, 2))
    of_mean = np.linalg.norm(direction(directions.mean(axis=0)) - direction(best))
    return {
        "mean": float(np.mean(each)),
        "largest": float(np.max(each)),
        "of_mean_weight": float(of_mean),
    }
