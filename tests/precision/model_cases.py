"""Modules and models at their default precision, and the programs that train them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from elsa import heads, models, nn, training
from elsa.heads.head import stack_dense
from elsa.prompts.layout import BlockLayout
from elsa.training.setup import bare_program
from tests.precision.data import DIM, GRAM, MATRIX, PAIRS, PROMPT, ROWS, normal
from tests.precision.products import Case, Run, traced, without

_MODELS: dict[str, Callable[[nnx.Rngs], Any]] = {
    "GPT2": lambda rngs: models.GPT2(DIM, ROWS, width=4, depth=1, num_heads=2, rngs=rngs),
    "H3": lambda rngs: models.H3(DIM, ROWS, rngs=rngs),
    "LinearAttention": lambda rngs: models.LinearAttention(DIM, rngs=rngs),
    "LinearTransformer": lambda rngs: models.LinearTransformer(DIM, 2, rngs=rngs),
    "LinearTransformerBlock": lambda rngs: models.LinearTransformerBlock(DIM, 2, rngs=rngs),
    "LoraAttention": lambda rngs: models.LoraAttention(MATRIX, 1, rngs=rngs),
    "LowRankAttention": lambda rngs: models.LowRankAttention(DIM, 1, rngs=rngs),
    "MergedAttention": lambda rngs: models.MergedAttention(DIM, rngs=rngs),
    "MergedH3": lambda rngs: models.MergedH3(DIM, ROWS, rngs=rngs),
    "SoftmaxAttention": lambda rngs: models.SoftmaxAttention(DIM, rngs=rngs),
}


def _of_weights(
    make: Callable[[nnx.Rngs], Any], read: Callable[[Any], Any], **options: bool
) -> Case:
    """A reading of a model as a function of its weights."""
    graph: Any
    graph, state = nnx.split(nnx.eval_shape(lambda: make(nnx.Rngs(0))))
    zeros = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), state)
    return traced(lambda weights: read(nnx.merge(graph, weights)), zeros, **options)


def _model(name: str, read: Callable[[Any], Any], **options: bool) -> Case:
    return _of_weights(_MODELS[name], read, **options)


def _stack(form: str, kind: Callable[[nnx.Rngs], Any]) -> Case:
    def make(rngs: nnx.Rngs) -> nn.Stack:
        return nn.Stack([kind(rngs)], 3, prologue=[kind(rngs)])

    return _of_weights(make, lambda stack: stack(jnp.asarray(normal(ROWS, 3)), form=form))


def _read(model: Any) -> Any:
    return model.preconditioner


def _wide(rngs: nnx.Rngs) -> models.MergedAttention:
    return models.MergedAttention(
        40, rngs=rngs
    )  # beyond which another form of the product is taken


_CONFIG = {
    "task": {"name": "linear_regression", "dim": DIM, "context_length": ROWS},
    "model": {"name": "low_rank_attention", "rank": 1},
    "train": {"num_steps": 1, "batch": 2, "evaluate_every": 1},
    "dtype": "float64",
}


def cases() -> dict[str, Case]:
    weights = stack_dense([heads.skip((ROWS, 3))], (ROWS, 3))
    elsa, lsa = nn.ELSA.from_weights(weights), nn.LSA.from_weights(weights)
    layers = nn.Stack([lsa], 2)
    blocks = BlockLayout({"A": (0, 0, 3, 3), "B": (0, 3, 3, 3)})
    product = heads.triple_product(blocks, "A", "A", "A", "B")
    H = normal(2, ROWS, 3)

    settings = training.RunSettings.from_config(_CONFIG)
    program = bare_program(settings)
    state = jax.tree.map(
        lambda leaf: np.zeros(leaf.shape, leaf.dtype), jax.eval_shape(program.init)
    )
    trained = training.Trained(program, state, 1, Path("nowhere"))

    return {
        **{
            f"models.{name}.__call__": _model(name, lambda model: model(PROMPT)) for name in _MODELS
        },
        "models.build": _of_weights(
            lambda rngs: models.build(
                {"name": "h3", "dim": DIM, "context_length": ROWS}, rngs=rngs
            ),
            lambda model: model(PROMPT),
        ),
        "models.MergedAttention.__call__": _of_weights(
            _wide, lambda model: model(PROMPT._replace(x=normal(2, 5, 40), query_x=normal(2, 40)))
        ),
        "models.H3.__call__": _model("H3", lambda model: (model(PROMPT), model(PAIRS))),
        "models.LinearTransformer.__call__": _model(
            "LinearTransformer", lambda model: (model(PROMPT), model(GRAM))
        ),
        "models.H3.preconditioner": _model("H3", _read),
        "models.H3.sample_weights": _of_weights(
            lambda rngs: models.H3(DIM, ROWS, state_size=2, rngs=rngs),
            lambda model: model.sample_weights(ROWS),
        ),
        "models.MergedH3.preconditioner": _model(
            "MergedH3", lambda m: m.preconditioner, products=False
        ),
        "models.MergedH3.sample_weights": _model(
            "MergedH3", lambda model: model.sample_weights(ROWS), products=False
        ),
        "models.LinearAttention.query_key": _model(
            "LinearAttention", lambda model: model.query_key
        ),
        "models.LinearAttention.preconditioner": _model("LinearAttention", _read),
        "models.LinearTransformer.query_key": _model(
            "LinearTransformer", lambda model: model.query_key, products=False
        ),
        "models.LinearTransformer.value": _model(
            "LinearTransformer", lambda model: model.value, products=False
        ),
        "models.LinearTransformerBlock.w_mlp": _model(
            "LinearTransformerBlock", lambda model: model.w_mlp
        ),
        "models.LoraAttention.preconditioner": _model("LoraAttention", _read),
        "models.LowRankAttention.preconditioner": _model(
            "LowRankAttention", lambda m: m.preconditioner
        ),
        "models.MergedAttention.preconditioner": _model("MergedAttention", _read, products=False),
        **{
            f"models.{name}.{member}": _model(
                name, lambda model, m=member: getattr(model, m)(PROMPT)
            )  # type: ignore[misc]
            for name in ("LinearTransformer", "GPT2", "SoftmaxAttention")
            for member in ("hidden_states", "attention")
        },
        "models.DiagonalFilter.__call__": _of_weights(
            lambda _: models.DiagonalFilter(2), lambda filter: filter(ROWS)
        ),
        "models.LongFilter.__call__": _of_weights(
            lambda _: models.LongFilter(ROWS), lambda filter: filter(ROWS), products=False
        ),
        "nn.LSA.__call__": traced(lsa, H),
        "nn.ELSA.__call__": traced(elsa, H),
        "nn.LSA.scores": traced(lsa.scores, H[0]),
        "nn.ELSA.scores": traced(elsa.scores, H[0]),
        **{
            f"nn.{name}.{member}": Run(call)
            for name, module in (("LSA", lsa), ("ELSA", elsa))
            for member, call in (
                ("weights", lambda module=module: module.weights),
                ("from_weights", lambda module=module: type(module).from_weights(module.weights)),
                ("from_heads", lambda module=module: type(module).from_heads([product], (3, 6))),
            )
        },
        "nn.Stack.__call__": _stack("direct", lambda rngs: nn.ELSA(ROWS, 3, 2, rngs=rngs)),
        "nn.Stack.__call__, Gram form": _stack("gram", lambda rngs: nn.LSA(3, 2, rngs=rngs)),
        "nn.Stack.untied": _of_weights(
            lambda rngs: nn.Stack.untied(lambda own: nn.LSA(3, 2, rngs=own), 2, rngs=rngs),
            lambda stack: stack(jnp.asarray(H)),
        ),
        "nn.Stack.ended": without(layers.ended, H),
        "nn.Stack.layer": Run(lambda: layers.layer(0)),
        "nn.Stack.num_layers": Run(lambda: layers.num_layers),
        "nn.Stack.weights": Run(lambda: layers.weights),
        "training.fit": traced(
            lambda first: program.advance(state, first), np.int32(0), gradient=False
        ),
        "training.branch": traced(
            lambda first: program.advance(state, first), np.int32(0), gradient=False
        ),
        "training.validate": Run(lambda: training.validate(_CONFIG)),
        "training.across_seeds": Run(lambda: training.across_seeds(np.ones((2, 1)))),
        "training.RunSettings.from_config": Run(lambda: training.RunSettings.from_config(_CONFIG)),
        "training.RunSettings.to_dict": Run(settings.to_dict),
        "training.RunSettings.points": Run(lambda: settings.points),
        "training.Trained.model": Run(trained.model),
        "training.Trained.task": Run(trained.task),
        "training.Trained.risk": traced(
            lambda first: program.risk(program.room(state, 1), state, first, first, 1),
            np.int32(0),
            gradient=False,
        ),
        "training.Trained.evaluate": Run(
            lambda: trained.evaluate(2, context_length=2), products=True
        ),
        "training.Trained.each": Run(lambda: trained.each(_read), products=True),
    }
