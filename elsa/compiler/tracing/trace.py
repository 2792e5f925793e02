"""From the jaxprs of a step to a program of matrix values.

Library calls that are jitted are entered, loops of static length are unrolled, equations without
data are evaluated, and every other one goes through a rule of `rules`. What has no rule is an error
only where an output depends on it: `jax.grad` leaves dead equations behind, in jitted functions and
loops too. Several variants of one step (one for each `t` of an untied stack) are walked side by
side; they may differ in their numbers only.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jax.extend.core import Literal

from elsa.base.checks import matrix_shape
from elsa.base.jax_versions import called, evaluated, opened, scan_groups
from elsa.compiler.errors import CompileError, NotLinearError
from elsa.compiler.tracing import entrywise, keys, rules
from elsa.compiler.tracing.advice import DIAGONAL, refusal
from elsa.compiler.tracing.graph import Graph, Ref
from elsa.compiler.tracing.jaxprs import PLACES, Shape, live, location, signature
from elsa.compiler.tracing.parameters import FLOAT64, Rule, require_finite
from elsa.compiler.tracing.rearranging import row, stack_rows
from elsa.compiler.tracing.unformed import Unformed
from elsa.compiler.tracing.values import Known, Refused, Value, as_ref

Traced = Value | Known | Unformed | Refused
MAX_ITERATIONS = 1000  # of one loop inside a step, which is unrolled


def program_of(
    closed: Sequence[Any], inputs: Mapping[str, Shape], *, wide: bool
) -> tuple[Graph, list[Ref], list[Shape]]:
    """The graph of the step's values and, for each output, its value and its shape in JAX.

    Args:
      closed: closed jaxprs of the variants.
      inputs: name -> shape of the step's arguments.
      wide: whether the step itself runs in float64, as jax.random draws other numbers there.

    Raises:
      CompileError: for what linear attention cannot run, or variants of different structure.
    """
    first = signature(closed[0].jaxpr)
    for index, other in enumerate(closed):
        if signature(other.jaxpr) != first:
            raise _differs(index)
    graph = Graph(len(closed))
    with jax.enable_x64(True), jax.ensure_compile_time_eval():
        tracer = _Tracer(graph, wide=wide)
        arguments: list[Traced] = [
            Value(graph.leaf(name, matrix_shape(shape)), shape) for name, shape in inputs.items()
        ]
        outs = tracer.run(closed, arguments, where="the step")
        outputs = [_computed(out) for out in outs]
        return graph, [as_ref(graph, out) for out in outputs], [tuple(out.shape) for out in outputs]


class _Tracer:
    """Walks the jaxprs of all variants at once, an environment of values at hand."""

    def __init__(self, graph: Graph, *, wide: bool) -> None:
        self.graph, self.wide = graph, wide

    def run(self, programs: Sequence[Any], arguments: Sequence[Traced], where: str) -> list[Traced]:
        jaxprs, consts = zip(*map(opened, programs), strict=True)
        lead = jaxprs[0]
        env: dict[Any, Traced] = {}
        for index, var in enumerate(lead.constvars):
            env[var] = keys.known([variant[index] for variant in consts])
        env.update(zip(lead.invars, arguments, strict=True))

        def read(position: int, pick: Callable[[Any], Sequence[Any]]) -> Traced:
            atom = pick(lead)[position]
            if not isinstance(atom, Literal):
                return env[atom]
            return Known(np.stack([np.asarray(pick(variant)[position].val) for variant in jaxprs]))

        for index in live(lead):
            eqn = lead.eqns[index]
            place = location(eqn) or where
            values = [
                read(i, lambda jaxpr, index=index: jaxpr.eqns[index].invars)  # type: ignore[misc]
                for i in range(len(eqn.invars))
            ]
            outs = self._equation([variant.eqns[index] for variant in jaxprs], values, place)
            env.update(zip(eqn.outvars, outs, strict=True))
        return [read(i, lambda jaxpr: jaxpr.outvars) for i in range(len(lead.outvars))]

    def _equation(
        self, eqns: Sequence[Any], values: Sequence[Traced], place: str
    ) -> Sequence[Traced]:
        eqn = eqns[0]
        name = eqn.primitive.name
        programs = [called(own) for own in eqns]
        if programs[0] is not None:
            return self.run(programs, values, place)
        try:
            known = [value for value in values if isinstance(value, Known)]
            if len(known) == len(values):
                return self._evaluated(eqns, known)
            if name in rules.CONTROL:
                rules.CONTROL[name].check(eqn.params)
                outputs: Sequence[Traced] = getattr(self, f"_{name}")(eqns, values, place)
                return outputs
            refused = [value for value in values if isinstance(value, Refused)]
            if refused:
                return refused[:1] * len(eqn.outvars)
            given = [value for value in values if not isinstance(value, Refused)]
            _require_one_program(eqns)
            rule = rules.RULES.get(name)
            if rule is None:
                raise NotLinearError
            rule.parameters.check(eqn.params)
            _require_float64(eqn)
            if name not in rules.CHOICES:
                require_finite(known)
            return self._ruled(rule, eqn, given, place)
        except NotLinearError as error:
            return [Refused(refusal(name, place, str(error)))] * len(eqn.outvars)

    def _evaluated(self, eqns: Sequence[Any], values: Sequence[Known]) -> list[Known]:
        """An equation without data: computed once, or once for each variant where they differ."""
        same = all((value.array == value.array[:1]).all() for value in values)
        same = same and all(str(eqn.params) == str(eqns[0].params) for eqn in eqns)
        _require_draws_of_the_step(eqns[0], wide=self.wide)
        outs = []
        for variant in range(1 if same else len(eqns)):
            given = [keys.operand(value, variant) for value in values]
            try:
                outs.append(evaluated(eqns[variant], given))
            except Exception as error:  # callbacks may fail
                first = str(error).partition("\n")[0]
                raise NotLinearError(
                    f"it cannot be computed while compiling: {first}; do it outside the step"
                ) from error
        found = [keys.known(column) for column in zip(*outs, strict=True)]
        return [
            keys.like(known, np.broadcast_to(known.array, (len(eqns), *known.array.shape[1:])))
            for known in found
        ]

    def _ruled(
        self, rule: Rule, eqn: Any, values: Sequence[Value | Known | Unformed], place: str
    ) -> Sequence[Traced]:
        """What the rule gives, or else the products that the result stands for, not formed yet."""
        unformed = [value for value in values if isinstance(value, Unformed)]
        if unformed:
            message = unformed[0].message
        else:
            try:
                return rule.function(self.graph, eqn, *values)
            except NotLinearError as error:
                message = refusal(eqn.primitive.name, place, str(error))
        if eqn.primitive.name == "reduce_sum" and unformed and len(unformed[0].shape) == 2:
            message = refusal("reduce_sum", place, DIAGONAL)  # where it is one, and not a number
        kept = entrywise.kept(self.graph, eqn, values, message)
        return [Refused(message)] * len(eqn.outvars) if kept is None else kept

    def _scan(self, eqns: Sequence[Any], values: Sequence[Traced], place: str) -> Sequence[Traced]:
        params = eqns[0].params
        length, (num_consts, num_carry) = params["length"], scan_groups(params)
        _limit(length, place)
        consts, carry = values[:num_consts], list(values[num_consts : num_consts + num_carry])
        stacked = values[num_consts + num_carry :]
        order = range(length - 1, -1, -1) if params["reverse"] else range(length)
        seen: dict[int, Sequence[Traced]] = {}
        for index in order:
            rows = [self._row(value, index) for value in stacked]
            out = self._call(eqns, "jaxpr", [*consts, *carry, *rows], place)
            carry = [self._carried(value) for value in out[:num_carry]]
            seen[index] = out[num_carry:]
        collected = [
            self._collected([seen[index][position] for index in range(length)], var, place)
            for position, var in enumerate(eqns[0].outvars[num_carry:])
        ]
        return [*carry, *collected]

    def _row(self, value: Traced, index: int) -> Traced:
        """value[index], along the first axis."""
        if isinstance(value, Unformed):
            return entrywise.taken(self.graph, value, index) or Refused(value.message)
        if isinstance(value, keys.Keys):
            return keys.like(value, value.array[:, index])
        return value if isinstance(value, Refused) else row(self.graph, value, index)

    def _collected(self, rows: Sequence[Traced], var: Any, place: str) -> Traced:
        """What a scan returns for every iteration, stacked."""
        refused = [value for value in rows if isinstance(value, Unformed | Refused)]
        if refused:
            return Refused(refused[0].message)
        if not rows:
            return Known(np.zeros((self.graph.variants, *var.aval.shape)))
        try:
            return stack_rows(self.graph, [_computed(value) for value in rows])
        except NotLinearError as error:
            return Refused(refusal("scan", place, str(error)))

    def _while(self, eqns: Sequence[Any], values: Sequence[Traced], place: str) -> Sequence[Traced]:
        params = eqns[0].params
        split = params["cond_nconsts"]
        tests, rest = values[:split], values[split:]
        consts, carry = rest[: params["body_nconsts"]], list(rest[params["body_nconsts"] :])
        for count in range(MAX_ITERATIONS + 1):
            (go_on,) = self._call(eqns, "cond_jaxpr", [*tests, *carry], place)
            if not isinstance(go_on, Known) or len(np.unique(go_on.array)) != 1:
                raise NotLinearError("the length of the loop depends on data")
            if not go_on.array.all():
                return carry
            _limit(count + 1, place)
            out = self._call(eqns, "body_jaxpr", [*consts, *carry], place)
            carry = [self._carried(value) for value in out]
        raise AssertionError("unreachable: _limit raises first")

    def _optimization_barrier(
        self, eqns: Sequence[Any], values: Sequence[Traced], place: str
    ) -> Sequence[Traced]:
        return values

    def _cond(self, eqns: Sequence[Any], values: Sequence[Traced], place: str) -> Sequence[Traced]:
        index, arguments = values[0], values[1:]
        if not isinstance(index, Known) or len(np.unique(index.array)) != 1:
            raise NotLinearError("which branch is taken depends on data")
        choice = int(index.array.reshape(-1)[0])
        branches = [eqn.params["branches"][choice] for eqn in eqns]
        return self.run(branches, arguments, place)

    def _call(
        self, eqns: Sequence[Any], key: str, values: Sequence[Traced], place: str
    ) -> list[Traced]:
        return self.run([eqn.params[key] for eqn in eqns], values, place)

    def _carried(self, value: Traced) -> Traced:
        if isinstance(value, Value):
            return Value(self.graph.carried(value.ref), value.shape)
        return value


def _computed(value: Traced) -> Value | Known:
    if isinstance(value, Unformed | Refused):
        raise CompileError(value.message)
    return value


def _differs(index: int) -> CompileError:
    return CompileError(
        f"compile: the step's program at t={index} differs from that at t=0 in more than "
        "its numbers; write the special case by a coefficient that depends on t"
    )


def _require_one_program(eqns: Sequence[Any]) -> None:
    """Refuses data that is cut at other places for another t."""
    for index, eqn in enumerate(eqns):
        if any(
            str(eqn.params[place]) != str(eqns[0].params[place])
            for place in PLACES & eqn.params.keys()
        ):
            raise _differs(index)


def _require_float64(eqn: Any) -> None:
    """Refuses data in another dtype, which would go unnoticed."""
    for out in eqn.outvars:
        if out.aval.dtype != np.float64:
            raise NotLinearError(FLOAT64.otherwise.format(value=out.aval.dtype))


def _require_draws_of_the_step(eqn: Any, *, wide: bool) -> None:
    """Refuses numbers that jax.random draws in float64 where the step draws them in float32."""
    if eqn.primitive.name == "random_bits" and eqn.params["bit_width"] == 64 and not wide:
        raise NotLinearError(
            "a step is traced in float64, where jax.random draws other numbers than in float32; "
            "name the dtype, as in jax.random.normal(key, shape, jnp.float32), or draw outside the "
            "step"
        )


def _limit(length: int, place: str) -> None:
    if length > MAX_ITERATIONS:
        raise CompileError(
            f"compile: a loop of {length} iterations inside the step ({place}) is too long to "
            f"unroll (at most {MAX_ITERATIONS}); use compile's depth for it"
        )
