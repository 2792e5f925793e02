"""What configs may name, without jax: an unknown name is refused before that is imported.

Rooms above hold what the names stand for; tests hold both to each other.
"""

import ast
import functools
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

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
_REGISTRIES = {"task": ("tasks", "TASKS"), "model": ("models", "MODELS")}


@functools.cache
def written(what: str) -> tuple[str, ...]:
    """The names in the registry of tasks or models, read from its file, so that nothing is imported
    and no second list is kept.

    Args:
      what: "task" or "model".
    """
    room, registry = _REGISTRIES[what]
    path = Path(__file__).parents[1] / room / "registry.py"
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.value, ast.Dict):
            keys = [key.value for key in node.value.keys if isinstance(key, ast.Constant)]
            if isinstance(node.target, ast.Name) and node.target.id == registry:
                return tuple(map(str, keys))
    raise AssertionError(f"{path} has no {registry}")


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
    room, registry = _REGISTRIES[what]
    # where it is imported already, a program may have added names of its own
    imported = sys.modules.get(f"elsa.{room}.registry")
    checks.known_names(where, key, [name], getattr(imported, registry, None) or written(what))
