"""Ridge constructions in layouts of the caller's own."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from elsa import BlockLayout
from tests.constructions.ridge_cases import assert_answers, elsa_forms, solve
from tests.helpers import (
    RIDGE_FORMS,
    descend,
    outside,
    ridge_problem,
    scattered_layout,
    wide,
)


@pytest.mark.parametrize("form", wide(["ridge_elsa", "ridge_elsa_one_layer"], keep=["ridge_elsa"]))
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
