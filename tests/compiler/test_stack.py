"""Compiled stacks: what runs, whatever the schedule leaves out."""

import itertools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import elsa
from elsa import algorithms
from elsa.heads.head import stack_dense
from tests.compiler.helpers import TOLERANCE, by_hand, draw, error, path, weights_of
from tests.helpers import outside, scattered_layout, table, wide


def test_an_untied_step_without_layers_of_its_own_has_weights():
    """The numbers of t differ, but all that is returned follows from inputs that never change."""

    def step(B, C, E, t):
        return {"B": C, "E": (1.0 + t) * E}

    def idle(B, C, t):
        return {"B": C + 0.0 * t}

    for function, shapes in (
        (step, {"B": (2, 3), "C": (2, 3), "E": (1,)}),
        (idle, {"B": (2, 3), "C": (2, 3)}),
    ):
        stack = elsa.compile(function, shapes, 3, tied=False, execution="dense")
        assert stack.verify(jax.random.key(0)) <= 1e-14
        assert len(stack.weights) >= 1


def test_newton_schulz_reaches_ten_digits_in_24_layers_where_one_eigenvalue_is_small():
    """Condition number 1e4, and labels that hardly touch the small eigenvalue's direction."""
    d, n = 50, 60
    rng = np.random.default_rng(0)
    eigenvalues = np.array([1e-3, *np.full(d - 1, 10.0)])
    lam = 0.5 * eigenvalues[0]
    left = np.linalg.qr(rng.normal(size=(n, d)))[0]
    right = np.linalg.qr(rng.normal(size=(d, d)))[0]
    X, y = left * np.sqrt(eigenvalues - lam) @ right.T, rng.normal(size=(n, 1))
    solution = right @ ((right.T @ (X.T @ y)) / eigenvalues[:, None])
    A = X.T @ X + lam * np.eye(d)
    blocks = {"X": X, "y": y, "lam": np.array([[lam]]), "w": np.zeros((d, 1))}
    blocks["Z"] = np.eye(d) / np.abs(A).sum(axis=0).max()
    shapes = {name: block.shape for name, block in blocks.items()}
    stack = elsa.compile(algorithms.newton_schulz_ridge(), shapes, 22)
    assert stack.num_layers <= 24
    error = np.linalg.norm(stack(**blocks)["w"] - solution) / np.linalg.norm(solution)
    # Rounding in (Z A) Z reaches w by about the condition number: 1e4 times 1e-16, and d.
    assert error <= 1e-10


def branching(X, w):
    if w[0, 0] > 0:
        return {"w": w}
    return {"w": X.T @ (X @ w)}


def narrow(X, w):
    return {"w": (X.T @ (X @ w)).T}


@pytest.mark.parametrize(
    "step, match",
    [
        (branching, r"asks for the value of a block \(test_stack.py, line \d+: `if w\[0, 0\] > 0"),
        (narrow, r"in its own shape \(4, 1\), got \(1, 4\) \(narrow, test_stack.py, line \d+\)"),
    ],
)
def test_an_error_is_one_line_and_says_where(step, match):
    with pytest.raises(elsa.CompileError, match=match) as caught:
        elsa.compile(step, {"X": (6, 4), "w": (4, 1)}, 2)
    assert "\n" not in str(caught.value)


RIDGE = {"X": (5, 3), "y": (5, 1), "w": (3, 1), "lam": (), "query": (2, 3), "prediction": (2, 1)}


def ridge(X, y, w, lam, query, prediction, *, t=0):
    """Gradient descent, its numbers depending on t, and a prediction that no step reads."""
    w = w - (0.5 - 0.1 * t) * (X.T @ (X @ w - y) + lam * w)
    return {"w": w, "prediction": query @ w}


OPTIONS = {
    "tied": {},
    "untied": {"tied": False},
    "skip head": {"skip": "head"},
    "as written": {"reassociate": False},
    "gram": {"reassociate": "gram"},
    "untied, skip head": {"tied": False, "skip": "head"},
}


def compiled(options, depth=3, **more):
    return elsa.compile(ridge, RIDGE, depth, **OPTIONS[options], **more)


def expected(options, blocks, depth=3):
    return path(ridge, blocks, depth, takes_t=OPTIONS[options].get("tied") is False)


@pytest.mark.parametrize("options", OPTIONS)
def test_weights_are_those_of_the_heads_and_run_by_hand(options):
    """h + sum of heads, each by elsa.elsa, from `layout.pack` padded with zeros to `readout`."""
    stack, blocks = compiled(options), draw(RIDGE)
    h = np.asarray(stack.layout.pack(**blocks))
    rows, channels = stack.readout.shape
    h = np.pad(h, ((0, rows - h.shape[0]), (0, channels - h.shape[1])))
    skip = stack.stages.heads.skip == "head"
    for weights in weights_of(stack):
        h = sum((elsa.elsa(h, *head) for head in zip(*weights, strict=True)), 0.0 if skip else h)
    states = expected(options, blocks)
    assert error(stack.readout.unpack(h), states) <= TOLERANCE
    if not skip:
        first, last = stack.stages.heads.parts
        stored = [*stack.weights[:first], *stack.weights[len(stack.weights) - last :]]
        heads = [*stack.layers[:first], *stack.layers[len(stack.layers) - last :]]
        for arrays, own in zip(stored, heads, strict=True):
            for got, wanted in zip(arrays, stack_dense(own, stack.readout.shape), strict=True):
                np.testing.assert_array_equal(got, wanted)


@pytest.mark.parametrize(
    "options, execution",
    wide(
        itertools.product(["tied", "untied", "skip head"], ["auto", "dense"]),
        keep=[("tied", "auto"), ("untied", "dense"), ("skip head", "dense")],
    ),
)
def test_stacks_work_under_jit_vmap_and_grad(options, execution):
    stack, blocks = compiled(options, execution=execution), draw(RIDGE)
    out = stack(**blocks)
    again = jax.jit(lambda blocks: stack(**blocks))(blocks)
    for name, value in out.items():
        np.testing.assert_allclose(again[name], value, rtol=1e-13)

    batch = {n: jnp.stack([jnp.asarray(b), 0.5 * b, -jnp.asarray(b)]) for n, b in blocks.items()}
    many = jax.vmap(lambda blocks: stack(**blocks))(batch)
    single = [stack(**{n: b[i] for n, b in batch.items()}) for i in range(3)]
    for name, value in many.items():
        np.testing.assert_allclose(value, np.stack([s[name] for s in single]), rtol=1e-12)

    def loss(blocks):
        return jnp.sum(stack(**blocks)["prediction"] ** 2)

    def reference(blocks):
        state = blocks
        for t in range(3):
            state = state | ridge(**state, t=t if options == "untied" else 0)
        return jnp.sum(state["prediction"] ** 2)

    wanted = jax.grad(reference)(blocks)
    for name, value in jax.grad(loss)(blocks).items():
        np.testing.assert_allclose(value, wanted[name], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("options", ["tied", "untied"])
@pytest.mark.parametrize("execution", ["auto", "dense"])
def test_the_trajectory_is_every_step(options, execution):
    blocks = draw(RIDGE)
    states = expected(options, blocks, 4)
    seen = compiled(options, depth=4, execution=execution).trajectory(**blocks)
    for name, values in seen.items():
        assert values.shape == (5, *RIDGE[name])
        for value, state in zip(values, states, strict=True):
            np.testing.assert_allclose(value, state[name], rtol=1e-11, atol=1e-13)


def test_blocks_come_back_with_the_axes_they_had():
    def step(A, v, s):
        return {"v": A @ v * s, "s": 0.5 * s, "A": 0.9 * A}

    stack = elsa.compile(step, {"A": (3, 3), "v": (3,), "s": ()}, 2)
    blocks = draw({"A": (3, 3), "v": (3,), "s": ()})
    assert {n: v.shape for n, v in stack(**blocks).items()} == {"A": (3, 3), "v": (3,), "s": ()}
    columns = blocks | {"v": blocks["v"][:, None], "s": np.reshape(blocks["s"], (1,))}
    out = stack(**columns)
    assert {n: v.shape for n, v in out.items()} == {"A": (3, 3), "v": (3, 1), "s": (1,)}
    np.testing.assert_array_equal(out["v"][:, 0], stack(**blocks)["v"])
    assert stack(**blocks | {"s": 2})["s"] == 0.5  # a Python integer


@table(
    "blocks, error_type, message",
    [
        ({}, ValueError, r"missing block \['A'\]"),
        ({"A": np.eye(3), "B": 1.0}, KeyError, "unknown block 'B', known are"),
        ({"A": np.eye(2)}, ValueError, r"block 'A' must have shape \(3, 3\), got \(2, 2\)"),
        ({"A": np.full((3, 3), np.nan)}, ValueError, "A must be finite"),
        ({"A": 1j * np.eye(3)}, TypeError, "A must hold real numbers"),
    ],
)
def test_blocks_that_do_not_fit_are_refused(blocks, error_type, message):
    stack = elsa.compile(lambda A: {"A": 2 * A}, {"A": (3, 3)})
    with pytest.raises(error_type, match=message):
        stack(**blocks)
    with pytest.raises(TypeError, match=r"blocks must be given by name, as \(A=\.\.\), got 1 with"):
        stack(np.eye(3))


# Layouts


@pytest.mark.parametrize("seed", wide(range(4), keep=[1, 2]))
@pytest.mark.parametrize("execution", ["auto", "dense"])
def test_blocks_may_lie_anywhere_turned_and_with_anything_beside_them(seed, execution):
    rng = np.random.default_rng(seed)
    sizes = {name: (*shape, 1, 1)[:2] for name, shape in RIDGE.items()}
    turned = [name for name in RIDGE if rng.integers(2)]
    layout = scattered_layout(sizes, rng, turned)
    stack = elsa.compile(ridge, RIDGE, 3, layout=layout, execution=execution)
    assert stack.layout == layout
    assert stack.num_layers == elsa.compile(ridge, RIDGE, 3).num_layers + 1
    blocks = draw(RIDGE, seed)
    states = path(ridge, blocks, 3)
    clean = np.asarray(layout.pack(**blocks))
    noisy = np.where(outside(layout), rng.normal(size=layout.shape), clean)
    outs = [stack(**blocks), stack.from_prompt(noisy), by_hand(stack, blocks, h=noisy)]
    for out in outs:
        assert error(out, states) <= TOLERANCE
    assert stack.readout.shape[0] >= layout.shape[0]
    assert stack.readout.shape[1] >= layout.shape[1]


def test_a_prompt_of_another_shape_is_refused():
    layout = elsa.BlockLayout({"A": (1, 0, 3, 3)})
    stack = elsa.compile(lambda A: {"A": 2 * A}, {"A": (3, 3)}, layout=layout, execution="dense")
    with pytest.raises(ValueError, match=r"must have shape \(\.\.\., 4, 3\), got \(3, 3\)"):
        stack.from_prompt(np.eye(3))


# Counts and listing


@pytest.mark.parametrize("options", OPTIONS)
def test_counts_are_those_of_the_layers_that_run(options):
    stack = compiled(options, depth=6)
    ran = list(weights_of(stack))
    assert stack.num_layers == len(ran)
    heads = sum(len(weights.wq) for weights in ran)
    assert stack.num_heads == heads
    arrays = [array for weights in stack.weights for array in weights]
    assert stack.num_parameters == sum(array.size for array in arrays)
    assert stack.num_nonzeros == sum(np.count_nonzero(array) for array in arrays)
    assert 0 < stack.num_nonzeros < stack.num_parameters / 4


def test_a_stack_is_counted_and_listed_without_its_dense_weights(monkeypatch):
    stack = elsa.compile(ridge, RIDGE, 4)
    monkeypatch.setattr("elsa.heads.head.Head.dense", None)
    assert f"{stack.num_parameters} parameters stored, {stack.num_nonzeros} not zero" in str(stack)
    for depth in (0, 2):
        idle = elsa.compile(lambda A: {"A": A}, {"A": (3, 4)}, depth)
        assert idle.num_nonzeros == 0 < idle.num_parameters


@pytest.mark.parametrize("options", OPTIONS)
def test_the_listing_has_a_line_for_every_head(options):
    layout = scattered_layout(
        {n: (*s, 1, 1)[:2] for n, s in RIDGE.items()}, np.random.default_rng(0)
    )
    stack = compiled(options, layout=layout)
    text = str(stack)
    schedule = stack.stages.plan.schedule
    first, last = stack.stages.heads.parts
    shown = stack.layers[: first + len(schedule.step)] + stack.layers[-last:]
    for heads in shown:
        for head in heads:
            assert f"  {head.formula}    (p = {head.key_size})" in text
    assert f"ridge, 3 steps: {stack.num_layers} layers, {stack.num_heads} heads" in text
    titles = re.findall(r"^  (\w+)", text, flags=re.MULTILINE)
    counts = {"plan": 1, "load": 1, "prologue": first - 1, "step": len(schedule.step)}
    counts["epilogue"] = last
    assert titles == [title for title, count in counts.items() if count]
    numbered = re.findall(r"^    layer (\d+) of (\d+)$", text, flags=re.MULTILINE)
    several = [count for title, count in counts.items() if title != "plan" and count > 1]
    assert numbered == [(str(i), str(n)) for n in several for i in range(1, n + 1)]
