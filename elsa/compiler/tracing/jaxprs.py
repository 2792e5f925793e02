"""A step's jaxpr in float64: made, compared, and traced back to the user's lines."""

import linecache
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.extend.core import Literal

from elsa.base import checks, jax_versions
from elsa.compiler.errors import CompileError

Shape = tuple[int, ...]
PLACES = {"start_indices", "limit_indices"}  # of a slice: numbers, where it is of a constant
_ASKS_FOR_VALUES = (
    jax.errors.ConcretizationTypeError,
    jax.errors.TracerIntegerConversionError,
)


def jaxpr_of(
    step: Callable[..., Mapping[str, Any]], inputs: Mapping[str, Shape], **extra: int
) -> tuple[Any, tuple[str, ...]]:
    """The step's closed jaxpr in float64 shapes, and the names of what it returns.

    Raises:
      CompileError: where the step does not return a dict of arrays, or raises while it is traced
        with the shapes given; the original error is its cause.
    """
    names: list[str] = []

    def flat(*arrays: Any) -> list[Any]:
        out: Any = step(**dict(zip(inputs, arrays, strict=True)), **extra)
        if not isinstance(out, Mapping):
            kind = "an array" if isinstance(out, jax.Array) else type(out).__name__
            raise CompileError(
                f"compile: the step must return a dict of updated arrays, got {kind}"
            )
        names[:] = list(out)
        for name, value in out.items():
            _require_array(name, value)
        return [out[name] for name in names]

    with jax.enable_x64(True):
        arguments = [jax.ShapeDtypeStruct(shape, np.float64) for shape in inputs.values()]
        try:
            closed = jax.make_jaxpr(flat)(*arguments)
        except CompileError:
            raise
        except jax.errors.TracerArrayConversionError as error:
            raise CompileError(
                f"compile: the step hands a block to NumPy ({raised_at(error)}), which needs its "
                "numbers; write jnp in place of np: jnp.dot for np.dot"
            ) from error
        except _ASKS_FOR_VALUES as error:
            raise CompileError(
                f"compile: the step asks for the value of a block ({raised_at(error)}): linear "
                "attention cannot branch on data or take it as a Python number; write both cases "
                "with coefficients"
            ) from error
        except Exception as error:
            place, said = raised_at(error), str(error)
            if "inhomogeneous" in said:
                said = "a list whose rows differ in length is no array"
            raise CompileError(
                f"compile: the step could not be traced with inputs {dict(inputs)}"
                f"{f' ({place})' if place else ''}: {said}"
            ) from error
    return closed, tuple(names)


def _require_array(name: Any, value: Any) -> None:
    if not isinstance(name, str):
        raise CompileError(f"compile: the step must return blocks by name, got the key {name!r}")
    try:
        kind = jax.eval_shape(lambda: value)
    except TypeError:
        kind = None
    if not isinstance(kind, jax.ShapeDtypeStruct):
        raise CompileError(
            f"compile: the step must return an array for {name!r}, got {type(value).__name__}"
        )


def signature(jaxpr: Any) -> tuple[Any, ...]:
    """The structure of a jaxpr: equations, shapes and wiring, but no number, and no place."""
    number: dict[Any, int] = {}

    def atom(v: Any) -> object:
        return "literal" if isinstance(v, Literal) else number.setdefault(v, len(number))

    rows = [tuple(atom(v) for v in (*jaxpr.constvars, *jaxpr.invars))]
    for eqn in jaxpr.eqns:
        params = tuple(
            (key, signature(inner) if (inner := _jaxpr_in(value)) is not None else str(value))
            for key, value in sorted(eqn.params.items())
            if key not in PLACES and (not callable(value) or _jaxpr_in(value) is not None)
        )
        shapes = tuple(str(v.aval) for v in eqn.outvars)
        wires = tuple(atom(v) for v in eqn.invars), tuple(atom(v) for v in eqn.outvars)
        rows.append((eqn.primitive.name, params, shapes, *wires))
    rows.append(tuple(atom(v) for v in jaxpr.outvars))
    return tuple(rows)


def _jaxpr_in(value: Any) -> Any | None:
    inner, _ = jax_versions.opened(value)
    return inner if hasattr(inner, "eqns") else None


def live(jaxpr: Any) -> list[int]:
    """The equations that an output depends on, in order."""
    needed = {v for v in jaxpr.outvars if not isinstance(v, Literal)}
    kept = []
    for index in range(len(jaxpr.eqns) - 1, -1, -1):
        eqn = jaxpr.eqns[index]
        if any(v in needed for v in eqn.outvars):
            kept.append(index)
            needed |= {v for v in eqn.invars if not isinstance(v, Literal)}
    return kept[::-1]


def location(eqn: Any) -> str:
    """`file, line n: source` of the user's code, empty for equations inside a library call."""
    line = jax_versions.user_line(eqn)
    return _shown(*line) if line else ""


def raised_at(error: BaseException) -> str:
    """The innermost line outside jax, NumPy and this module that an error passed through."""
    inside = (str(Path(jax.__file__).parent), str(Path(np.__file__).parent), __file__)
    for frame, line in reversed(list(traceback.walk_tb(error.__traceback__))):
        path = frame.f_code.co_filename
        if not path.startswith(inside):
            return _shown(path, line)
    return ""


def _shown(path: str, line: int) -> str:
    text = linecache.getline(path, line).strip()
    return f"{Path(path).name}, line {line}" + (f": `{text}`" if text else "")


def check_outputs(
    names: Sequence[str], shapes: Sequence[Shape], inputs: Mapping[str, Shape]
) -> None:
    """Refuses outputs that are not inputs, or of another shape.

    Raises:
      CompileError: naming the output.
    """
    if not names:
        raise CompileError("compile: the step must return at least one updated block, got {}")
    for name, shape in zip(names, shapes, strict=True):
        if name not in inputs:
            try:
                checks.names("compile", "block returned by the step", [name], inputs)
            except KeyError as error:
                raise CompileError(
                    f"{error.args[0]}; add it to inputs, with its shape and what it starts from "
                    "in every call"
                ) from None
        wanted = inputs[name]
        if tuple(shape) != tuple(wanted):
            raise CompileError(
                f"compile: the step must return {name!r} in its own shape {tuple(wanted)}, "
                f"got {tuple(shape)}"
            )
