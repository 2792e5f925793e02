"""What a step costs where it is computed on its blocks."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import elsa
from elsa import algorithms

SHAPES = {"X": (5, 3), "y": (5, 1), "w": (3, 1), "lam": (1, 1)}


def multiplications(jaxpr):
    """Of the loop's body: products of matrices, and entry by entry."""
    [scan] = [each for each in jaxpr.eqns if each.primitive.name == "scan"]
    names = [each.primitive.name for each in flat(scan.params["jaxpr"].jaxpr)]
    return names.count("dot_general"), names.count("mul")


def flat(jaxpr):
    """Its operations, those of the functions that it calls too."""
    for each in jaxpr.eqns:
        inner = each.params.get("jaxpr") or each.params.get("call_jaxpr")
        if inner is None:
            yield each
        else:
            yield from flat(getattr(inner, "jaxpr", inner))


def loop(jaxpr):
    """The jaxpr, of those called one within the other, that holds the loop."""
    while not any(each.primitive.name == "scan" for each in jaxpr.eqns):
        [inner] = [each.params["jaxpr"].jaxpr for each in jaxpr.eqns if "jaxpr" in each.params]
        jaxpr = inner
    return jaxpr


def test_a_step_of_descent_multiplies_as_often_as_one_written_by_hand():
    """w - eta (A w - b + lam w): A w, lam w and eta; lam w was multiplied by an eta of its own."""
    stack = elsa.compile(
        algorithms.gradient_descent(0.5), SHAPES, depth=4, reassociate="gram", execution="auto"
    )
    blocks = {name: jnp.ones(shape) for name, shape in SHAPES.items()}
    found = jax.make_jaxpr(lambda given: stack(**given)["w"])(blocks)
    assert multiplications(loop(found.jaxpr)) == (1, 2)


@pytest.mark.parametrize("eta", [-0.25, 0.5, 1.0])
def test_terms_of_one_size_and_either_sign_are_summed(eta):
    def step(*, A, b, c, w):
        return {"w": 2.0 * w - eta * (A @ w) + eta * b - eta * c - 2.0 * b}

    shapes = {"A": (3, 3), "b": (3, 1), "c": (3, 1), "w": (3, 1)}
    rng = np.random.default_rng(0)
    blocks = {name: rng.standard_normal(shape) for name, shape in shapes.items()}
    found = elsa.compile(step, shapes, depth=1, execution="auto")(**blocks)["w"]
    np.testing.assert_allclose(found, step(**blocks)["w"], rtol=1e-13)
