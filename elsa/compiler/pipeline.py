"""`compile`: an ordinary JAX function in, attention weights out."""

import contextlib
import dataclasses
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import jax
import numpy as np
from jax.typing import DTypeLike

from elsa.base import checks
from elsa.base.checks import matrix_shape
from elsa.base.precision import exact
from elsa.compiler.emitting.program import Program
from elsa.compiler.emitting.slots import allot
from elsa.compiler.emitting.structured import numbers_of
from elsa.compiler.errors import CompileError
from elsa.compiler.planning.chains import bare
from elsa.compiler.planning.schedule import schedule
from elsa.compiler.stack import EXECUTIONS, CompiledStack
from elsa.compiler.tracing.graph import Ref, leaves_of
from elsa.compiler.tracing.jaxprs import check_outputs, jaxpr_of
from elsa.compiler.tracing.trace import program_of
from elsa.compiler.verifying import NeverFiniteError, rounding
from elsa.nn.stack import SKIPS
from elsa.prompts.layout import BlockLayout, Box

MAX_ROUNDING = 100.0  # of a "gram" plan over the step itself
MEASURED_STEPS = 100  # of which that is measured


@exact
def compile(
    step: Callable[..., Mapping[str, Any]],
    inputs: Mapping[str, tuple[int, ...]],
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
    matrix products, transposes, sums, scalings by constants and by 1 x 1 inputs, slices,
    concatenations, element-wise products with constant arrays, loops of static length, and of
    `jax.grad` of such functions where that is linear algebra again. Nothing is approximated.

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
      TypeError, ValueError: for arguments of the wrong kind or out of range.
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
    with _where_defined(step):
        takes_t = _check_signature(step, shapes, tied)
        steps = range(max(depth, 1)) if takes_t else [None]
        traced = [jaxpr_of(step, shapes, **({} if t is None else {"t": t})) for t in steps]
        names = traced[0][1]
        graph, refs, out_shapes = program_of([closed for closed, _ in traced], shapes)
        check_outputs(names, out_shapes, shapes)
        outputs = dict(zip(names, refs, strict=True))
        _check_used(outputs, shapes)
    places = {name: bare(graph.leaf(name, matrix_shape(shape))) for name, shape in shapes.items()}
    with np.errstate(over="ignore", invalid="ignore"):  # refused next
        plan = schedule(graph, outputs, depth, reassociate=reassociate)
        numbers = [np.asarray(a, kind) for a in jax.tree.leaves(numbers_of(plan.layers))]
    if not all(np.isfinite(number).all() for number in numbers):
        raise CompileError(
            f"compile: numbers of the step, multiplied with one another, overflow {kind}; scale "
            "its constants, or the blocks, so that they stay near 1"
        )
    given, boxes, size, moves = _private(shapes, layout)
    slots = allot(plan, {places[name]: box for name, box in boxes.items()}, size)
    program = Program(
        step,
        takes_t,
        shapes,
        {name: places[name] for name in outputs},
        places,
        plan,
        slots,
        given,
        moves,
        graph.variants if plan.depth else 1,
        skip,
        reassociate,
    )
    if reassociate == "gram":
        program = _measured(program, outputs, depth)
    return CompiledStack(program, depth, execution, kind)


def _measured(program: Program, values: Mapping[str, Ref], depth: int) -> Program:
    """The program with its rounding, refused where it is far above the step's own."""
    tried = program
    if program.variants == 1:  # rounding in units of the step's own hardly changes with the depth
        depth = min(depth, MEASURED_STEPS)
        tried = dataclasses.replace(
            program, schedule=dataclasses.replace(program.schedule, depth=depth)
        )
    stack = CompiledStack(tried, depth, "auto", np.dtype(np.float32))
    try:
        found = rounding(tried, values, depth, stack, jax.random.key(0))
    except NeverFiniteError:
        return program
    worst = max(found, key=lambda measured: measured.ratio)
    if not worst.ratio <= MAX_ROUNDING:
        raise CompileError(
            f'compile: reassociate="gram" rounds {worst.ratio:.3g} times as much as the step, at '
            f"most {MAX_ROUNDING:g} times are allowed (drawn blocks of norm {worst.scale:.3g}); "
            "leave it out"
        )
    return dataclasses.replace(program, rounding=found)


@contextlib.contextmanager
def _where_defined(step: Callable[..., Any]) -> Iterator[None]:
    """Adds where the step is defined to an error that names no line of it."""
    try:
        yield
    except CompileError as error:
        code = getattr(inspect.unwrap(step), "__code__", None)
        if code is None or ", line " in str(error):
            raise
        place = f"{code.co_name}, {Path(code.co_filename).name}, line {code.co_firstlineno}"
        raise CompileError(f"{error} ({place})") from error.__cause__


def _shape(name: str, shape: Any) -> tuple[int, ...]:
    sizes = tuple(shape) if isinstance(shape, Iterable) else (shape,)
    if len(sizes) > 2 or not all(isinstance(s, int | np.integer) and s >= 1 for s in sizes):
        raise ValueError(
            f"compile: inputs[{name!r}] must be the shape of a matrix, a column or a number, "
            f"with sizes of at least 1, got {shape!r}"
        )
    return tuple(int(s) for s in sizes)


def _check_signature(
    step: Callable[..., Any], shapes: Mapping[str, tuple[int, ...]], tied: bool
) -> bool:
    """Whether the step is to be called with `t`; refuses inputs that are no arguments."""
    if not shapes:
        raise CompileError("compile: inputs must name at least one block, got {}")
    parameters = inspect.signature(step).parameters
    if any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        return False
    required = [
        name for name, p in parameters.items() if p.default is p.empty and name not in shapes
    ]
    takes_t = "t" in parameters and "t" not in shapes
    if takes_t and tied and "t" in required:
        raise CompileError("compile: the step takes t, which needs tied=False")
    missing = [name for name in required if name != "t"]
    unknown = [name for name in shapes if name not in parameters]
    if missing or unknown:
        raise CompileError(
            f"compile: inputs must name the step's arguments {list(parameters)}, got "
            f"{list(shapes)}: missing {missing}, unknown {unknown}"
        )
    return takes_t and not tied


def _check_used(outputs: Mapping[str, Ref], shapes: Mapping[str, tuple[int, ...]]) -> None:
    used = {leaf.name for ref in outputs.values() for leaf in leaves_of(ref)} | set(outputs)
    unused = [name for name in shapes if name not in used]
    if unused:
        raise CompileError(
            f"compile: the step does not use the inputs {unused}; leave them out of inputs and of "
            "the step"
        )


Moves = tuple[tuple[str, Box, Box, bool], ...]


def _private(
    shapes: Mapping[str, tuple[int, ...]], layout: BlockLayout | None
) -> tuple[BlockLayout, dict[str, Box], tuple[int, int], Moves]:
    """The input's layout, the inputs' private boxes, the prompt so far, and what is moved."""
    sizes = {name: matrix_shape(shape) for name, shape in shapes.items()}
    if layout is not None and not isinstance(layout, BlockLayout):
        raise TypeError(f"compile: layout must be a BlockLayout, got {type(layout).__name__}")
    boxes, channel = {}, 0 if layout is None else layout.shape[1]
    for name, (height, width) in sizes.items():
        boxes[name] = Box(0, channel, height, width)
        channel += width
    if layout is None:
        given = BlockLayout(boxes)
        return given, boxes, given.shape, ()
    asked = {name: layout.shape_of(name) for name in layout}
    if asked != sizes:
        raise ValueError(f"compile: layout must have the blocks {sizes}, got {asked}")
    rows = max(layout.shape[0], *(height for height, _ in sizes.values()))
    moves = tuple(
        (name, layout.box(name), box, name in layout.transposed) for name, box in boxes.items()
    )
    return layout, boxes, (rows, channel), moves
