"""Attention weights written by hand, read from trained models, and trained ones as plain stacks."""

from elsa.constructions.designed_prompt import DesignedRidgeStack, ridge_lsa
from elsa.constructions.linear_transformer_block import GdBeta, gd_beta_block, read_gd_beta
from elsa.constructions.natural_prompt import ridge_elsa, ridge_elsa_one_layer
from elsa.constructions.ridge_stack import RidgeStack
from elsa.constructions.state_prompt import StateRidgeStack, ridge_lsa_state
from elsa.constructions.trained_stack import TrainedStack, attention_stack

__all__ = [
    "DesignedRidgeStack",
    "GdBeta",
    "RidgeStack",
    "StateRidgeStack",
    "TrainedStack",
    "attention_stack",
    "gd_beta_block",
    "read_gd_beta",
    "ridge_elsa",
    "ridge_elsa_one_layer",
    "ridge_lsa",
    "ridge_lsa_state",
]
