"""Attention weights written by hand: stacks that run gradient descent, and matrix products."""

from elsa.constructions.designed_prompt import DesignedRidgeStack, ridge_lsa
from elsa.constructions.gd_beta import affine_elsa, gd_beta_elsa
from elsa.constructions.natural_prompt import ridge_elsa, ridge_elsa_one_layer
from elsa.constructions.products import product_elsa, product_lsa
from elsa.constructions.ridge_stack import RidgeStack
from elsa.constructions.stacked_prompt import least_squares_lsa
from elsa.constructions.state_prompt import StateRidgeStack, ridge_lsa_state

__all__ = [
    "DesignedRidgeStack",
    "RidgeStack",
    "StateRidgeStack",
    "affine_elsa",
    "gd_beta_elsa",
    "least_squares_lsa",
    "product_elsa",
    "product_lsa",
    "ridge_elsa",
    "ridge_elsa_one_layer",
    "ridge_lsa",
    "ridge_lsa_state",
]
