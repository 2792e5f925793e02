"""What the ridge constructions refuse, and in which words."""

import re

import jax
import numpy as np
import pytest

from elsa import BlockLayout
from elsa.constructions import ridge_elsa, ridge_lsa
from elsa.heads import head
from tests.constructions.ridge_cases import elsa_forms, forms, forms_with_zero, some_forms
from tests.helpers import RIDGE_FORMS, relative_error, ridge_problem, table


def make(form, depth=2, step_size=0.1, **options):
    return RIDGE_FORMS[form](5, 3, depth, step_size, **options)


def blocks(**changed):
    return ridge_problem(5, 3)[0] | changed


# When the stack is made.


def test_biases_that_do_not_fit_into_memory_name_what_takes_as_many_rows(monkeypatch):
    def full(shape, dtype):
        raise MemoryError(f"Unable to allocate an array with shape {shape}")

    monkeypatch.setattr(head, "_zeros", full)
    with pytest.raises(MemoryError, match=r"prompts of 100000000 rows.*take .* GB.*any_length"):
        ridge_elsa(100_000_000, 3, 2, 0.1)


@forms
@table(
    "name, bad, kind, message",
    [
        ("context_length", 0, ValueError, "must be at least 1, got 0"),
        ("context_length", 5.0, TypeError, r"must be an integer, got 5\.0 \(float\)"),
        ("dim", 0, ValueError, "must be at least 1, got 0"),
        ("dim", "3", TypeError, r"must be an integer, got '3' \(str\)"),
        ("depth", -1, ValueError, "must be at least 0, got -1"),
        ("depth", 2.0, TypeError, r"must be an integer, got 2\.0 \(float\)"),
        ("depth", True, TypeError, r"must be an integer, got True \(bool\)"),
        ("depth", None, TypeError, r"must be an integer, got None \(NoneType\)"),
        ("num_queries", -1, ValueError, "must be at least 0, got -1"),
        ("num_queries", 1.5, TypeError, r"must be an integer, got 1\.5 \(float\)"),
        ("step_size", 0.0, ValueError, r"must be finite and above 0, got 0\.0"),
        ("step_size", -0.1, ValueError, r"must be finite and above 0, got -0\.1"),
        ("step_size", np.nan, ValueError, "must be finite and above 0, got nan"),
        ("step_size", np.inf, ValueError, "must be finite and above 0, got inf"),
        ("step_size", [0.1, 0.2], ValueError, r"must be a single number, got shape \(2,\)"),
        ("step_size", "0.1", TypeError, "must hold real numbers"),
        ("step_size", None, TypeError, "must hold real numbers"),
        ("step_size", 0.1j, TypeError, "must hold real numbers"),
    ],
)
def test_sizes_and_steps_are_named(form, name, bad, kind, message):
    sizes = {"context_length": 5, "dim": 3, "depth": 2, "step_size": 0.1, "num_queries": 1}
    with pytest.raises(kind, match=f"^{form}: {name} {message}"):
        RIDGE_FORMS[form](**{**sizes, name: bad})


@forms
def test_float64_needs_the_switch(form):
    with jax.enable_x64(False):
        message = r"dtype float64 was asked for, but jax computes in float32; .*jax_enable_x64"
        with pytest.raises(ValueError, match=message):
            make(form, dtype="float64")
    with pytest.raises(TypeError, match="dtype must be a floating-point type, got int32"):
        make(form, dtype=np.int32)


@elsa_forms
def test_an_unknown_skip_is_refused(form):
    with pytest.raises(ValueError, match=r"skip must be one of \['residual', 'head'\], got 'none'"):
        make(form, skip="none")


@elsa_forms
@table("change", ["missing", "unknown", "shape"])
def test_a_natural_layout_must_have_the_blocks(form, change):
    boxes = {"X": (0, 0, 5, 3), "y": (0, 3, 5, 1), "lam": (0, 4, 1, 1), "w": (0, 5, 3, 1)}
    RIDGE_FORMS[form](5, 3, 2, 0.1, layout=BlockLayout(boxes))
    if change == "missing":
        del boxes["lam"]
    else:
        boxes |= {"v": (0, 6, 1, 1)} if change == "unknown" else {"w": (0, 5, 4, 1)}
    message = rf"{form}: layout must have the blocks {{'X': \(5, 3\), .*}}, got {{'X': \(5, 3\), "
    with pytest.raises(ValueError, match=message):
        RIDGE_FORMS[form](5, 3, 2, 0.1, layout=BlockLayout(boxes))
    with pytest.raises(ValueError, match=r"must have the blocks .*'query_x': \(2, 3\)"):
        RIDGE_FORMS[form](5, 3, 2, 0.1, num_queries=2, layout=BlockLayout(boxes))


DESIGNED = {
    "X": (0, 0, 5, 3),
    "ridge": (5, 0, 3, 3),
    "y": (0, 6, 5, 1),
    "fit": (0, 7, 5, 1),
    "w": (5, 7, 3, 1),
    "query_x": (8, 3, 2, 3),
    "prediction": (8, 7, 2, 1),
}


@table(
    "changed, message",
    [
        ({"ridge": (5, 8, 3, 3)},
         "blocks ['X', 'ridge'] must share their channels, got [(0, 3), (8, 11)]"),
        ({"w": (5, 8, 3, 1)},
         "blocks ['fit', 'w', 'prediction'] must share their channels, got"),
        ({"prediction": (8, 8, 2, 1)},
         "blocks ['fit', 'w', 'prediction'] must share their channels, got"),
        ({"y": (1, 6, 5, 1)},
         "blocks ['X', 'y', 'fit'] must share their rows, got [(0, 5), (1, 6), (0, 5)]"),
        ({"w": (11, 7, 3, 1)},
         "blocks ['ridge', 'w'] must share their rows, got [(5, 8), (11, 14)]"),
        ({"query_x": (12, 3, 2, 3)},
         "blocks ['query_x', 'prediction'] must share their rows, got [(12, 14), (8, 10)]"),
        ({"query_x": (8, 3, 1, 3)}, "layout must have the blocks {'X': (5, 3),"),
    ],
)  # fmt: skip
def test_a_designed_layout_must_keep_company(changed, message):
    RIDGE_FORMS["ridge_lsa"](5, 3, 2, 0.1, num_queries=2, layout=BlockLayout(DESIGNED))
    layout = BlockLayout(DESIGNED | changed)
    with pytest.raises(ValueError, match=re.escape(f"ridge_lsa: {message}")):
        ridge_lsa(5, 3, 2, 0.1, num_queries=2, layout=layout)


@table(
    "changed, first, second",
    [
        ({"query_x": (8, 0, 2, 3)}, "X", "query_x"),
        ({"query_x": (8, 2, 2, 3)}, "X", "query_x"),
        ({"query_x": (8, 4, 2, 3)}, "query_x", "y"),
    ],
)
def test_designed_columns_must_be_their_own(changed, first, second):
    """Queries in the channels of X would enter the Gram matrix; the refusal says so."""
    layout = BlockLayout(DESIGNED | changed)
    message = f"ridge_lsa: blocks '{first}' and '{second}' must not share channels"
    with pytest.raises(ValueError, match=message):
        ridge_lsa(5, 3, 2, 0.1, num_queries=2, layout=layout)


def test_a_designed_layout_cannot_store_transposed():
    boxes = {
        "X": (0, 0, 3, 3), "ridge": (3, 0, 3, 3), "y": (0, 3, 3, 1), "fit": (0, 4, 3, 1),
        "w": (3, 4, 3, 1),
    }  # fmt: skip
    message = r"layout stores \('X',\) transposed, which layers without biases cannot undo.*ridge_e"
    with pytest.raises(ValueError, match=message):
        ridge_lsa(3, 3, 2, 0.1, layout=BlockLayout(boxes, transposed=["X"]))


# When it is called. Every check comes before any computation, for every way to call it.


@pytest.fixture(params=["__call__", "trajectory", "prompts", "verify"])
def ask(request):
    """A function of (stack, blocks): one of the ways to run a stack."""

    def ask(stack, given):
        key = [jax.random.key(0)] if request.param == "verify" else []
        return getattr(stack, request.param)(*key, **given)

    return ask


@forms
def test_unknown_and_missing_blocks_are_named(form, ask):
    with pytest.raises(KeyError, match=r"unknown block 'lamb', known are .*; did you mean 'lam'"):
        ask(make(form), blocks(lamb=1.0))
    with pytest.raises(KeyError, match="unknown block 'query_x', known are"):
        ask(make(form), blocks(query_x=np.zeros((1, 3))))


@forms
def test_missing_blocks_are_named(form):
    for run in (make(form), make(form).trajectory, make(form).prompts):
        with pytest.raises(ValueError, match=r"missing block \['y', 'lam'\], got \['X', 'w'\]"):
            run(X=np.zeros((5, 3)))
    with pytest.raises(ValueError, match=r"missing block \['query_x'\]"):
        make(form, num_queries=1)(**blocks())


@some_forms
@table("name, shape", [("X", (3, 5)), ("y", (4,)), ("y", (1, 5)), ("w", (5,)), ("lam", (2,))])
def test_wrong_shapes_are_named(form, ask, name, shape):
    expected = {"X": (5, 3), "y": (5, 1), "w": (3, 1), "lam": (1, 1)}[name]
    message = re.escape(f"block '{name}' must have shape {expected}, got {shape}")
    with pytest.raises(ValueError, match=message):
        ask(make(form), blocks(**{name: np.ones(shape)}))
    with pytest.raises(ValueError, match=message):
        jax.jit(lambda given: make(form)(**given))(blocks(**{name: np.ones(shape)}))


@forms
@table("name", ["X", "y", "lam", "w", "query_x"])
@table("bad", [np.nan, np.inf])
def test_values_that_are_not_finite_are_named(form, name, bad):
    given = blocks(query_x=np.ones((1, 3)))
    given[name] = given[name].copy()
    given[name][-1, -1] = bad
    where = tuple(size - 1 for size in given[name].shape)
    message = re.escape(f"{name} must be finite, got {bad} at index {where}")
    with pytest.raises(ValueError, match=message):
        make(form, num_queries=1)(**given)


@forms
def test_complex_and_other_kinds_are_refused(form, ask):
    for bad in (np.ones(5) * 1j, ["a"] * 5, np.ones(5) > 0):
        with pytest.raises(TypeError, match="y must hold real numbers, got dtype"):
            ask(make(form), blocks(y=bad))


@forms
def test_a_negative_regulariser_is_refused(form, ask):
    bound = "above 0" if form == "ridge_lsa" else r"at least 0\.0"
    with pytest.raises(ValueError, match=rf"lam must be {bound}, got .*-0\.5"):
        ask(make(form), blocks(lam=-0.5))


def test_ridge_lsa_says_why_it_takes_no_zero(ask):
    message = (
        r"ridge_lsa: lam must be above 0, got 0: the weights are read from the rows sqrt\(lam\) w "
        "of the prompt; ridge_lsa_state takes lam = 0"
    )
    with pytest.raises(ValueError, match=message):
        ask(make("ridge_lsa"), blocks(lam=0.0))


@forms_with_zero
def test_the_other_forms_take_zero(form):
    given = blocks(lam=0.0)
    w = given["w"] - 0.1 * given["X"].T @ (given["X"] @ given["w"] - given["y"])
    assert relative_error(make(form, depth=1)(**given)["w"], w) <= 1e-12


@forms
def test_a_step_that_diverges_is_met_with_the_interval(form, ask):
    given = blocks(X=2 * np.eye(5, 3), lam=1.0)  # largest eigenvalue 5: steps below 0.4
    message = (
        r"step_size must lie in \(0, 0\.4\), got 0\.5: outside it gradient descent on this data "
        r"diverges \(the largest eigenvalue of X\^T X \+ lam I is 5\)"
    )
    with pytest.raises(ValueError, match=message):
        ask(make(form, step_size=0.5), given)


@some_forms
@table("n, d", [(5, 3), (3, 5)])
def test_the_interval_is_open_and_as_large_as_it_can_be(form, n, d):
    """At exactly 2 / L an error along one direction never dies; just below it does."""
    given = {"X": 2 * np.eye(n, d), "y": np.ones(n), "lam": 4.0}  # L = 8, all numbers exact
    with pytest.raises(ValueError, match=r"step_size must lie in \(0, 0\.25\), got 0\.25"):
        RIDGE_FORMS[form](n, d, 2, 0.25)(**given)
    RIDGE_FORMS[form](n, d, 2, np.nextafter(0.25, 0.0))(**given)


@some_forms
def test_values_are_not_checked_under_jit(form):
    """There a tracer has none: the run itself shows what the check would have refused."""
    stack = make(form, depth=300, step_size=5.0)
    out = jax.jit(lambda given: stack(**given)["w"])(blocks())
    assert np.abs(out).max() > 1e100
    assert np.isnan(jax.jit(lambda given: stack(**given)["w"])(blocks(y=np.full(5, np.nan)))).all()


@forms
def test_verify_reports_a_reference_that_is_not_finite(form):
    stack = make(form, depth=3)
    with pytest.raises(ValueError, match="verify: the reference for 'w' is not finite"):
        stack.verify(jax.random.key(0), **blocks(X=np.ones((5, 3)), y=np.full(5, 1.5e308)))


@forms
def test_a_call_takes_names_only(form):
    with pytest.raises(TypeError, match=r"by name, as \(X=\.\., y=\.\., .*\), got 4 without"):
        make(form)(*blocks().values())


def test_data_whose_gram_matrix_overflows_is_refused_by_name():
    stack = ridge_elsa(3, 2, 1, 0.1)
    with pytest.raises(ValueError, match=r"ridge_elsa: X must be small enough .* up to 1e\+200"):
        stack(X=np.full((3, 2), 1e200), y=np.ones(3), lam=1.0)
