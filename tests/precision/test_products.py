"""The check of the products itself: it must see every one, and fail where one is rounded."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from elsa.attention import linear
from elsa.base import precision
from elsa.compiler.emitting import structured
from elsa.predictors import descent
from tests.precision import attention_cases, estimation_cases, stack_cases, theory_cases
from tests.precision.products import HIGHEST, Run, Traced, faults, full, traced

A = jnp.ones((3, 3))
OTHER = "tensorfloat32"  # jax keeps what it has traced for each default: none is shared with LOW


def low(a, b):
    return jnp.matmul(a, b, precision="default")


@pytest.mark.parametrize(
    "function",
    [
        lambda a: a @ a,
        jax.jit(lambda a: a @ a),
        jax.jit(jax.jit(lambda a: jnp.einsum("ij,kj->ik", a, a))),
        jax.vmap(lambda row: A @ row),
        jax.grad(lambda a: (a @ a).sum()),
        jax.remat(lambda a: a @ a),
        lambda a: jax.lax.scan(lambda c, _: (c @ c, None), a, length=2)[0],
        lambda a: jax.lax.fori_loop(0, 2, lambda _, c: c @ c, a),
        lambda a: jax.lax.cond(a[0, 0] > 0, lambda c: c @ c, lambda c: c, a),
        lambda a: jnp.linalg.matrix_power(a, 2),
        lambda a: jnp.convolve(a[0], a[1]),
        lambda a: jax.jvp(lambda c: c @ c, (a,), (a,)),
    ],
)
def test_products_are_seen_wherever_they_are(function):
    assert faults(traced(precision.exact(function), A)) == []
    assert any("below full precision" in fault for fault in faults(traced(function, A)))
    assert faults(Traced(function, (A,), products=False))[0].endswith("none expected")
    # the same where it is run
    assert any("below" in fault for fault in faults(Run(lambda: function(A), products=True)))
    assert faults(Run(lambda: precision.exact(function)(A), products=True)) == []


def test_a_function_without_products_is_told_from_one_with():
    assert faults(traced(lambda a: (a * a).sum(), A)) == ["traced: no product seen"]
    assert faults(Run(lambda: np.ones((2, 2)) @ np.ones((2, 2)))) == []
    assert faults(Run(lambda: jnp.asarray(A) @ A)) == ["run: 1 products, none expected"]


def test_a_gradient_that_is_rounded_later_is_seen():
    @jax.custom_vjp
    def square(a):
        return precision.exact(jnp.matmul)(a, a)

    square.defvjp(lambda a: (square(a), a), lambda a, back: (back @ a,))  # outside of the policy
    assert faults(traced(square, A)) == ["its gradient: 1 of 2 products are below full precision"]


def test_both_sides_of_a_product_count():
    assert full((HIGHEST, HIGHEST)) and full(HIGHEST)
    assert not any(map(full, [None, (HIGHEST, None), (HIGHEST, jax.lax.Precision.HIGH)]))


def _rounded_associate(q, k, v):
    return q @ low(k.T, v)


def _rounded_gram(task, w):
    return low(task.x, w[..., None])[..., 0] @ task.x[0]


@pytest.mark.parametrize(
    "module, name, mutant, table, entry",
    [
        (linear, "_associate", _rounded_associate, attention_cases, "attention.lsa"),
        (linear, "_associate", _rounded_associate, attention_cases, "attention.elsa"),
        (descent, "_gram_times", _rounded_gram, estimation_cases, "predictors.polynomial_step"),
        (structured, "_times", low, stack_cases, "compiler.CompiledStack.trajectory"),
    ],
)
def test_one_product_of_an_exact_function_that_loses_its_precision_fails(
    module, name, mutant, table, entry, monkeypatch
):
    assert faults(table.cases()[entry], OTHER) == []
    monkeypatch.setattr(module, name, mutant)
    found = faults(table.cases()[entry], OTHER)
    assert found and all("below full precision" in fault for fault in found)


def test_without_the_policy_every_function_that_it_covers_fails(monkeypatch):
    monkeypatch.setattr(precision, "EXACT", "default")
    cases = {**estimation_cases.cases(), **theory_cases.cases()}
    have = {name for name, case in cases.items() if isinstance(case, Traced) and case.products}
    assert len(have) > 20
    assert {name for name in have if faults(cases[name], OTHER)} == have
