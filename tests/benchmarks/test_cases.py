"""Every case of the suite yields rows, at sizes that take seconds; no test looks at real times."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from benchmarks import (
    compiled_stack,
    dense_layers,
    machine,
    ridge_tasks,
    run,
    scaling,
    softmax_regression,
    streams,
    table,
    torch_gpt2,
)
from elsa.models import GPT2
from tests.helpers import wide

# minutes: their rows are looked at by `make test-slow`
SLOW = ("dense_layers", "gpt2", "ridge_tasks", "scaling", "small_problems", "training")
SLOW += ("compiled_stack",)  # seconds, and like the others


@pytest.mark.parametrize("case", wide(run.CASES, keep=[c for c in run.CASES if c not in SLOW]))
def test_every_case_yields_rows(case, monkeypatch):
    monkeypatch.setattr(compiled_stack, "TASKS", 4)  # of 64, which take seconds
    monkeypatch.setattr(machine, "NUMBERS", 2**12)
    monkeypatch.setattr(softmax_regression, "ROWS", 256)
    monkeypatch.setattr(streams, "QUICK_ROWS", 5000)
    run_case = run.QUICK.get(case) or run.CASES[case]
    rows = list(run_case(1))
    measured = [row for row in rows if row.value is not None]
    assert measured and all(row.value > 0 or row.unit == "exponent" for row in measured)
    assert all(row.note for row in rows if row.value is None)
    assert len({(row.case, row.metric) for row in rows}) == len(rows)  # what --compare goes by
    assert any(row.ratio or row.axis or not row.judged for row in rows)


def test_the_layers_solve_ridge_problems_to_what_is_said(monkeypatch):
    """A few of the tasks, both algorithms; the full case refuses itself if one task fails."""
    monkeypatch.setattr(ridge_tasks, "TASKS", 8)
    given, others = (ridge_tasks.problems(seed, "float64") for seed in (0, 1))
    bounds = 0.9 * others.eigenvalues.min(), 1.1 * others.eigenvalues.max()
    assert bounds[0] < given.eigenvalues.min() and given.eigenvalues.max() < bounds[1]
    for of in (ridge_tasks.chebyshev, ridge_tasks.newton_schulz):
        w = of(*bounds, "float64")(jnp.asarray(given.X), jnp.asarray(given.y))
        assert ridge_tasks.largest_error(w, given.exact) < ridge_tasks.ACCURACY
    for by in (ridge_tasks.batched_numpy, ridge_tasks.scipy_loop, ridge_tasks.scikit_learn_loop):
        assert ridge_tasks.largest_error(by(given.X, given.y), given.exact) < 1e-12


def test_a_missing_peer_is_a_row_that_says_so(monkeypatch):
    monkeypatch.setattr(scaling, "forward", lambda *_: (lambda: jnp.zeros(()), None))
    monkeypatch.setattr(scaling, "descent", lambda _, **__: lambda: jnp.zeros(()))
    rows = list(scaling.in_context_length((8, 16), 1))
    (row,) = [row for row in rows if row.value is None]
    assert row.note == "PyTorch is not installed" and not row.judged
    assert table.cells_of(row)[0] == "missing"


def test_descent_by_hand_and_by_layers_ends_at_the_same_weights():
    compiled, hand = (scaling.descent(16, by_hand=by_hand)() for by_hand in (False, True))
    np.testing.assert_allclose(compiled, hand, rtol=1e-5, atol=1e-7)


def test_the_peer_computes_what_the_model_does():
    pytest.importorskip("torch")
    ours, theirs = scaling.forward(16, 5, 3, 2)
    np.testing.assert_allclose(theirs(), ours(), rtol=1e-4, atol=1e-6)


def test_the_peer_of_gpt2_has_as_many_weights():
    torch = pytest.importorskip("torch")
    sizes = {"width": 8, "depth": 2, "num_heads": 2}
    ours = GPT2(3, 4, **sizes, rngs=nnx.Rngs(params=0))
    theirs = torch_gpt2.decoder(torch, **sizes, dim=3, context_length=4)
    count = sum(leaf.size for leaf in jax.tree.leaves(nnx.split(ours)[1]))
    assert sum(weights.numel() for weights in theirs.parameters()) == count


def test_the_operations_of_a_dense_layer_are_those_of_its_formula():
    """Counted one product at a time: (H Wq), (H Wk), (H Wv), K^T V and Q (K^T V)."""
    n, m, h, p = shape = dense_layers.Shape(7, 5, 3, 2)
    products = [(n, m, p), (n, m, p), (n, m, m), (p, n, m), (n, p, m)]
    assert shape.operations == h * sum(2 * a * b * c for a, b, c in products)


@pytest.mark.parametrize(
    "value, unit, text",
    [
        (0.00431, "s", "4.31 ms"),
        (90.0, "s", "90 s"),
        (3600.0, "s", "3.6e+03 s"),
        (9.52e10, "flop/s", "95.2 Gflop/s"),
        (2.0e-10, "s", "0.2 ns"),
        (0.0, "s", "0 s"),
        (1.05, "exponent", "1.05 exponent"),
        (8.1e-7, "relative", "8.1e-07 relative"),
    ],
)
def test_quantities_are_shown_with_prefixes(value, unit, text):
    assert table.quantity(value, unit) == text


def test_the_machine_is_described_and_told_from_others():
    here = machine.description()
    assert here["cores"] >= 1 and here["cpu"] and set(here["peers"]) >= {"scipy", "torch"}
    assert machine.same(here, here | {"load": 99.0})
    assert not machine.same(here, here | {"cpu": "another"})
