"""Attention weights written by hand: the ridge-regression constructions of arXiv:2503.23814."""

from elsa.constructions.designed_prompt import DesignedRidgeStack, ridge_lsa
from elsa.constructions.natural_prompt import ridge_elsa, ridge_elsa_one_layer
from elsa.constructions.ridge_stack import RidgeStack

__all__ = [
    "DesignedRidgeStack",
    "RidgeStack",
    "ridge_elsa",
    "ridge_elsa_one_layer",
    "ridge_lsa",
]
