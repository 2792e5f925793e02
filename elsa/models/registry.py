"""Models by name, as a config writes them."""

import inspect
from typing import Any

from flax import nnx

from elsa.base import checks
from elsa.base.settings import Settings
from elsa.models.block_model import BlockELSA, BlockLSA
from elsa.models.gpt2 import GPT2
from elsa.models.h3 import H3, MergedH3
from elsa.models.linear_attention import LinearAttention, SoftmaxAttention
from elsa.models.linear_transformer import LinearTransformer
from elsa.models.linear_transformer_block import LinearTransformerBlock
from elsa.models.one_step import LoraAttention, LowRankAttention, MergedAttention
from elsa.models.stack_model import ELSAModel, LSAModel

MODELS: dict[str, type[nnx.Module]] = {
    "block_elsa": BlockELSA,
    "block_lsa": BlockLSA,
    "elsa": ELSAModel,
    "gpt2": GPT2,
    "h3": H3,
    "linear_attention": LinearAttention,
    "linear_transformer": LinearTransformer,
    "linear_transformer_block": LinearTransformerBlock,
    "lora_attention": LoraAttention,
    "low_rank_attention": LowRankAttention,
    "lsa": LSAModel,
    "merged_attention": MergedAttention,
    "merged_h3": MergedH3,
    "softmax_attention": SoftmaxAttention,
}


def build(settings: Settings, *, rngs: nnx.Rngs, **given: Any) -> Any:
    """The model that a config names.

    Args:
      settings: "name", a key of MODELS, and arguments of that model.
      rngs: draws the weights.
      **given: arguments the config leaves out because task or run fix them (dim, context_length,
        dtype, scale, precision); those that the model does not take are ignored.

    Raises:
      KeyError: for an unknown name or argument, or settings without a name.
      TypeError: for an argument that is missing.
      ValueError: as the model says.
    """
    checks.mapping("models.build", "a mapping with a name and arguments", settings=settings)
    arguments = dict(settings)
    if "name" not in arguments:
        raise KeyError(
            f"models.build: settings must have a 'name', one of {list(MODELS)}; "
            f"got {list(arguments)}"
        )
    name = arguments.pop("name")
    checks.known_names("models.build", "model", [name], MODELS)
    model: Any = MODELS[name]
    takes = inspect.signature(model.__init__).parameters  # the class itself shows flax's
    known = [argument for argument in takes if argument not in ("self", "rngs")]
    checks.known_names(f"models.build of {name}", "argument", arguments, known)
    filled = {key: value for key, value in given.items() if key in takes}
    return model(**{**filled, **arguments}, rngs=rngs)
