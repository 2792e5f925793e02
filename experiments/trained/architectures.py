"""From a config's architecture, prompt and start to what is trained, or one refusal."""

import functools
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from elsa.models import starts
from elsa.models.stack_model import INITS, LAYOUTS
from experiments.trained.by_value import ByValue

_PROMPTS = 256  # on which a step size is measured
_STACK = (
    *("depth", "num_heads", "key_size", "tied", "init", "algorithm"),
    *("init_scale", "noise", "step_size"),
)


class Architecture(NamedTuple):
    """What a config can say of one.

    name: of the model.
    takes: keys of the config's model; where one is not taken it must stand at its default.
    """

    name: str
    takes: tuple[str, ...]

    @property
    def is_stack(self) -> bool:
        """Whether it reads any layout, and may start from weights that are not random."""
        return "init" in self.takes


ARCHITECTURES: Mapping[str, Architecture] = {
    "lsa": Architecture("lsa", _STACK),
    "elsa": Architecture("elsa", (*_STACK, "biases")),
    "linear_attention": Architecture("linear_attention", ()),
    "linear_transformer": Architecture("linear_transformer", ("depth", "num_heads", "init_scale")),
    "block": Architecture("linear_transformer_block", ("depth", "init_scale")),
    "h3": Architecture("h3", ()),
    "softmax": Architecture("softmax_attention", ()),
    "gpt2": Architecture("gpt2", ("depth", "num_heads", "width")),
}
_OF_RANDOM = ("num_heads", "key_size", "init_scale")  # what is built has its own
_OF_BUILT = ("algorithm", "noise")
_WITH_BIASES = ("natural", "custom")  # layouts whose constructions have biases
DEFAULTS: Mapping[str, Any] = {
    **{"depth": None, "num_heads": 1, "key_size": 0, "tied": False, "biases": "role"},
    **{"width": 32, "init": "random", "algorithm": "", "init_scale": 0.3, "noise": 0.0},
    **{"step_size": None, "path": ""},
}


def task_settings(config: ConfigDict) -> dict[str, Any]:
    """The task: of the config's table where it names a file, or of its numbers."""
    given: dict[str, Any] = config.task.to_dict()
    if config.data.target and not config.data.path:
        raise ValueError(
            f"data.target={config.data.target!r} is a column of a file; name it by data.path"
        )
    if config.data.path or given["name"] == "table":
        file = {"path": config.data.path, "target": config.data.target} if config.data.path else {}
        sizes = {"context_length": given["context_length"], "held_out": config.data.held_out}
        return {"name": "table", **sizes, **file}
    return given


def model_settings(config: ConfigDict, task: Any) -> dict[str, Any]:
    """The model, as `models.build` takes it.

    Raises:
      ValueError: for a combination that cannot be built, with all that can.
    """
    asked, prompt = config.model.to_dict(), config.prompt.to_dict()
    name = asked.pop("architecture")
    if name not in ARCHITECTURES:
        raise ValueError(f"model.architecture={name!r} is unknown.\n{what_can()}")
    architecture = ARCHITECTURES[name]
    _refuse(name, architecture, asked, prompt)
    own = {key: asked[key] for key in architecture.takes}
    depth = own.pop("depth", None)
    if "depth" in architecture.takes:
        own["depth"] = 2 if depth is None else depth
    if name == "linear_transformer":
        own["init_scale"] = asked["init_scale"] / (task.dim + 1) ** 0.5
    if not architecture.is_stack:
        return {"name": architecture.name, **own}
    if own["step_size"] is None:
        own["step_size"] = step_size(task, prompt["lam"], config.seed)
    boxes = {"boxes": boxes_of(prompt["boxes"])} if prompt["boxes"] else {}
    return {"name": name, "layout": prompt["layout"], "lam": prompt["lam"], **boxes, **own}


def step_size(task: Any, lam: float, seed: int) -> float:
    """1 over the largest eigenvalue of (X^T X + lam I) / n on some prompts, to three digits.

    Gradient descent with it gets closer on all prompts whose largest is below twice that.
    """
    return _step_size(ByValue(task), lam, seed)


@functools.lru_cache(maxsize=32)  # the points of a sweep mostly share a task
def _step_size(asked: ByValue, lam: float, seed: int) -> float:
    x = asked.task.sample(jax.random.key(seed), _PROMPTS).x
    _, n, dim = x.shape
    gram = jnp.einsum("bni,bnj->bij", x, x) / n + lam / n * jnp.eye(dim, dtype=x.dtype)[None]
    largest = jnp.linalg.eigvalsh(gram)[:, -1].max()
    return float(f"{1.0 / float(largest):.3g}")


def boxes_of(text: str) -> dict[str, tuple[int, ...]]:
    """The boxes of 'X 0 0 16 4; y 0 4 16 1': block, row, channel, height, width.

    Raises:
      ValueError: for what is none, with the form that is expected.
    """
    found = {}
    for part in filter(None, (piece.strip() for piece in text.split(";"))):
        name, *numbers = part.split()
        if len(numbers) != 4 or not all(number.isdecimal() for number in numbers):
            raise ValueError(
                f"prompt.boxes must be like 'X 0 0 16 4; y 0 4 16 1' (block, row, channel, height, "
                f"width), got {part!r}"
            )
        found[name] = tuple(int(number) for number in numbers)
    return found


def what_can() -> str:
    """Everything that can be built, a line each."""
    stacks = [name for name, each in ARCHITECTURES.items() if each.is_stack]
    deep = [n for n, each in ARCHITECTURES.items() if not each.is_stack and "depth" in each.takes]
    single = [name for name, each in ARCHITECTURES.items() if "depth" not in each.takes]
    hand = [f"{layout} ({', '.join(known)})" for layout, known in starts.CONSTRUCTIONS.items()]
    return "\n".join(
        [
            "What can be built:",
            f"  {', '.join(stacks)}: any depth, prompt.layout one of {', '.join(LAYOUTS)};",
            f"    model.init one of {', '.join(INITS)}:",
            f"    construction on the layouts {', '.join(hand)},",
            f"    compiled on the layout natural ({', '.join(starts.ALGORITHMS)});",
            f"    elsa alone: constructions on {', '.join(_WITH_BIASES)}, and what is compiled",
            f"  {', '.join(deep)}: any depth from 1, prompt.layout=stacked, model.init=random",
            f"  {', '.join(single)}: one layer, prompt.layout=stacked, model.init=random",
            "  model.init=checkpoint: what model.path holds, a run, or a file of elsa.export",
        ]
    )


def _refuse(
    name: str, architecture: Architecture, asked: Mapping[str, Any], prompt: Mapping[str, Any]
) -> None:
    """Refuses what this architecture does not take."""
    wrong = [
        f"model.{key}={asked[key]!r}"
        for key, default in DEFAULTS.items()
        if key not in architecture.takes and asked[key] != default
    ]
    if architecture.is_stack:
        other = _OF_BUILT if asked["init"] == "random" else _OF_RANDOM
        wrong += [
            f"model.{key}={asked[key]!r} and model.init={asked['init']!r}"
            for key in other
            if key in architecture.takes and asked[key] != DEFAULTS[key]
        ]
    if asked["depth"] == 1 and "model.depth=1" in wrong:
        wrong.remove("model.depth=1")  # they have one layer
    if not architecture.is_stack and prompt["layout"] != "stacked":
        wrong.append(f"prompt.layout={prompt['layout']!r}")
    if architecture.is_stack and not _can_start(name, asked["init"], prompt["layout"]):
        wrong.append(f"model.init={asked['init']!r} on prompt.layout={prompt['layout']!r}")
    if wrong:
        raise ValueError(
            f"model.architecture={name!r} cannot be built with {' and '.join(dict.fromkeys(wrong))}"
            f".\n{what_can()}"
        )


def _can_start(name: str, init: str, layout: str) -> bool:
    """Whether a stack can start so on this layout; names that are unknown are refused elsewhere."""
    if init not in INITS or layout not in LAYOUTS or init == "random":
        return True
    if init == "compiled":
        return name == "elsa" and layout == "natural"
    return layout in starts.CONSTRUCTIONS and (name == "elsa" or layout not in _WITH_BIASES)
