"""What configs may name, without jax: an unknown name is refused before that is imported.

Rooms above hold what the names stand for; tests hold both to each other.
"""

import sys
from collections.abc import Mapping, Sequence

from elsa.base import values as checks

PROMPTS = ("stacked", "stacked_roles", "natural", "designed", "source", "transposed")
LAYOUTS = (*PROMPTS, "custom")  # of a stack that is trained
INITS = ("random", "construction", "compiled")
BIASES = ("role", "position")
CONSTRUCTIONS: Mapping[str, Sequence[str]] = {  # layout -> weights by hand, the first the default
    "stacked": ("least_squares_lsa",),
    "natural": ("ridge_elsa", "ridge_elsa_one_layer"),
    "designed": ("ridge_lsa",),
    "source": ("ridge_lsa_state",),
    "custom": ("ridge_elsa", "ridge_elsa_one_layer"),
}
ALGORITHMS = ("gradient_descent", "newton_schulz_ridge")  # steps that are compiled
MODELS = (
    *("block_elsa", "block_lsa", "elsa", "gpt2", "h3", "linear_attention", "linear_transformer"),
    *("linear_transformer_block", "lora_attention", "low_rank_attention", "lsa"),
    *("merged_attention", "merged_h3", "softmax_attention"),
)
TASKS = (
    *("affine_regression", "alignment", "drift", "linear_regression", "prescribed_spectrum"),
    *("products", "retrieval", "shifted_regression", "table"),
)
_REGISTRIES = {  # where a program adds names of its own
    "task": ("elsa.tasks.registry", "TASKS", TASKS),
    "model": ("elsa.models.registry", "MODELS", MODELS),
}


def refuse(where: str, what: str, key: str, name: str) -> None:
    """Refuses a task or a model that there is not.

    Args:
      where: what opens the message.
      what: "task" or "model".
      key: of the config.
      name: what it has.

    Raises:
      KeyError: with the known and the nearest names.
    """
    module, registry, known = _REGISTRIES[what]
    registered = getattr(sys.modules.get(module), registry, known)  # once it is imported
    checks.known_names(where, key, [name], registered)
