"""Ridge constructions descend: against NumPy, jax.grad, scikit-learn, and each other."""

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.constructions.ridge_cases import (
    SIZES_AND_DEPTHS,
    assert_answers,
    elsa_forms,
    forms,
    regularisers,
    solve,
    some_forms,
)
from tests.helpers import (
    RIDGE_FORMS,
    RIDGE_SIZES,
    descend,
    relative_error,
    ridge_gradient,
    ridge_problem,
    scattered_layout,
)


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


@some_forms
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


@some_forms
def test_the_trajectory_holds_every_iterate(form):
    blocks, eta = ridge_problem(5, 3, 2)
    stack = RIDGE_FORMS[form](5, 3, 4, eta, num_queries=2)
    path = stack.trajectory(**blocks)["w"]
    assert relative_error(path, descend(blocks, eta, 4)) <= 1e-12
    assert path.shape == (5, 3, 1)
    assert stack.trajectory(**{**blocks, "w": blocks["w"][:, 0]})["w"].shape == (5, 3)
    none = RIDGE_FORMS[form](5, 3, 0, eta, num_queries=2).trajectory(**blocks)["w"]
    assert relative_error(none, blocks["w"][None]) <= 1e-15
    if "elsa" in form:
        shapes = dict(stack.inputs)
        layout = scattered_layout(shapes, np.random.default_rng(0), ["X"])
        other = RIDGE_FORMS[form](5, 3, 4, eta, num_queries=2, layout=layout)
        assert relative_error(other.trajectory(**blocks)["w"], path) <= 1e-12


@some_forms
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
    [
        ("ridge_lsa", 6, 12),
        ("ridge_lsa_state", 8, 26),
        ("ridge_elsa", 13, 25),
        ("ridge_elsa_one_layer", 8, 27),
    ],
)
def test_the_price_in_layers_and_heads(form, num_layers, num_heads):
    """As the docstrings count: T, T + 2, 2 T + 1 and T + 2 layers with queries."""
    stack = RIDGE_FORMS[form](5, 3, 6, 0.1, num_queries=2)
    assert (stack.num_layers, stack.num_heads) == (num_layers, num_heads)
    assert (stack.depth, stack.step_size) == (6, 0.1)
    biases = [array for layer in stack.weights for array in layer[3:] if array.size]
    assert ("elsa" in form) == bool(biases)


# What must not matter.


@some_forms
def test_permuting_context_rows_leaves_the_answer(form):
    blocks, eta = ridge_problem(5, 3, 2)
    order = np.array([2, 0, 4, 1, 3])
    mixed = {**blocks, "X": blocks["X"][order], "y": blocks["y"][order]}
    out, other = solve(form, blocks, eta, 4), solve(form, mixed, eta, 4)
    for name in out:
        assert relative_error(other[name], out[name]) <= 1e-12


@some_forms
def test_queries_change_nothing_in_w(form):
    blocks, eta = ridge_problem(5, 3)
    w = solve(form, blocks, eta, 4)["w"]
    for num_queries in (2, 9):  # more queries than context rows, too
        queries = 1e3 * np.random.default_rng(1).normal(size=(num_queries, 3))
        out = solve(form, {**blocks, "query_x": queries}, eta, 4)
        assert relative_error(out["w"], w) <= 1e-12
        assert relative_error(out["prediction"], queries @ w) <= 1e-12


@pytest.mark.parametrize("form", ["ridge_lsa", "ridge_lsa_state"])
def test_the_label_of_a_query_reaches_nothing(form):
    blocks, eta = ridge_problem(5, 3, 2)
    stack = RIDGE_FORMS[form](5, 3, 4, eta, num_queries=2)
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
