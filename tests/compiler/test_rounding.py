"""A stack rounds as little as the step that was written, however a loop is written."""

import jax
import numpy as np
import pytest

import elsa
from elsa import algorithms
from tests.compiler.helpers import by_hand
from tests.compiler.iterations import ITERATIONS, step_of
from tests.helpers import table, wide

WAYS = [("unrolled", 3), ("unrolled", 8), ("unrolled", 40), ("fori", 30), ("scan", 20)]
SOME = [("gradient descent", "unrolled", 12), ("chebyshev polynomial", "unrolled", 6)]
SOME += [("two terms", "fori", 12), ("scalar descent", "unrolled", 12)]


def evaluated(step, blocks, dtype, depth):
    """The states after every step, in NumPy and in one precision."""
    states = [{name: np.asarray(value, dtype) for name, value in blocks.items()}]
    for _ in range(depth):
        out = step(**states[-1])
        states.append(states[-1] | {name: np.asarray(value, dtype) for name, value in out.items()})
    return states


def error(out, reference):
    """max |out - ref| over the largest magnitude that the block has had."""
    worst = 0.0
    for name, value in out.items():
        size = max(np.abs(state[name]).max() for state in reference)
        worst = max(worst, float(np.abs(np.asarray(value) - reference[-1][name]).max() / size))
        assert np.isfinite(np.asarray(value)).all(), name
    return worst


def assert_rounds_like_the_step(name, kind, length, *, executions, dtypes, depth=2):
    """100 times what NumPy's evaluation in the same precision loses, both against long double."""
    iteration = ITERATIONS[name]
    blocks = iteration.blocks(np.random.default_rng(length))
    shapes = {block: value.shape for block, value in blocks.items()}
    written = step_of(iteration, length, "numpy")
    for dtype in dtypes:
        given = {block: np.asarray(value, dtype) for block, value in blocks.items()}
        exact = evaluated(written, given, np.longdouble, depth)
        own = evaluated(written, given, dtype, depth)[-1]
        lost = error({state: own[state] for state in iteration.states}, exact)
        for execution in executions:
            step = step_of(iteration, length, kind)
            run = "auto" if execution == "by hand" else execution
            stack = elsa.compile(step, shapes, depth, execution=run, dtype=dtype)
            by_weights = (
                execution == "by hand"
            )  # as dense execution, with nothing for XLA to compile
            out = by_hand(stack, given, dtype=dtype) if by_weights else stack(**given)
            found = error(out, exact)
            assert found <= 100 * max(lost, np.finfo(dtype).eps), (dtype, execution, found, lost)


@pytest.mark.parametrize("name, kind, length", SOME)
def test_loops_round_like_the_step(name, kind, length):
    assert_rounds_like_the_step(
        name, kind, length, executions=["auto"], dtypes=["float32", "float64"]
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", ITERATIONS)
@pytest.mark.parametrize("kind, length", WAYS)
def test_any_loop_rounds_like_the_step(name, kind, length):
    weights = "dense" if length < 10 else "by hand"
    assert_rounds_like_the_step(
        name, kind, length, executions=["auto", weights], dtypes=["float32", "float64"]
    )


# Ridge regression with singular values 1 .. 1e-2, lam 1e-4: forming X^T X costs 12 to 800 times
# the accuracy of the step here.

LAM, N, D = 1e-4, 200, 8
LARGEST, SMALLEST = 1.0 + LAM, 1e-4 + LAM
_ROOTS = LARGEST**0.5, SMALLEST**0.5
_Q = (_ROOTS[0] - _ROOTS[1]) / (_ROOTS[0] + _ROOTS[1])
METHODS = {
    "gradient_descent": (algorithms.gradient_descent(2 / (LARGEST + SMALLEST)), {}),
    "heavy_ball": (
        algorithms.heavy_ball(step_size=4 / sum(_ROOTS) ** 2, momentum=_Q**2),
        {"v": np.zeros((D, 1))},
    ),
    "chebyshev": (
        algorithms.chebyshev(smallest=SMALLEST, largest=LARGEST),
        {"p": np.zeros((D, 1))},
    ),
}


def ill_conditioned(seed):
    rng = np.random.default_rng(seed)
    U, V = (np.linalg.qr(rng.normal(size=(size, D)))[0] for size in (N, D))
    X = U * np.geomspace(1.0, 1e-2, D) @ V.T
    blocks = {"X": X, "y": rng.normal(size=(N, 1)), "w": np.zeros((D, 1))}
    return blocks | {"lam": np.full((1, 1), LAM)}


@pytest.mark.parametrize("execution", wide(["auto", "dense"], keep=["auto"]))
@pytest.mark.parametrize("name", wide(METHODS, keep=["gradient_descent", "heavy_ball"]))
def test_ill_conditioned_ridge_loses_little_more_than_the_step(name, execution, depth=300):
    """Median over 20 problems at most 10 times the loss of plain float32, the worst 30 times."""
    step, more = METHODS[name]
    problems = [ill_conditioned(seed) | more for seed in range(20)]
    given = {n: np.stack([p[n] for p in problems]).astype(np.float32) for n in problems[0]}
    shapes = {n: value.shape[1:] for n, value in given.items()}
    tied = name != "chebyshev"
    options = {"tied": tied, "execution": execution, "dtype": "float32"}
    stack = elsa.compile(step, shapes, depth, **options)
    assert stack.num_layers <= depth + 4
    out = jax.jit(jax.vmap(lambda blocks: stack(**blocks)["w"]))(given)
    exact = plain(step, given, "float64", depth, tied)
    # What is lost depends on the order in which rows are summed, tenfold: the most of four orders.
    own = np.max(
        [
            distance(plain(step, shuffled(given, seed), "float32", depth, tied), exact)
            for seed in range(4)
        ],
        axis=0,
    )
    ratios = distance(out, exact) / own
    assert np.median(ratios) <= 10
    assert ratios.max() <= 30


def plain(step, given, dtype, depth, tied):
    """The step itself on all problems at once, in NumPy: `.T` of a batch swaps its last axes."""

    class Batch(np.ndarray):
        T = property(lambda self: np.swapaxes(self, 1, 2))

    state = {name: np.asarray(value, dtype).view(Batch) for name, value in given.items()}
    for t in range(depth):
        out = step(**state, **({} if tied else {"t": t}))
        assert all(value.dtype == dtype for value in out.values())
        state |= out
    return np.asarray(state["w"])


def shuffled(given, seed):
    order = np.random.default_rng(seed).permutation(N)
    return given | {name: given[name][:, order] for name in ("X", "y")}


def distance(out, exact):
    return np.linalg.norm(np.asarray(out) - exact, axis=(1, 2)) / np.linalg.norm(exact, axis=(1, 2))


def test_a_regrouped_plan_is_measured_and_refused_past_its_bound(monkeypatch):
    """An ill-conditioned constant in the step: X^T X loses digits on any data."""
    rng = np.random.default_rng(0)
    left, right = (np.linalg.qr(rng.normal(size=(5, 5)))[0] for _ in range(2))
    mixing = left * np.geomspace(1.0, 1e-3, 5) @ right

    def step(X, y, w):
        Z = X @ mixing
        return {"w": w - 0.5 * Z.T @ (Z @ w - y)}

    shapes = {"X": (30, 5), "y": (30, 1), "w": (5, 1)}
    stack = elsa.compile(step, shapes, 100, reassociate="gram")
    assert stack.num_layers <= 102 and "plan: gram" in str(stack)
    worst = max(measured.ratio for measured in stack.stages.plan.rounding)
    assert 3 < worst < 100
    monkeypatch.setattr("elsa.compiler.pipeline.MAX_ROUNDING", worst / 2)
    with pytest.raises(elsa.CompileError, match=r"\"gram\" rounds \S+ times as much as the step"):
        elsa.compile(step, shapes, 100, reassociate="gram")


@pytest.mark.parametrize("takes_t", [True, False])
def test_a_step_whose_constants_are_float64_is_measured_in_float32(takes_t):
    """jax.vjp refuses a cotangent of another dtype than the value's."""

    def step(w, t=0):
        return {"w": 0.5 * w + jax.vjp(lambda z: 2.0 * z, w)[1](np.eye(3) @ w)[0]}

    options = {"tied": not takes_t, "reassociate": "gram", "dtype": "float32"}
    stack = elsa.compile(step, {"w": (3, 1)}, 2, **options)
    assert stack.stages.plan.rounding
    assert stack.verify(jax.random.key(0)) < 1e-6


def test_a_regrouped_plan_of_a_step_that_is_never_finite_is_not_measured():
    def step(w):
        return {"w": 1e30 * w}

    stack = elsa.compile(step, {"w": (2, 1)}, 12, reassociate="gram")
    assert "not measured" in str(stack)


def test_verify_sees_what_is_multiplied_across_iterations(monkeypatch):
    """Every sum multiplied out: 30 steps of gradient descent become a polynomial of degree 60."""
    monkeypatch.setattr(
        "elsa.compiler.planning.schedule.candidates", lambda *_, **__: [frozenset()]
    )
    monkeypatch.setattr("elsa.compiler.planning.polynomial.MAX_TERMS", 10**6)
    iteration = ITERATIONS["gradient descent"]
    step = step_of(iteration, 12, "unrolled")
    shapes = {"X": (20, 4), "y": (20, 1), "w": (4, 1)}
    monkeypatch.setattr("elsa.compiler.pipeline.MAX_ROUNDING", np.inf)
    stack = elsa.compile(step, shapes, 1, reassociate="gram")
    assert stack.verify(jax.random.key(0)) > 1e-12
    monkeypatch.undo()
    assert elsa.compile(step, shapes, 1).verify(jax.random.key(0)) < 1e-13


def test_the_plan_is_a_line_of_the_listing():
    step = algorithms.gradient_descent(0.1)
    shapes = {"X": (N, D), "y": (N, 1), "w": (D, 1), "lam": (1, 1)}
    listed = str(elsa.compile(step, shapes, 5))
    assert "plan: products as the step forms them, r carried as a state" in listed
    assert 'reassociate="gram" may multiply 8 x 8 matrices' in listed
    square = {"X": (D, D), "y": (D, 1), "w": (D, 1), "lam": (1, 1)}
    assert "gram" not in str(elsa.compile(step, square, 5))
    assert "carried" not in str(elsa.compile(step, square, 5, reassociate=False))


@pytest.mark.parametrize("options", [{"tied": "no"}, {"tied": 1}])
def test_what_is_not_true_or_false_is_refused(options):
    with pytest.raises(TypeError, match="compile: tied must be True or False"):
        elsa.compile(lambda w: {"w": 2 * w}, {"w": (2, 1)}, **options)


@table("value", ["abc", None, 1, "Gram"])
def test_an_unknown_plan_is_refused(value):
    with pytest.raises(ValueError, match="reassociate must be True, 'gram' or False, got"):
        elsa.compile(lambda w: {"w": 2 * w}, {"w": (2, 1)}, reassociate=value)
