"""The step to compile, and the graph of its values: the first stage of the compiler."""

import contextlib
import dataclasses
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from elsa.base.checks import matrix_shape
from elsa.compiler.errors import CompileError
from elsa.compiler.tracing.graph import (
    Graph,
    Node,
    Ref,
    in_front,
    joined,
    leaves_of,
    lettered,
    letters,
    reachable,
)
from elsa.compiler.tracing.jaxprs import Shape, check_outputs, jaxpr_of
from elsa.compiler.tracing.trace import program_of


@dataclasses.dataclass(frozen=True, eq=False)
class Traced:
    """A step as a graph of matrix values.

    step: the JAX function, the reference for `verify`.
    takes_t: True where the step is called with `t`, the index of the step.
    depth: how often the step is applied.
    inputs: name -> shape of the JAX array that the step takes.
    graph: what holds the values.
    outputs: name of a block -> its value after one step.
    """

    step: Callable[..., Mapping[str, Any]]
    takes_t: bool
    depth: int
    inputs: Mapping[str, Shape]
    graph: Graph
    outputs: Mapping[str, Ref]

    @property
    def shapes(self) -> dict[str, tuple[int, int]]:
        """The inputs' rows and columns."""
        return {name: matrix_shape(shape) for name, shape in self.inputs.items()}

    def __str__(self) -> str:
        """A line for each value, in the order of the step; numbers are those of t = 0."""
        inputs = ", ".join(f"{name} {n} x {m}" for name, (n, m) in self.shapes.items())
        lines = [f"{getattr(self.step, '__name__', 'step')}: {inputs}"]
        nodes = reachable(self.outputs.values())
        names: dict[Node, str] = letters(self._constants(nodes))

        def shown(ref: Ref) -> str:
            if ref.node.kind == "const":
                return lettered(ref, names)
            return names[ref.node] + "^T" * ref.flipped

        for node in nodes:
            if node.kind == "leaf":
                names[node] = node.name
            elif node.kind != "const":
                parts = [
                    in_front(1.0 if c is None else float(c[0])) + shown(part)
                    for c, part in node.parts
                ]
                names[node] = f"%{len(lines)}"
                value = joined(parts) if node.kind == "add" else " ".join(parts)
                lines.append(f"  {names[node]} = {value}")
        return "\n".join(lines + [f"  {n}' = {shown(ref)}" for n, ref in self.outputs.items()])

    def _constants(self, nodes: Sequence[Node]) -> list[Ref]:
        """The constants in the order in which a listing shows them."""
        shown = [part for node in nodes for _, part in node.parts] + list(self.outputs.values())
        return [ref for ref in shown if ref.node.kind == "const"]


def traced(
    step: Callable[..., Mapping[str, Any]],
    shapes: Mapping[str, Shape],
    depth: int,
    *,
    tied: bool,
    wide: bool = True,
) -> Traced:
    """The step's values, for each t where it takes one and is not tied.

    wide: whether the step itself runs in float64.

    Raises:
      CompileError: for arguments and outputs that do not fit, and for what linear attention cannot
        run.
    """
    with _where_defined(step):
        takes_t = _check_signature(step, shapes, tied)
        steps = range(max(depth, 1)) if takes_t else [None]
        variants = [jaxpr_of(step, shapes, **({} if t is None else {"t": t})) for t in steps]
        names = variants[0][1]
        graph, refs, out_shapes = program_of([closed for closed, _ in variants], shapes, wide=wide)
        check_outputs(names, out_shapes, shapes)
        outputs = dict(zip(names, refs, strict=True))
        _check_used(outputs, shapes)
    return Traced(step, takes_t, depth, shapes, graph, outputs)


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


def _check_signature(
    step: Callable[..., Any], shapes: Mapping[str, tuple[int, ...]], tied: bool
) -> bool:
    """Whether the step is to be called with `t`; refuses inputs that are not arguments."""
    if not shapes:
        raise CompileError("compile: inputs must name at least one block, got {}")
    parameters = inspect.signature(step).parameters
    any_name = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    required = [
        name
        for name, p in parameters.items()
        if p.default is p.empty and p.kind is not p.VAR_KEYWORD and name not in shapes
    ]
    takes_t = "t" in parameters and "t" not in shapes
    if takes_t and tied and "t" in required:
        raise CompileError("compile: the step takes t, which needs tied=False")
    missing = [name for name in required if name != "t"]
    unknown = [name for name in shapes if name not in parameters and not any_name]
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
