"""Several seeds as one number with its error."""

import math

import numpy as np
from jaxtyping import Float


def across_seeds(
    values: Float[np.ndarray, "seeds *points"],
) -> tuple[Float[np.ndarray, "*points"], Float[np.ndarray, "*points"]]:
    """Mean over the seeds and its standard error, which one seed alone does not have (NaN)."""
    count = len(values)
    mean = np.mean(values, axis=0)
    spread = np.std(values, axis=0, ddof=1) if count > 1 else np.full_like(mean, np.nan)
    return mean, spread / math.sqrt(count)
