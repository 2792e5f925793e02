"""Closed forms: what a construction or a trained model must reach."""

from elsa.theory.gradient_descent import (
    admissible_step_size,
    best_step_size,
    contraction,
    decay_rate,
    error_curve,
    ridge_modes,
    steps_to_reach,
)
from elsa.theory.perturbation import designed_shift, natural_shift, noise_gain, scratch_shift
from elsa.theory.ridge import ridge_gradient, ridge_loss
from elsa.theory.rounding import gamma, ridge_step_bound, unit_roundoff

__all__ = [
    "admissible_step_size",
    "best_step_size",
    "contraction",
    "decay_rate",
    "designed_shift",
    "error_curve",
    "gamma",
    "natural_shift",
    "noise_gain",
    "ridge_gradient",
    "ridge_loss",
    "ridge_modes",
    "ridge_step_bound",
    "scratch_shift",
    "steps_to_reach",
    "unit_roundoff",
]
