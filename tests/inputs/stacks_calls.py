"""Stacks: constructed, compiled, and as files."""

import tempfile
from pathlib import Path
from typing import Any

import jax
import numpy as np

import elsa
from elsa import algorithms, constructions, exchange, nn, report
from tests.inputs.calls import Call, Made, call
from tests.precision.data import DIM, MATRIX, QUERIES, RIDGE, ROWS, STEP_SIZE, VECTOR, normal

_KEY = jax.random.key(0)
_INPUTS = {"X": (ROWS, DIM), "y": (ROWS, 1), "lam": (1, 1), "w": (DIM, 1)}
_GIVEN = {name: RIDGE[name] for name in _INPUTS}
_ROWS = np.hstack([RIDGE["X"], RIDGE["y"]])
_SMALL = {name: block for name, block in RIDGE.items() if name not in ("X", "y")}
_SIZES = {"context_length": ROWS, "dim": DIM, "depth": 1, "step_size": STEP_SIZE}
_OPTIONS = {"num_queries": 1, "dtype": "float64"}


def _methods(prefix: str, stack: Any, blocks: dict[str, Any]) -> dict[str, Call]:
    return {
        f"{prefix}.__call__": call(stack, **blocks),
        f"{prefix}.pack": call(stack.pack, **blocks),
        f"{prefix}.prompts": call(stack.prompts, **blocks),
        f"{prefix}.trajectory": call(stack.trajectory, **blocks),
        f"{prefix}.scores": call(
            lambda layer, **given: stack.scores(layer, **given), layer=0, **blocks
        ),
        f"{prefix}.verify": call(
            lambda key, **given: stack.verify(key, **given), key=_KEY, **blocks
        ),
    }


def calls() -> dict[str, Call]:
    step = algorithms.gradient_descent(STEP_SIZE)
    compiled = elsa.compile(step, _INPUTS, depth=2)
    made = {
        name: call(getattr(constructions, name), **_SIZES, **_OPTIONS)
        for name in ("ridge_elsa", "ridge_elsa_one_layer", "ridge_lsa", "ridge_lsa_state")
    }
    made["least_squares_lsa"] = call(constructions.least_squares_lsa, **_SIZES, dtype="float64")
    length, kind = {"context_length": ROWS}, {"dtype": "float64"}
    start = {"init": VECTOR, "preconditioner": MATRIX, "prompt": "stacked"}
    heads = normal(DIM + 1, DIM + 1, DIM)
    affine = {"weight": MATRIX, "intercept_scale": 0.5}
    made |= {
        "gd_beta_elsa": call(constructions.gd_beta_elsa, **length, **start, **kind),
        "affine_elsa": call(constructions.affine_elsa, **length, **affine, **kind),
        "multi_head_lsa": call(constructions.multi_head_lsa, **length, key_query=heads, **kind),
        "product_elsa": call(constructions.product_elsa, size=2, factors=3, **kind),
        "product_lsa": call(constructions.product_lsa, size=2, **kind),
    }
    biased = constructions.gd_beta_elsa(ROWS, VECTOR, MATRIX).stack
    ridge = constructions.ridge_lsa(ROWS, DIM, 2, STEP_SIZE, num_queries=QUERIES)
    folder = Path(tempfile.mkdtemp(prefix="elsa-inputs-"))
    path = folder / "stack.safetensors"
    exchange.export(compiled, path)
    loaded = exchange.load(path)
    (folder / "made").mkdir()
    parts = {"stack": ridge.stack, "layout": ridge.layout, "readout": ridge.readout}
    return {
        **{f"constructions.{name}": one for name, one in made.items()},
        **_methods("constructions.RidgeStack", ridge, RIDGE),
        "constructions.RidgeStack.encode": call(ridge.encode, **RIDGE),
        "compiler.compile": call(
            elsa.compile,
            step=step,
            inputs=_INPUTS,
            depth=2,
            tied=True,
            reassociate=True,
            skip="residual",
            execution="auto",
            dtype="float64",
        ),
        **_methods("compiler.CompiledStack", compiled, _GIVEN),
        "compiler.CompiledStack.structured": call(compiled.structured, **_GIVEN),
        "compiler.CompiledStack.from_prompt": call(
            compiled.from_prompt, h=compiled.layout.pack(**_GIVEN)
        ),
        "nn.without_biases": call(nn.without_biases, stack=Made(lambda: biased)),
        "nn.BlockStack": call(nn.BlockStack, **{k: Made(lambda v=v: v) for k, v in parts.items()}),  # type: ignore[misc]
        **{
            name: one
            for name, one in _methods("nn.BlockStack", loaded, _GIVEN).items()
            if name != "nn.BlockStack.verify"  # a file has nothing to be compared with
        },
        "nn.BlockStack.streamed": call(
            lambda names, form, any_length: loaded.streamed(
                names, "y", form=form, any_length=any_length
            ),
            names="X",
            form="gram",
            any_length=False,
        ),
        "nn.Streamed.__call__": call(
            lambda rows, **small: ridge.streamed("X", "y")(rows, **small), rows=_ROWS, **_SMALL
        ),
        "nn.BlockStack.run": call(loaded.run, h=loaded.pack(**_GIVEN)),
        "nn.BlockStack.padded": call(loaded.padded, h=loaded.pack(**_GIVEN)),
        "exchange.export": call(
            exchange.export, stack=Made(lambda: compiled), path=folder / "made" / path.name
        ),
        "exchange.load": call(exchange.load, path=path),
        "report.prompt_view": call(
            lambda stack, **blocks: report.prompt_view(stack, **blocks),
            stack=Made(lambda: ridge),
            **RIDGE,
        ),
        "report.prompt_figure": call(
            lambda stack, **blocks: report.prompt_figure(stack, **blocks),
            stack=Made(lambda: ridge),
            **RIDGE,
        ),
    }
