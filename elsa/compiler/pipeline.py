"""`compile`: an ordinary JAX function in, attention weights out, stage by stage."""

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from elsa.base import checks
from elsa.base.precision import exact
from elsa.compiler.dense import Weights
from elsa.compiler.emitting import structured
from elsa.compiler.emitting.slots import placed
from elsa.compiler.emitting.symbolic import Heads
from elsa.compiler.errors import CompileError
from elsa.compiler.planning.layers import Plan
from elsa.compiler.planning.schedule import planned
from elsa.compiler.stack import EXECUTIONS, CompiledStack, Stages
from elsa.compiler.tracing.steps import Traced, traced
from elsa.compiler.verifying import NeverFiniteError, rounding
from elsa.nn.stack import SKIPS
from elsa.prompts.layout import BlockLayout

MAX_ROUNDING = 100.0  # of a "gram" plan over the step itself
MEASURED_STEPS = 100  # of which that is measured


@exact
def compile(
    step: Callable[..., Mapping[str, Any]],
    inputs: Mapping[str, int | Iterable[int]],
    depth: int = 1,
    *,
    tied: bool = True,
    layout: BlockLayout | None = None,
    reassociate: bool | Literal["gram"] = True,
    skip: str = "residual",
    execution: str = "auto",
    dtype: DTypeLike | None = None,
) -> CompiledStack:
    """Turns a JAX function into a stack of ELSA layers that applies it `depth` times, exactly.

        stack = elsa.compile(step, {"X": (100, 8), "y": (100, 1), "w": (8, 1)}, depth=32)
        stack(X=X, y=y, w=w0)["w"]

    The step takes the named arrays and returns a dict of some of them, updated. It may be made of
    matrix products, transposes, sums, scalings by constants and by 1 x 1 inputs, slices and
    updates, concatenations, element-wise products with constant arrays, and with data where sums
    make matrix products of them, loops of static length, and of `jax.grad` and `jax.vmap` of such
    functions where that is linear algebra again. Nothing is approximated. docs/compiler.md lists
    what compiles and what to write in place of what does not.

    Args:
      step: the function; 1-D arrays act as columns.
      inputs: name -> shape of each of its arguments.
      depth: how often it is applied.
      tied: True uses one set of step weights; False calls the step with the keyword `t`, the
        integer 0 .. depth - 1, where it takes one, and gives every step its own numbers.
      layout: where the inputs lie in the caller's prompt; one more layer moves them from there. By
        default every block has channels of its own.
      reassociate: how products are planned. True forms those that the step forms, in its order, and
        carries a residual such as X w - y as a state where that saves a layer a step. False does
        not carry residuals. "gram" distributes and regroups products within an iteration of a loop
        where that saves layers, as X^T X w - X^T y with X^T X computed once: faster where a block
        is much longer than wide, and with fewer digits where it is ill-conditioned. The rounding is
        measured on drawn blocks and printed with the stack.
      skip: "residual", or "head" for one more head in every layer that returns the prompt.
      execution: "auto" computes the heads' products on the blocks themselves as long as the weights
        are as built, and runs the weights otherwise; "dense" always runs them.
      dtype: to compute in; jax's default floating dtype where None.

    Raises:
      CompileError: for what linear attention cannot run, naming primitive, file and line; for a
        step that returns an unknown block or another shape, or does not use an input; for a "gram"
        plan whose rounding is above 100 times that of the step itself.
      TypeError, ValueError: for arguments of the wrong type or out of range.
    """
    checks.size("compile", depth=(depth, 0))
    checks.one_of("compile", "skip", skip, SKIPS)
    checks.one_of("compile", "execution", execution, EXECUTIONS)
    checks.boolean("compile", tied=tied)
    if not isinstance(reassociate, bool) and not (
        isinstance(reassociate, str) and reassociate == "gram"
    ):
        raise ValueError(f"compile: reassociate must be True, 'gram' or False, got {reassociate!r}")
    kind = checks.float_dtype("compile", dtype)
    if not isinstance(inputs, Mapping) or not callable(step):
        raise TypeError(
            "compile: step must be a function and inputs a dict of shapes, got "
            f"{type(step).__name__} and {type(inputs).__name__}"
        )
    shapes = {name: _shape(name, shape) for name, shape in inputs.items()}
    graph = traced(step, shapes, depth, tied=tied, wide=kind == np.float64)
    with np.errstate(over="ignore", invalid="ignore"):  # refused next
        plan = planned(graph, reassociate=reassociate)
        numbers = jax.tree.leaves(structured.numbers_of(plan.schedule.layers))
        rounded = [np.asarray(number, kind) for number in numbers]
        finite = all(np.isfinite(number).all() for number in rounded)
        pairs = zip(numbers, rounded, strict=True)
        lost = any(((before != 0) & (after == 0)).any() for before, after in pairs)
    if lost:
        raise CompileError(
            f"compile: numbers of the step, multiplied with one another, are too small for {kind} "
            "and would be 0; scale its constants, or the blocks, so that they stay near 1"
        )
    if not finite:
        raise CompileError(
            f"compile: numbers of the step, multiplied with one another, overflow {kind}; scale "
            "its constants, or the blocks, so that they stay near 1"
        )
    places = placed(plan, layout)
    if reassociate == "gram":
        plan = _measured(graph, plan)
    heads = Heads(plan, places, skip)
    return CompiledStack(Stages(graph, plan, places, heads, Weights(heads, kind)), execution)


def _measured(graph: Traced, plan: Plan) -> Plan:
    """The plan with its rounding, refused where it is far above the step's own."""
    schedule, depth = plan.schedule, graph.depth
    if plan.variants == 1:  # rounding in units of the step's own hardly changes with the depth
        depth = min(depth, MEASURED_STEPS)
        schedule = dataclasses.replace(schedule, depth=depth)
    tried = dataclasses.replace(plan, schedule=schedule)

    def run(**blocks: Any) -> dict[str, jax.Array]:
        given = {
            name: jnp.asarray(block, np.float32).reshape(plan.inputs[name].shape)
            for name, block in blocks.items()
        }
        return structured.answers(tried, given, trace=False)[0]

    try:
        ratios = rounding(dataclasses.replace(graph, depth=depth), run, jax.random.key(0))
    except NeverFiniteError:
        return plan
    worst = max(ratios, key=lambda measured: measured.ratio)
    if not worst.ratio <= MAX_ROUNDING:
        raise CompileError(
            f'compile: reassociate="gram" rounds {worst.ratio:.3g} times as much as the step, at '
            f"most {MAX_ROUNDING:g} times are allowed (drawn blocks of norm {worst.scale:.3g}); "
            "leave it out"
        )
    return dataclasses.replace(plan, rounding=ratios)


def _shape(name: str, shape: Any) -> tuple[int, ...]:
    if isinstance(shape, np.ndarray | jax.Array) and (shape.ndim > 1 or shape.dtype.kind == "f"):
        raise TypeError(
            f"compile: inputs[{name!r}] must be a shape, got an array of shape {shape.shape}; "
            f"write {{{name!r}: {name}.shape}} here, and give the array to the stack"
        )
    sizes = tuple(shape) if isinstance(shape, Iterable) else (shape,)
    if len(sizes) > 2 or not all(isinstance(s, int | np.integer) and s >= 1 for s in sizes):
        raise ValueError(
            f"compile: inputs[{name!r}] must be the shape of a matrix, a column or a number, "
            f"with sizes of at least 1, got {shape!r}"
        )
    return tuple(int(s) for s in sizes)
