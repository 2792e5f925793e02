"""The kinds of prompts that can be trained on, and all that training asks of each, in one table.

A task and a model say theirs by `prompt_kind`; those that do not say have `tasks.Prompt`.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from jaxtyping import Array, Float

from elsa import models
from elsa.tasks import BlockPrompt, CountedPrompt, GramPrompt, PairPrompt, Prompt
from elsa.tasks.pairs import num_pairs

Shape = tuple[int, ...]


def _nothing(task: Any) -> dict[str, Any]:
    return {}


class Kind(NamedTuple):
    """One kind of prompt.

    needs: what a task has that samples it.
    shapes: of a task, the shapes of one prompt's parts, by name.
    parts: of a batch, the arrays of the same names.
    target: of a batch, what is asked for, [batch, ...]; the error of a prediction is its
      difference, squared and summed over all axes but the first.
    model_takes: of a task, what its models are built with besides dim and context_length.
    """

    needs: tuple[str, ...]
    shapes: Callable[[Any], Mapping[str, Shape]]
    parts: Callable[[Any], Mapping[str, Any]]
    target: Callable[[Any], Float[Array, "batch *target"]]
    model_takes: Callable[[Any], Mapping[str, Any]] = _nothing


def _rows(task: Any) -> dict[str, Shape]:
    n, d = task.context_length, task.dim
    return {"x": (n, d), "y": (n,), "query_x": (d,), "query_y": ()}


def _gram(task: Any) -> dict[str, Shape]:
    m = task.dim + 1
    return {"gram": (m, m), "query_x": (task.dim,), "query_y": ()}


def _pairs(task: Any) -> dict[str, Shape]:
    return {
        "pairs": (num_pairs(task.dim), task.context_length),
        "label_pairs": (task.dim + 1, task.context_length),
        "query_x": (task.dim,),
        "query_y": (),
    }


def _without_counts(prompt: CountedPrompt | PairPrompt) -> dict[str, Any]:
    return {name: array for name, array in prompt._asdict().items() if name != "counts"}


def _blocks(task: Any) -> dict[str, Shape]:
    shapes = {f"blocks[{name!r}]": tuple(shape) for name, shape in task.blocks.items()}
    return {**shapes, "target": tuple(task.target_shape)}


def _of_blocks(prompt: BlockPrompt) -> dict[str, Any]:
    named = {f"blocks[{name!r}]": array for name, array in prompt.blocks.items()}
    return {**named, "target": prompt.target}


_SIZES = ("dim", "context_length", "sample")  # what is called comes last
KINDS: Mapping[type, Kind] = {
    Prompt: Kind(_SIZES, _rows, lambda prompt: prompt._asdict(), lambda prompt: prompt.query_y),
    GramPrompt: Kind(_SIZES, _gram, lambda prompt: prompt._asdict(), lambda prompt: prompt.query_y),
    CountedPrompt: Kind(_SIZES, _rows, _without_counts, lambda prompt: prompt.query_y),
    PairPrompt: Kind(_SIZES, _pairs, _without_counts, lambda prompt: prompt.query_y),
    BlockPrompt: Kind(
        ("blocks", "target_shape", *_SIZES),
        _blocks,
        _of_blocks,
        lambda prompt: prompt.target,
        lambda task: {"blocks": task.blocks, "target_shape": task.target_shape},
    ),
}


def of(owner: Any) -> type:
    """The kind of prompt that a task samples, or a model reads, the class or one of it.

    Raises:
      TypeError: for a kind that training does not know.
    """
    kind: type = getattr(owner, "prompt_kind", Prompt)
    if kind not in KINDS:
        name = owner.__name__ if isinstance(owner, type) else type(owner).__name__
        known = ", ".join(f"tasks.{each.__name__}" for each in KINDS)
        raise TypeError(f"train: prompt_kind of {name} must be one of {known}, got {kind!r}")
    return kind


def refuse_others(model: str, task: str, task_class: Any) -> None:
    """Refuses a model that does not read what the task samples.

    Args:
      model, task: their names in the config; an unknown model is refused where it is built.
      task_class: the task, or its class.

    Raises:
      TypeError: with the models that do.
    """
    given = of(task_class)
    if model not in models.MODELS or of(models.MODELS[model]) is given:
        return
    can = [name for name, known in models.MODELS.items() if of(known) is given]
    reads = of(models.MODELS[model]).__name__
    raise TypeError(
        f"train: model {model!r} reads a tasks.{reads}, and task {task!r} gives a "
        f"tasks.{given.__name__}; models that read it: {', '.join(can) or 'none'}"
    )
