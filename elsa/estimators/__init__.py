"""Reference predictors, independent of attention."""

from elsa.estimators.linear import ridge_weights

__all__ = ["ridge_weights"]
