"""Reading trained models: as a plain stack, as descent from a learned mean, or as other steps."""

from elsa.readback.descent import step_matrices
from elsa.readback.gd_beta import GdBeta, gd_beta_block, read_gd_beta
from elsa.readback.stacks import attention_stack

__all__ = ["GdBeta", "attention_stack", "gd_beta_block", "read_gd_beta", "step_matrices"]
