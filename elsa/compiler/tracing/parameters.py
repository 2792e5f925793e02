"""Which parameters of a primitive its rule covers, and the error for all others.

A rule that leaves a parameter unread would compute another function for some of its values, and
nobody would notice. So every rule declares what it does with each one:

    reads     the rule takes every value into account, or refuses it in words of its own
    ignores   hints, and where arrays lie: the numbers are the same for every value
    requires  the rule is right for some values only; others are refused

A parameter that is not declared comes from another version of jax. None is taken as "not asked
for", anything else is refused. One that is declared and absent is not an error.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from elsa.compiler.errors import NotLinearError
from elsa.compiler.tracing.values import Known, Operand

WAY_OUT = "leave it at its default, or do this part outside the step"


@dataclasses.dataclass(frozen=True, eq=False)
class Requirement:
    """The values of a parameter under which a rule is right, and what to say of {value} else."""

    holds: Callable[[Any], bool]
    otherwise: str


@dataclasses.dataclass(frozen=True, eq=False)
class Parameters:
    """The parameters of one primitive."""

    reads: frozenset[str] = frozenset()
    ignores: frozenset[str] = frozenset()
    requires: Mapping[str, Requirement] = dataclasses.field(default_factory=dict)

    def check(self, params: Mapping[str, Any]) -> None:
        """Refuses parameters that the rule does not cover.

        Raises:
          NotLinearError: naming parameter and value.
        """
        for name, value in params.items():
            if name in self.reads or name in self.ignores:
                continue
            if name in self.requires:
                if not self.requires[name].holds(value):
                    shown = _shown(value)
                    why = self.requires[name].otherwise.format(value=shown)
                    raise NotLinearError(f"{name}={shown}: {why}")
            elif value is not None:
                raise NotLinearError(
                    f"{name}={_shown(value)}: the compiler does not know this parameter, which may "
                    f"change the result; {WAY_OUT}"
                )


def parameters(reads: str = "", ignores: str = "", **requires: Requirement) -> Parameters:
    """Names in one string, requirements by name."""
    return Parameters(frozenset(reads.split()), frozenset(ignores.split()), requires)


@dataclasses.dataclass(frozen=True, eq=False)
class Rule:
    """From graph, equation and operands to values, and the parameters under which that is right."""

    function: Callable[..., Sequence[Operand]]
    parameters: Parameters


def rule(
    function: Callable[..., Sequence[Operand]],
    reads: str = "",
    ignores: str = "",
    **requires: Requirement,
) -> Rule:
    """A rule with its parameters declared."""
    return Rule(function, parameters(reads, ignores, **requires))


def _shown(value: Any) -> str:
    """A value as the user wrote it: dtypes by name."""
    try:
        return str(np.dtype(value)) if value is not None else "None"
    except TypeError:
        return f"{value!r}"


def _is_float64(dtype: Any) -> bool:
    return dtype is None or np.dtype(dtype) == np.float64


def _is_no_narrower(precision: Any) -> bool:
    """True for a dtype with at least the digits of float64, or where none is requested."""
    named = precision if isinstance(precision, tuple) else (precision,)
    preset = jax.lax.DotAlgorithmPreset
    return all(
        one is None
        or isinstance(one, jax.lax.Precision)
        or (isinstance(one, preset) and one in (preset.DEFAULT, preset.F64_F64_F64))
        for one in named
    )


FLOAT64 = Requirement(
    _is_float64,
    "data would become {value}; a step is traced in float64 and stays in it: leave conversions "
    "out, and give compile the dtype to compute in",
)
NO_NARROWER = Requirement(
    _is_no_narrower,
    "products are computed in full precision; name a jax.lax.Precision, or leave it out",
)


def at_least(bits: int) -> Requirement:
    """As many bits as float64 has, so that nothing is rounded."""
    return Requirement(
        lambda given: given >= bits,
        f"the stack rounds to its own dtype only; {bits} bits are those of float64, and dtype of "
        "compile is the way to compute in fewer",
    )


def require_finite(known: Sequence[Known]) -> None:
    """Refuses constants that hold NaN or infinity.

    Raises:
      NotLinearError: without naming the constant.
    """
    for value in known:
        if value.array.dtype.kind == "f" and not np.isfinite(value.array).all():
            raise NotLinearError("a constant holds NaN or infinity")
