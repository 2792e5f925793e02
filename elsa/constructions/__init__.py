"""Attention weights written by hand: stacks that run gradient descent on ridge regression."""

from elsa.constructions.designed_prompt import DesignedRidgeStack, ridge_lsa
from elsa.constructions.natural_prompt import ridge_elsa, ridge_elsa_one_layer
from elsa.constructions.ridge_stack import RidgeStack
from elsa.constructions.stacked_prompt import least_squares_lsa
from elsa.constructions.state_prompt import StateRidgeStack, ridge_lsa_state

__all__ = [
    "DesignedRidgeStack",
    "RidgeStack",
    "StateRidgeStack",
    "least_squares_lsa",
    "ridge_elsa",
    "ridge_elsa_one_layer",
    "ridge_lsa",
    "ridge_lsa_state",
]
