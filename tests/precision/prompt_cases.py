"""Prompts by name, and stacks of attention layers as trained models."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from flax import nnx

from elsa import constructions, models, prompts
from tests.precision.data import BLOCKS, DIM, PRODUCTS, PROMPT, ROWS, X, normal
from tests.precision.products import Case, Run, traced, without

_FORM = prompts.named_format("natural", DIM)
_KNOWN = _FORM.known_roles(DIM, ROWS)
_BOXES = {"X": (0, 0, 2, 1), "y": (0, 1, 2, 1), "query_x": (2, 2, 1, 1), "prediction": (2, 3, 1, 1)}


def _of_weights(kind: type[models.StackModel], read: Callable[[Any], Any], **options: bool) -> Case:
    """A reading of a stack as a function of its weights."""

    def make() -> models.StackModel:
        return kind(DIM, ROWS, 2, layout="natural", rngs=nnx.Rngs(0))

    graph: Any
    graph, state = nnx.split(nnx.eval_shape(make))
    zeros = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), state)
    return traced(lambda weights: read(nnx.merge(graph, weights)), zeros, **options)


def _members(names: tuple[str, ...], kind: type[models.StackModel]) -> dict[str, Case]:
    model = kind(DIM, ROWS, 1, rngs=nnx.Rngs(0))
    calls = {
        "__call__": lambda model: model(PROMPT),
        "by_layer": lambda model: model.by_layer(PROMPT).prediction,
        "hidden_states": lambda model: model.hidden_states(PROMPT),
    }
    made = {
        **{member: _of_weights(kind, call) for member, call in calls.items()},
        "num_layers": Run(lambda: model.num_layers),
        "roles": Run(lambda: model.roles),
        "readout": Run(lambda: model.readout(ROWS)),
        "check_length": Run(lambda: model.check_length(ROWS)),
    }
    return _named(names, made)


def _named(names: tuple[str, ...], made: dict[str, Case]) -> dict[str, Case]:
    """The members of one class, and of those that have the same."""
    return {f"models.{name}.{member}": case for name in names for member, case in made.items()}


def _of_blocks(names: tuple[str, ...], kind: type[models.BlockModel]) -> dict[str, Case]:
    """The members of a stack on prompts of blocks."""

    def make() -> models.BlockModel:
        return kind(PRODUCTS.blocks, PRODUCTS.target_shape, 2, rngs=nnx.Rngs(0))

    model = make()
    graph: Any
    graph, state = nnx.split(model)
    calls = {
        "__call__": lambda model: model(BLOCKS),
        "by_layer": lambda model: model.by_layer(BLOCKS).prediction,
        "hidden_states": lambda model: model.hidden_states(BLOCKS),
    }
    made = {
        **{
            member: traced(lambda weights, read=call: read(nnx.merge(graph, weights)), state)
            for member, call in calls.items()
        },
        "num_layers": Run(lambda: model.num_layers),
        "given": Run(lambda: model.given),
    }
    return _named(names, made)


def cases() -> dict[str, Case]:
    model = models.ELSAModel(DIM, ROWS, 1, rngs=nnx.Rngs(0))
    squares = constructions.least_squares_lsa(ROWS, DIM, 2, 0.1)
    others = {
        "LinearTransformer": models.LinearTransformer(DIM, 2, rngs=nnx.Rngs(0)),
        "LinearTransformerBlock": models.LinearTransformerBlock(DIM, 2, rngs=nnx.Rngs(0)),
        "GPT2": models.GPT2(DIM, ROWS, width=4, depth=1, num_heads=2, rngs=nnx.Rngs(0)),
    }
    return {
        **_members(("StackModel", "LSAModel"), models.LSAModel),  # the first alone has no layers
        **_members(("ELSAModel",), models.ELSAModel),
        **_of_blocks(("BlockModel", "BlockLSA"), models.BlockLSA),  # likewise
        **_of_blocks(("BlockELSA",), models.BlockELSA),
        **{
            f"models.{name}.by_layer": traced(lambda prompt, m=other: m.by_layer(prompt), PROMPT)
            for name, other in others.items()
        },
        "models.by_layer": traced(lambda prompt: models.by_layer(model, prompt), PROMPT),
        "models.block_stack": Run(lambda: models.block_stack(model)),
        "constructions.least_squares_lsa": traced(
            lambda x, y, query: squares(X=x, y=y, query_x=query), X, normal(ROWS, 1), normal(1, DIM)
        ),
        "prompts.packed": without(
            lambda *one: prompts.packed(_FORM, _KNOWN, *one), X, normal(ROWS), normal(DIM)
        ),
        "prompts.named_format": Run(lambda: prompts.named_format("stacked", DIM)),
        "prompts.custom_format": Run(lambda: prompts.custom_format(_BOXES)),
        "prompts.row_roles": Run(lambda: prompts.row_roles(_FORM.layout(ROWS), ("X",))),
        "prompts.role_indicator": Run(lambda: prompts.role_indicator([()], [()])),
        "prompts.PromptFormat.roles": Run(lambda: _FORM.roles(ROWS)),
        "prompts.PromptFormat.known_roles": Run(lambda: _FORM.known_roles(DIM, ROWS)),
    }
