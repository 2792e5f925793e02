"""A problem as a value: through jit and vmap, in any dtype, and what it refuses."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from elsa.softmax_regression import Problem
from tests.helpers import relative_error, table
from tests.softmax_regression.cases import MATRIX, MATRIX_V, MATRIX_X, METHODS, A, B, V, X, drawn

SINGLE = Problem.single(A, B)


@pytest.mark.parametrize("sizes", [(6, 3), (7, 3, 6, 2)], ids=str)
def test_problems_go_through_jit_and_vmap_and_float32(sizes):
    """One program serves all problems of a shape, one at a time or stacked."""
    kind = "rescaled" if len(sizes) == 2 else "normalized"
    x, v, problem = drawn(sizes, kind)
    other_x, other_v, other = drawn(sizes, kind, seed=1)
    traces = []

    @jax.jit
    def all_of_one(x, v, problem):
        traces.append(problem)
        return [getattr(problem, name)(*(x, v)[:count]) for name, count in METHODS.items()]

    each = [all_of_one(x, v, problem), all_of_one(other_x, other_v, other)]
    assert len(traces) == 1
    stacked = jax.tree.map(lambda *arrays: np.stack(arrays), problem, other)
    both = jax.jit(jax.vmap(all_of_one))(np.stack([x, other_x]), np.stack([v, other_v]), stacked)
    small = jax.tree.map(np.float32, (x, v, problem))
    for place, (name, vectors) in enumerate(METHODS.items()):
        for one in (0, 1):
            np.testing.assert_allclose(both[place][one], each[one][place], rtol=1e-12, atol=1e-14)
        eager = getattr(problem, name)(*(x, v)[:vectors])
        assert eager.dtype == jnp.float64
        np.testing.assert_allclose(each[0][place], eager, rtol=1e-12, atol=1e-14)
        rounded = getattr(small[2], name)(*small[:vectors])
        assert rounded.dtype == jnp.float32
        assert relative_error(rounded, eager) <= 1e-5


def test_a_problem_keeps_its_digits_and_not_the_arrays_of_its_caller():
    a = A.copy()
    with jax.enable_x64(False):
        problem = Problem.single(a, B)
        assert problem.a2.dtype == np.float64 and problem.loss(X).dtype == np.float32
    a[:] = np.nan
    np.testing.assert_array_equal(problem.a2, A)


def test_integers_count_as_numbers():
    whole, real = (
        Problem.single([[1, 0], [0, 2]], [1, 0]),
        Problem.single(np.diag([1.0, 2]), [1.0, 0]),
    )
    assert float(whole.loss([1, 0])) == pytest.approx(float(real.loss([1.0, 0.0])))


@table(
    "call, error, message",
    [
        (lambda: Problem.single(A, B[:2]), ValueError, r"single: b must have shape \(n=3\), got"),
        (lambda: Problem.single(A[0], B), ValueError, r"single: a must have 2 axes \(n, d\)"),
        (lambda: Problem.single(A, B * np.nan), ValueError, "b must be finite, got nan at index"),
        (lambda: Problem.single(A, B, "scaled"), ValueError, r"kind must be one of .*got 'scaled'"),
        (lambda: Problem.single(A * 1j, B), TypeError, "a must hold real numbers"),
        (lambda: Problem.single(np.zeros((0, 2)), []), ValueError, "a must not be empty"),
        (
            lambda: Problem(**{**MATRIX, "b": np.ones((3, 2))}),
            ValueError,
            r"^Problem: b must have shape \(n1=2, n2=3\)",
        ),
        (lambda: Problem(**{**MATRIX, "a1": np.ones(2)}), ValueError, "a1 must have 2 axes"),
        (lambda: Problem(**MATRIX, kind="soft"), ValueError, "Problem: kind must be one of"),
        (
            lambda: Problem(**{**MATRIX, "a2": np.full((3, 2), np.inf)}),
            ValueError,
            "a2 must be finite, got inf",
        ),
        (lambda: Problem.planted(X), TypeError, "planted: data must be A, or A1 and A2, got 0"),
        (lambda: Problem.planted(X[:1], A), ValueError, r"x must have shape \(d=2\), got \(1,\)"),
    ],
)
def test_bad_data_are_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()


@table("method", [*METHODS, "probabilities"])
def test_bad_weights_are_refused_by_every_method(method):
    matrix, rest = Problem(**MATRIX), METHODS.get(method, 1) - 1
    stacked = jax.tree.map(lambda array: array[None], SINGLE)
    for problem, x, v, message in (
        (SINGLE, np.ones(3), V, r"x must have shape \(d=2\), got \(3,\)"),
        (SINGLE, X * np.inf, V, "x must be finite, got inf"),
        (matrix, np.ones((2, 3)), MATRIX_V, r"x must have shape \(d1=2, d2=2\), got \(2, 3\)"),
        (stacked, X, V, r"a must have 2 axes \(n, d\), got shape \(1, 3, 2\)"),
    ):
        with pytest.raises(ValueError, match=rf"^Problem\.{method}: {message}"):
            getattr(problem, method)(x, *[v] * rest)


def test_a_bad_direction_is_refused():
    with pytest.raises(ValueError, match=r"hvp: v must have shape \(d=2\), got \(3,\)"):
        SINGLE.hvp(X, np.ones(3))
    with pytest.raises(ValueError, match=r"hvp: v must have shape \(d1=2, d2=2\)"):
        Problem(**MATRIX).hvp(MATRIX_X, np.ones((2, 3)))


@pytest.mark.parametrize(
    "classes, error, way",
    [
        (np.array([0, 2, 1, 2]), ValueError, "np.eye(3)[b]"),
        (np.array([[0], [2], [1], [2]]), ValueError, "np.eye(3)[classes], with classes = np.as"),
        (np.array([0.0, 2.0, 1.0, 2.0]), ValueError, "np.eye(3)[classes], with classes = np.asa"),
        (np.array([1, 3, 2, 3]), ValueError, "of classes 1 .. 3: np.eye(3)[b - 1]"),
        (np.array([-1, 1, 0, 1]), ValueError, "of classes -1 .. 1: np.eye(3)[b + 1]"),
        (np.array([[3.0], [1.0], [2.0], [1.0]]), ValueError, "= np.asarray(b, int).ravel() - 1"),
        (np.array([10, 30, 20, 30]), ValueError, "of any classes: np.eye(3)[classes], with"),
        (np.array([0.5, 1.5, 0.5, 0.7]), ValueError, "of any classes: np.eye(3)[classes], with"),
        (np.array([True, False, True, False]), TypeError, "np.eye(3)[classes], with classes = "),
        (["cat", "dog", "cow", "dog"], TypeError, "np.eye(3)[classes], with classes = np.unique("),
        (np.eye(3, dtype=bool)[[0, 2, 1, 2]], TypeError, "np.asarray(b, float)"),
    ],
)
def test_classes_in_the_place_of_labels_name_the_rows_that_they_become(classes, error, way):
    features = np.ones((4, 2))
    with pytest.raises(error, match=f"Problem: b must .*{re.escape(way)}") as raised:
        Problem(features, np.eye(3), classes, "cross_entropy")
    code = re.search(r"(np\.eye|np\.asarray).*", str(raised.value))[0]  # and what it says works
    shown, _, made = code.partition(", with classes = ")
    names = {"np": np, "b": classes}
    names["classes"] = eval(made, names) if made else None
    labels = eval(shown, names)
    assert Problem(features, np.eye(3), labels, "cross_entropy").b.shape == (4, 3)
    if np.ndim(classes) < 2 or np.shape(classes)[1] == 1:
        flat = np.ravel(classes)
        same = flat[:, None] == flat[None, :]
        np.testing.assert_array_equal(labels @ labels.T == 1, same)


@pytest.mark.parametrize("b", [[1, 2, 3, 4], ["a", "b", "c", "d"], [0.1, 0.2, 0.3, 0.4]])
def test_more_classes_than_keys_are_counted(b):
    with pytest.raises((ValueError, TypeError), match=r"b holds 4 different .*, and a2 has 3 rows"):
        Problem(np.ones((4, 2)), np.eye(3), b)


def test_labels_that_are_no_classes_have_the_plain_error():
    with pytest.raises(TypeError, match="b must") as raised:
        Problem(np.ones((4, 2)), np.eye(3), [None, "a", 1, 2])
    assert "np.eye" not in str(raised.value)
    with pytest.raises(ValueError, match=r"b must have shape .*n1=4.*") as raised:
        Problem(np.ones((4, 2)), np.eye(3), np.ones((5, 3)))
    assert "np.eye" not in str(raised.value)
