"""From a config's architecture, prompt and start to the settings of a run, or one refusal."""

import difflib
import functools
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Array
from ml_collections import ConfigDict

from elsa.models import starts
from elsa.models.stack_model import BIASES, INITS, LAYOUTS
from elsa.prompts.named import named_format
from elsa.training import compiling
from experiments.trained import texts
from experiments.trained.by_value import ByValue

CHECKPOINT = "checkpoint"  # as model.init
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
_SOURCES = ("construction", "compiled")
# starts and layouts whose stacks have biases
_WITH_BIASES = (("construction", "natural"), ("construction", "custom"), ("compiled", "natural"))
DEFAULTS: Mapping[str, Any] = {
    **{"depth": None, "num_heads": 1, "key_size": 0, "tied": False, "biases": "role"},
    **{"width": 32, "init": "random", "algorithm": "", "init_scale": 0.3, "noise": 0.0},
    **{"step_size": None, "path": ""},
}


def model_settings(config: ConfigDict, task: Any) -> dict[str, Any]:
    """The model, as `models.build` takes it.

    Raises:
      ValueError: for a combination that cannot be built, with all that can.
    """
    asked, prompt = config.model.to_dict(), config.prompt.to_dict()
    name = asked.pop("architecture")
    _refuse_unknown("model.architecture", name, ARCHITECTURES)
    _refuse_unknown("prompt.layout", prompt["layout"], LAYOUTS)
    _refuse_unknown("model.init", asked["init"], (*INITS, CHECKPOINT))
    _refuse_unknown("model.biases", asked["biases"], BIASES)
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
    if asked["init"] in _SOURCES and asked["algorithm"]:
        known = starts.table(asked["init"])[prompt["layout"]]
        _refuse_unknown("model.algorithm", asked["algorithm"], known)
    if prompt["layout"] == "custom" and not prompt["boxes"]:
        raise ValueError(f"prompt.layout='custom' needs prompt.boxes, {_boxes_for(config, task)}")
    if own["step_size"] is None:
        own["step_size"] = step_size(task, prompt["lam"], config.seed)
    boxes = {"boxes": texts.boxes(prompt["boxes"])} if prompt["boxes"] else {}
    return {"name": name, "layout": prompt["layout"], "lam": prompt["lam"], **boxes, **own}


def step_size(task: Any, lam: float, seed: int) -> float:
    """1 over the largest eigenvalue of (X^T X + lam I) / n on some prompts, to three digits.

    Gradient descent with it gets closer on all prompts whose largest is below twice that.
    """
    return _step_size(ByValue(task), lam, seed)


@functools.lru_cache(maxsize=32)  # a run asks for it several times, the points of a sweep too
def _step_size(asked: ByValue, lam: float, seed: int) -> float:
    x = np.asarray(_covariates(asked.task, jax.random.key(seed)))
    n, dim = x.shape[1:]
    gram = np.einsum("bni,bnj->bij", x, x) / n + lam / n * np.eye(dim)
    largest = float(np.linalg.eigvalsh(gram)[:, -1].max())
    return float(f"{1.0 / largest:.3g}")


# few prompts: it takes longer to compile than to run
@functools.partial(jax.jit, compiler_options=compiling.options(optimise=False))
def _covariates(task: Any, key: Array) -> Array:
    x: Array = task.sample(key, _PROMPTS).x
    return x


def _boxes_for(config: ConfigDict, task: Any) -> str:
    """An example of boxes that would do, as a command line takes it."""
    built = config.model.init == "construction"
    layout = named_format("natural" if built else "stacked", task.dim).layout(task.context_length)
    names = [name for name in layout if not built or name not in ("residual", "prediction")]
    said = "; ".join(" ".join(map(str, (name, *layout.box(name)))) for name in names)
    return (
        f"block, row, channel, height and width of each, as --config.prompt.boxes='{said}': "
        f"{', '.join(names)} must be there, wherever they are"
    )


def _refuse_unknown(key: str, value: str, known: Iterable[str]) -> None:
    """Refuses an unknown name, with the nearest, and all that can be built."""
    options = list(known)
    if value not in options:
        near = difflib.get_close_matches(str(value), options, n=2)
        hint = f"; did you mean {' or '.join(near)}?" if near else "."
        raise ValueError(f"{key}={value!r} is unknown{hint}\n{what_can()}")


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
            "    elsa alone: constructions on natural, custom, and what is compiled",
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
    least = 0 if architecture.is_stack else 1
    if "depth" in architecture.takes and asked["depth"] is not None and asked["depth"] < least:
        wrong.append(f"model.depth={asked['depth']}")
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
    """Whether a stack can start so on this layout."""
    if init not in _SOURCES:
        return True
    there = layout in starts.table(init)
    return there and (name == "elsa" or (init, layout) not in _WITH_BIASES)
