"""Closed forms: what a construction or a trained model must reach."""

from elsa.theory.gradient_descent import (
    admissible_step_size,
    best_step_size,
    contraction,
    error_curve,
    steps_to_reach,
)

__all__ = [
    "admissible_step_size",
    "best_step_size",
    "contraction",
    "error_curve",
    "steps_to_reach",
]
