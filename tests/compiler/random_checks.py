"""Whether a random step and its stack agree, by the error that plain JAX makes itself.

Both executions, in float32 and float64, against the step in plain JAX in float64. For each block,

    error <= 100 max(error of plain JAX, eps scale),    scale = max |block| over all steps,

with the error of plain JAX in float32 measured, that in float64 2^-29 of it, as eps is.
"""

import dataclasses
import textwrap
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import elsa
from elsa.compiler.dense import Weights
from elsa.compiler.stack import CompiledStack
from tests.compiler import random_programs
from tests.compiler.helpers import by_hand, draw

FACTOR = 100.0
EPS = {dtype: float(np.finfo(dtype).eps) for dtype in (np.float32, np.float64)}
DENSE = 10  # dense execution takes seconds to compile: one program of so many runs it
LARGEST = 1e12  # a program whose values grow beyond is drawn again


@dataclasses.dataclass(frozen=True)
class Program:
    """A step from a seed, and how it is to be compiled."""

    seed: int
    linear: bool
    text: str
    step: Any
    shapes: dict[str, tuple[int, ...]]
    depth: int
    options: dict[str, Any]

    @property
    def takes_t(self) -> bool:
        return self.options.get("tied") is False

    def __str__(self) -> str:
        options = "".join(f", {key}={value!r}" for key, value in self.options.items())
        call = f"stack = elsa.compile(step, SHAPES, {self.depth}{options})"
        return f"# program {self.seed}, linear={self.linear}\n{self.text}\n\n{call}\n"


def drawn(seed: int, *, linear: bool = True) -> Program:
    """The program of a seed: options, then the step."""
    rng = np.random.default_rng([seed, 7])
    takes_t = bool(rng.random() < 0.3)
    text = random_programs.source(seed, linear=linear, takes_t=takes_t)
    names: dict[str, Any] = {}
    exec(compile(text, f"<program {seed}>", "exec"), names)
    options: dict[str, Any] = {"tied": False} if takes_t else {}
    options["reassociate"] = (True, False, "gram")[int(rng.choice(3, p=[0.65, 0.25, 0.1]))]
    if rng.random() < 0.2:
        options["skip"] = "head"
    if rng.random() < 0.2:
        options["layout"] = _layout(names["SHAPES"], rng)
    return Program(
        seed, linear, text, names["step"], names["SHAPES"], int(rng.integers(1, 5)), options
    )


def _layout(shapes: dict[str, tuple[int, ...]], rng: np.random.Generator) -> elsa.BlockLayout:
    """Blocks below one another, some of them stored transposed."""
    stored = [name for name in shapes if rng.integers(2)]
    places, row = {}, 0
    for name in rng.permutation(list(shapes)):
        sides = (*shapes[str(name)], 1, 1)[:2]
        height, width = sides[::-1] if name in stored else sides
        places[str(name)] = (row, int(rng.integers(0, 3)), height, width)
        row += height
    columns = max(col + width for _, col, _, width in places.values())
    return elsa.BlockLayout(places, (row, columns), stored)


def plain(program: Program, blocks: dict[str, np.ndarray], dtype: Any) -> list[dict]:
    """The state after every step, by the step itself in plain JAX."""

    with jax.enable_x64(dtype == np.float64):  # else the constants, float64, would win
        state = {name: jnp.asarray(block, dtype) for name, block in blocks.items()}
        states, once = [state], jax.jit(program.step, static_argnames=["t"][: program.takes_t])
        for t in range(program.depth):
            state = state | once(**state, **({"t": t} if program.takes_t else {}))
            states.append(state)
        return [{n: np.asarray(v, np.float64) for n, v in state.items()} for state in states]


def check(program: Program) -> str:
    """ "agrees", "refused", "too large" or what is wrong."""
    blocks = draw(program.shapes, program.seed)
    try:
        stack = elsa.compile(program.step, program.shapes, program.depth, **program.options)
    except elsa.CompileError:
        return "refused"
    if not program.linear:
        return "something that is not linear was compiled"
    exact = plain(program, blocks, np.float64)
    scales = {n: np.max([np.abs(state[n]).max() for state in exact]) for n in exact[-1]}  # or NaN
    if not all(scale < LARGEST for scale in scales.values()):
        return "too large"
    for label, eps, out in outputs(stack, blocks, program.seed):
        for name, value in out.items():
            wanted, scale = exact[-1][name], scales[name]
            error = np.abs(np.asarray(value, np.float64).reshape(wanted.shape) - wanted).max()
            if error <= FACTOR * eps * scale:
                continue
            rough = plain(program, blocks, np.float32)[-1][name]
            own = np.abs(rough - wanted).max() * eps / EPS[np.float32]
            if not error <= FACTOR * own:
                return (
                    f"{label}: block {name} errs by {error:.2e}, plain JAX by {own:.2e}, at a "
                    f"scale of {scale:.2e}"
                )
    return "agrees"


def outputs(stack: CompiledStack, blocks: dict[str, np.ndarray], seed: int) -> Any:
    """(label, eps, outputs): weights run in NumPy, both executions; one plan serves all."""
    yield "weights in NumPy", EPS[np.float64], by_hand(stack, blocks)
    dtype = (np.float64, np.float32)[seed % 2]
    for execution in ("auto", *(["dense"] if seed % DENSE == 0 else [])):
        weights = Weights(stack.stages.heads, np.dtype(dtype))
        run = CompiledStack(stack.stages._replace(weights=weights), execution)
        yield f"{execution}, {dtype.__name__}", EPS[dtype], run(**blocks)


def report(program: Program, verdict: str) -> str:
    """What a failing test prints: the verdict and the program, ready to run."""
    return f"{verdict}\n\n{textwrap.indent(str(program), '    ')}"
