"""Models from a batch of prompts to predictions, by name for configs."""

from elsa.models import readout
from elsa.models.block_model import BlockELSA, BlockLSA, BlockModel
from elsa.models.gpt2 import GPT2
from elsa.models.h3 import H3, DiagonalFilter, LongFilter, MergedH3
from elsa.models.inputs import ByLayer
from elsa.models.layer_answers import by_layer
from elsa.models.linear_attention import LinearAttention, SoftmaxAttention
from elsa.models.linear_transformer import LinearTransformer
from elsa.models.linear_transformer_block import LinearTransformerBlock
from elsa.models.one_step import Fixed, LoraAttention, LowRankAttention, MergedAttention
from elsa.models.registry import MODELS, build
from elsa.models.stack_blocks import block_stack
from elsa.models.stack_model import ELSAModel, LSAModel, StackModel

__all__ = [
    "GPT2",
    "H3",
    "MODELS",
    "BlockELSA",
    "BlockLSA",
    "BlockModel",
    "ByLayer",
    "DiagonalFilter",
    "ELSAModel",
    "Fixed",
    "LSAModel",
    "LinearAttention",
    "LinearTransformer",
    "LinearTransformerBlock",
    "LongFilter",
    "LoraAttention",
    "LowRankAttention",
    "MergedAttention",
    "MergedH3",
    "SoftmaxAttention",
    "StackModel",
    "block_stack",
    "build",
    "by_layer",
    "readout",
]
