"""What a stack's outputs should be after every step, and where they are others."""

import dataclasses
import inspect
import itertools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from elsa.base.checks import matrix_shape
from elsa.base.precision import exact
from elsa.nn import inside
from elsa.nn.block_stack import BlockStack
from elsa.readback.diagnose_layers import Program

Step = Callable[..., Mapping[str, Any]]
Outputs = dict[str, np.ndarray]
TIED_ROUNDS = 3  # steps of a tied stack that are looked at, where each of them is known


@dataclasses.dataclass(frozen=True, eq=False)
class Probe:
    """Blocks to try a stack on.

    given: the blocks.
    prompt: what the stack packs of them, float64.
    wanted: step -> the outputs after it; the start is step 0 where it is known.
    """

    given: Mapping[str, Array]
    prompt: np.ndarray
    wanted: Mapping[int, Outputs]

    def scale(self, name: str) -> tuple[float, float]:
        """The largest entry that an output should have, and its largest change in a step."""
        seen = [self.wanted[step][name] for step in sorted(self.wanted)]
        start = [np.asarray(self.given[name], np.float64)] if name in self.given else []
        peak = max(float(np.abs(value).max()) for value in [*seen, *start])
        path = [*start, *seen] if start and 0 not in self.wanted else seen
        moves = [float(np.abs(b - a).max()) for a, b in itertools.pairwise(path)]
        return peak, max(moves, default=peak)


def probe(stack: BlockStack, step: Step | BlockStack | None, blocks: Mapping[str, Any]) -> Probe:
    """Blocks of a call, packed, and what they should become, where that is known.

    Raises:
      ValueError: for a step that takes or returns other blocks than the stack.
      TypeError: where there is neither a step nor a reference.
    """
    given = inside.given_blocks(stack, blocks)
    prompt = np.asarray(inside.packed_prompt(stack, given), np.float64)
    depth = stack.stack.depth
    if isinstance(step, BlockStack):
        return Probe(given, prompt, {})
    if step is None:
        return Probe(given, prompt, {depth: inside.own_answer(stack, given)})
    rounds = depth if not stack.stack.tied else min(depth, TIED_ROUNDS)
    return Probe(given, prompt, _states(stack, step, given, rounds))


def outputs(stack: BlockStack, program: Program, tried: Probe) -> dict[int, Outputs]:
    """The outputs of some layers after each step that is known."""
    rounds = max(tried.wanted, default=0)
    with np.errstate(all="ignore"):
        ended = program.boundaries(tried.prompt, rounds)
    return {step: _read(stack, ended[step], tried) for step in tried.wanted}


def differs(
    stack: BlockStack, program: Program, probes: list[Probe], *, noise: float | None = None
) -> tuple[int, str] | None:
    """The first step and output at which the outputs are not what they should be.

    noise: of a number, relative; where None, that of the stack's dtype.
    """
    noise = max(float(np.finfo(stack.dtype).eps), 1e-12) if noise is None else noise
    for tried in probes:
        found = outputs(stack, program, tried)
        for step in sorted(tried.wanted):
            for name, wanted in tried.wanted[step].items():
                peak, move = tried.scale(name)
                error = np.abs(found[step][name].reshape(wanted.shape) - wanted).max()
                if not error <= noise * (30.0 * peak + 1000.0 * move) + np.finfo(np.float32).tiny:
                    return step, name
    return None


def _read(stack: BlockStack, h: np.ndarray, tried: Probe) -> Outputs:
    layout, read = stack.readout, {}
    for name in stack.outputs:
        box = layout.box(name)
        block = h[box.row : box.rows.stop, box.col : box.channels.stop]
        read[name] = block.T if name in layout.transposed else block
    return inside.answer(stack, read, tried.given)


@exact
def _states(
    stack: BlockStack, step: Step, given: Mapping[str, Array], rounds: int
) -> dict[int, Outputs]:
    """The outputs after 0 .. rounds applications of a step, in float64."""
    parameters = inspect.signature(step).parameters
    takes_all = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    needed = [
        name
        for name, p in parameters.items()
        if p.default is p.empty and p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL) and name != "t"
    ]
    absent = [name for name in needed if name not in given]
    if absent:
        raise ValueError(
            f"diagnose: step must take blocks of the stack, {list(given)}, but it needs {absent}"
        )
    takes_t = "t" in parameters and "t" not in given
    # A step whose last layers are others at each t has known outputs at the end alone.
    ends_only = not stack.stack.tied and len(stack.stack.epilogue) > 0
    with jax.enable_x64(True), np.errstate(all="ignore"):
        state = {
            name: jnp.asarray(np.asarray(value, np.float64)).reshape(stack.inputs[name])
            for name, value in given.items()
        }
        seen: dict[int, Outputs] = {}
        names: list[str] = []
        for t in range(rounds + 1):
            own = {n: v for n, v in state.items() if takes_all or n in parameters}
            if t > 0:
                made = step(**own, **({"t": t - 1} if takes_t else {}))
                names = [name for name in made if name in stack.outputs]
                if not names:
                    raise ValueError(
                        f"diagnose: step must return some of the stack's outputs, "
                        f"{list(stack.outputs)}, got {list(made)}"
                    )
                state |= {n: jnp.asarray(v, jnp.float64) for n, v in made.items()}
                seen[t] = {n: _matrix(stack, n, state[n]) for n in names}
        if ends_only:
            return {rounds: seen[rounds]} if rounds else {}
        return seen


def _matrix(stack: BlockStack, name: str, value: Any) -> np.ndarray:
    return np.asarray(value, np.float64).reshape(matrix_shape(stack.outputs[name]))
