"""The one reader of what differs between versions of jax, on the version that is installed.

What other versions write is made by hand, so that each branch runs on every one.
"""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.extend.core import Literal

from elsa.base.jax_versions import called, evaluated, opened, scan_groups


class Tree:
    """The part of jax's tree of operands that says how many each group has."""

    def __init__(self, *sizes):
        self.sizes = sizes

    def unpack(self):
        return tuple((None,) * size for size in self.sizes)


def equation(name, operands=(), **params):
    """An equation as a jaxpr lists it, made by hand."""
    kind = SimpleNamespace(aval=jax.ShapeDtypeStruct((), np.float64))
    return SimpleNamespace(
        primitive=SimpleNamespace(name=name), params=params, invars=[kind for _ in operands]
    )


def values_of(program, *operands):
    """What a program computes."""
    jaxpr, consts = opened(program)
    return jax.core.eval_jaxpr(jaxpr, consts, *operands)


@pytest.mark.parametrize("consts, carry, stacked", [(0, 1, 0), (2, 3, 1), (1, 0, 2)])
def test_the_groups_of_a_scan_are_read_from_either_grouping(consts, carry, stacked):
    assert scan_groups({"num_consts": consts, "num_carry": carry}) == (consts, carry)
    assert scan_groups({"ft_in": Tree(consts, carry, stacked)}) == (consts, carry)


def test_the_groups_of_a_scan_are_those_of_this_version():
    def loop(a, b, rows):
        return jax.lax.scan(lambda pair, row: ((pair[1], a * pair[0] + row), b), (a, b), rows)

    program = jax.make_jaxpr(loop)(1.0, 2.0, jnp.ones(3))
    (scan,) = [e for e in opened(program)[0].eqns if e.primitive.name == "scan"]
    assert scan_groups(scan.params) == (2, 2)
    assert len(scan.invars) == 5


@pytest.mark.parametrize("wrapped", [True, False], ids=["closed", "open"])
def test_a_program_is_opened_whether_it_holds_its_constants_or_not(wrapped):
    inner = SimpleNamespace(eqns=[], constvars=["c"] if wrapped else [])
    program = SimpleNamespace(jaxpr=inner, consts=[7]) if wrapped else inner
    assert opened(program) == (inner, [7] if wrapped else ())


@pytest.mark.parametrize("key", ["jaxpr", "call_jaxpr"])
@pytest.mark.parametrize(
    "name",
    ["jit", "remat2", "custom_jvp_call", "custom_vjp_call", "call", "closed_call", "eval_jaxpr"],
)
def test_an_equation_that_calls_holds_its_program_under_either_name(name, key):
    assert called(equation(name, **{key: "program"})) == "program"


@pytest.mark.parametrize("name", ["mul", "scan", "while", "cond", "custom_linear_solve"])
def test_an_equation_that_computes_calls_nothing(name):
    assert called(equation(name, jaxpr="program", call_jaxpr="program")) is None


def test_an_opaque_equation_is_opened_by_what_it_says_it_does():
    opaque = SimpleNamespace(
        in_tree=jax.tree.structure(({"x": 0, "y": 0}, 0)),
        expand=lambda named, z: {"out": named["x"] * z, "rest": named["y"] - z},
    )
    program = called(equation("call_hi_primitive", range(3), _prim=opaque))
    assert values_of(program, 2.0, 3.0, 5.0) == [10.0, -2.0]


def test_a_polynomial_is_opened_by_horners_rule():
    program = called(equation("polynomial", range(4)))
    assert values_of(program, 3.0, 1.0, 5.0, 2.0) == [1.0 + 5.0 * 3.0 + 2.0 * 9.0]


@pytest.mark.parametrize("in_a_pair", [True, False])
def test_an_equation_is_computed_from_either_form_of_its_parameters(in_a_pair):
    eqn = equation("scale", axis=0, by=3.0)
    eqn.primitive.get_bind_params = lambda params: ([], params) if in_a_pair else params
    eqn.primitive.bind = lambda x, *, axis, by: by * x + axis
    eqn.primitive.multiple_results = False
    assert evaluated(eqn, [2.0]) == [6.0]
    assert evaluated(eqn, [2.0], by=5.0) == [10.0]


@pytest.mark.parametrize(
    "function, operands",
    [(jnp.sin, [0.3]), (lambda x: jax.lax.fori_loop(0, 3, lambda i, y: i * y + x, x), [2.0])],
    ids=["one result", "a loop"],
)
def test_an_equation_of_this_version_is_computed_once_more(function, operands):
    jaxpr, _ = opened(jax.make_jaxpr(function)(*operands))
    (eqn,) = jaxpr.eqns
    inputs = [v.val if isinstance(v, Literal) else operands[0] for v in eqn.invars]
    np.testing.assert_allclose(evaluated(eqn, inputs)[-1], function(*operands), rtol=1e-12)
