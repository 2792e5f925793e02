"""Random programs over jnp and lax: the stack agrees with the step, or the step is refused.

Nothing else may happen: no wrong number, and no error but CompileError. One program in ten holds
something that is not linear and must be refused.
"""

import collections
import dataclasses
import re

import jax
import pytest

from elsa.compiler.tracing import rules
from tests.compiler.random_checks import Program, check, drawn, report

SHARDS, EACH = 25, 200
NONLINEAR = 10  # one of so many
FEW = [3, 8, 9, 42]  # seeds of the fast suite


def outcome(seed):
    """(whether the program is linear, what became of it); fails with the program's source."""
    linear = seed % NONLINEAR != NONLINEAR - 1
    with jax.numpy_rank_promotion("allow"):
        program = drawn(seed, linear=linear)
        try:
            verdict = check(program)
        except Exception as error:
            pytest.fail(report(program, f"{type(error).__name__}: {error}"))
    if verdict not in ("agrees", "refused", "too large"):
        pytest.fail(report(program, verdict))
    return linear, verdict


@pytest.mark.slow
@pytest.mark.parametrize("shard", range(SHARDS))
def test_random_programs_agree_or_are_refused(shard, record_property):
    counts = collections.Counter()
    for index in range(EACH):
        counts[outcome(shard * EACH + index)] += 1
        if index % 50 == 49:
            jax.clear_caches()  # thousands of programs, each compiled once
    for (linear, verdict), count in counts.items():
        record_property(f"random programs, {'' if linear else 'not '}linear: {verdict}", count)
    linear = {verdict: count for (is_linear, verdict), count in counts.items() if is_linear}
    assert sum(linear.values()) - linear.get("refused", 0) >= 0.8 * sum(linear.values())
    assert counts[True, "too large"] <= 0.1 * EACH


@pytest.mark.parametrize("seed", FEW)
def test_some_random_programs_agree_or_are_refused(seed):
    outcome(seed)


@pytest.mark.parametrize("wrong", ["direction", "digits"])
def test_the_check_sees_a_rule_that_is_wrong(wrong, monkeypatch):
    """Another value of a parameter, or 1e-12 of the result."""
    right = rules.RULES["cumsum"]

    def cumsum(graph, eqn, value):
        if wrong == "direction":
            eqn = eqn.replace(params={**eqn.params, "reverse": False})
            return right.function(graph, eqn, value)
        (found,) = right.function(graph, eqn, value)
        error = graph.coefficient(1.0 + 1e-12)
        return [dataclasses.replace(found, ref=graph.scaled(error, found.ref))]

    step = lambda w: {"w": jax.lax.cumsum(w, reverse=True)}  # noqa: E731, a step made here
    program = Program(0, True, "", step, {"w": (3,)}, 2, {})
    assert check(program) == "agrees"
    monkeypatch.setitem(rules.RULES, "cumsum", dataclasses.replace(right, function=cumsum))
    assert re.match("weights in NumPy: block w errs by .*, plain JAX by", check(program))
