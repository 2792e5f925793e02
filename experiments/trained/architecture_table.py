"""Architectures of a config, what each takes and how it may start, refused without jax."""

import difflib
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from ml_collections import ConfigDict

from elsa.base.known_names import ALGORITHMS, BIASES, CONSTRUCTIONS, INITS, LAYOUTS

CHECKPOINT = "checkpoint"  # as model.init
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
SOURCES = ("construction", "compiled")
# starts and layouts whose stacks have biases
_WITH_BIASES = (("construction", "natural"), ("construction", "custom"), ("compiled", "natural"))
DEFAULTS: Mapping[str, Any] = {
    **{"depth": None, "num_heads": 1, "key_size": 0, "tied": False, "biases": "role"},
    **{"width": 32, "init": "random", "algorithm": "", "init_scale": 0.3, "noise": 0.0},
    **{"step_size": None, "path": ""},
}


def refuse(config: ConfigDict) -> None:
    """Refuses an unknown architecture, layout or start, and a combination that cannot be built.

    Of a start from a checkpoint, which says all else, the start alone is looked at.

    Raises:
      ValueError: with all that can be built.
    """
    asked, prompt = config.model.to_dict(), config.prompt.to_dict()
    refuse_unknown("model.init", asked["init"], (*INITS, CHECKPOINT))
    if asked["init"] == CHECKPOINT:
        return
    name = asked["architecture"]
    refuse_unknown("model.architecture", name, ARCHITECTURES)
    refuse_unknown("prompt.layout", prompt["layout"], LAYOUTS)
    refuse_unknown("model.biases", asked["biases"], BIASES)
    _refuse(name, ARCHITECTURES[name], asked, prompt)
    if asked["init"] in SOURCES and asked["algorithm"]:
        known = starts(asked["init"])[prompt["layout"]]
        refuse_unknown("model.algorithm", asked["algorithm"], known)


def starts(init: str) -> Mapping[str, Iterable[str]]:
    """layout -> names of what a stack may start from, of "construction" or "compiled"."""
    return CONSTRUCTIONS if init == "construction" else {"natural": ALGORITHMS}


def refuse_unknown(key: str, value: str, known: Iterable[str]) -> None:
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
    hand = [f"{layout} ({', '.join(known)})" for layout, known in CONSTRUCTIONS.items()]
    return "\n".join(
        [
            "What can be built:",
            f"  {', '.join(stacks)}: any depth, prompt.layout one of {', '.join(LAYOUTS)};",
            f"    model.init one of {', '.join(INITS)}:",
            f"    construction on the layouts {', '.join(hand)},",
            f"    compiled on the layout natural ({', '.join(ALGORITHMS)});",
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
    if init not in SOURCES:
        return True
    there = layout in starts(init)
    return there and (name == "elsa" or (init, layout) not in _WITH_BIASES)
