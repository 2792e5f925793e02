"""The schedule's values computed directly: slices and small products, no zeros multiplied.

The same products as the heads', on the blocks themselves; only what the step reads and writes is
carried through the scan. A residual is computed from the new states, X w' - y, which is what its
heads add up to, and costs what it costs in the step itself.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from elsa.base.jit import jitted
from elsa.base.precision import exact
from elsa.compiler.emitting.applied import Applied, applied
from elsa.compiler.emitting.works import works
from elsa.compiler.planning.chains import Chain
from elsa.compiler.planning.layers import Layer, Plan, Schedule
from elsa.compiler.planning.products import Product
from elsa.compiler.tracing.constants import Constant, Varied
from elsa.compiler.tracing.graph import Ref, constant_of

Environment = Mapping[Chain, jax.Array]
Factor = jax.Array | Applied
Numbers = Any  # a tree of arrays: the coefficients and constants of some layers
Term = tuple[float, jax.Array]  # a number and what it multiplies


def numbers_of(layers: Sequence[Layer]) -> Numbers:
    """Every number of the layers in order, [variants, ...], float64."""
    return [
        [[[_applied(c) for c in work.numbers] for work in works(assign)] for assign in layer]
        for layer in layers
    ]


def _applied(constant: Constant | None) -> np.ndarray | Applied | None:
    return None if constant is None else applied(constant)


@jitted("plan", "trace")
@exact
def answers(
    plan: Plan, blocks: dict[str, jax.Array], *, trace: bool
) -> tuple[dict[str, jax.Array], dict[str, jax.Array]]:
    """All layers on the blocks.

    Returns:
      The outputs at the end, and, with `trace`, what they would be if the stack ended after each
      step, [depth, ...]; else nothing.
    """
    schedule, inputs = plan.schedule, {plan.inputs[name]: block for name, block in blocks.items()}
    steps, refresh = schedule.direct, _variant(numbers_of(schedule.refresh), 0)
    step_numbers, late_numbers = numbers_of(steps), numbers_of(schedule.epilogue)
    variants = max((len(leaf) for leaf in jax.tree.leaves([step_numbers, late_numbers])), default=1)
    dtype = next(iter(blocks.values())).dtype
    env = _layers(schedule.prologue, _variant(numbers_of(schedule.prologue), 0), inputs)
    keys = schedule.carried
    fixed = {chain: value for chain, value in env.items() if chain not in keys}

    def period(
        state: list[jax.Array], own: Numbers
    ) -> tuple[list[jax.Array], dict[str, jax.Array]]:
        step, late = own if own is not None else _variant([step_numbers, late_numbers], 0)
        after = _layers(steps, step, {**fixed, **dict(zip(keys, state, strict=True))})
        after = _layers(schedule.refresh, refresh, after)
        if not trace:
            return [after[key] for key in keys], {}
        ended = _layers(schedule.epilogue, late, after)
        return [after[key] for key in keys], {name: ended[c] for name, c in plan.outputs.items()}

    each = None
    if variants > 1:
        each = jax.tree.map(lambda a: jnp.asarray(a, dtype), [step_numbers, late_numbers])
    state, seen = jax.lax.scan(period, [env[key] for key in keys], each, length=schedule.depth)
    env = {**fixed, **dict(zip(keys, state, strict=True))}
    if schedule.depth:
        env = _layers(schedule.epilogue, _variant(late_numbers, -1), env)
    return {name: env[chain] for name, chain in plan.outputs.items()}, seen


def _variant(numbers: Numbers, index: int) -> Numbers:
    return jax.tree.map(lambda a: a[index], numbers)


def _layers(layers: Sequence[Layer], numbers: Numbers, env: Environment) -> dict[Chain, jax.Array]:
    """The values after some layers; all that a layer reads is read before it writes."""
    now = dict(env)
    dtype = next(iter(now.values())).dtype
    for layer, layer_numbers in zip(layers, numbers, strict=True):
        written = {}
        for assign, factors in zip(layer, layer_numbers, strict=True):
            terms = [
                _COMPUTED[work.kind](work.like, [_rounded(c, dtype) for c in constants], now)
                for work, constants in zip(works(assign), factors, strict=True)
            ]
            zero = jnp.zeros(assign.target.shape, dtype)
            written[assign.target] = _summed(terms) if terms else zero
        now.update(written)
    return now


def _summed(terms: Sequence[Term]) -> jax.Array:
    """sum_i c_i A_i; what is multiplied by the same number, but for its sign, is summed first.

    So w - eta A w + eta b - eta lam w is w - eta (A w - b + lam w), as one would write it: one
    multiplication, and what nearly cancels does so before it is rounded beside w.
    """
    groups: dict[float, Term] = {}
    for coefficient, value in terms:
        size = abs(coefficient)
        if size not in groups:
            groups[size] = coefficient, value
            continue
        first, total = groups[size]
        groups[size] = first, (total + value if first == coefficient else total - value)
    products = [value if first == 1.0 else first * value for first, value in groups.values()]
    return sum(products[1:], products[0])


def _rounded(constant: Any, dtype: np.dtype) -> Any:
    """A number, or what a constant is, in the precision of the blocks."""
    if constant is None or (np.ndim(constant) == 0 and not isinstance(constant, Applied)):
        return constant
    return constant.astype(dtype) if isinstance(constant, Applied) else jnp.asarray(constant, dtype)


def _product(like: Product, numbers: Sequence[Any], env: Environment) -> Term:
    coefficient, left, middle, right = numbers
    operands = _operands(like, env)
    value = _ordered([left, *operands[:1], middle], operands[1:], right, like.first)
    if isinstance(coefficient, jax.Array):
        return 1.0, coefficient * value
    return float(coefficient), value


def _masked(like: Product, numbers: Sequence[Any], env: Environment) -> Term:
    (mask,), (block, *others) = numbers, _operands(like, env)
    return 1.0, mask * _ordered([block], others, None, like.first)


def _multiple(like: Product, numbers: Sequence[Any], env: Environment) -> Term:
    (matrix,), (block, scalar) = numbers, _operands(like, env)
    return 1.0, (block if matrix is None else _times(block, matrix)) * scalar


def _inner(like: Product, numbers: Sequence[Any], env: Environment) -> Term:
    (left, right), (a, b) = numbers, _operands(like, env)
    return 1.0, jnp.sum((left @ a) * (b @ right).T).reshape(1, 1)


_COMPUTED = {"product": _product, "mask": _masked, "multiple": _multiple, "inner": _inner}


def _operands(like: Product, env: Environment) -> list[jax.Array]:
    return [env[chain].T if flip else env[chain] for chain, flip in like.operands]


def _ordered(
    head: Sequence[Factor | None],
    rest: Sequence[Factor],
    right: Factor | None,
    first: str | None,
) -> jax.Array:
    """The product of head, rest and right; the step's own order where it has one."""
    ahead = [factor for factor in head if factor is not None]
    behind = [] if right is None else [right]
    if first == "left":
        return chain_product([chain_product([*ahead, rest[0]]), rest[1], *behind])
    if first == "right":
        return chain_product([*ahead, chain_product([*rest, *behind])])
    return chain_product([*ahead, *rest, *behind])


def chain_product(factors: Sequence[Factor]) -> jax.Array:
    """The product of matrices in the order of association with the fewest multiplications.

    Among orders that cost the same the left one, (A B) C, as Python reads A @ B @ C. It matters:
    with Z near A^-1, rounding in (Z A) Z acts on a vector after Z has made it small, rounding in
    Z (A Z) before.
    """
    best = _best_orders([_side(factor) for factor in factors])

    def build(i: int, j: int) -> Factor:
        if i == j:
            return factors[i]
        k = -best[i, j][1]
        return _times(build(i, k), build(k + 1, j))

    whole = build(0, len(factors) - 1)
    return whole.full() if isinstance(whole, Applied) else whole


class _Side(NamedTuple):
    """Of a factor: its shape, and its multiplications for every column, or row, of the other."""

    shape: tuple[int, int]
    cost: int | None = None  # rows x columns


def _side(factor: Factor) -> _Side:
    if isinstance(factor, Applied):
        return _Side(factor.shape, factor.cost)
    return _Side((factor.shape[0], factor.shape[1]))


def _best_orders(sides: Sequence[_Side]) -> dict[tuple[int, int], tuple[int, int]]:
    """For factors i .. j: the fewest multiplications, and minus the left part's last factor."""
    sizes = [sides[0].shape[0], *(side.shape[1] for side in sides)]
    best = {(i, i): (0, i) for i in range(len(sides))}

    def cost(i: int, k: int, j: int) -> int:
        left = sides[i].cost if i == k else None
        right = sides[j].cost if j == k + 1 else None
        if left is not None:
            return left * sizes[j + 1]
        if right is not None:
            return sizes[i] * right
        return sizes[i] * sizes[k + 1] * sizes[j + 1]

    for span in range(1, len(sides)):
        for i in range(len(sides) - span):
            j = i + span
            best[i, j] = min(
                (best[i, k][0] + best[k + 1, j][0] + cost(i, k, j), -k) for k in range(i, j)
            )
    return best


def cost_of_step(schedule: Schedule) -> int:
    """Multiplications of one step computed on the blocks."""
    total = 0
    for layer in (*schedule.direct, *schedule.refresh):
        for assign in layer:
            for product in assign.products:
                chains = [_Side(c.shape[::-1] if flip else c.shape) for c, flip in product.operands]
                constants = [
                    None if ref is None else _constant_side(ref)
                    for ref in (product.left, product.middle, product.right)
                ]
                factors = [constants[0], *chains[:1], constants[1], *chains[1:], constants[2]]
                present = [side for side in factors if side is not None]
                total += _best_orders(present)[0, len(present) - 1][0]
                total += present[0].shape[0] * present[-1].shape[1]
    return total


def _constant_side(ref: Ref) -> _Side:
    constant = constant_of(ref)
    stored = max(m.stored for m in constant.each) if isinstance(constant, Varied) else None
    return _Side(ref.shape, stored)


def _times(a: Factor, b: Factor) -> jax.Array:
    """The matrix product; entry by entry where nothing is summed, which fuses with what follows."""
    if isinstance(a, Applied):
        assert not isinstance(b, Applied), "constants are multiplied while planning"
        return a.times(b)
    if isinstance(b, Applied):
        return b.T.times(a.T).T
    return a * b if a.shape[1] == 1 else a @ b
