"""A compiled stack in words: counts, how it was planned, one line for each head."""

from typing import TYPE_CHECKING

from elsa.compiler.emitting.program import Program
from elsa.compiler.planning.layers import Schedule
from elsa.nn.listing import edited_heads, heads_by_layer

if TYPE_CHECKING:
    from elsa.compiler.stack import CompiledStack

_TALL = 8  # times as long as wide: from there on "gram" is worth a word


def listing(stack: "CompiledStack") -> str:
    """A readable summary: counts and plan, then one line for each head, in its formula."""
    program = stack.program
    name = getattr(program.step, "__name__", "step")
    rows, channels = program.slots.shape
    lines = [
        f"{name}, {stack.depth} steps: {stack.num_layers} layers, {stack.num_heads} heads, prompt "
        f"{rows} x {channels}, {stack.num_parameters} parameters stored, "
        f"{stack.num_nonzeros} not zero",
        f"  plan: {plan(program)}",
    ]
    first, last = program.parts
    shown = program.layers[: first + len(program.schedule.step)]
    shown += program.layers[len(program.layers) - last :]
    step = f"step, {program.schedule.depth} times" + ", numbers of t = 0" * (program.variants > 1)
    body = first, first + len(program.schedule.step)
    lines += heads_by_layer(shown, edited_heads(stack), body, step=step, loads=bool(program.moves))
    return "\n".join(lines)


def plan(program: Program) -> str:
    """How the step's products were planned, what that costs, and whether "gram" is worth a try."""
    if program.reassociate == "gram":
        measured = ", ".join(f"{m.ratio:.2g} at {m.scale:.2g}" for m in program.rounding)
        return (
            "gram, products distributed and regrouped within the step; rounding over that of the "
            f"step itself, by the norm of drawn blocks: {measured or 'not measured'}"
        )
    schedule = program.schedule
    words = "products as the step forms them"
    if schedule.residuals:
        names = sorted(program.slots.names[chain] for chain in schedule.residuals)
        words += f", {' and '.join(names)} carried as {'states' if names[1:] else 'a state'}"
    tall = [shape for shape in _read(schedule) if max(shape) >= _TALL * min(shape) > _TALL]
    if tall and (schedule.residuals or len(schedule.step) > 1):
        rows, columns = max(tall, key=max)
        side = min(rows, columns)
        words += (
            f'\n    reassociate="gram" may multiply {side} x {side} matrices in every step in '
            f"place of {rows} x {columns}\n    ones: faster, with fewer digits where they are "
            "ill-conditioned"
        )
    return words


def _read(schedule: Schedule) -> set[tuple[int, int]]:
    """Shapes of what the step multiplies and does not write itself."""
    written = {assign.target for layer in schedule.step for assign in layer}
    products = [p for layer in schedule.step for assign in layer for p in assign.products]
    operands = {chain for p in products if len(p.operands) > 1 for chain, _ in p.operands}
    return {chain.shape for chain in operands - written}
