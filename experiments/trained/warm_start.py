"""Models that start where a run, or a file of `elsa.export`, has ended: model.init=checkpoint."""

import functools
import inspect
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from ml_collections import ConfigDict

import elsa
from elsa import training
from elsa.base import checks
from elsa.models import MODELS
from elsa.models.from_blocks import Found, from_blocks
from elsa.models.stack_model import StackModel
from elsa.nn import BlockStack
from elsa.training.loading import all_models
from elsa.training.setup import bare_program
from elsa.training.starting import from_init
from experiments.trained.architecture_table import ARCHITECTURES, CHECKPOINT, DEFAULTS
from experiments.trained.architectures import step_size


def asked(config: ConfigDict) -> bool:
    """Whether the config's models start from a run or a file."""
    return bool(config.model.init == CHECKPOINT)


def model_settings(config: ConfigDict, task: Any) -> dict[str, Any]:
    """The source's model, as `models.build` takes it, with the config's regulariser.

    Raises:
      ValueError: for a path that is missing; where the config asks for another model.
      FileNotFoundError, KeyError: for a path with nothing to start from.
    """
    if not config.model.path:
        raise ValueError(
            f"model.init={CHECKPOINT!r} needs model.path: the folder of a run, or a file of "
            "elsa.export"
        )
    found = dict(_settings(config))
    _refuse_others(config, found)
    if found["name"] in ("lsa", "elsa"):
        found["lam"] = config.prompt.lam
        found |= {"noise": 0.0} if "noise" in found else {}
        eta = config.model.step_size or found.get("step_size")
        found["step_size"] = eta or step_size(task, config.prompt.lam, config.seed)
    return found


def start(config: ConfigDict) -> dict[str, Any]:
    """Where the models start: `init` and `init_noise` of `training.fit`."""
    source: str | StackModel = str(config.model.path)
    if _is_file(config):
        source = _file(config).model
    return {"init": source, "init_noise": config.model.noise}


def check(config: ConfigDict, settings: Mapping[str, Any]) -> None:
    """Refuses a run with arrays that the source lacks.

    Raises:
      ValueError: with both structures; for a noise below 0.
    """
    checks.at_least("train", **{"model.noise": (config.model.noise, 0.0)})
    checks.finite("train", **{"model.noise": config.model.noise})
    from_init(start(config)["init"], bare_program(training.RunSettings.from_config(settings)))


def refuse_given(config: ConfigDict, keys: Collection[str]) -> None:
    """Refuses keys that the user has set, to their default even, and the source has otherwise.

    Raises:
      ValueError: naming them, and what the source has.
    """
    if asked(config):
        _refuse_others(config, dict(_settings(config)), given=keys)


def said(config: ConfigDict, settings: Mapping[str, Any]) -> str:
    """What the run is of, in words: the source says it, and not the config.

    Args:
      settings: of the model, as `model_settings` gives them.
    """
    there = _there(settings)
    count = there["depth"]
    return (
        f"model.path={config.model.path} holds {there['architecture']}: {count} "
        f"layer{'s' * (count != 1)}, layout {there['layout']}"
    )


def architecture(settings: Mapping[str, Any]) -> str:
    """What the config calls a model."""
    names = {each.name: name for name, each in ARCHITECTURES.items()}
    return str(names.get(settings["name"], settings["name"]))


def _is_file(config: ConfigDict) -> bool:
    return Path(config.model.path).suffix == ".safetensors"


def _settings(config: ConfigDict) -> Mapping[str, Any]:
    if _is_file(config):
        return _file(config).settings
    return dict(all_models(config.model.path).program.settings.model)


def _file(config: ConfigDict) -> Found:
    place = Path(config.model.path)
    written = place.stat().st_mtime_ns  # FileNotFoundError names the file
    return _read(str(place), written, config.model.tied, config.dtype)


@functools.lru_cache(maxsize=4)  # a run asks for it several times
def _read(path: str, written: int, tied: bool, dtype: str) -> Found:
    stack = elsa.load(path)
    where = f"model.path={path!r}"
    if not isinstance(stack, BlockStack):
        raise ValueError(f"{where} holds a stack without named blocks, which no prompt fits")
    return from_blocks(stack, tied=tied, dtype=np.dtype(dtype), where=where)


def _there(found: Mapping[str, Any]) -> dict[str, Any]:
    """What the source has of each key of the config's model, its layout and its architecture.

    A model that takes no depth has one layer, one that takes no layout reads stacked rows.
    """
    built = MODELS.get(found["name"])
    takes = {} if built is None else inspect.signature(built.__init__).parameters
    own = {name: each.default for name, each in takes.items() if each.default is not each.empty}
    return {
        **{"depth": 1, "layout": "stacked"},
        **{key: value for key, value in own.items() if key in (*DEFAULTS, "layout")},
        **found,
        **{"architecture": architecture(found), "init_scale": None},
    }


def _refuse_others(
    config: ConfigDict, found: Mapping[str, Any], given: Collection[str] = ()
) -> None:
    """Refuses keys that are not at their default, or are `given`, and that the source has not."""
    model, there = config.model.to_dict(), _there(found)
    defaults = {**DEFAULTS, "architecture": "elsa"}
    free = ("init", "path", "noise", *(["tied", "step_size"] if _is_file(config) else []))
    wrong = []
    for key, default in defaults.items():
        at_default = model[key] == default
        # what the source knows nothing of, and the default leaves alone, contradicts nothing
        silent = at_default and (f"model.{key}" not in given or there.get(key) is None)
        if key not in free and not silent and model[key] not in (None, there.get(key)):
            wrong.append(f"model.{key}={model[key]!r} (there: {there.get(key)!r})")
    layout = config.prompt.layout
    asked_for = layout != "stacked" or "prompt.layout" in given
    if asked_for and layout != there["layout"]:
        wrong.append(f"prompt.layout={layout!r} (there: {there['layout']!r})")
    if config.prompt.boxes:
        wrong.append(f"prompt.boxes={config.prompt.boxes!r}")
    if wrong:
        raise ValueError(
            f"model.init={CHECKPOINT!r} takes the model of {config.model.path}, and cannot be "
            f"asked for {' and '.join(wrong)}; leave out what the source says"
        )
