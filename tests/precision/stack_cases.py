"""Constructions, compiled, loaded and trained stacks, and what draws them."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
from flax import nnx

import elsa
from elsa import algorithms, constructions, exchange, models, nn, readback, report
from tests.precision.data import (
    DIM,
    MATRIX,
    PROMPT,
    QUERIES,
    RIDGE,
    ROWS,
    STEP_SIZE,
    VECTOR,
    normal,
)
from tests.precision.products import Case, Run, traced, without

_KEY = jax.random.key(0)
_INPUTS = {"X": (ROWS, DIM), "y": (ROWS, 1), "lam": (1, 1), "w": (DIM, 1)}
_GIVEN = {name: RIDGE[name] for name in _INPUTS}
_MAKERS = {
    "ridge_elsa": constructions.ridge_elsa,
    "ridge_elsa_one_layer": constructions.ridge_elsa_one_layer,
    "ridge_lsa": constructions.ridge_lsa,
    "ridge_lsa_state": constructions.ridge_lsa_state,
}


def _ridge(make: Callable[..., Any], **options: Any) -> Any:
    return make(ROWS, DIM, 2, STEP_SIZE, num_queries=QUERIES, **options)


def _called(method: Callable[..., Any], blocks: dict[str, Any]) -> Case:
    """A method that takes blocks by name, as a function of one dict."""
    return traced(lambda given: method(**given), blocks)


_DESCRIPTIONS = (
    *("inputs", "outputs", "holds", "layers", "weights", "is_as_built", "dtype"),
    "own_blocks",
    *("num_layers", "num_heads", "num_parameters"),
)


def _block_stack(
    prefix: str, stack: Any, blocks: dict[str, Any], *, packs: bool = False
) -> dict[str, Case]:
    """What every stack with named blocks has; `packs` where packing multiplies."""
    h = np.zeros(stack.layout.shape)
    whole = np.zeros(stack.readout.shape)
    return {
        **{
            f"{prefix}.{name}": Run(lambda name=name: getattr(stack, name))  # type: ignore[misc]
            for name in _DESCRIPTIONS
        },
        f"{prefix}.pack": traced(lambda given: stack.pack(**given), blocks, products=packs),
        f"{prefix}.streamed": Run(lambda: stack.streamed("X", "y")),
        f"{prefix}.require_weights": Run(lambda: stack.require_weights("f")),
        f"{prefix}.padded": without(stack.padded, h),
        f"{prefix}.run": traced(stack.run, whole),
        f"{prefix}.prompts": _called(stack.prompts, blocks),
        f"{prefix}.__call__": _called(stack, blocks),
        f"{prefix}.trajectory": _called(stack.trajectory, blocks),
        f"{prefix}.scores": traced(lambda given: stack.scores(0, **given), blocks),
    }


def _ridge_stack(prefix: str, make: Callable[..., Any]) -> dict[str, Case]:
    stack, packs = _ridge(make), make is constructions.ridge_lsa
    return {
        **_block_stack(prefix, stack, RIDGE, packs=packs),
        f"{prefix}.encode": traced(lambda given: stack.encode(**given), RIDGE, products=packs),
        f"{prefix}.verify": Run(lambda: stack.verify(_KEY, **RIDGE), products=True),
    }


def _by_hand() -> dict[str, Case]:
    """Constructions of a layer or two, and the layer without its biases."""
    task = {"X": RIDGE["X"], "y": RIDGE["y"], "query_x": RIDGE["query_x"][:1]}
    started = constructions.gd_beta_elsa(ROWS, VECTOR, MATRIX)
    natural = constructions.gd_beta_elsa(ROWS, VECTOR, MATRIX, prompt="natural")
    affine = constructions.affine_elsa(ROWS, MATRIX, 0.5)
    matrices, heads = dict.fromkeys("ABC", MATRIX), normal(DIM + 1, DIM + 1, DIM)
    return {
        "constructions.gd_beta_elsa": _called(started, task),
        "constructions.gd_beta_elsa, natural": _called(natural, task),
        "constructions.affine_elsa": _called(affine, task),
        "constructions.multi_head_lsa": _called(constructions.multi_head_lsa(ROWS, heads), task),
        "constructions.product_elsa": _called(constructions.product_elsa(DIM, 3), matrices),
        "constructions.product_lsa": _called(constructions.product_lsa(DIM), matrices),
        "nn.without_biases": Run(lambda: nn.without_biases(started.stack)),
    }


def _compiled(execution: str = "auto", **options: Any) -> Any:
    step = algorithms.gradient_descent(STEP_SIZE)
    return elsa.compile(step, _INPUTS, depth=2, execution=execution, **options)


def _both(method: Callable[[Any], Callable[..., Any]]) -> Case:
    """A method of a compiled stack, in both executions."""

    def run(given: dict[str, Any]) -> Any:
        return [method(_compiled(execution))(**given) for execution in ("auto", "dense")]

    return traced(run, _GIVEN)


def _verified() -> None:
    for execution in ("auto", "dense"):
        _compiled(execution).verify(_KEY)


def _streamed() -> None:
    small = {name: block for name, block in RIDGE.items() if name not in ("X", "y")}
    streamed = _ridge(constructions.ridge_lsa).streamed("X", "y")
    streamed([(RIDGE["X"], RIDGE["y"])], **small)


def _loaded(stack: Any) -> Any:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "stack.safetensors"
        exchange.export(stack, path)
        return exchange.load(path)


def _trained(depth: int = 2) -> models.LinearTransformer:
    return models.LinearTransformer(DIM, depth, rngs=nnx.Rngs(0))


def cases() -> dict[str, Case]:
    low_rank = models.LowRankAttention(DIM, 1, precision="default", rngs=nnx.Rngs(0))
    trained = readback.attention_stack(_trained(), ROWS, num_queries=QUERIES)
    task = {name: RIDGE[name] for name in ("X", "y", "query_x")}
    program = readback.formulas(trained)
    structured = _compiled()
    loaded = _loaded(structured)

    return {
        **{f"constructions.{name}": _called(_ridge(make), RIDGE) for name, make in _MAKERS.items()},
        "constructions.ridge_elsa": _called(_ridge(constructions.ridge_elsa, skip="head"), RIDGE),
        **_by_hand(),
        **_ridge_stack("constructions.RidgeStack", constructions.ridge_elsa),
        **_ridge_stack("constructions.DesignedRidgeStack", constructions.ridge_lsa),
        **_ridge_stack("constructions.StateRidgeStack", constructions.ridge_lsa_state),
        "readback.attention_stack": Run(
            lambda: readback.attention_stack(low_rank, ROWS), products=True
        ),
        "readback.algorithm_match": Run(
            lambda: readback.algorithm_match(_trained(), PROMPT), products=True
        ),
        "readback.diagnose": Run(lambda: readback.diagnose(trained), products=True),
        "readback.Diagnosis.is_sound": Run(lambda: readback.diagnose(trained, trained).is_sound),
        "readback.gd_beta_block": without(
            lambda init, matrix: nnx.state(readback.gd_beta_block(init, matrix)),
            VECTOR,
            MATRIX,
        ),
        "readback.step_matrices": traced(
            lambda: readback.step_matrices(
                models.ELSAModel(2, 3, layout="natural", init="construction", rngs=nnx.Rngs(0))
            )
        ),
        "readback.read_gd_beta": traced(
            lambda init, matrix: readback.read_gd_beta(readback.gd_beta_block(init, matrix)),
            VECTOR,
            MATRIX,
        ),
        "readback.formulas": Run(lambda: readback.formulas(trained)),
        "readback.Formulas.__call__": _called(program, task),
        "readback.Formulas.run": traced(program.run, trained.pack(**task)),
        "readback.Formulas.error": Run(
            lambda: program.error(trained.pack(**task)[None]), products=True
        ),
        # to a file and back without a product
        **dict.fromkeys(("exchange.export", "exchange.load"), Run(lambda: _loaded(structured))),
        **_block_stack("nn.BlockStack", loaded, _GIVEN),
        "nn.Streamed.__call__": Run(_streamed, products=True),  # the fit of its packing, X w
        "nn.BlockStack.__call__, trained": _called(trained, task),
        "nn.BlockStack.verify": Run(lambda: trained.verify(_KEY), products=True),
        "compiler.compile": Run(_compiled, products=True),
        "compiler.compile, gram": Run(lambda: _compiled(reassociate="gram"), products=True),
        **_block_stack("compiler.CompiledStack", structured, _GIVEN),
        "compiler.CompiledStack.__call__": _both(lambda stack: stack),
        "compiler.CompiledStack.structured": _called(structured.structured, _GIVEN),
        "compiler.CompiledStack.from_prompt": traced(
            structured.from_prompt, np.zeros(structured.layout.shape)
        ),
        "compiler.CompiledStack.verify": Run(_verified, products=True),
        **{
            f"compiler.CompiledStack.{name}": Run(lambda name=name: getattr(structured, name))  # type: ignore[misc]
            for name in ("layers_per_step", "num_nonzeros")
        },
        "report.prompt_view": Run(
            lambda: report.prompt_view(_ridge(constructions.ridge_elsa), **RIDGE), products=True
        ),
        "report.prompt_figure": Run(
            lambda: report.prompt_figure(_ridge(constructions.ridge_elsa), **RIDGE), products=True
        ),
    }
