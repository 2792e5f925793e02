"""What weights have become: a plain stack, gradient descent from a mean, a step with a fault."""

from elsa.readback.diagnose_result import Diagnosis
from elsa.readback.diagnose_stack import diagnose
from elsa.readback.gd_beta import GdBeta, gd_beta_block, read_gd_beta
from elsa.readback.matching import AlgorithmMatch, algorithm_match
from elsa.readback.stacks import attention_stack

__all__ = [
    "AlgorithmMatch",
    "Diagnosis",
    "GdBeta",
    "algorithm_match",
    "attention_stack",
    "diagnose",
    "gd_beta_block",
    "read_gd_beta",
]
