"""Reference predictors, independent of attention: a batch of prompts in, predictions out."""

from elsa.predictors.bayesian import bayes
from elsa.predictors.descent import gradient_descent, polynomial_step
from elsa.predictors.linear import least_squares, ridge, ridge_weights
from elsa.predictors.one_step import gd_beta, preconditioned_step, weighted_step

__all__ = [
    "bayes",
    "gd_beta",
    "gradient_descent",
    "least_squares",
    "polynomial_step",
    "preconditioned_step",
    "ridge",
    "ridge_weights",
    "weighted_step",
]
