"""The ridge constructions are gradient descent: against NumPy, jax.grad, scikit-learn, each other.

Every problem has |X| = 1 and step size 1 / (1 + lam), the inverse of the largest eigenvalue, so
that no step enlarges a rounding error.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from elsa import BlockLayout
from elsa.constructions import ridge_elsa, ridge_elsa_one_layer, ridge_lsa
from tests.helpers import (
    RIDGE_FORMS,
    RIDGE_SIZES,
    descend,
    outside,
    program_size,
    relative_error,
    ridge_gradient,
    ridge_problem,
    scattered_layout,
)

forms = pytest.mark.parametrize("form", RIDGE_FORMS)
elsa_forms = pytest.mark.parametrize("form", ["ridge_elsa", "ridge_elsa_one_layer"])


def regularisers(form):
    return [1e-3, 0.5, 10.0] + ([] if form == "ridge_lsa" else [0.0])


def solve(form, blocks, step_size, depth, **options):
    """The answer of a construction made for these blocks."""
    (n, d), num_queries = blocks["X"].shape, len(blocks.get("query_x", ()))
    make = RIDGE_FORMS[form]
    return make(n, d, depth, step_size, num_queries=num_queries, **options)(**blocks)


def assert_answers(out, blocks, w, tolerance):
    """w and the predictions, relative to the larger of answer and start."""
    floor = np.linalg.norm(blocks.get("w", 0.0))
    assert relative_error(out["w"], w, floor) <= tolerance
    assert set(out) == ({"w", "prediction"} if "query_x" in blocks else {"w"})
    if "query_x" in blocks:
        queries = blocks["query_x"]
        floor *= np.linalg.norm(queries)
        assert relative_error(out["prediction"], queries @ w, floor) <= tolerance


# One step, many steps, and the solution.


@forms
@given(
    sizes=st.sampled_from(RIDGE_SIZES),
    start=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
    data=st.data(),
)
def test_one_step_is_the_analytic_gradient_and_that_of_jax(form, sizes, start, seed, data):
    lam = data.draw(st.sampled_from(regularisers(form)))
    blocks, eta = ridge_problem(*sizes, lam=lam, seed=seed, start=start)
    X, y, w = blocks["X"], blocks["y"], blocks.get("w", np.zeros((sizes[1], 1)))
    out = solve(form, blocks, eta, depth=1)
    assert_answers(out, blocks, w - eta * ridge_gradient(X, y, lam, w), 1e-12)
    assert_answers(out, blocks, w - eta * np.asarray(gradient_of_jax(w, X, y, lam)), 1e-12)


@jax.jit
@jax.grad
def gradient_of_jax(w, X, y, lam):
    return ((y - X @ w) ** 2).sum() / 2 + lam * (w**2).sum() / 2


SIZES_AND_DEPTHS = list(zip(RIDGE_SIZES, [33, 2, 0, 33, 3, 40], strict=True))


@forms
@given(
    case=st.sampled_from(SIZES_AND_DEPTHS),
    start=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
    data=st.data(),
)
def test_depth_steps_are_the_loop(form, case, start, seed, data):
    sizes, depth = case
    lam = data.draw(st.sampled_from(regularisers(form)))
    blocks, eta = ridge_problem(*sizes, lam=lam, seed=seed, start=start)
    out = solve(form, blocks, eta, depth)
    assert_answers(out, blocks, descend(blocks, eta, depth)[-1], 1e-10)


@forms
@pytest.mark.parametrize("n, d, lam", [(40, 5, 1.0), (8, 12, 0.5)])
def test_deep_stacks_reach_the_ridge_solution(form, n, d, lam):
    from sklearn.linear_model import Ridge

    rng = np.random.default_rng(0)
    blocks = {"X": rng.normal(size=(n, d)), "y": rng.normal(size=n), "lam": lam}
    eigenvalues = np.linalg.eigvalsh(blocks["X"].T @ blocks["X"]) + lam
    step_size = 2 / (eigenvalues[0] + eigenvalues[-1])
    rate = (eigenvalues[-1] - eigenvalues[0]) / (eigenvalues[-1] + eigenvalues[0])
    depth = int(np.ceil(np.log(1e-12) / np.log(rate)))
    blocks["query_x"] = rng.normal(size=(3, d))
    ridge = Ridge(alpha=lam, fit_intercept=False, solver="cholesky").fit(blocks["X"], blocks["y"])
    out = solve(form, blocks, step_size, depth)
    # The iteration leaves 1e-12; rounding, enlarged by the condition number, at most 60, stays
    # below it.
    assert relative_error(out["w"], ridge.coef_) <= 1e-10
    assert relative_error(out["prediction"], ridge.predict(blocks["query_x"])) <= 1e-10


@forms
def test_at_condition_number_one_a_single_step_is_the_solution(form):
    X = np.linalg.qr(np.random.default_rng(0).normal(size=(5, 3)))[0]
    blocks = {"X": X, "y": np.arange(5.0), "lam": 0.25}
    out = solve(form, blocks, 1 / 1.25, depth=1)
    assert relative_error(out["w"], X.T @ blocks["y"] / 1.25) <= 1e-12


@forms
def test_the_trajectory_holds_every_iterate(form):
    blocks, eta = ridge_problem(5, 3, 2)
    stack = RIDGE_FORMS[form](5, 3, 4, eta, num_queries=2)
    path = stack.trajectory(**blocks)["w"]
    assert relative_error(path, descend(blocks, eta, 4)) <= 1e-12
    assert path.shape == (5, 3, 1)
    assert stack.trajectory(**{**blocks, "w": blocks["w"][:, 0]})["w"].shape == (5, 3)
    none = RIDGE_FORMS[form](5, 3, 0, eta, num_queries=2).trajectory(**blocks)["w"]
    assert relative_error(none, blocks["w"][None]) <= 1e-15
    if form != "ridge_lsa":
        shapes = dict(stack.inputs)
        layout = scattered_layout(shapes, np.random.default_rng(0), ["X"])
        other = RIDGE_FORMS[form](5, 3, 4, eta, num_queries=2, layout=layout)
        assert relative_error(other.trajectory(**blocks)["w"], path) <= 1e-12


@forms
def test_the_prompts_hold_the_input_and_the_answer(form):
    blocks, eta = ridge_problem(5, 3, 2)
    stack = RIDGE_FORMS[form](5, 3, 4, eta, num_queries=2)
    prompts = stack.prompts(**blocks)
    assert prompts.shape == (stack.num_layers + 1, *stack.readout.shape)
    np.testing.assert_array_equal(stack.readout.block(prompts[0], "X"), blocks["X"])
    last, out = stack.readout.unpack(prompts[-1]), stack(**blocks)
    root = np.sqrt(0.5) if form == "ridge_lsa" else 1.0
    assert relative_error(last["w"] / root, out["w"]) <= 1e-14
    assert relative_error(last["prediction"], out["prediction"]) <= 1e-14
    np.testing.assert_array_equal(prompts[:, :5, :3], np.stack([blocks["X"]] * len(prompts)))


@pytest.mark.parametrize(
    "form, num_layers, num_heads",
    [("ridge_lsa", 6, 12), ("ridge_elsa", 13, 25), ("ridge_elsa_one_layer", 8, 27)],
)
def test_the_price_in_layers_and_heads(form, num_layers, num_heads):
    """As the docstrings count: T, 2 T + 1 and T + 2 layers with queries."""
    stack = RIDGE_FORMS[form](5, 3, 6, 0.1, num_queries=2)
    assert (stack.num_layers, stack.num_heads) == (num_layers, num_heads)
    assert (stack.depth, stack.step_size) == (6, 0.1)
    biases = [array for layer in stack.weights for array in layer[3:] if array.size]
    assert (form == "ridge_lsa") == (not biases)


# What must not matter.


@forms
def test_permuting_context_rows_leaves_the_answer(form):
    blocks, eta = ridge_problem(5, 3, 2)
    order = np.array([2, 0, 4, 1, 3])
    mixed = {**blocks, "X": blocks["X"][order], "y": blocks["y"][order]}
    out, other = solve(form, blocks, eta, 4), solve(form, mixed, eta, 4)
    for name in out:
        assert relative_error(other[name], out[name]) <= 1e-12


@forms
def test_queries_change_nothing_in_w(form):
    blocks, eta = ridge_problem(5, 3)
    w = solve(form, blocks, eta, 4)["w"]
    for num_queries in (2, 9):  # more queries than context rows, too
        queries = 1e3 * np.random.default_rng(1).normal(size=(num_queries, 3))
        out = solve(form, {**blocks, "query_x": queries}, eta, 4)
        assert relative_error(out["w"], w) <= 1e-12
        assert relative_error(out["prediction"], queries @ w) <= 1e-12


def test_the_label_of_a_query_reaches_nothing():
    blocks, eta = ridge_problem(5, 3, 2)
    stack = ridge_lsa(5, 3, 4, eta, num_queries=2)
    h = stack.prompts(**blocks)[0]
    rows, label = stack.layout.box("query_x").row, stack.layout.box("y").col
    noisy = h.at[rows:, label].set(1e3)
    for name in ("w", "prediction"):
        plain, other = (stack.readout.block(stack.run(prompt), name) for prompt in (h, noisy))
        np.testing.assert_array_equal(other, plain)  # 1e3 is multiplied by zeros only


@pytest.mark.parametrize("sizes, depth", SIZES_AND_DEPTHS)
def test_all_forms_agree(sizes, depth):
    blocks, eta = ridge_problem(*sizes)
    first, *others = (solve(form, blocks, eta, depth) for form in RIDGE_FORMS)
    for other in others:
        assert set(other) == set(first)
        for name in first:
            assert relative_error(other[name], first[name]) <= 1e-12


@elsa_forms
def test_a_skip_head_in_every_layer_agrees_with_the_residual(form):
    blocks, eta = ridge_problem(5, 3, 2)
    layout = scattered_layout(
        {name: block.shape for name, block in blocks.items()}, np.random.default_rng(0)
    )
    for place in (None, layout):
        residual = solve(form, blocks, eta, 4, layout=place)
        head = solve(form, blocks, eta, 4, layout=place, skip="head")
        assert relative_error(head["w"], residual["w"]) <= 1e-12
        assert relative_error(head["prediction"], residual["prediction"]) <= 1e-12


# Layouts of the caller's own.


@elsa_forms
@given(
    sizes=st.sampled_from([(1, 1, 2), (3, 5, 0), (6, 2, 2)]),
    stored=st.sets(st.sampled_from(["X", "y", "lam", "w", "query_x"])),
    seed=st.integers(0, 2**32 - 1),
)
def test_any_layout_costs_one_layer_and_ignores_what_lies_beside_the_blocks(
    form, sizes, stored, seed
):
    n, d, num_queries = sizes
    blocks, eta = ridge_problem(n, d, num_queries, seed=seed)
    rng = np.random.default_rng(seed)
    shapes = {name: block.shape for name, block in blocks.items()}
    layout = scattered_layout(shapes, rng, stored & set(shapes))
    make = RIDGE_FORMS[form]
    stack = make(n, d, 3, eta, num_queries=num_queries, layout=layout)
    plain = make(n, d, 3, eta, num_queries=num_queries)
    assert stack.num_layers == plain.num_layers + 1
    expected = descend(blocks, eta, 3)[-1]
    assert_answers(stack(**blocks), blocks, expected, 1e-10)

    h = stack.pack(**blocks)
    beside = 1e3 * outside(layout) * rng.normal(size=layout.shape)
    beside = np.pad(beside, [(0, stack.readout.shape[i] - layout.shape[i]) for i in (0, 1)])
    read = stack.readout.unpack(stack.run(h + beside))
    out = {name: read[name] for name in (("w", "prediction") if num_queries else ("w",))}
    assert_answers(out, blocks, expected, 1e-10)


@elsa_forms
def test_the_natural_layout_ignores_what_lies_below_its_blocks(form):
    blocks, eta = ridge_problem(5, 3, 2)
    stack = RIDGE_FORMS[form](5, 3, 4, eta, num_queries=2)
    below = 1e3 * outside(stack.layout) * np.random.default_rng(0).normal(size=stack.layout.shape)
    below = np.pad(below, [(0, 0), (0, stack.readout.shape[1] - stack.layout.shape[1])])
    read = stack.readout.unpack(stack.run(stack.pack(**blocks) + below))
    out = {name: read[name] for name in ("w", "prediction")}
    assert_answers(out, blocks, descend(blocks, eta, 4)[-1], 1e-10)


@elsa_forms
def test_a_layout_equal_to_the_natural_one_costs_nothing(form):
    plain = RIDGE_FORMS[form](5, 3, 2, 0.1)
    same = RIDGE_FORMS[form](5, 3, 2, 0.1, layout=plain.layout)
    assert same.num_layers == plain.num_layers
    assert same.readout == plain.readout


def test_ridge_lsa_takes_any_rows_and_channels_that_keep_company():
    n, d, q = 4, 3, 2
    blocks, eta = ridge_problem(n, d, q)
    layout = BlockLayout(
        {
            "query_x": (0, 7, q, d),  # queries first, data last, gaps between
            "prediction": (0, 1, q, 1),
            "ridge": (3, 3, d, d),
            "w": (3, 1, d, 1),
            "X": (7, 3, n, d),
            "y": (7, 11, n, 1),
            "fit": (7, 1, n, 1),
        },
        (13, 13),
    )
    out = solve("ridge_lsa", blocks, eta, 6, layout=layout)
    assert_answers(out, blocks, descend(blocks, eta, 6)[-1], 1e-10)


# Kinds of input.


@forms
def test_vectors_in_vectors_out(form):
    blocks, eta = ridge_problem(5, 3, 2)
    expected = solve(form, blocks, eta, 4)
    flat = {**blocks, "y": blocks["y"][:, 0], "w": blocks["w"][:, 0], "lam": 0.5}
    out = solve(form, flat, eta, 4)
    np.testing.assert_array_equal(out["w"], expected["w"][:, 0])
    np.testing.assert_array_equal(out["prediction"], expected["prediction"][:, 0])
    mixed = solve(form, {**flat, "w": blocks["w"]}, eta, 4)
    assert mixed["w"].shape == (3, 1) and mixed["prediction"].shape == (2,)
    mixed = solve(form, {**flat, "y": blocks["y"]}, eta, 4)
    assert mixed["w"].shape == (3,) and mixed["prediction"].shape == (2, 1)


@forms
def test_the_start_is_zero_by_default(form):
    blocks, eta = ridge_problem(5, 3, 2, start=False)
    zeros = np.zeros((3, 1))
    for depth in (0, 4):
        out = solve(form, blocks, eta, depth)
        expected = solve(form, {**blocks, "w": zeros}, eta, depth)
        for name in out:
            np.testing.assert_array_equal(out[name], expected[name])
    assert solve(form, {**blocks, "y": blocks["y"][:, 0]}, eta, 4)["w"].shape == (3,)


@forms
def test_lists_and_integers(form):
    out = solve(form, {"X": np.eye(5, 3, dtype=int), "y": [1, 2, 3, 4, 5], "lam": 1}, 0.5, 1)
    assert relative_error(out["w"], [0.5, 1.0, 1.5]) <= 1e-15


@elsa_forms
def test_data_of_zeros_converge_with_any_step(form):
    blocks = {"X": np.zeros((3, 2)), "y": np.ones(3), "lam": 0.0, "w": np.ones(2)}
    np.testing.assert_array_equal(solve(form, blocks, 1e6, 3)["w"], [1.0, 1.0])


@forms
def test_float32_loses_what_a_float32_loop_loses(form):
    """Root mean square over 40 tasks: one task's error is a draw, its mean is not."""
    n, d, depth, rounds = 12, 4, 50, {"stack": [], "loop": []}
    eta = ridge_problem(n, d, lam=0.1)[1]
    stack = RIDGE_FORMS[form](n, d, depth, eta, dtype=jnp.float32)
    for seed in range(40):
        blocks, _ = ridge_problem(n, d, lam=0.1, seed=seed)
        truth = descend(blocks, eta, depth)[-1]
        out = stack(**blocks)["w"]
        assert out.dtype == np.float32
        rounds["stack"].append(relative_error(out, truth))
        rounds["loop"].append(relative_error(float32_loop(form, blocks, eta, depth), truth))
    stack_error, loop_error = (np.sqrt(np.mean(np.square(e))) for e in rounds.values())
    assert 1e-8 < loop_error < 1e-5
    # The same recursion in the same dtype; sums are taken in another order, which moves a root
    # mean square by far less than a factor of two.
    assert stack_error <= 2 * loop_error


def float32_loop(form, blocks, eta, depth):
    """The form's own recursion, plainly in float32 NumPy."""
    X, y, lam, w = (np.float32(blocks[name]) for name in ("X", "y", "lam", "w"))
    eta = np.float32(eta)
    if form == "ridge_lsa":
        root = np.sqrt(lam)
        Z = np.concatenate([X, root * np.eye(len(w), dtype=np.float32)])
        u, c = np.concatenate([y, 0 * w]), np.concatenate([X @ w, root * w])
        for _ in range(depth):
            c = c + (eta * Z) @ (Z.T @ (u - c))
        return c[len(y) :] / root
    if form == "ridge_elsa":
        r = 0 * y
        for _ in range(depth):
            r = r + ((y - r) - X @ w)
            w = w + (eta * (X.T @ r) - (eta * w) @ lam)
        return w
    e = y - X @ w
    for _ in range(depth):
        g = X.T @ e
        w, e = (
            w + (eta * g - (eta * w) @ lam),
            e + (-(eta * X) @ g + (eta * y - eta * e) @ lam),
        )
    return w


@forms
def test_without_x64_everything_runs_in_float32(form):
    blocks, eta = ridge_problem(5, 3, 2)
    with jax.enable_x64(False):
        out = solve(form, blocks, eta, 10)
        assert {array.dtype for array in out.values()} == {np.dtype(np.float32)}
    # 10 steps of a contraction, each with a few roundings of 6e-8.
    assert relative_error(out["w"], descend(blocks, eta, 10)[-1]) <= 3e-6


# Transformations.


def task_batch(batch, n, d, num_queries=0):
    rng = np.random.default_rng(0)
    blocks = {
        "X": rng.normal(size=(batch, n, d)),
        "y": rng.normal(size=(batch, n)),
        "lam": rng.uniform(0.5, 2.0, size=batch),
    }
    if num_queries:
        blocks["query_x"] = rng.normal(size=(batch, num_queries, d))
    largest = np.linalg.eigvalsh(np.swapaxes(blocks["X"], 1, 2) @ blocks["X"])[:, -1].max() + 2.0
    return blocks, 1 / largest


def batched_descent(blocks, step_size, depth):
    X, y, lam = blocks["X"], blocks["y"], blocks["lam"][:, None]
    gram, moment = np.swapaxes(X, 1, 2) @ X, np.einsum("bnd,bn->bd", X, y)
    w = np.zeros_like(moment)
    for _ in range(depth):
        w = w - step_size * (np.einsum("bij,bj->bi", gram, w) - moment + lam * w)
    return w


@forms
@pytest.mark.parametrize("depth", [3, pytest.param(100, marks=pytest.mark.slow)])
def test_a_batch_of_tasks_is_one_program(form, depth):
    blocks, step_size = task_batch(256, 100, 20)
    stack = RIDGE_FORMS[form](100, 20, depth, step_size)
    run = jax.jit(jax.vmap(lambda blocks: stack(**blocks)["w"]))
    out = run(blocks)
    assert relative_error(out, batched_descent(blocks, step_size, depth)) <= 1e-10
    again = run({**blocks, "y": -blocks["y"]})
    assert run._cache_size() == 1
    assert relative_error(again, -np.asarray(out)) <= 1e-12


@forms
@pytest.mark.parametrize("num_queries", [0, 5])
def test_the_traced_program_grows_with_neither_depth_nor_batch(form, num_queries):
    def size(depth, batch):
        blocks, step_size = task_batch(batch, 10, 4, num_queries)
        stack = RIDGE_FORMS[form](10, 4, depth, step_size, num_queries=num_queries)
        return program_size(jax.vmap(lambda blocks: stack(**blocks)), blocks)

    assert size(1, 2) == size(100, 2) == size(3, 256)


@forms
def test_jit_equals_eager_and_grad_equals_that_of_the_loop(form):
    blocks, eta = ridge_problem(5, 3, 2)
    stack = RIDGE_FORMS[form](5, 3, 4, eta, num_queries=2)

    def loop(blocks):
        w = blocks["w"]
        for _ in range(4):
            w = w - eta * ridge_gradient(blocks["X"], blocks["y"], blocks["lam"], w)
        return {"w": w, "prediction": blocks["query_x"] @ w}

    out, jitted = stack(**blocks), jax.jit(lambda blocks: stack(**blocks))(blocks)
    for name in out:
        assert relative_error(jitted[name], out[name]) <= 1e-14

    def value(answer, blocks):
        out = answer(blocks)
        return (out["w"] ** 2).sum() + out["prediction"].sum()

    gradient = jax.jit(jax.grad(lambda blocks: value(lambda b: stack(**b), blocks)))(blocks)
    expected = jax.grad(lambda blocks: value(loop, blocks))(jax.tree.map(jnp.asarray, blocks))
    for name in blocks:
        # Four steps, each bounded by one: the derivative is as well conditioned as the value.
        assert relative_error(gradient[name], expected[name]) <= 1e-12, name


def test_stacks_of_one_shape_share_a_compiled_program():
    from elsa.nn.block_stack import _run

    blocks, eta = ridge_problem(7, 3)
    before = _run._cache_size()
    for step_size in (eta, eta / 2):
        for _ in range(2):
            ridge_elsa(7, 3, 13, step_size)(**blocks)
    assert _run._cache_size() == before + 1


# A stack checks itself.


@forms
def test_verify_finds_no_error(form):
    blocks, eta = ridge_problem(5, 3, 2)
    flat = {**blocks, "y": blocks["y"][:, 0], "w": blocks["w"][:, 0], "lam": 0.5}
    for num_queries in (0, 2):
        stack = RIDGE_FORMS[form](5, 3, 4, eta, num_queries=num_queries)
        assert stack.verify(jax.random.key(0)) <= 1e-12
    for known in ({"y": flat["y"]}, {"w": flat["w"], "X": flat["X"]}, flat):
        assert stack.verify(jax.random.key(0), **known) <= 1e-12


@forms
def test_verify_takes_zeros_and_float32(form):
    stack = RIDGE_FORMS[form](5, 3, 10, 0.3, dtype=jnp.float32)
    assert stack.verify(jax.random.key(0)) <= 3e-6  # as above, 10 steps in float32
    assert stack.verify(jax.random.key(0), y=np.zeros(5), w=np.zeros(3)) == 0.0


@forms
def test_verify_sees_wrong_weights(form):
    stack = RIDGE_FORMS[form](6, 3, 2, 0.3, num_queries=2)
    stack.stack.body[-1].wq[...] *= 1.01
    assert stack.verify(jax.random.key(0)) > 1e-4


def test_the_layers_are_the_docstrings():
    formulas = {
        "ridge_lsa": [
            ["fit += 0.1 features features^T (label - fit)",
             "fit += 0.1 query features^T (label - fit)"],
        ],
        "ridge_elsa": [
            ["residual += (y - residual) M", "residual += -X w"],
            ["w += 0.1 X^T residual", "w += -0.1 w lam"],
            ["prediction += query_x w"],
        ],
        "ridge_elsa_one_layer": [
            ["residual += y M", "residual += -X w"],
            ["w += 0.1 X^T residual", "w += -0.1 w lam", "residual += -0.1 X X^T residual",
             "residual += 0.1 (y - residual) lam"],
            ["prediction += query_x w"],
        ],
    }  # fmt: skip
    for make in (ridge_lsa, ridge_elsa, ridge_elsa_one_layer):
        stack = make(5, 3, 6, 0.1, num_queries=2)
        assert [[h.formula for h in layer] for layer in stack.layers] == formulas[make.__name__]


@forms
def test_encode_gives_the_blocks_that_pack_takes(form):
    blocks, eta = ridge_problem(4, 3)
    stack = RIDGE_FORMS[form](4, 3, 2, eta)
    np.testing.assert_array_equal(stack.pack(**stack.encode(**blocks)), stack.prompts(**blocks)[0])
