"""The bias-free form whose prompt holds w: weights in NumPy, no drift, layouts, its file."""

import re

import jax
import numpy as np
import pytest
from flax import nnx
from hypothesis import given
from hypothesis import strategies as st

import elsa
from elsa import BlockLayout
from elsa.constructions import ridge_elsa, ridge_lsa, ridge_lsa_state
from tests.constructions.ridge_cases import assert_answers, solve
from tests.helpers import descend, relative_error, ridge_problem, table


def layer_in_numpy(h, weights):
    """The residual and the heads (H Wq) (H Wk)^T (H Wv) of one layer."""
    q, k, v = (h @ array for array in (weights.wq, weights.wk, weights.wv))
    return h + (q @ np.swapaxes(k, 1, 2) @ v).sum(axis=0)


@given(
    n=st.integers(1, 7),
    d=st.integers(1, 6),
    num_queries=st.integers(0, 3),
    lam=st.sampled_from([0.0, 1e-3, 0.5, 10.0]),
    seed=st.integers(0, 2**32 - 1),
)
def test_each_layer_is_a_step_of_gradient_descent_whatever_the_fit_was(
    n, d, num_queries, lam, seed
):
    """The weights of any shape, on a prompt packed and read in NumPy: nothing is compiled."""
    blocks, eta = ridge_problem(n, d, num_queries, lam=lam, seed=seed)
    stack = ridge_lsa_state(n, d, 1, eta, num_queries=num_queries)
    eye, h = np.eye(d), np.zeros(stack.readout.shape)
    packed = {**blocks, "ridge": lam * eye, "step": np.sqrt(eta) * eye}
    place = {
        name: np.s_[box.row : box.rows.stop, box.col : box.channels.stop]
        for name, box in stack.readout.blocks.items()
    }
    for name in stack.layout:
        h[place[name]] = packed[name]
    first, step, *last = stack.weights
    X, path = blocks["X"], descend(blocks, eta, 3)
    floor = np.linalg.norm(path[0])
    h = layer_in_numpy(h, first)
    assert relative_error(h[place["fit"]], X @ path[0], floor) <= 1e-12
    h[place["fit"]] = np.random.default_rng(seed).normal(size=(n, 1))  # an error of the fit ...
    wrong = path[0] + eta * (X.T @ (blocks["y"] - h[place["fit"]]) - lam * path[0])
    h = layer_in_numpy(h, step)
    assert relative_error(h[place["w"]], wrong, floor) <= 1e-12
    assert relative_error(h[place["fit"]], X @ wrong, floor) <= 1e-12  # ... is gone
    for w in descend({**blocks, "w": wrong}, eta, 3)[1:]:
        h = layer_in_numpy(h, step)
        assert relative_error(h[place["w"]], w, floor) <= 1e-12
    if num_queries:
        found, queries = layer_in_numpy(h, last[0])[place["prediction"]], blocks["query_x"]
        assert relative_error(found, queries @ w, floor * np.linalg.norm(queries)) <= 1e-12


def float32_errors(tasks, make, steps, lam=1e-4):
    """Of float32 stacks on the tasks, relative to the closed form of gradient descent."""
    X, y = (np.stack(parts).astype(np.float32) for parts in zip(*tasks, strict=True))
    eta = 1.0 / (1.0 + lam)  # |X| = 1
    stack = make(*X.shape[1:], steps, eta, dtype="float32")
    found = jax.jit(jax.vmap(lambda X, y: stack(X=X, y=y, lam=lam)["w"]))(X, y)
    errors = []
    for data, labels, w in zip(np.float64(X), np.float64(y), found, strict=True):
        values, vectors = np.linalg.eigh(data.T @ data + lam * np.eye(data.shape[1]))
        modes = vectors.T @ (data.T @ labels)
        truth = vectors @ ((1.0 - (1.0 - eta * values) ** steps) / values * modes)
        errors.append(relative_error(w, truth))
    return stack.num_layers, np.sqrt(np.mean(np.square(errors)))


def tasks_of(count, n=12, d=4):
    """X with singular values from 1 to 0.1, labels of weights plus a little noise."""
    for seed in range(count):
        rng = np.random.default_rng(seed)
        left, right = (np.linalg.qr(rng.normal(size=(size, d)))[0] for size in (n, d))
        X = left * np.geomspace(1.0, 0.1, d) @ right.T
        yield X, X @ rng.normal(size=d) + 0.01 * rng.normal(size=n)


def test_in_float32_it_is_as_exact_as_the_natural_prompt():
    tasks = list(tasks_of(8))
    _, ours = float32_errors(tasks, ridge_lsa_state, 1000)
    _, natural = float32_errors(tasks, ridge_elsa, 1000)
    assert 1e-8 < ours <= 10 * natural


@pytest.mark.slow
def test_20000_layers_do_not_drift_in_float32():
    tasks = list(tasks_of(20))
    layers, ours = float32_errors(tasks, ridge_lsa_state, 19_999)
    assert layers == 20_000
    for steps in (10_000, 19_999):  # the same layers, the same steps
        assert ours <= 10 * float32_errors(tasks, ridge_elsa, steps)[1]
    _, drifting = float32_errors(tasks, ridge_lsa, 20_000)
    assert drifting > 30 * ours  # what the test would see


LAYOUT = {
    "query_x": (0, 7, 2, 3),  # queries first, data last, gaps between
    "ridge": (3, 11, 3, 3),
    "step": (3, 14, 3, 3),
    "w": (3, 1, 3, 1),
    "X": (7, 3, 4, 3),
    "y": (7, 17, 4, 1),
}


def test_any_rows_and_channels_that_keep_company_will_do():
    blocks, eta = ridge_problem(4, 3, 2, lam=0.0)
    stack = ridge_lsa_state(4, 3, 6, eta, num_queries=2, layout=BlockLayout(LAYOUT, (13, 19)))
    assert stack.readout.shape == (13, 21)  # two channels behind the caller's
    assert_answers(stack(**blocks), blocks, descend(blocks, eta, 6)[-1], 1e-12)


@table(
    "changed, message",
    [
        ({"y": (8, 17, 4, 1)}, "blocks ['X', 'y'] must share their rows, got [(7, 11), (8, 12)]"),
        ({"step": (4, 14, 3, 3)},
         "blocks ['ridge', 'step', 'w'] must share their rows, got [(3, 6), (4, 7), (3, 6)]"),
        ({"query_x": (0, 4, 2, 3)}, "blocks 'X' and 'query_x' must not share channels, as layers"),
        ({"w": (3, 17, 3, 1)}, "blocks 'y' and 'w' must not share channels, as layers without"),
        ({"ridge": (3, 11, 2, 2)}, "layout must have the blocks {'X': (4, 3), 'y': (4, 1), 'ridge"),
        ({"fit": (7, 0, 4, 1)}, "layout must have the blocks {'X': (4, 3), 'y': (4, 1), 'ridge"),
    ],
)  # fmt: skip
def test_a_layout_that_whole_channels_cannot_keep_apart_is_refused(changed, message):
    with pytest.raises(ValueError, match=re.escape(f"ridge_lsa_state: {message}")):
        ridge_lsa_state(4, 3, 2, 0.1, num_queries=2, layout=BlockLayout(LAYOUT | changed))


@table("first", [0, 4, 48])
def test_state_rows_that_meet_those_of_the_context_are_refused(first):
    """A head sums over whole rows: X would meet lam I there, which gave an answer off by 0.1."""
    n, d = 50, 5
    places = {"X": (0, 0, n, d), "y": (0, d, n, 1)}
    places |= {"ridge": (first, 6, d, d), "step": (first, 11, d, d), "w": (first, 16, d, 1)}
    message = rf"rows of X and y and those of ridge, .* got \(0, 50\) and \({first}, {first + d}\)"
    with pytest.raises(ValueError, match=message):
        ridge_lsa_state(n, d, 5, 0.5, layout=BlockLayout(places))


def test_a_layout_that_stores_transposed_is_refused():
    message = r"ridge_lsa_state: layout stores \('ridge',\) transposed, which .* cannot undo"
    with pytest.raises(ValueError, match=message):
        layout = BlockLayout(LAYOUT, transposed=["ridge"])
        ridge_lsa_state(4, 3, 2, 0.1, num_queries=2, layout=layout)


def test_a_file_says_what_to_pack_and_the_answer_needs_no_division(tmp_path):
    blocks, eta = ridge_problem(5, 3, 2, lam=0.0)
    stack = ridge_lsa_state(5, 3, 4, eta, num_queries=2)
    elsa.export(stack, tmp_path / "stack.safetensors")
    loaded = elsa.load(tmp_path / "stack.safetensors")
    held = {"ridge": "lam I", "step": "sqrt(eta) I", "fit": "X w", "prediction": "query_x w"}
    assert loaded.holds == held
    packed = {"ridge": 0.0 * np.eye(3), "step": np.sqrt(eta) * np.eye(3)}
    packed |= {name: blocks[name] for name in ("X", "y", "w", "query_x")}
    out, expected = loaded(**packed), solve("ridge_lsa_state", blocks, eta, 4)
    assert list(out) == list(expected) == ["w", "prediction"]
    for name in out:
        np.testing.assert_allclose(out[name], expected[name], rtol=1e-13)


def test_the_root_of_the_step_size_goes_where_the_weights_go():
    """Stacks of several step sizes, mapped as one: each packs its own sqrt(eta)."""
    blocks, eta = ridge_problem(4, 3)
    sizes = [eta, eta / 3]
    graph, *_ = parts = nnx.split(ridge_lsa_state(4, 3, 2, eta))
    states = [parts[1], nnx.split(ridge_lsa_state(4, 3, 2, sizes[1]))[1]]
    both = jax.tree.map(lambda *leaves: np.stack(leaves), *states)
    run = jax.jit(
        jax.vmap(lambda state, given: nnx.merge(graph, state)(**given), in_axes=(0, None))
    )
    for w, size in zip(run(both, blocks)["w"], sizes, strict=True):
        assert relative_error(w, descend(blocks, size, 2)[-1]) <= 1e-12
