"""Prompts by name: where their blocks lie, what their rows are, how packing normalises them."""

import jax
import numpy as np
import pytest

from elsa import constructions, prompts
from elsa.base.known_names import PROMPTS as NAMES
from tests.helpers import wide

SIZES = [(1, 1), (2, 5), (6, 3)]  # (n, d)


def problem(n, d, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)), rng.normal(size=n), rng.normal(size=d)


def pack(name, n, d, x, y, query_x, lam=0.7, step_size=0.3):
    form = prompts.named_format(name, d)
    known = form.known_roles(d, n)
    return form, prompts.packed(form, known, x, y, query_x, lam=lam, step_size=step_size)


BUILDERS = {
    "natural": constructions.ridge_elsa,
    "designed": constructions.ridge_lsa,
    "source": constructions.ridge_lsa_state,
}


@pytest.mark.parametrize(
    "name, n, d",
    wide(
        [(name, *sizes) for name in BUILDERS for sizes in SIZES],
        keep=[("natural", 2, 5), ("designed", 1, 1), ("source", 6, 3)],
    ),
)
def test_a_packed_prompt_is_that_of_the_construction_on_the_mean_over_the_examples(name, n, d):
    x, y, query_x = problem(n, d)
    _, found = pack(name, n, d, x, y, query_x)
    stack = BUILDERS[name](n, d, 0, 0.3, num_queries=1)
    expected = stack.padded(
        stack.layout.pack(
            **stack.encode(X=x / n**0.5, y=y[:, None] / n**0.5, lam=0.7 / n, query_x=query_x[None])
        )
    )
    np.testing.assert_allclose(found.h, expected, atol=1e-14)


@pytest.mark.parametrize(
    "name, n, d",
    wide(
        [(name, *sizes) for name in NAMES if name != "transposed" for sizes in SIZES],
        keep=[
            *((name, 2, 5) for name in NAMES if name != "transposed"),
            *(("natural", 1, 1), ("stacked", 1, 1), ("natural", 6, 3)),
        ],
    ),
)
def test_absent_examples_change_neither_the_sums_nor_the_roles(name, n, d):
    x, y, query_x = problem(n, d)
    longer = np.vstack([np.zeros((3, d)), x]), np.concatenate([np.zeros(3), y])
    form, short = pack(name, n, d, x, y, query_x)
    padded = prompts.packed(
        form, form.known_roles(d, n + 3), *longer, query_x, lam=0.7, step_size=0.3
    )
    X_short, X_long = (form.layout(k).block(h, "X") for k, h in ((n, short.h), (n + 3, padded.h)))
    np.testing.assert_allclose(X_long.T @ X_long, X_short.T @ X_short, atol=1e-13)
    np.testing.assert_allclose(X_short.T @ X_short, x.T @ x / n, atol=1e-13)
    rows = (np.asarray(padded.roles) ** 2).sum(axis=0)  # 1 for a role that some row has
    assert np.all((abs(rows - 1.0) < 1e-12) | (rows == 0.0))


def test_rows_have_the_roles_of_what_lies_in_them():
    form = prompts.named_format("natural", 2)
    first = (("lam", 0), ("w", 0), ("query_x", 0), ("prediction", 0))
    assert form.roles(4) == [first, (("w", 1),), (), ()]
    assert form.known_roles(2, 1) == form.known_roles(2, 9) == ((), first, (("w", 1),))
    stacked = prompts.named_format("stacked", 2)
    assert stacked.known_roles(2, 5) == ((), (("query_x", 0), ("prediction", 0)))
    transposed = prompts.named_format("transposed", 2)
    assert [role[0] for role in transposed.roles(3)] == [("X", 0), ("X", 1), ("y", 0)]


def test_the_role_matrix_is_traced_and_mapped():
    n, d = 4, 2
    form = prompts.named_format("stacked", d)
    known = form.known_roles(d, n)
    x, y, query_x = (np.stack([part, 2 * part]) for part in problem(n, d))
    packed = jax.jit(jax.vmap(lambda *one: prompts.packed(form, known, *one)))(x, y, query_x)
    assert packed.h.shape == (2, n + 1, 2 * d + 2) and packed.roles.shape == (2, n + 1, 2)
    np.testing.assert_allclose(packed.roles[0], [[0.5, 0]] * 4 + [[0, 1]])


REFUSED = {
    "name": (lambda: prompts.named_format("sideways", 2), "name must be one of"),
    "dim": (lambda: prompts.named_format("stacked", 0), "dim must be"),
    "no query": (lambda: prompts.custom_format({"X": (0, 0, 3, 2)}), "must have X, y, query_x"),
    "role": (
        lambda: prompts.role_indicator([(("w", 9),)], [()]),
        "known must hold the role of every row",
    ),
    "block": (
        lambda: prompts.row_roles(prompts.BlockLayout({"X": (0, 0, 1, 1)}), ("Z",)),
        "unknown block 'Z'",
    ),
    "length": (
        lambda: (
            pack("transposed", 4, 2, *problem(4, 2))
            and prompts.packed(
                prompts.custom_format(
                    {"X": (0, 0, 3, 2), "y": (0, 2, 3, 1), "query_x": (3, 3, 1, 2)}
                    | {"prediction": (3, 5, 1, 1)}
                ),
                ((), (("query_x", 0), ("prediction", 0))),
                *problem(4, 2),
            )
        ),
        "must have the shape \\(3, 2\\)",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_makes_no_prompt_is_refused_by_name(case):
    make, message = REFUSED[case]
    with pytest.raises((ValueError, KeyError, TypeError), match=message):
        make()
