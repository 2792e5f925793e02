"""Every way to cut, turn, join and fill that is linear algebra, against the step itself."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import elsa
from tests.compiler.helpers import assert_agrees, draw
from tests.helpers import wide

UNARY = {
    "transpose": ((3, 4), lambda A: A.T),
    "swapaxes": ((3, 4), lambda A: jnp.swapaxes(A, 0, 1)),
    "rows": ((5, 3), lambda A: A[1:4]),
    "strided": ((5, 4), lambda A: A[::2, 1::2]),
    "backwards": ((5, 4), lambda A: A[::-1, ::-2]),
    "from the end": ((5, 4), lambda A: A[-2:, -1:]),
    "one row": ((5, 4), lambda A: A[2]),
    "last row": ((5, 4), lambda A: A[-1]),
    "one column": ((5, 4), lambda A: A[:, -2]),
    "one entry": ((5, 4), lambda A: A[1, -1]),
    "part of a column": ((5,), lambda a: a[4:0:-2]),
    "entry of a column": ((5,), lambda a: a[-2]),
    "dynamic slice": ((5, 4), lambda A: jax.lax.dynamic_slice(A, (4, 0), (2, 3))),
    "dynamic index": ((5, 4), lambda A: jax.lax.dynamic_index_in_dim(A, 3, keepdims=False)),
    "by index": ((4, 3), lambda A: A[jnp.array([2, 0, 2])]),
    "columns by index": ((4, 3), lambda A: A[:, jnp.array([-1, 0])]),
    "entries by index": ((4, 3), lambda A: A[jnp.array([0, 3, 1]), jnp.array([2, 2, 0])]),
    "take": ((4, 3), lambda A: jnp.take(A, 1, axis=1)),
    "diagonal": ((3, 3), jnp.diag),
    "shifted diagonal": ((4, 3), lambda A: jnp.diagonal(A, offset=-1)),
    "diagonal matrix": ((3,), jnp.diag),
    "trace": ((3, 3), jnp.trace),
    "split": ((3, 5), lambda A: jnp.split(A, [2, 3], axis=1)[2]),
    "split rows": ((4, 3), lambda A: jnp.vsplit(A, 2)[1]),
    "flip": ((3, 4), jnp.flip),
    "rot90": ((3, 4), jnp.rot90),
    "roll": ((3, 4), lambda A: jnp.roll(A, 1, axis=0)),
    "roll a column": ((5,), lambda a: jnp.roll(a, -2)),
    "tril": ((3, 4), jnp.tril),
    "triu": ((4, 3), lambda A: jnp.triu(A, 1)),
    "pad": ((3, 2), lambda A: jnp.pad(A, ((1, 0), (0, 2)))),
    "interior pad": ((3, 2), lambda A: jax.lax.pad(A, 0.0, ((1, 0, 1), (0, 1, 2)))),
    "expand": ((3,), lambda a: a[:, None]),
    "expand to a row": ((3,), lambda a: a[None]),
    "squeeze": ((1, 3), jnp.squeeze),
    "ravel a row": ((1, 3), jnp.ravel),
    "reshape a column": ((3, 1), lambda a: a.reshape(1, 3)),
    "number to matrix": ((1, 1), lambda a: a.reshape(())),
    "broadcast a number": ((), lambda a: jnp.broadcast_to(a, (2, 3))),
    "broadcast (1,)": ((1,), lambda a: jnp.broadcast_to(a, (2, 3))),
    "broadcast a row": ((3,), lambda a: jnp.broadcast_to(a, (2, 3))),
    "broadcast a column": ((3, 1), lambda a: jnp.broadcast_to(a, (3, 2))),
    "concatenate": ((3, 2), lambda A: jnp.concatenate([A, 2 * A, jnp.ones((1, 2))])),
    "append columns": ((3, 2), lambda A: jnp.concatenate([np.ones((3, 1)), A], axis=1)),
    "concatenate columns": ((3,), lambda a: jnp.concatenate([a, 2 * a])),
    "stack": ((3,), lambda a: jnp.stack([a, 2 * a, jnp.ones(3)])),
    "stack side by side": ((3,), lambda a: jnp.stack([a, 2 * a], axis=-1)),
    "unstack": ((3, 4), lambda A: jnp.concatenate(jnp.unstack(A)[::-1])),
    "unstack columns": ((3, 4), lambda A: jnp.concatenate(jnp.unstack(A, axis=1))),
    "unstack numbers": ((3,), lambda a: jnp.unstack(a)[1]),
    "stack numbers": ((), lambda a: jnp.stack([a, 2 * a, 1.0])),
    "block": ((2, 2), lambda A: jnp.block([[A, jnp.zeros((2, 1))], [jnp.ones((1, 3))]])),
    "hstack": ((2, 2), lambda A: jnp.hstack([A, A.T])),
    "column stack": ((3,), lambda a: jnp.column_stack([a, a])),
    "sum": ((3, 4), jnp.sum),
    "column sums": ((3, 4), lambda A: A.sum(axis=0)),
    "row sums": ((3, 4), lambda A: A.sum(axis=1, keepdims=True)),
    "mean": ((3, 4), jnp.mean),
    "row means": ((3, 4), lambda A: A.mean(axis=-1)),
    "average": ((3, 4), lambda A: jnp.average(A, axis=0, weights=np.array([0.2, 0.5, 0.3]))),
    "centre": ((3, 4), lambda A: A - A.mean(axis=0, keepdims=True)),
    "cumsum": ((4, 3), lambda A: jnp.cumsum(A, axis=0)),
    "cumsum of rows": ((4, 3), lambda A: jnp.cumsum(A, axis=1)),
    "cumsum of a column": ((5,), jnp.cumsum),
    "associative scan": ((4, 3), lambda A: jax.lax.associative_scan(jnp.add, A)),
    "diff": ((4, 3), lambda A: jnp.diff(A, axis=0)),
    "where": ((3, 4), lambda A: jnp.where(np.tri(3, 4) > 0, A, 2 * A)),
    "where constant": ((3, 4), lambda A: jnp.where(np.tri(3, 4) > 0, 1.5, A)),
    "times a constant": ((3, 4), lambda A: A * np.arange(12.0).reshape(3, 4)),
    "times a row": ((3, 4), lambda A: A * np.arange(4.0)[None]),
    "times a column": ((3, 4), lambda A: np.arange(3.0)[:, None] * A),
    "over a constant": ((3, 4), lambda A: A / (1 + np.arange(12.0).reshape(3, 4))),
    "plus a constant": ((3, 4), lambda A: A + np.tri(3, 4) - 1.5),
    "one minus": ((3, 4), lambda A: 1.0 - A),
    "identity": ((3, 4), lambda A: A @ jnp.eye(4) + 3 * jnp.eye(3, 4)),
    "zero": ((3, 4), lambda A: A * jnp.zeros((3, 4)) + 0.1 * A),
    "vmap over rows": ((3, 4), lambda A: jax.vmap(lambda r: jnp.vdot(r, np.arange(4.0)))(A)),
    "vmap over columns": ((3, 4), lambda A: jax.vmap(lambda c: 2 * c, in_axes=1)(A)),
    "map": ((3, 4), lambda A: jax.lax.map(lambda row: row[::-1], A)),
    "real": ((3, 4), jnp.real),
    "stop gradient": ((3, 4), lambda A: jax.lax.stop_gradient(A)),
    "array of an array": ((3, 4), lambda A: jnp.asarray(jnp.array(A))),
    "tile": ((3, 2), lambda A: jnp.tile(A, (2, 3))),
    "repeat": ((3, 2), lambda A: jnp.repeat(A, 2, axis=1)),
    "kron": ((3, 2), lambda A: jnp.kron(np.arange(4.0).reshape(2, 2), A)),
    "convolve": ((5,), lambda a: jnp.convolve(a, np.arange(3.0))),
    "set a row": ((3, 2), lambda A: jnp.asarray(A).at[1].set(2.0 * A[0])),
    "add to a column": ((3, 2), lambda A: jnp.asarray(A).at[:, 1].add(A[:, 0])),
    "ravel and back": ((3, 2), lambda A: (A.ravel() * np.arange(6.0)).reshape(3, 2)),
    "solve": ((3, 2), lambda A: jnp.linalg.solve(np.tri(3), A)),
}


# by a word each: every primitive with its parameters is in test_parameters.py
KEPT = [
    *(
        "transpose",
        "strided",
        "backwards",
        "one row",
        "one column",
        "one entry",
        "entry of a column",
    ),
    *(
        "dynamic slice",
        "columns by index",
        "entries by index",
        "shifted diagonal",
        "diagonal matrix",
    ),
    *("trace", "split", "roll", "triu", "interior pad", "squeeze", "broadcast a number"),
    *(
        "broadcast a row",
        "concatenate",
        "stack",
        "unstack numbers",
        "block",
        "row means",
        "average",
    ),
    *("cumsum of rows", "associative scan", "where", "times a row", "over a constant", "one minus"),
    *("zero", "vmap over rows", "map", "tile", "kron", "convolve", "add to a column", "solve"),
]


@pytest.mark.parametrize("name", wide(UNARY, keep=KEPT))
def test_what_is_linear_in_one_block_takes_one_layer_a_step(name):
    shape, function = UNARY[name]
    result = jax.eval_shape(function, jax.ShapeDtypeStruct(shape, float)).shape

    def step(A, R):
        return {"R": 0.5 * R + function(A)}

    stack = assert_agrees(step, {"A": shape, "R": result}, depth=2)
    assert stack.layers_per_step == 1
    assert stack.num_layers <= 2 + 2  # sums of entries of A, and with constants, before the steps


SQUARE = [
    "flip",
    "roll",
    "tril",
    "cumsum",
    "centre",
    "where",
    "times a constant",
    "over a constant",
]


@pytest.mark.parametrize("name", wide(SQUARE, keep=("roll", "cumsum", "where", "over a constant")))
def test_a_block_may_be_rearranged_into_itself(name):
    shape, function = UNARY[name]
    assert_agrees(lambda A: {"A": 0.5 * function(A)}, {"A": shape}, depth=3)


def test_a_place_outside_the_block_is_refused():
    with pytest.raises(elsa.CompileError, match=r"`gather`.*a place outside the block"):
        elsa.compile(lambda A: {"A": jnp.take(A, jnp.array([0, 7]), axis=0)}, {"A": (2, 2)})


def test_places_by_t_are_refused_where_the_program_would_differ():
    def step(A, *, t):
        return {"A": A + jax.lax.dynamic_slice(A, (t, 0), (1, 3))}

    with pytest.raises(elsa.CompileError, match=r"`dynamic_slice`.*place depends on t"):
        elsa.compile(step, {"A": (3, 3)}, 3, tied=False)

    def by_index(A, *, t):
        return {"A": A + A[jnp.array([t])]}

    with pytest.raises(elsa.CompileError, match=r"`gather`.*place depends on t"):
        elsa.compile(by_index, {"A": (3, 3)}, 3, tied=False)


WIDTHS = [((2, 40), 1, 40), ((2, 80), 2, 4), ((80, 2), 1, 2)]


@pytest.mark.parametrize("shape, layers, heads", WIDTHS)
def test_scaling_a_block_by_data_takes_a_head_a_column_or_a_layer_more(shape, layers, heads):
    stack = assert_agrees(lambda A, s: {"A": A + s * A}, {"A": shape, "s": ()}, depth=1)
    assert stack.num_layers == layers
    assert stack.num_heads <= heads


@pytest.mark.parametrize("shape, layers, heads", WIDTHS)
def test_an_inner_product_takes_a_head_a_column_or_a_layer_more(shape, layers, heads):
    def step(A, s):
        return {"s": s + jnp.einsum("ij,ij->", A, A)}

    stack = assert_agrees(step, {"A": shape, "s": ()}, depth=1)
    assert stack.num_layers == layers
    assert stack.num_heads <= heads


def test_a_row_of_ones_makes_an_intercept():
    """Least squares with a column of ones appended to the covariates."""

    def step(X, y, w):
        design = jnp.concatenate([X, jnp.ones((5, 1))], axis=1)
        return {"w": w - 0.1 * design.T @ (design @ w - y)}

    shapes = {"X": (5, 2), "y": (5, 1), "w": (3, 1)}
    stack = assert_agrees(step, shapes, depth=6, blocks=draw(shapes, seed=1))
    assert stack.num_layers <= 6 + 4
