"""Primitives that rearrange, with values of every parameter: see parameter_cases."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from tests.compiler.tracing.parameter_cases import CONSTANT, Case


def window(a, starts, sizes, mode, **options):
    """lax.gather of windows of a matrix at rows of `starts`."""
    numbers = lax.GatherDimensionNumbers(
        offset_dims=(1,), collapsed_slice_dims=(0,), start_index_map=(0, 1)
    )
    return lax.gather(a, np.array(starts), numbers, sizes, mode=mode, **options)


CASES: dict[str, list[Case]] = {
    "broadcast_in_dim": [
        Case(lambda a, b: lax.broadcast_in_dim(a, (4, 3), (0,)), "vector"),
        Case(lambda a, b: lax.broadcast_in_dim(a, (3, 4), (1,)), "vector"),
        Case(lambda a, b: lax.broadcast_in_dim(a, (1, 4), (1,)), "vector"),
        Case(lambda a, b: lax.broadcast_in_dim(a, (3, 4), (0, 1)), "thin"),
        Case(lambda a, b: lax.broadcast_in_dim(a, (2, 3), ()), "number"),
        Case(lambda a, b: lax.broadcast_in_dim(a, (3, 4), (0, 1))),
        Case(lambda a, b: lax.broadcast_in_dim(a, (2, 3, 4), (1, 2))[0]),
        Case(lambda a, b: lax.cumsum(a[None], 0)[0], refused="matrices"),
    ],
    "concatenate": [
        Case(lambda a, b: lax.concatenate([a, b["A"], CONSTANT], 0)),
        Case(lambda a, b: lax.concatenate([b["c"], a, CONSTANT], 1)),
        Case(lambda a, b: lax.concatenate([a, b["v"], 2.0 * a], 0), "vector"),
    ],
    "dynamic_slice": [
        Case(lambda a, b: lax.dynamic_slice(a, (1, 0), (2, 3))),
        Case(lambda a, b: lax.dynamic_slice(a, (5, 9), (2, 2))),
        Case(lambda a, b: lax.dynamic_slice(a, (-2, -1), (1, 1))),
        Case(lambda a, b: lax.dynamic_slice_p.bind(a, -2, -1, slice_sizes=(2, 3))),
        Case(lambda a, b: lax.dynamic_slice(a, (2,), (2,)), "vector"),
        Case(
            lambda a, b: lax.dynamic_slice(a, (a[0, 0].astype(int), 0), (2, 2)), refused="new_dtype"
        ),
    ],
    "dynamic_update_slice": [
        Case(lambda a, b: lax.dynamic_update_slice(a, 2.0 * b["A"][:2, 1:], (1, 1))),
        Case(lambda a, b: lax.dynamic_update_slice(a, np.ones((1, 2)), (9, -1))),
        Case(lambda a, b: lax.dynamic_update_slice(CONSTANT, a[:2], (1, 0))),
        Case(lambda a, b: lax.dynamic_update_slice(a, b["v"][:2], (1,)), "vector"),
        Case(
            lambda a, b: lax.dynamic_update_slice(a, a[:1], (a[0, 0].astype(int), 0)),
            refused="new_dtype",
        ),
    ],
    "gather": [
        Case(lambda a, b: a[np.array([2, 0, -1])]),
        Case(lambda a, b: a[jnp.array([2, 7, -9])]),
        Case(lambda a, b: a[:, np.array([3, 3, 1, 0, -2])]),
        Case(lambda a, b: a[np.array([0, 2]), np.array([3, -1])]),
        Case(lambda a, b: a[np.array([[0, 2], [1, 1]]), np.array([[3, 0], [1, 2]])]),
        Case(lambda a, b: a[jnp.array([3, 0, -1, 8])], "vector"),
        Case(lambda a, b: jnp.diag(a)),
        Case(lambda a, b: jnp.diagonal(a, 1)),
        Case(lambda a, b: jnp.take(a, np.array([0, 7, -1]), axis=0, mode="clip")),
        Case(lambda a, b: jnp.take(a, np.array([0, 7, -1]), axis=0, mode="wrap")),
        Case(lambda a, b: jnp.take(a, np.array([0, 7, -1]), axis=0, mode="fill", fill_value=2.0)),
        Case(lambda a, b: jnp.take(a, np.array([4, 3]), axis=1, mode="fill", fill_value=0.0)),
        Case(lambda a, b: jnp.take(a, np.array([9, 8]), axis=1, mode="fill", fill_value=-3.0)),
        Case(lambda a, b: jnp.take(a, np.array([0, 2]), axis=0, mode="fill", fill_value=1.0)),
        Case(lambda a, b: jnp.take(a, np.array([0, 7]), axis=0), refused="outside the block"),
        Case(
            lambda a, b: jnp.take(a, np.array([0, 7]), axis=0, mode="fill", fill_value=np.inf),
            refused="outside the block",
        ),
        Case(lambda a, b: jnp.take(a, np.array([2, 0]), axis=0, unique_indices=True)),
        Case(lambda a, b: jnp.take(a, np.array([0, 2]), axis=0, indices_are_sorted=True)),
        Case(lambda a, b: window(a, [[0, 1], [2, 3]], (1, 2), "clip")),
        Case(lambda a, b: window(a, [[0, 1], [2, 3]], (1, 3), "fill", fill_value=4.0)),
        Case(lambda a, b: jnp.take(a, np.zeros((0,), int), axis=0).sum(0)),
    ],
    "pad": [
        Case(lambda a, b: lax.pad(a, 0.0, ((1, 2, 0), (0, 1, 0)))),
        Case(lambda a, b: lax.pad(a, 0.0, ((0, 0, 2), (1, 0, 1)))),
        Case(lambda a, b: lax.pad(a, 0.0, ((-1, 0, 0), (0, -2, 0)))),
        Case(lambda a, b: lax.pad(a, 0.0, ((-1, 2, 1), (2, -3, 2)))),
        Case(lambda a, b: lax.pad(a, 2.5, ((1, -1, 0), (-1, 1, 1)))),
        Case(lambda a, b: lax.pad(a, -1.0, ((2, -1, 1),)), "vector"),
        Case(lambda a, b: lax.pad(a, b["s"], ((1, 0, 0), (0, 0, 0))), refused="padding with data"),
    ],
    "reshape": [
        Case(lambda a, b: lax.reshape(a, (4, 1)), "vector"),
        Case(lambda a, b: lax.reshape(a, (1, 4)), "vector"),
        Case(lambda a, b: lax.reshape(a, (3,)), "thin"),
        Case(lambda a, b: lax.reshape(a, (1, 3), dimensions=(1, 0)), "thin"),
        Case(lambda a, b: lax.reshape(a, (4, 3), dimensions=(1, 0))),
        Case(lambda a, b: a.reshape((3, 4), order="F")),
        Case(lambda a, b: a.reshape((3, 1), order="F"), "thin"),
        Case(lambda a, b: lax.reshape(a, (3, 4), dimensions=(0, 1))),
        Case(
            lambda a, b: lax.reshape(a, (3, 4), dimensions=(1, 0)),
            "block",
            refused="breaks the matrix",
        ),
        Case(lambda a, b: a.reshape((4, 3)), "block", "breaks the matrix"),
        Case(lambda a, b: a.reshape((4, 3), order="F"), "block", "breaks the matrix"),
        Case(lambda a, b: a.reshape((2, 6), order="F"), "block", "breaks the matrix"),
    ],
    "rev": [
        Case(lambda a, b: lax.rev(a, (0,))),
        Case(lambda a, b: lax.rev(a, (1,))),
        Case(lambda a, b: lax.rev(a, (0, 1))),
        Case(lambda a, b: lax.rev(a, (0,)), "vector"),
    ],
    "scatter": [
        Case(lambda a, b: a.at[1].set(b["v"])),
        Case(lambda a, b: a.at[:, 1].set(2.0)),
        Case(lambda a, b: a.at[1:, ::2].set(b["A"][:2, :2])),
        Case(lambda a, b: a.at[np.array([2, 0]), np.array([3, 1])].set(b["v"][:2])),
        Case(lambda a, b: a.at[np.array([2, 2])].set(b["A"][:2])),
        Case(lambda a, b: jnp.asarray(CONSTANT).at[1].set(a[0])),
        Case(lambda a, b: a.at[np.array([1, 9])].set(0.5, mode="clip")),
        Case(lambda a, b: a.at[np.array([1, 9])].set(0.5, mode="drop")),
        Case(lambda a, b: a.at[2].set(b["s"], unique_indices=True, mode="promise_in_bounds")),
        Case(lambda a, b: a.at[np.array([0, 1])].set(b["s"], indices_are_sorted=True), "vector"),
        Case(lambda a, b: a.at[0].apply(jnp.sin), refused="update_jaxpr"),
    ],
    "scatter-add": [
        Case(lambda a, b: a.at[1].add(b["v"])),
        Case(lambda a, b: a.at[:, 1].add(2.0)),
        Case(lambda a, b: a.at[np.array([2, 2, 0])].add(b["A"])),
        Case(lambda a, b: jnp.asarray(CONSTANT).at[np.array([1, 1])].add(a[:2])),
        Case(lambda a, b: a.at[np.array([1, 9])].add(b["v"], mode="clip")),
        Case(lambda a, b: a.at[np.array([1, 9])].add(b["v"], mode="drop")),
        Case(lambda a, b: a.at[np.array([0, 1])].add(b["v"][:2], unique_indices=True), "vector"),
        Case(lambda a, b: a.at[np.array([0, 1])].add(1.0, indices_are_sorted=True), "vector"),
        Case(lambda a, b: jax.grad(lambda x: (2.0 * x[np.array([2, 2, 0])]).sum())(a) + a),
    ],
    "scatter-mul": [
        Case(lambda a, b: a.at[1].multiply(2.0)),
        Case(lambda a, b: a.at[np.array([2, 2])].multiply(np.arange(1.0, 5.0))),
        Case(lambda a, b: a.at[np.array([1, 9])].multiply(0.5, mode="clip")),
        Case(lambda a, b: a.at[np.array([0, 1])].divide(4.0, unique_indices=True), "vector"),
        Case(lambda a, b: a.at[np.array([0, 1])].mul(4.0, indices_are_sorted=True), "vector"),
        Case(lambda a, b: a.at[1].multiply(b["v"]), refused="multiplies by data"),
    ],
    "scatter-sub": [
        Case(lambda a, b: a.at[1].subtract(b["v"])),
        Case(lambda a, b: a.at[np.array([2, 2, 9])].subtract(b["A"], mode="clip")),
        Case(lambda a, b: a.at[np.array([0, 0])].subtract(b["v"][:2]), "vector"),
        Case(lambda a, b: a.at[np.array([0, 1])].subtract(1.0, unique_indices=True), "vector"),
        Case(lambda a, b: a.at[np.array([0, 1])].subtract(1.0, indices_are_sorted=True), "vector"),
    ],
    "slice": [
        Case(lambda a, b: lax.slice(a, (1, 0), (3, 3))),
        Case(lambda a, b: lax.slice(a, (0, 1), (3, 4), (2, 2))),
        Case(lambda a, b: lax.slice(a, (1,), (4,), (2,)), "vector"),
        Case(lambda a, b: lax.slice(a, (1, 1), (1, 3)).sum(0)),
    ],
    "split": [
        Case(lambda a, b: lax.split(a, (1, 2), axis=0)[1]),
        Case(lambda a, b: lax.split(a, (3, 1), axis=1)[0]),
    ],
    "squeeze": [
        Case(lambda a, b: lax.squeeze(a, (1,)), "thin"),
        Case(lambda a, b: lax.squeeze(lax.slice(a, (0, 0), (1, 4)), (0,))),
        Case(lambda a, b: lax.squeeze(lax.slice(a, (0, 0), (1, 1)), (0, 1))),
    ],
    "stack": [
        Case(lambda a, b: jnp.stack([a, 2.0 * b["v"], np.ones(4)], 0), "vector"),
        Case(lambda a, b: jnp.stack([a, 2.0 * b["v"], np.ones(4)], 1), "vector"),
        Case(lambda a, b: jnp.stack([a, 2.0 * a]), "number"),
    ],
    "tile": [
        Case(lambda a, b: jnp.tile(a, (2, 1))),
        Case(lambda a, b: jnp.tile(a, (1, 3))),
        Case(lambda a, b: jnp.tile(a, (2,)), "vector"),
        Case(lambda a, b: jnp.tile(a, (2, 2)), "thin"),
    ],
    "transpose": [
        Case(lambda a, b: lax.transpose(a, (1, 0))),
        Case(lambda a, b: lax.transpose_p.bind(a, permutation=(0, 1))),
    ],
    "unstack": [
        Case(lambda a, b: jnp.unstack(a, axis=0)[1] + 2.0 * jnp.unstack(a, axis=0)[0]),
        Case(lambda a, b: jnp.unstack(a, axis=1)[1]),
        Case(lambda a, b: jnp.unstack(a)[2], "vector"),
    ],
}
