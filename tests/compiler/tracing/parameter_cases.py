"""Every primitive that the compiler supports, with values of every parameter it has.

A case is a function of one operand; the operand comes whole, and broadcast from a column, a row or
a number, since such values are smaller inside the compiler than they are in jax. `refused` names
the parameter for which there must be an error instead.
"""

import dataclasses
import inspect
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.ad_checkpoint import checkpoint_name

BLOCKS = {"A": (3, 4), "B": (4, 3), "c": (3, 1), "r": (1, 4), "v": (4,), "s": ()}
OPERANDS = {
    "matrix": {
        "whole": lambda b: b["A"],
        "turned": lambda b: b["B"].T,
        "column": lambda b: jnp.broadcast_to(b["c"], (3, 4)),
        "row": lambda b: jnp.broadcast_to(b["r"], (3, 4)),
        "row of a vector": lambda b: jnp.broadcast_to(b["v"], (3, 4)),
        "number": lambda b: jnp.broadcast_to(b["s"], (3, 4)),
    },
    "block": {"whole": lambda b: b["A"], "turned": lambda b: b["B"].T},
    "vector": {"whole": lambda b: b["v"], "number": lambda b: jnp.broadcast_to(b["s"], (4,))},
    "thin": {"column": lambda b: b["c"], "number": lambda b: jnp.broadcast_to(b["s"], (3, 1))},
    "number": {"whole": lambda b: b["s"]},
    "column": {"column": lambda b: jnp.broadcast_to(b["c"], (3, 4))},
}


@dataclasses.dataclass(frozen=True)
class Case:
    """function: of the operand and the other blocks. operand: a key of OPERANDS.

    refused: the parameter named in the error, where there must be one; else None.
    """

    function: Callable
    operand: str = "matrix"
    refused: str | None = None


CONSTANT = np.arange(12.0).reshape(3, 4) - 5.5
MASK = np.arange(12).reshape(3, 4) % 3
DEVICE = jax.sharding.SingleDeviceSharding(jax.devices()[0])
ONE = jax.sharding.Mesh(np.array(jax.devices()[:1]), ("i",))
MESH = jax.sharding.NamedSharding(ONE, jax.sharding.PartitionSpec("i"))
SPATIAL_FIRST = ("NWC", "OWI", "NWC")
F32, BF16 = jnp.float32, jnp.bfloat16
LESS, FULL = lax.DotAlgorithmPreset.BF16_BF16_F32, lax.DotAlgorithmPreset.F64_F64_F64


def product(a, b, numbers=(((1,), (0,)), ((), ())), **options):
    return lax.dot_general(a, b, numbers, **options)


def convolved(a, kernel, **options):
    """A vector with a constant, by way of an array of three axes."""
    given = {"window_strides": (1,), "padding": [(1, 1)]} | options
    return lax.conv_general_dilated(a[None, None], np.array([[kernel]]), **given).reshape(-1)


def grouped(a, **options):
    """Every entry of a vector times a number, by a convolution of many channels."""
    numbers = np.arange(4.0).reshape(4, 1, 1)
    return lax.conv_general_dilated(a, numbers, (1,), [(0, 0)], **options).reshape(-1)


def looped(a, length, reverse, unroll=1):
    return lax.scan(lambda c, row: (0.5 * c + row, c), a[0], a[:length], length, reverse, unroll)


def until(limit, body):
    def loop(a, b):
        last = jnp.sum(jnp.ones(limit))  # an equation without data
        turn = lambda p: (p[0] + 1, body(p[1], b))  # noqa: E731, needs b
        return lax.while_loop(lambda p: p[0] < last, turn, (0.0, a))[1]

    return loop


@jax.custom_jvp
def doubled(a):
    return 2.0 * a


doubled.defjvp(lambda primals, tangents: (doubled(*primals), 2.0 * tangents[0]))

CASES: dict[str, list[Case]] = {
    "add": [
        Case(lambda a, b: a + b["A"]),
        Case(lambda a, b: a + 1.5),
        Case(lambda a, b: a + CONSTANT),
        Case(lambda a, b: jnp.broadcast_to(b["c"], (3, 4)) + a),
    ],
    "add_any": [Case(lambda a, b: jax.vjp(lambda x: (x, 3.0 * x), a)[1]((a, b["A"]))[0])],
    "convert_element_type": [
        Case(lambda a, b: lax.convert_element_type(a, np.float64)),
        Case(
            lambda a, b: lax.convert_element_type_p.bind(
                a, new_dtype=np.dtype("float64"), weak_type=True, sharding=None
            )
        ),
        Case(lambda a, b: 1.0 * a.astype(F32), refused="new_dtype=float32"),
        Case(lambda a, b: 1.0 * a.astype(BF16), refused="new_dtype=bfloat16"),
        Case(lambda a, b: 1.0 * a.astype(int), refused="new_dtype=int64"),
        Case(lambda a, b: 1.0 * a.astype(bool), refused="new_dtype=bool"),
    ],
    "conv_general_dilated": [
        Case(lambda a, b: convolved(a, [1.0, -2.0, 0.5], padding=[(0, 0)]), "vector"),
        Case(lambda a, b: convolved(a, [1.0, -2.0], padding=[(2, 1)]), "vector"),
        Case(lambda a, b: convolved(a, [1.0, -2.0], window_strides=(2,)), "vector"),
        Case(lambda a, b: convolved(a, [1.0, -2.0], lhs_dilation=(2,)), "vector"),
        Case(lambda a, b: convolved(a, [1.0, -2.0], rhs_dilation=(3,)), "vector"),
        Case(lambda a, b: convolved(a, [1.0], precision=lax.Precision.HIGHEST), "vector"),
        Case(lambda a, b: convolved(a, [1.0], precision=LESS), "vector", "precision=.*BF16"),
        Case(lambda a, b: convolved(a, [1.0], preferred_element_type=np.float64), "vector"),
        Case(lambda a, b: grouped(a[None, :, None], feature_group_count=4), "vector"),
        Case(lambda a, b: grouped(a[:, None, None], batch_group_count=4), "vector"),
        Case(
            lambda a, b: lax.conv_general_dilated(
                a[None, :, None], np.ones((1, 2, 1)), (1,), "SAME", dimension_numbers=SPATIAL_FIRST
            ).reshape(-1),
            "vector",
        ),
        Case(lambda a, b: jnp.convolve(np.arange(3.0), a, mode="same"), "vector"),
        Case(lambda a, b: jnp.convolve(a, b["v"]), "vector", "matrices"),
    ],
    "copy": [Case(lambda a, b: jnp.array(a, copy=True))],
    "cumsum": [
        Case(lambda a, b: lax.cumsum(a, 0)),
        Case(lambda a, b: lax.cumsum(a, 1)),
        Case(lambda a, b: lax.cumsum(a, 0, reverse=True)),
        Case(lambda a, b: lax.cumsum(a, 1, reverse=True)),
        Case(lambda a, b: lax.cumsum(a, 0, reverse=True), "vector"),
    ],
    "div": [Case(lambda a, b: a / 3.0), Case(lambda a, b: a / CONSTANT)],
    "dot_general": [
        Case(lambda a, b: product(a, b["B"])),
        Case(lambda a, b: product(a, b["B"], (((0,), (1,)), ((), ())))),
        Case(lambda a, b: product(a, b["A"], (((0,), (0,)), ((), ())))),
        Case(lambda a, b: product(b["A"], a, (((1,), (1,)), ((), ())))),
        Case(lambda a, b: product(a, b["A"], (((0, 1), (0, 1)), ((), ())))),
        Case(lambda a, b: product(a, b["A"], (((1, 0), (1, 0)), ((), ())))),
        Case(lambda a, b: product(a, b["B"], (((0, 1), (1, 0)), ((), ())))),
        Case(lambda a, b: product(a, b["v"])),
        Case(lambda a, b: product(a, b["A"], (((0,), (1,)), ((), ()))), "vector"),
        Case(lambda a, b: product(a, b["v"], (((), ()), ((), ()))), "vector"),
        Case(lambda a, b: product(a, b["v"], (((0,), (0,)), ((), ()))), "vector"),
        Case(lambda a, b: product(a, b["A"], (((), ()), ((), ()))), "number"),
        Case(lambda a, b: product(a, CONSTANT.T)),
        Case(lambda a, b: product(CONSTANT.T, a)),
        Case(
            lambda a, b: product(a, b["A"], (((1,), (1,)), ((0,), (0,)))),
            "block",
            refused="batched",
        ),
        Case(lambda a, b: product(a, b["A"], (((1,), (1,)), ((0,), (0,)))).sum()),
        Case(lambda a, b: product(a, b["A"], (((), ()), ((0, 1), (0, 1)))).sum()),
        Case(lambda a, b: product(a, b["B"], precision=lax.Precision.DEFAULT)),
        Case(lambda a, b: product(a, b["B"], precision="highest")),
        Case(lambda a, b: product(a, b["B"], precision=FULL)),
        Case(lambda a, b: product(a, b["B"], precision=LESS), refused="precision=.*BF16"),
        Case(lambda a, b: product(a, b["B"], preferred_element_type=np.float64)),
        Case(
            lambda a, b: 1.0 * product(a, b["B"], preferred_element_type=F32),
            refused="preferred_element_type=float32",
        ),
    ],
    "integer_pow": [
        Case(lambda a, b: lax.integer_pow(a, 0)),
        Case(lambda a, b: lax.integer_pow(a, 1)),
        Case(lambda a, b: lax.integer_pow(a, 2), "number"),
        Case(lambda a, b: lax.integer_pow(a, 3) * jnp.ones((3, 4)), "number"),
        Case(lambda a, b: lax.integer_pow(a, -1), "number", refused="non-negative"),
        Case(lambda a, b: lax.integer_pow(a, -2), refused="non-negative"),
        Case(lambda a, b: lax.integer_pow(a, 2), "column", refused="only 1 x 1 blocks"),
    ],
    "mul": [
        Case(lambda a, b: 2.5 * a),
        Case(lambda a, b: a * CONSTANT),
        Case(lambda a, b: a * CONSTANT[:1]),
        Case(lambda a, b: CONSTANT[:, :1] * a),
        Case(lambda a, b: a * b["s"]),
        Case(lambda a, b: a * jnp.broadcast_to(b["r"], (3, 4)), "column"),
        Case(lambda a, b: jnp.broadcast_to(b["r"], (3, 4)) * a, "column"),
        Case(lambda a, b: a * b["c"], "number"),
        Case(lambda a, b: a * jnp.broadcast_to(b["c"], (3, 4)), "column", refused="two data"),
        Case(lambda a, b: lax.mul(a, CONSTANT)),
    ],
    "name": [Case(lambda a, b: checkpoint_name(a, "kept"))],
    "neg": [Case(lambda a, b: -a)],
    "optimization_barrier": [Case(lambda a, b: sum(lax.optimization_barrier((a, b["A"]))))],
    "pow": [
        Case(lambda a, b: a**2.0, "number"),
        Case(lambda a, b: a**0.0 + a**1.0),
        Case(lambda a, b: lax.pow(a, jnp.full((3, 4), 2.0)).sum()),
        Case(lambda a, b: a**2.0, "block", "jnp.sum"),
        Case(lambda a, b: a**-1.0, "number", "non-negative"),
        Case(lambda a, b: a**0.5, "number", "only matrix products"),
        Case(lambda a, b: 2.0**a, "number", "only matrix products"),
    ],
    "reduce_precision": [
        Case(lambda a, b: lax.reduce_precision(a, 11, 52)),
        Case(lambda a, b: lax.reduce_precision(a, 8, 52), refused="exponent_bits=8"),
        Case(lambda a, b: lax.reduce_precision(a, 11, 23), refused="mantissa_bits=23"),
    ],
    "reduce_sum": [
        Case(lambda a, b: a.sum()),
        Case(lambda a, b: a.sum(axis=0)),
        Case(lambda a, b: a.sum(axis=1)),
        Case(lambda a, b: a.sum(), "vector"),
        Case(lambda a, b: a.sum(axis=1), "thin"),
    ],
    "select_n": [
        Case(lambda a, b: lax.select_n(MASK > 0, a, b["A"])),
        Case(lambda a, b: lax.select_n(MASK > 0, a, CONSTANT)),
        Case(lambda a, b: lax.select_n(MASK.astype("int32"), a, CONSTANT, b["A"])),
        Case(lambda a, b: lax.select_n(3 * MASK.astype("int32") - 2, CONSTANT, b["A"], a)),
        Case(lambda a, b: lax.select_n(np.array(True), CONSTANT, a)),
        Case(lambda a, b: lax.select_n(np.array(2, "int32"), CONSTANT, b["A"], a)),
        Case(lambda a, b: lax.select_n(np.array([True, False, True, False]), a, b["v"]), "vector"),
    ],
    "sharding_constraint": [
        Case(lambda a, b: lax.with_sharding_constraint(a, DEVICE)),
        Case(lambda a, b: lax.with_sharding_constraint(a, MESH)),
    ],
    "square": [
        Case(lambda a, b: lax.square(a), "number"),
        Case(lambda a, b: lax.square(a), "column", refused="only 1 x 1"),
    ],
    "stop_gradient": [Case(lambda a, b: lax.stop_gradient(a))],
    "sub": [Case(lambda a, b: a - b["A"]), Case(lambda a, b: CONSTANT - a)],
    "scan": [
        Case(lambda a, b: looped(a, 3, False)[0]),
        Case(lambda a, b: looped(a, 2, True)[0]),
        Case(lambda a, b: looped(a, 3, True)[1]),
        Case(lambda a, b: looped(a, 3, False, 3)[1]),
        Case(lambda a, b: lax.fori_loop(0, 3, lambda i, x: 0.5 * x + i * b["A"], a)),
        Case(lambda a, b: lax.fori_loop(0, 0, lambda i, x: 0.5 * x, a)),
        Case(lambda a, b: jax.grad(lambda x: looped(x, 3, False)[1].sum())(a)),
        Case(lambda a, b: lax.scan(lambda c, r: (c + r, r * c), 1.0, a)[0], "vector"),
    ],
    "while": [
        Case(until(3, lambda x, b: 0.5 * x)),
        Case(
            lambda a, b: lax.while_loop(lambda p: p[0] < 2, lambda p: (p[0] + 1, -p[1]), (0, a))[1]
        ),
        Case(until(0, lambda x, b: 0.5 * x)),
        Case(until(2, lambda x, b: 0.5 * x + b["A"])),
        Case(
            lambda a, b: lax.while_loop(lambda x: x[0, 0] > 1, lambda x: 0.5 * x, a),
            refused="depends on data",
        ),
    ],
    "cond": [
        Case(lambda a, b: lax.cond(np.array(True), lambda x: 2 * x, lambda x: x.T.T, a)),
        Case(lambda a, b: lax.switch(np.array(2), [jnp.sin, jnp.cos, lambda x: 3.0 * x], a)),
        Case(lambda a, b: lax.switch(np.array(7), [jnp.sin, lambda x: 3.0 * x], a)),
        Case(lambda a, b: lax.cond(a[0, 0] > 0, lambda x: 2 * x, lambda x: x, a), refused="branch"),
    ],
    "jit": [Case(lambda a, b: jax.jit(lambda x, y: 2 * x + y)(a, b["A"]))],
    "remat2": [
        Case(lambda a, b: jax.grad(lambda x: jax.checkpoint(lambda y: jnp.trace(y @ y.T))(x))(a))
    ],
    "custom_jvp_call": [
        Case(lambda a, b: doubled(a)),
        Case(lambda a, b: jax.jvp(doubled, (a,), (b["A"],))[1]),
    ],
}

if "out_dtype" in inspect.signature(lax.mul).parameters:  # from jax 0.10 on
    CASES["mul"] += [
        Case(lambda a, b: lax.mul(a, CONSTANT, out_dtype=np.float64)),
        Case(lambda a, b: 1.0 * lax.mul(a, CONSTANT, out_dtype=F32), refused="out_dtype=float32"),
    ]
