"""Rules for whole powers of numbers, which are multiplied out."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from elsa.compiler.errors import NotLinearError
from elsa.compiler.tracing.arithmetic import INVERSE
from elsa.compiler.tracing.graph import Graph
from elsa.compiler.tracing.parameters import Rule, rule
from elsa.compiler.tracing.values import Known, Operand, Value

MAX_POWER = 64


def _power(graph: Graph, eqn: Any, value: Value) -> Sequence[Operand]:
    return [_power_of(graph, value, eqn.params.get("y", 2))]  # a square has no parameter


def _power_by_number(
    graph: Graph, eqn: Any, value: Operand, exponent: Operand
) -> Sequence[Operand]:
    """x**2.0, where the exponent is a number."""
    given = exponent.array.reshape(-1) if isinstance(exponent, Known) else np.zeros(0)
    if not isinstance(value, Value) or not len(given) or (given != given[0]).any():
        raise NotLinearError
    if given[0] != np.rint(given[0]) or abs(given[0]) > MAX_POWER:
        raise NotLinearError
    return [_power_of(graph, value, int(given[0]))]


def _power_of(graph: Graph, value: Value, exponent: int) -> Operand:
    if exponent == 0:
        return Known(np.ones((graph.variants, *value.shape)))
    if exponent == 1:
        return value
    if exponent < 0:
        raise NotLinearError(f"division by data; {INVERSE}")
    if value.ref.shape != (1, 1):
        raise NotLinearError(
            "an element-wise power of a data block; only 1 x 1 blocks have whole powers, and only "
            "non-negative ones; a square may be summed over, as in jnp.sum(w**2)"
        )
    out = value.ref
    for _ in range(exponent - 1):
        out = graph.mul(out, value.ref)
    return Value(out, value.shape)


RULES: dict[str, Rule] = {
    "integer_pow": rule(_power, reads="y"),
    "pow": rule(_power_by_number),
    "square": rule(_power),
}
