"""Checks: each message says where, what must hold and what came."""

import jax
import jax.numpy as jnp
import numpy as np
import polars
import pytest
from flax import nnx

from elsa import models, nn
from elsa.base import checks
from elsa.softmax_regression import Problem
from tests.helpers import table


def test_shapes_binds_axes_in_the_order_given():
    sizes = checks.shapes("f", a=(np.zeros((2, 3)), "n m"), b=([1.0, 2.0, 3.0], "m"), c=(1.0, ""))
    assert sizes == {"n": 2, "m": 3}


@table(
    "array, axes, message",
    [
        (np.zeros((2, 3, 1)), "n m", r"f: b must have 2 axes \(n=4, m\), got shape \(2, 3, 1\)"),
        (1.0, "n", r"f: b must have 1 axes \(n=4\), got shape \(\)"),
        (np.zeros((2, 3)), "n m", r"f: b must have shape \(n=4, m\), got \(2, 3\)"),
        (np.zeros((5, 3)), "d d", r"f: b must have shape \(d, d\), got \(5, 3\)"),
    ],
)
def test_shapes_names_the_array_that_does_not_fit(array, axes, message):
    with pytest.raises(ValueError, match=message):
        checks.shapes("f", a=(np.zeros(4), "n"), b=(array, axes))


def test_shapes_are_checked_on_tracers():
    with pytest.raises(ValueError, match="f: a must have shape"):
        jax.jit(lambda a: checks.shapes("f", a=(a, "d d")) and a)(np.zeros((2, 3)))


def test_same_shape_names_both_blocks():
    checks.same_shape("move", "w", (8, 1), "y", (8, 1))
    message = r"move: blocks 'w' and 'y' must have the same shape, got \(8, 1\) and \(100, 1\)"
    with pytest.raises(ValueError, match=message):
        checks.same_shape("move", "w", (8, 1), "y", (100, 1))


@table("bad", [np.nan, np.inf, -np.inf])
@table("dtype", [np.float64, np.float32, jnp.bfloat16])
def test_finite_names_array_entry_and_count(bad, dtype):
    array = np.zeros((3, 2), dtype)
    array[1, 1] = array[2, 0] = bad
    message = rf"pack: X must be finite, got {bad} at index \(1, 1\) \(2 of 6 entries"
    with pytest.raises(ValueError, match=message):
        checks.finite("pack", y=np.zeros(2), X=array)


@table("bad", [float("nan"), np.float32("-inf"), np.array(np.inf)])
def test_finite_says_of_a_single_number_what_it_is_and_no_place(bad):
    with pytest.raises(ValueError, match=r"^pack: lam must be finite, got (nan|-?inf)$"):
        checks.finite("pack", lam=bad)


def test_in_range_names_the_entry_that_would_become_infinite():
    checks.in_range("f", np.float32, X=np.array([3e38, np.inf]), n=1, none=np.zeros((0, 3)))
    with pytest.raises(ValueError, match=r"f: X must lie in the range of float16, .*got 70000.0"):
        checks.in_range("f", np.float16, y=1.0, X=np.array([1.0, 7e4]))
    jax.eval_shape(lambda X: checks.in_range("f", np.float16, X=X), np.float64(1e300))


def test_finite_takes_numbers_lists_and_no_entries():
    checks.finite("pack", number=1, series=[1.0, 2.0], none=np.zeros((0, 3)), large=2**62)


@table("array", [np.ones(2) * 1j, np.array(["1.0"]), "1.0", None, [None], np.ones(2) > 0, True])
def test_finite_refuses_what_is_no_real_number(array):
    with pytest.raises(TypeError, match="pack: X must hold real numbers, got dtype"):
        checks.finite("pack", X=array)


def test_finite_looks_at_the_dtype_of_a_tracer_but_not_at_its_values():
    def through(array):
        checks.finite("pack", X=array)
        return array

    assert np.isnan(jax.jit(through)(np.nan))
    with pytest.raises(TypeError, match="pack: X must hold real numbers, got dtype complex"):
        jax.jit(through)(1j)


def test_arrays_may_bear_the_names_of_the_checks_own_arguments():
    with pytest.raises(ValueError, match="pack: where must be finite"):
        checks.finite("pack", where=np.nan)
    with pytest.raises(ValueError, match="f: where must be at least 0"):
        checks.at_least("f", where=(-1.0, 0))
    with pytest.raises(ValueError, match="f: where must be finite and above 0"):
        checks.positive("f", where=0.0)
    with pytest.raises(ValueError, match="f: where must be at least 1"):
        checks.integer("f", where=(0, 1))
    assert checks.shapes("f", where=(np.zeros(3), "n")) == {"n": 3}


def test_at_least_admits_the_bound_and_refuses_below_and_nan():
    checks.at_least("f", lam=(0.0, 0), array=(np.array(1.0), 1))
    for bad in (-1e-300, np.nan, -np.inf, np.array(-1.0)):
        with pytest.raises(ValueError, match="f: lam must be at least 0, got"):
            checks.at_least("f", lam=(bad, 0))


@table("bad", [0.0, -1.0, np.nan, np.inf])
def test_positive_refuses_zero_below_and_not_finite(bad):
    checks.positive("f", step_size=5e-324)
    with pytest.raises(ValueError, match=f"f: step_size must be finite and above 0, got {bad}"):
        checks.positive("f", step_size=bad)


@table("bad", ["0.1", None, 1j])
def test_bounds_refuse_what_is_no_number(bad):
    with pytest.raises(TypeError, match="f: step_size must hold real numbers"):
        checks.positive("f", step_size=bad)
    with pytest.raises(TypeError, match="f: lam must hold real numbers"):
        checks.at_least("f", lam=(bad, 0))


def test_bounds_let_tracers_pass():
    def through(value):
        checks.at_least("f", value=(value, 0))
        checks.positive("f", value=value)
        return value

    assert jax.jit(through)(-1.0) == -1.0
    assert jax.grad(through)(-1.0) == 1.0


def test_integer_admits_numpy_integers_and_its_bound():
    checks.integer("f", depth=(0, 0), size=(np.int32(3), 1))


@table("bad", [2.0, np.float64(2), "2", None, True, np.array(2), jnp.array(2)])
def test_integer_refuses_other_kinds(bad):
    with pytest.raises(TypeError, match="f: depth must be an integer, got"):
        checks.integer("f", depth=(bad, 0))


def test_integer_refuses_below_its_bound():
    with pytest.raises(ValueError, match="f: depth must be at least 0, got -1"):
        checks.integer("f", depth=(-1, 0))


def test_one_of_shows_the_list():
    checks.one_of("Stack", "skip", "head", {"residual": 1, "head": 2})
    message = r"Stack: skip must be one of \['residual', 'head'\], got 'heads'"
    with pytest.raises(ValueError, match=message):
        checks.one_of("Stack", "skip", "heads", ["residual", "head"])


def test_names_suggests_for_an_unknown_name_and_lists_for_a_distant_one():
    known = ["query_x", "prediction", "lam"]
    message = r"pack: unknown block 'queryx', known are .*; did you mean 'query_x'\?"
    with pytest.raises(KeyError, match=message):
        checks.names("pack", "block", [*known, "queryx"], known)
    with pytest.raises(KeyError, match=r"pack: unknown block 'zzz', known are \[.*\]\"$"):
        checks.names("pack", "block", ["zzz"], known)


@pytest.mark.parametrize("name", ["PRICE", "Prize", "pric"])
def test_a_name_is_near_in_whatever_case(name):
    with pytest.raises(ValueError, match=r"got '.*'; did you mean 'Price'\?"):
        checks.one_of("f", "column", name, ["Price", "age", None])


def test_columns_of_tables_are_numbers_where_arrays_are_taken():
    checks.finite("f", x=polars.Series([1.0, 2.0]), y=polars.Series([1, 2]))
    with pytest.raises(ValueError, match="f: x must be finite, got inf at index"):
        checks.finite("f", x=polars.Series([1.0, np.inf]))
    with pytest.raises(TypeError, match="f: x must hold real numbers, got dtype"):
        checks.finite("f", x=polars.Series(["a"]))


def test_names_lists_what_is_missing():
    checks.names("pack", "block", ["b", "a"], ["a", "b"])
    with pytest.raises(ValueError, match=r"pack: missing block \['b', 'c'\], got \['a'\]"):
        checks.names("pack", "block", ["a"], ["a", "b", "c"])


def test_float_dtype_follows_jax():
    assert checks.float_dtype("f", None) == np.float64
    assert checks.float_dtype("f", "float64") == np.float64
    assert checks.float_dtype("f", jnp.bfloat16) == jnp.bfloat16
    with jax.enable_x64(False):
        assert checks.float_dtype("f", None) == np.float32
        assert checks.float_dtype("f", np.float32) == np.float32


def test_float_dtype_needs_the_switch_for_float64():
    with (
        jax.enable_x64(False),
        pytest.raises(ValueError, match=r"f: dtype float64 was asked for.*'jax_enable_x64'"),
    ):
        checks.float_dtype("f", np.float64)


@table("bad", [int, "int32", np.complex64, bool, "abc"])
def test_float_dtype_refuses_other_kinds(bad):
    with pytest.raises(TypeError, match="f: dtype must be a floating-point type, got"):
        checks.float_dtype("f", bad)


@table("value", [0.0, 0.5, -1.0, np.nan, np.inf])
def test_interval_is_open_and_is_given(value):
    checks.interval("f", 0.25, 0.0, 0.5, name="step_size", reason="it diverges")
    message = rf"f: step_size must lie in \(0, 0.5\), got {value:g}: it diverges"
    with pytest.raises(ValueError, match=message):
        checks.interval("f", value, 0.0, 0.5, name="step_size", reason="it diverges")


def test_interval_may_be_unbounded_above():
    checks.interval("f", 1e300, 0.0, np.inf, name="a", reason="r")
    with pytest.raises(ValueError, match=r"f: a must lie in \(0, inf\), got -1: r"):
        checks.interval("f", -1.0, 0.0, np.inf, name="a", reason="r")


@pytest.mark.parametrize("value", [True, False, np.True_])
def test_boolean_takes_true_and_false(value):
    checks.boolean("f", tied=value)


@table("value", ["no", 0, 1, None, np.ones(2, bool)])
def test_boolean_refuses_what_only_counts_as_true_or_false(value):
    with pytest.raises(TypeError, match=r"f: tied must be True or False, got "):
        checks.boolean("f", tied=value)


FLAGS = {
    "GPT2 mlp": lambda: models.GPT2(2, 3, mlp="no", rngs=nnx.Rngs(0)),
    "GPT2 causal": lambda: models.GPT2(2, 3, causal=None, rngs=nnx.Rngs(0)),
    "Stack tied": lambda: nn.Stack([nn.LSA(2, 1, rngs=nnx.Rngs(0))], 1, tied="no"),
    "lipschitz sharp": lambda: Problem.single(np.eye(2), np.ones(2)).lipschitz(sharp=1),
    "row_lipschitz sharp": lambda: Problem(*[np.eye(2)] * 3).row_lipschitz(sharp="no"),
}


@table("name", FLAGS)
def test_flags_are_checked_where_they_are_taken(name):
    where, flag = name.split()
    with pytest.raises(TypeError, match=f"{where}: {flag} must be True or False, got"):
        FLAGS[name]()


@pytest.mark.parametrize(
    "array, shape",
    [(2.0, (1, 1)), ([1.0, 2.0], (2, 1)), (np.zeros(3), (3, 1)), (jnp.zeros((2, 3)), (2, 3))],
)
def test_column_makes_matrices(array, shape):
    matrix = checks.column("f", "w", array, shape)
    assert matrix.shape == shape
    assert isinstance(matrix, jax.Array) == isinstance(array, jax.Array)
    np.testing.assert_array_equal(np.ravel(matrix), np.ravel(array))


@table("array", [np.zeros(3), np.zeros((1, 3)), np.zeros((3, 1, 1)), 1.0])
def test_column_refuses_another_shape_and_shows_the_one_given(array):
    message = rf"f: block 'w' must have shape \(2, 1\), got \({str(np.shape(array))[1:-1]}\)"
    with pytest.raises(ValueError, match=message):
        checks.column("f", "w", array, (2, 1))
