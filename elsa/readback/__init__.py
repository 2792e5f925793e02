"""What weights have become: a program on blocks, a plain stack, or descent from a learned mean."""

from elsa.readback.formulas_program import Formulas
from elsa.readback.formulas_reading import formulas
from elsa.readback.gd_beta import GdBeta, gd_beta_block, read_gd_beta
from elsa.readback.stacks import attention_stack

__all__ = [
    "Formulas",
    "GdBeta",
    "attention_stack",
    "formulas",
    "gd_beta_block",
    "read_gd_beta",
]
