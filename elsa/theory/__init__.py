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
from elsa.theory.iterations import (
    accelerated_rate,
    best_heavy_ball,
    chebyshev_bound,
    chebyshev_factors,
    gradient_descent_factors,
    heavy_ball_bound,
    heavy_ball_factors,
    newton_schulz_bound,
    newton_schulz_factors,
    relative_errors,
    settled_at,
    steps_until,
)
from elsa.theory.perturbation import designed_shift, natural_shift, noise_gain, scratch_shift
from elsa.theory.ridge import ridge_gradient, ridge_loss
from elsa.theory.rounding import gamma, ridge_step_bound, unit_roundoff

__all__ = [
    "accelerated_rate",
    "admissible_step_size",
    "best_heavy_ball",
    "best_step_size",
    "chebyshev_bound",
    "chebyshev_factors",
    "contraction",
    "decay_rate",
    "designed_shift",
    "error_curve",
    "gamma",
    "gradient_descent_factors",
    "heavy_ball_bound",
    "heavy_ball_factors",
    "natural_shift",
    "newton_schulz_bound",
    "newton_schulz_factors",
    "noise_gain",
    "relative_errors",
    "ridge_gradient",
    "ridge_loss",
    "ridge_modes",
    "ridge_step_bound",
    "scratch_shift",
    "settled_at",
    "steps_to_reach",
    "steps_until",
    "unit_roundoff",
]
