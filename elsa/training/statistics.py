"""Several seeds as one number with its error."""

import math

import numpy as np
from jaxtyping import Float

from elsa.base import checks


def across_seeds(
    values: Float[np.ndarray, "seeds *points"],
) -> tuple[Float[np.ndarray, "*points"], Float[np.ndarray, "*points"]]:
    """Mean over the seeds and its standard error, which one seed alone does not have (NaN)."""
    checks.real("across_seeds", values=values)
    if np.ndim(values) == 0 or np.shape(values)[0] == 0:
        raise ValueError(
            f"across_seeds: values must have an axis of seeds, got shape {np.shape(values)}"
        )
    values = np.asarray(values, np.float64)
    count = len(values)
    mean = np.mean(values, axis=0)
    with np.errstate(invalid="ignore"):  # the spread of infinite values is NaN
        spread = np.std(values, axis=0, ddof=1) if count > 1 else np.full_like(mean, np.nan)
    return mean, spread / math.sqrt(count)
