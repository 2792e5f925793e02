"""Random steps as source text: jnp and lax calls, loops, gradients, and what is not linear.

`source(seed)` writes a module with `step` and `SHAPES`. An expression is drawn for the shape it is
to have: `expression((3, 2), fuel)` picks one of the forms that give that shape (random_forms) and
draws its operands in the same way, until the fuel is spent. Products are divided by the inner size
and loops contract, so that values stay near 1 unless a constant is drawn to be ill-scaled.
"""

import dataclasses
from collections.abc import Iterable

import numpy as np

from tests.compiler import random_product_forms
from tests.compiler.random_forms import ANY
from tests.compiler.random_matrix_forms import MATRIX
from tests.compiler.random_unusual_forms import unusual
from tests.compiler.random_vector_forms import NUMBER, VECTOR

FORMS = {
    2: [*ANY, *MATRIX, *random_product_forms.MATRIX],
    1: [*ANY, *VECTOR, *random_product_forms.VECTOR],
    0: [*NUMBER, *random_product_forms.NUMBER],
}
UNUSUAL = 0.02  # of the forms
PRELUDE = """\
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax


def const(seed, *shape, scale=1.0):
    return scale * np.random.default_rng(seed).normal(size=shape)


@jax.custom_jvp
def twice(x):
    return 2.0 * x


twice.defjvp(lambda primals, tangents: (twice(*primals), 2.0 * tangents[0]))

"""
NAMES = ("A", "B", "C", "w", "y", "s")
NONLINEAR = (
    "jnp.exp({0})",
    "jnp.sin({0})",
    "jnp.abs({0})",
    "jnp.maximum({0}, 0.1)",
    "jnp.sqrt(1.0 + {0} * {0})",
    "jnp.tanh({0})",
    "1.0 / (2.0 + {0})",
    "{0} / (1.5 + jnp.vdot({1}, {1}))",
    "jnp.where({0} > 0, {0}, 0.5)",
    "jnp.sort({0}, axis=None).reshape({2})",
    "jax.nn.softmax({0}, axis=None)",
    "jnp.round({0})",
    "{0}.astype(jnp.float32).astype({0}.dtype) + jnp.sign({0})",
    "lax.reduce_precision(jnp.cos({0}), 8, 7)",
    "({0}) ** 1.5",
    "({0}) ** -1",
    "jnp.cumprod(({0}).ravel()).reshape({2})",
    "{0} * jnp.linalg.norm({0})",
    "lax.while_loop(lambda x: jnp.sum(x) < -3.0, lambda x: x + 1.0, {0})",
    "lax.fori_loop(0, 2, lambda i, x: jnp.cos(x), {0})",
    "jax.grad(lambda x: jnp.sum(jnp.exp(0.1 * x)))({0})",
    "jax.vmap(jnp.sin)({0}[None])[0]",
)


@dataclasses.dataclass
class Writer:
    """What is drawn so far: names with their shapes, lines, and whether t may be used."""

    rng: np.random.Generator
    pool: list[tuple[str, tuple[int, ...]]]
    sizes: list[int]
    takes_t: bool = False
    loops: int = 0
    fresh: int = 0

    def name(self) -> str:
        self.fresh += 1
        return f"v{self.fresh}"

    def pick(self, options):
        return options[int(self.rng.integers(len(options)))]

    def chance(self, probability: float) -> bool:
        return bool(self.rng.random() < probability)

    def size(self) -> int:
        return self.pick(self.sizes)

    def shape(self) -> tuple[int, ...]:
        rank = int(self.rng.choice([0, 1, 2], p=[0.1, 0.2, 0.7]))
        return tuple(self.size() for _ in range(rank))

    def number(self) -> str:
        """A factor near 1, now and then an ill-scaled one, now and then one of t."""
        value = self.rng.uniform(0.2, 1.0) * self.pick([1, 1, -1])
        if self.chance(0.1):
            value *= 10.0 ** self.rng.uniform(-3, 3)
        if self.takes_t and self.chance(0.3):
            return self.pick([f"({value:.3g} + 0.1 * t)", f"{value:.3g} * 0.9 ** t", "(t > 0)"])
        return f"{value:.3g}"

    def constant(self, *shape: int) -> str:
        scale = 10.0 ** self.rng.uniform(-3, 3) if self.chance(0.1) else 1.0 / max(shape, default=1)
        sizes = "".join(f", {size}" for size in shape)
        return f"const({self.rng.integers(1000)}{sizes}, scale={scale:.2g})"

    def leaf(self, shape: tuple[int, ...]) -> str:
        """A name of that shape, or another one between constants, rarely a constant."""
        fitting = [name for name, own in self.pool if own == shape]
        if fitting and self.chance(0.9):
            return fitting[-1] if self.chance(0.5) else self.pick(fitting)
        if self.chance(0.1):
            return f"jnp.asarray({self.constant(*shape)})"
        name, own = self.pick(self.pool)
        rows, columns = (*own, 1, 1)[:2]
        height, width = (*shape, 1, 1)[:2]
        whole = name if len(own) == 2 else f"jnp.reshape({name}, ({rows}, {columns}))"
        made = f"({self.constant(height, rows)} @ {whole} @ {self.constant(columns, width)})"
        if len(shape) == 2:
            return made
        return f"{made}[:, 0]" if len(shape) == 1 else f"{made}[0, 0]"

    def within(self, *names: tuple[str, tuple[int, ...]]) -> "Writer":
        """A writer for the body of a function with arguments of its own."""
        hidden = {name for name, _ in names}
        outer = [entry for entry in self.pool if entry[0] not in hidden]
        return dataclasses.replace(self, pool=[*outer, *names])

    def expression(self, shape: tuple[int, ...], fuel: int) -> str:
        if fuel <= 0:
            return self.leaf(shape)
        for _ in range(20):
            form = unusual if self.chance(UNUSUAL) else self.pick(FORMS[len(shape)])
            text = form(self, shape, fuel - 1)
            if text is not None:
                return f"({text})"
        return self.leaf(shape)


def source(seed: int, *, linear: bool = True, takes_t: bool = False) -> str:
    """A module with `step` and `SHAPES`; with linear=False one output depends on no polynomial."""
    rng = np.random.default_rng([seed, linear, takes_t])
    sizes = [int(size) for size in rng.choice([1, 2, 3, 4, 5], 3, p=[0.2, 0.25, 0.25, 0.2, 0.1])]
    w = Writer(rng, [], sizes, takes_t)
    shapes = {name: w.shape() for name in NAMES[: rng.integers(2, 6)]}
    if all(len(shape) < 2 for shape in shapes.values()):
        shapes["A"] = (sizes[0], sizes[1])
    w.pool = list(shapes.items())
    lines = []
    for _ in range(rng.integers(1, 6)):
        lines += statement(w)
    outputs = {}
    for name in rng.permutation(list(shapes))[: rng.integers(1, len(shapes) + 1)]:
        value = w.expression(shapes[str(name)], int(rng.integers(1, 4)))
        outputs[str(name)] = f"{rng.uniform(-0.6, 0.6):.2g} * {name} + {w.number()} * {value}"
    for name in sorted(shapes.keys() - outputs.keys() - _reached(lines, outputs.values())):
        outputs[name] = f"0.5 * {name} + {w.leaf(shapes[name])}"
    for name in sorted(shapes.keys() - outputs.keys()):
        if w.chance(0.7):  # jax may drop what the text names, and unused inputs are refused
            outputs[name] = name
    if not linear:
        name = w.pick(list(outputs))
        inside = w.expression(shapes[name], 1)
        form = w.pick(NONLINEAR).format(f"({name} + {inside})", name, shapes[name])
        outputs[name] = f"{outputs[name]} + 0.1 * {form}"
    arguments = ", ".join([*shapes, *(["*", "t"] if takes_t else [])])
    body = "".join(f"    {line}\n" for line in lines)
    returned = "".join(f"        {name!r}: {value},\n" for name, value in outputs.items())
    return (
        f"{PRELUDE}\nSHAPES = {shapes!r}\n\n\ndef step({arguments}):\n{body}"
        f"    return {{\n{returned}    }}\n"
    )


def statement(w: Writer) -> list[str]:
    """Lines that give one more name a value: an expression, or a loop written out by Python."""
    shape, name = w.shape(), w.name()
    if not w.chance(0.12):
        lines = [f"{name} = {w.expression(shape, int(w.rng.integers(1, 4)))}"]
    else:
        start = w.leaf(shape)
        body = w.within((name, shape)).expression(shape, 2)
        turn = f"0.5 * {name} - {w.rng.uniform(0.05, 0.3):.2g} * {body}"
        if shape and w.chance(0.5):  # gradient descent, up to the edge of stability: norms are 1
            side = w.size()
            matrix = w.leaf((side, shape[0]))
            residual = f"({matrix}) @ {name} - {w.leaf((side, *shape[1:]))}"
            turn = f"{name} - {w.rng.uniform(0.2, 1.9):.2g} * ({matrix}).T @ ({residual})"
        lines = [
            f"{name} = {start}",
            f"for _ in range({w.rng.integers(2, 13)}):",
            f"    {name} = {turn}",
        ]
    w.pool.append((name, shape))
    return lines


def _reached(lines: list[str], outputs: Iterable[str]) -> set[str]:
    """Every name that the outputs are made from."""
    found = set().union(*map(_words, outputs))
    for line in reversed(lines):
        name, _, value = line.strip().partition(" = ")
        if name in found:
            found |= _words(value)
    return found


def _words(text: str) -> set[str]:
    return set("".join(c if c.isalnum() or c == "_" else " " for c in text).split())
