"""Reading weights: a program on blocks, a plain stack, descent from a start; what is wrong."""

from elsa.readback.descent import step_matrices
from elsa.readback.diagnose_result import Diagnosis
from elsa.readback.diagnose_stack import diagnose
from elsa.readback.formulas_program import Formulas
from elsa.readback.formulas_reading import formulas
from elsa.readback.gd_beta import GdBeta, gd_beta_block, read_gd_beta
from elsa.readback.matching import AlgorithmMatch, algorithm_match
from elsa.readback.stacks import attention_stack

__all__ = [
    "AlgorithmMatch",
    "Diagnosis",
    "Formulas",
    "GdBeta",
    "algorithm_match",
    "attention_stack",
    "diagnose",
    "formulas",
    "gd_beta_block",
    "read_gd_beta",
    "step_matrices",
]
