"""Step functions in plain JAX: what a stack of attention layers is asked to run."""

from elsa.algorithms.first_order import gradient_descent

__all__ = ["gradient_descent"]
