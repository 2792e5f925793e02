"""Sums inside sums: a difference of data that are close is as exact in a stack as in its step."""

import jax.numpy as jnp
import numpy as np
import pytest

import elsa
from tests.compiler.test_rounding import error, evaluated
from tests.helpers import wide

N, D = 12, 4
OFFSET = 1e5 * np.ones((N, 1))
WEIGHTS = np.diag([0.3, 0.7, 1.1, 0.2])


def joined(*parts):
    """jnp.concatenate, or NumPy's where long double has to stay so."""
    library = np if isinstance(parts[0], np.ndarray) else jnp
    return library.concatenate(parts)


def like(constant, block):
    return constant.astype(block.dtype) if isinstance(block, np.ndarray) else constant


def descent(X, w, y):
    return w - 0.3 * X.T @ (X @ w - y)


# q and s are near one another and a million times w; labels are 1e5 apart from zero.
STEPS = {
    "sum of a difference": lambda w, q, s: {"w": w + (q - s)},
    "difference first": lambda w, q, s: {"w": (q - s) + w},
    "multiple of a difference": lambda w, q, s: {"w": 0.9 * w + 0.5 * (q - s)},
    "only a multiple": lambda w, q, s: {"w": 0.3 * (q - s)},
    "data times a difference": lambda a, w, q, s: {"w": 0.5 * w + a * (q - s)},
    "entries of a difference": lambda w, q, s: {"w": 0.5 * w + like(WEIGHTS, w) @ (q - s)},
    "difference in a block": lambda w, q, s: {"w": 0.5 * w + joined(q - s, q - s)[1 : D + 1]},
    "difference of differences": lambda w, q, s, u: {"w": w + ((q - s) - u)},
    "written over a block": lambda w, q, s: {"w": q - s},
    "states": lambda w, u, v: {"w": 0.5 * w + (u - v), "u": v, "v": u},
    "beside descent": lambda X, y, w, q, s: {"w": descent(X, w, y) + 0.1 * (q - s)},
    "in the gradient": lambda X, y, w, q, s: {"w": w - 0.3 * (X.T @ (X @ w - y) + 0.1 * (q - s))},
    "labels less a constant": lambda X, z, w: {"w": descent(X, w, z - like(OFFSET, w))},
    "centred labels": lambda X, z, w: {"w": descent(X, w, z - z.mean())},
    "offset residual": lambda X, z, w: {"w": w - 0.3 * X.T @ ((like(OFFSET, w) - z) + X @ w)},
}


def unrolled(w, q, s):
    for _ in range(4):
        w = w + 0.1 * (q - s)
    return {"w": w}


# States u, v, w and data that are all large and near one another; g and G are small.
AMONG_LARGE = {
    "two differences": lambda g, w, u, v: {"g": g + 0.1 * ((w - v) + (w - u)), "w": u, "u": w},
    "second difference": lambda g, w, u, v: {"g": 0.1 * g + ((w - u) - (u - v))},
    "extrapolated": lambda g, w, u, v: {"g": g + 0.3 * ((w + (w - u)) - v), "u": w},
    "momentum less weights": lambda g, w, u: {"g": g + ((w + 0.9 * (w - u)) - w), "u": w},
    "constants": lambda g, w: {"g": g + ((w - 1e5) + (1e5 - w) * 0.5)},
    "neighbours": lambda g, w: {
        "g": g + 0.1 * joined((w[:-2] - w[1:-1]) + (w[2:] - w[1:-1]), g[2:])
    },
    "rows of zeros and ones": lambda G, V, P: {"G": G + 0.1 * (P @ V - V)},
    "images": lambda g, w, u, P: {"g": g + (P @ w - P @ u)},
}
STEPS["unrolled"] = unrolled


def blocks_of(step, dtype, rng):
    q = 1e6 * (1 + 0.1 * rng.normal(size=(D, 1)))
    y = rng.normal(size=(N, 1))
    blocks = {"X": rng.normal(size=(N, D)) / N**0.5, "y": y, "z": y + 1e5}
    blocks |= {"w": rng.normal(size=(D, 1)), "q": q, "s": q + rng.normal(size=(D, 1))}
    blocks |= {"u": q - blocks["s"], "a": np.array([[0.37]])}
    if step in AMONG_LARGE.values():
        large = {name: 1e5 + rng.normal(size=(D, 1)) for name in "wuv"}
        blocks |= large | {"g": rng.normal(size=(D, 1)), "P": np.eye(D)[[1, 2, 0, 3]]}
        blocks |= {"V": 1e5 + rng.normal(size=(D, 2)), "G": rng.normal(size=(D, 2))}
    elif "v" in step.__code__.co_varnames:
        blocks |= {"u": q, "v": blocks["s"]}
    names = step.__code__.co_varnames[: step.__code__.co_argcount]
    return {name: np.asarray(blocks[name], dtype) for name in names}


KEPT = [
    *("sum of a difference", "multiple of a difference", "data times a difference"),
    *("difference in a block", "written over a block", "states", "in the gradient"),
    *("labels less a constant", "offset residual", "unrolled", "second difference"),
    *("two differences", "constants", "neighbours", "rows of zeros and ones", "images"),
]


@pytest.mark.parametrize("execution", wide(["auto", "dense"], keep=["auto"]))
@pytest.mark.parametrize("name", wide([*STEPS, *AMONG_LARGE], keep=KEPT))
def test_a_difference_loses_no_more_than_in_the_step(name, execution):
    """100 times what NumPy's evaluation in the same precision loses, both against long double."""
    assert_differences_are_kept(name, execution)


@pytest.mark.parametrize("name", ["written over a block", "states", "in the gradient"])
def test_the_weights_keep_differences_too(name):
    assert_differences_are_kept(name, "dense")


def assert_differences_are_kept(name, execution, depth=2):
    step = (STEPS | AMONG_LARGE)[name]
    for dtype in ("float32", "float64") if execution == "auto" else ("float32",):
        blocks = blocks_of(step, dtype, np.random.default_rng(0))
        exact = evaluated(step, blocks, np.longdouble, depth)
        own = evaluated(step, blocks, dtype, depth)[-1]
        shapes = {block: value.shape for block, value in blocks.items()}
        stack = elsa.compile(step, shapes, depth, execution=execution, dtype=dtype)
        lost = error({block: own[block] for block in stack.stages.plan.outputs}, exact)
        assert error(stack(**blocks), exact) <= 100 * max(lost, np.finfo(dtype).eps), dtype


@pytest.mark.parametrize("plan", [False, "gram"])
def test_every_plan_adds_differences_as_the_step_does(plan):
    step = STEPS["labels less a constant"]
    blocks = blocks_of(step, "float32", np.random.default_rng(0))
    exact = evaluated(step, blocks, np.longdouble, 3)
    shapes = {block: value.shape for block, value in blocks.items()}
    stack = elsa.compile(step, shapes, 3, reassociate=plan, dtype="float32")
    assert error(stack(**blocks), exact) <= 1e-6


def test_sums_of_data_are_made_once():
    """They are made before the steps, which stay one layer each."""
    for name in ("beside descent", "in the gradient", "labels less a constant", "centred labels"):
        blocks = blocks_of(STEPS[name], "float64", np.random.default_rng(0))
        shapes = {block: value.shape for block, value in blocks.items()}
        stack = elsa.compile(STEPS[name], shapes, 20)
        assert stack.layers_per_step == 1, name
        assert stack.num_layers <= 20 + 4, name


MOMENTUM = {
    "outer term last": lambda X, y, w, u: {"w": descent(X, w, y) + 0.5 * (w - u), "u": w},
    "decay to a start": lambda X, y, w, u: {"w": w - 0.3 * (X.T @ (X @ w - y) + 0.1 * (w - u))},
    "moving average": lambda X, y, w, u: {"w": descent(X, w, y), "u": u + 0.1 * (w - u)},
    "products only": lambda X, y, w, u: {"w": w - 0.3 * (X.T @ (X @ w - y) + X.T @ (X @ u))},
}


@pytest.mark.parametrize("name", MOMENTUM)
def test_what_an_outer_term_hides_takes_no_layer(name):
    shapes = {"X": (N, D), "y": (N, 1), "w": (D, 1), "u": (D, 1)}
    stack = elsa.compile(MOMENTUM[name], shapes, 10, reassociate=False)
    assert stack.layers_per_step == 2


def test_a_step_with_an_array_of_its_own_is_measured():
    """In float32, though the compiler reads it in float64."""
    offset = np.full((N, 1), 0.5)
    stack = elsa.compile(lambda z: {"z": 0.5 * z - offset}, {"z": (N, 1)}, 3, reassociate="gram")
    assert all(found.ratio < 2 for found in stack.stages.plan.rounding)


def test_a_loop_whose_terms_double_is_planned():
    """v + C v D, 24 times: 2^24 products of constants if it were written out."""
    rng = np.random.default_rng(0)
    pairs = rng.normal(size=(24, 2, 3, 3)) / 4

    def step(v, w):
        for left, right in pairs:
            v = v + left @ v @ right
        return {"v": v, "w": w + 0.1 * v}

    assert elsa.compile(step, {"v": (3, 3), "w": (3, 3)}, 2).num_layers <= 2 * 25
