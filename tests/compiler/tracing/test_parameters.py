"""Every supported primitive through the values of its parameters, against jax itself."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import elsa
from elsa.compiler.errors import NotLinearError
from elsa.compiler.tracing import rules
from tests.compiler.helpers import by_hand, draw
from tests.compiler.tracing import parameter_cases, rearranging_cases, solving_cases
from tests.compiler.tracing.parameter_cases import BLOCKS, OPERANDS
from tests.helpers import table

CASES = parameter_cases.CASES | rearranging_cases.CASES | solving_cases.CASES
DECLARED = {name: rule.parameters for name, rule in rules.RULES.items()} | rules.CONTROL
CALLS = {"jit", "remat2", "custom_jvp_call"}  # the tracer enters these, with their operands as is
ROUNDING = 1e-12  # a few roundings of entries of size 1


def wanted(case):
    """(way, function of the blocks) of one case."""
    return [
        (way, lambda blocks, operand=operand: case.function(operand(blocks), blocks))
        for way, operand in OPERANDS[case.operand].items()
    ]


def equations(jaxpr):
    """All equations, those of inner programs too."""
    for eqn in jaxpr.eqns:
        yield eqn
        for value in eqn.params.values():
            for one in value if isinstance(value, tuple | list) else (value,):
                inner = getattr(one, "jaxpr", one)
                if hasattr(inner, "eqns"):
                    yield from equations(inner)


def test_the_table_has_every_primitive():
    assert CASES.keys() == DECLARED.keys() | CALLS


def one_of(case, turn):
    """One way, by turns."""
    ways = wanted(case)
    return [ways[turn % len(ways)]]


@pytest.mark.parametrize("primitive", CASES)
def test_a_primitive_agrees_with_jax_for_all_parameters(primitive):
    """Each case in one way; over all of them every way has its turn."""
    first = list(CASES).index(primitive)
    agrees(primitive, lambda case, index: one_of(case, first + index))


@pytest.mark.slow
@pytest.mark.parametrize("primitive", CASES)
def test_a_primitive_agrees_with_jax_for_all_operands(primitive):
    agrees(primitive, lambda case, _: wanted(case))


def agrees(primitive, ways):
    """Every case of a primitive that compiles, in the ways of (case, index)."""
    named = {
        f"case {index} of {primitive}": dict(ways(case, index))
        for index, case in enumerate(CASES[primitive])
        if case.refused is None
    }
    blocks = {name: jnp.asarray(block) for name, block in draw(BLOCKS, seed=3).items()}
    expected = jax.jit(
        lambda given: {n: [f(given) for f in own.values()] for n, own in named.items()}
    )(blocks)
    for name, functions in named.items():
        compare(name, functions, blocks, expected[name])


def compare(name, functions, blocks, expected):
    """Both executions of R_i = R_i / 2 + function_i(blocks), R_i = 1, with what jax has found."""
    results = {f"R{i}": np.ones(value.shape) for i, value in enumerate(expected)}

    def step(**given):
        terms = zip(results, functions.values(), strict=True)
        return given | {result: 0.5 * given[result] + f(given) for result, f in terms}

    stack = elsa.compile(step, BLOCKS | {result: array.shape for result, array in results.items()})
    with jax.disable_jit():  # product by product, so that there is nothing to optimise
        outs = stack(**blocks, **results), by_hand(stack, {**blocks, **results})
    for result, way, value in zip(results, functions, expected, strict=True):
        for out in outs:
            error = np.abs(np.asarray(out[result]).reshape(value.shape) - 0.5 - value)
            bound = ROUNDING * max(1.0, np.abs(value).max(initial=0.0))
            assert error.max(initial=0.0) <= bound, (name, way)


@table("primitive", CASES)
def test_what_a_rule_cannot_do_is_refused_by_name(primitive):
    for case in CASES[primitive]:
        for way, function in wanted(case) if case.refused else ():
            shape = jax.eval_shape(function, draw(BLOCKS)).shape

            def step(R, function=function, **given):
                return {**given, "R": 0.5 * R + function(given)}

            with pytest.raises(
                elsa.CompileError, match=rf"`[\w-]+` .*line .*{case.refused}"
            ) as error:
                elsa.compile(step, BLOCKS | {"R": shape[:2]})
            assert "_cases.py, line " in str(error.value), way


def values_of(primitive, *, refused):
    """Parameter -> its values in the table, as text, in the calls of the primitive itself."""
    blocks = {name: jax.ShapeDtypeStruct(shape, float) for name, shape in BLOCKS.items()}
    found = {}
    for case in CASES[primitive]:
        if (case.refused is not None) is refused:
            jaxpr = jax.make_jaxpr(wanted(case)[0][1])(blocks)
            for eqn in equations(jaxpr.jaxpr):
                for name, value in eqn.params.items() if eqn.primitive.name == primitive else ():
                    found.setdefault(name, set()).add(str(value))
    return found


@table("primitive", DECLARED)
def test_the_table_gives_every_parameter_more_than_one_value(primitive):
    """Parameters that another version of jax has are not seen; undeclared ones may not be."""
    declared = DECLARED[primitive]
    agreeing, refused = (values_of(primitive, refused=refused) for refused in (False, True))
    seen = {name: agreeing.get(name, set()) for name in agreeing.keys() | refused.keys()}
    assert seen.keys() <= declared.reads | declared.ignores | declared.requires.keys()
    assert {name for name in declared.reads & seen.keys() if len(seen[name]) < 2} == set()
    for name in declared.requires.keys() & seen.keys():
        assert refused[name] - seen[name], f"no refused value of {name}"


@table("primitive", DECLARED)
def test_a_parameter_of_another_jax_is_refused_unless_it_asks_for_nothing(primitive):
    DECLARED[primitive].check({"new_in_jax": None})
    with pytest.raises(NotLinearError, match=r"new_in_jax=True: .* does not know this parameter"):
        DECLARED[primitive].check({"new_in_jax": True})
