"""A trained stack's start with rows and channels of the prompt in another order."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from elsa import training
from elsa.models.stack_model import StackModel
from elsa.nn.attention_heads import AttentionHeads
from elsa.training.setup import bare_program


def moved(model: StackModel, target: StackModel) -> StackModel:
    """The target with the weights of the model, in the channels where the target has its blocks.

    Rows take no part in the weights of layers without biases.

    Args:
      model: LSA layers on a prompt whose channels all belong to blocks.
      target: of the same blocks, elsewhere.

    Raises:
      ValueError: for layers with biases.
    """
    if model.has_biases or target.has_biases:
        raise ValueError("moved: biases lie in rows; take layers without them")
    n = model.context_length
    here, there = model.prompt_format.layout(n), target.prompt_format.layout(n)
    origin = np.zeros(there.shape[1], int)  # of each channel of the target
    for name in there:
        origin[there.box(name).channels] = here.box(name).channels

    def filled(own: AttentionHeads, given: AttentionHeads) -> None:
        own.wq[...] = given.wq[..., origin, :]
        own.wk[...] = given.wk[..., origin, :]
        own.wv[...] = given.wv[..., origin, :][..., origin]

    for own, given in zip(target.stack.body, model.stack.body, strict=True):
        filled(own, given)
    return target


def start(settings: Mapping[str, Any], *, like: Mapping[str, Any]) -> StackModel:
    """Where the first seed of the run `like` starts, moved to the prompt of the run `settings`."""
    models = []
    for asked in (like, settings):
        program = bare_program(training.RunSettings.from_config(asked))
        models.append(program.model(program.init(), 0, 0))
    return moved(*models)


def largest_gap(found: training.Trained, known: training.Trained) -> float | None:
    """max |l - l'| / l' over the losses along training of the first seed of both, the one that
    starts from the same weights; None where one of the two has no finite loss at the other's."""
    (_, own), (_, other) = found.risk_along_training(), known.risk_along_training()
    if len(own) != len(other):
        return None
    gap = float(np.max(np.abs(own[:, 0] - other[:, 0]) / other[:, 0]))
    return gap if np.isfinite(gap) else None
