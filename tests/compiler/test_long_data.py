"""Operations along rows of long data: constants keep their structure from the trace to the listing.

Every constant below is n x n as an array. Small ones are arrays; here they are structured at any
size, so that small blocks show what happens to large ones.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import elsa
from elsa.base import matrices
from elsa.compiler.tracing.constants import Varied
from elsa.compiler.tracing.graph import reachable
from tests.compiler import helpers
from tests.helpers import wide

LONG = 4_000  # as arrays, each constant would take 128 MB
DIM = 8


def steps(n):
    """Name -> step and shapes, with constants of n rows."""
    rng = np.random.default_rng(n)
    scale, mask = rng.normal(size=(n, 1)), rng.random(n) < 0.5
    order, some = rng.permutation(n), np.flatnonzero(rng.random(n) < 0.5)
    X, y, w, W = ("X", (n, DIM)), ("y", (n, 1)), ("w", (DIM, 1)), ("W", (DIM, DIM))

    def descent(rows, weight=1.0):
        def step(X, y, w):
            A, b = rows(X), rows(y)
            return {"w": w - 0.1 * A.T @ (weight * (A @ w - b))}

        return step, dict([X, y, w])

    def autoregression(X, W):
        return {"W": W - 0.1 * X[:-1].T @ (X[:-1] @ W - X[1:])}

    def masked(X, y, w):
        return {"w": w - 0.1 * X.T @ jnp.where(mask[:, None], X @ w - y, 0.0)}

    def by_t(X, t):
        return {"X": (1.0 + 0.5 * t) * X - t * X.mean(0, keepdims=True)}

    alone = dict([X])
    return {
        "centred rows": descent(lambda a: a - a.mean(0, keepdims=True)),
        "first rows": descent(lambda a: a[: max(n // 2, 1)]),
        "every third": descent(lambda a: a[::3]),
        "chosen rows": descent(lambda a: a[some]),
        "differences": descent(lambda a: jnp.diff(a, axis=0)),
        "row weights": descent(lambda a: a, scale),
        "a mask": (masked, dict([X, y, w])),
        "autoregression": (autoregression, dict([X, W])),
        "centred data": (lambda X: {"X": X - X.mean(0, keepdims=True)}, alone),
        "a weighted mean": (lambda X: {"X": X - (scale * X).mean(0, keepdims=True)}, alone),
        "reversed": (lambda X: {"X": X[::-1]}, alone),
        "shuffled": (lambda X: {"X": X[order]}, alone),
        "shifted": (lambda X: {"X": jnp.roll(X, 1, 0)}, alone),
        "a band": (lambda X: {"X": 0.5 * X + 0.25 * jnp.roll(X, 1, 0)}, alone),
        "padded": (lambda X: {"X": jnp.pad(X[1:], ((1, 0), (0, 0)))}, alone),
        "scaled rows": (lambda X: {"X": scale * X}, alone),
        "joined": (lambda X: {"X": jnp.vstack([X[n // 2 :], X[: n // 2]])}, alone),
        "numbers of t": (by_t, alone),
    }


NAMES = list(steps(6))
NOTHING_OF_ONE_ROW = "centred rows", "differences", "autoregression", "chosen rows", "a mask"
DEPTH = 2


def constants(stack):
    """Every constant of the trace and of the plan."""
    nodes = reachable(stack.stages.traced.outputs.values())
    found = [node.constant for node in nodes if node.constant is not None]
    for layer in stack.stages.plan.schedule.layers:
        for product in (product for assign in layer for product in assign.products):
            refs = (product.left, product.middle, product.right)
            found += [ref.node.constant for ref in refs if ref is not None]
    return found


def stored(constant):
    return sum(m.stored for m in constant.each) if isinstance(constant, Varied) else constant.size


def compiled(name, n, **options):
    """The stack of a step, and what its words are."""
    step, shapes = steps(n)[name]
    options = {"tied": name != "numbers of t", "dtype": np.float64} | options
    return step, elsa.compile(step, shapes, DEPTH, **options)


@pytest.mark.parametrize("name", NAMES)
def test_long_data_agrees_with_the_step_and_no_constant_is_square(name):
    step, stack = compiled(name, LONG)
    blocks = helpers.draw(stack.inputs)
    final = helpers.path(step, blocks, DEPTH, takes_t=name == "numbers of t")[-1]
    for output, value in stack(**blocks).items():
        scale = np.abs(final[output]).max()
        np.testing.assert_allclose(value, final[output], rtol=0, atol=1e-12 * scale)
    assert max(map(stored, constants(stack))) <= 10 * LONG
    assert len(str(stack)) < 5_000 and stack.num_parameters > stack.num_nonzeros > 0


EDGES = "first rows", "row weights", "shuffled", "joined"
SMALL = [
    (name, n)
    for name in NAMES
    for n in (1, 2, 5)
    if n > 1 or name not in NOTHING_OF_ONE_ROW  # nothing is left of one row
]


@pytest.mark.parametrize(
    "name, n",
    wide(
        SMALL,
        keep=[
            *((name, 5) for name in NAMES if name not in ("every third", "a mask", "centred rows")),
            *((name, n) for name in EDGES for n in (1, 2)),
        ],
    ),
)
def test_structured_constants_of_small_blocks_run_as_weights_too(name, n, monkeypatch):
    expected = compiled(name, n, execution="dense")[1]
    monkeypatch.setattr(matrices, "SMALL", 0)
    monkeypatch.setattr(matrices, "_GAIN", 1e9)
    step, stack = compiled(name, n)
    assert str(stack) == str(expected)
    assert (stack.num_parameters, stack.num_nonzeros) == (
        expected.num_parameters,
        expected.num_nonzeros,
    )
    blocks = helpers.draw(stack.inputs, seed=n)
    final = helpers.path(step, blocks, DEPTH, takes_t=name == "numbers of t")[-1]
    by_weights = helpers.by_hand(stack, blocks)
    for output, value in stack(**blocks).items():
        close = {"rtol": 0, "atol": 1e-13 * max(np.abs(final[output]).max(), 1.0)}
        np.testing.assert_allclose(value, final[output], **close)
        np.testing.assert_allclose(by_weights[output], final[output], **close)


FORMS = {
    "a triangle": (lambda A, Z: {"Z": A + jnp.tril(Z)}, 1),
    "a product's triangle": (lambda A, Z: {"Z": jnp.tril(Z @ A, -1)}, 1),
    "a trace": (lambda A, Z: {"Z": jnp.trace(A @ Z) * Z}, 120),
    "a trace of three": (lambda A, Z: {"Z": Z - 0.5 * jnp.trace(A @ Z @ A) * A}, 210),
}


@pytest.mark.parametrize("form", FORMS)
def test_many_heads_alike_are_computed_at_once(form):
    step, products = FORMS[form]
    size = 40
    blocks = helpers.draw({"A": (size, size), "Z": (size, size)})
    stack = elsa.compile(step, helpers.shapes_of(blocks), DEPTH, dtype=np.float64)
    assert stack.num_heads >= DEPTH * size
    final = helpers.path(step, blocks, DEPTH)[-1]["Z"]
    close = {"rtol": 0, "atol": 1e-13 * np.abs(final).max()}
    np.testing.assert_allclose(stack(**blocks)["Z"], final, **close)
    program = str(jax.make_jaxpr(lambda: stack(**blocks))())
    assert program.count("dot_general") <= products
