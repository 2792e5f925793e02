"""Cross-entropy, L2 and weights of the rows, against scikit-learn and dense NumPy."""

import dataclasses
import re

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from elsa.softmax_regression import Penalised, Problem
from tests.helpers import relative_error, wide
from tests.softmax_regression.test_properties import by_rows

KINDS = ("normalized", "rescaled", "cross_entropy")


def entropy_by_rows(x, a1, a2, b):
    """Loss, gradient and Hessian in vec(X) of one row after the other."""
    loss, gradient, hessian = 0.0, np.zeros(x.size), np.zeros((x.size, x.size))
    for row, labels in zip(a1, b, strict=True):
        a = np.kron(row, a2)
        z = a @ x.ravel()
        top = z.max()
        total = top + np.log(np.exp(z - top).sum())
        f = np.exp(z - total)
        loss += labels @ (total - z)
        gradient += a.T @ (labels.sum() * f - labels)
        hessian += labels.sum() * a.T @ (np.diag(f) - np.outer(f, f)) @ a
    return loss, gradient, hessian


def dense(x, a1, a2, b, kind):
    return entropy_by_rows(x, a1, a2, b) if kind == "cross_entropy" else by_rows(x, a1, a2, b, kind)


def classified(n, d, classes, seed=0):
    """Features, classes that no weights sort out, and weights of the rows."""
    rng = np.random.default_rng([seed, n, d])
    return rng.normal(size=(n, d)), rng.integers(0, classes, n), rng.uniform(0.5, 2.0, n)


@given(
    sizes=st.tuples(*[st.sampled_from([1, 2, 4])] * 4),
    kind=st.sampled_from(KINDS),
    l2=st.sampled_from([0.0, 0.3]),
    seed=st.integers(0, 100),
)
def test_random_shapes_agree_with_dense_numpy_and_with_the_constant(sizes, kind, l2, seed):
    n1, d1, n2, d2 = sizes
    rng = np.random.default_rng([seed, *sizes])
    a1, a2, b = rng.normal(size=(n1, d1)), rng.normal(size=(n2, d2)), rng.uniform(size=(n1, n2))
    x, v, weights = rng.normal(size=(d1, d2)) / 4, rng.normal(size=(d1, d2)), rng.uniform(size=n1)
    weights[0] = 0.0  # a row that is not there
    problem = Penalised(Problem(a1, a2, b, kind), l2, weights)
    loss, gradient = l2 * np.sum(x**2) / 2, l2 * x.ravel()
    hessian = l2 * np.eye(x.size)
    for row, labels, weight in zip(a1, b, weights, strict=True):
        parts = dense(x, row[None], a2, labels[None], kind)
        loss += weight * parts[0]
        gradient, hessian = gradient + weight * parts[1], hessian + weight * parts[2]
    size = np.linalg.norm(hessian, 2)
    assert relative_error(problem.loss(x), loss, floor=1e-3) <= 1e-12
    assert relative_error(np.ravel(problem.gradient(x)), gradient, floor=1e-3) <= 1e-10
    product = np.ravel(problem.hvp(x, v))
    assert relative_error(product, hessian @ v.ravel(), floor=1e-3) <= 1e-10
    assert relative_error(problem.dense_hessian(x), hessian, floor=1e-3) <= 1e-10
    for sharp in (False, True):
        assert size <= problem.lipschitz(np.linalg.norm(x), sharp=sharp) * (1 + 1e-12)


METHODS = ("newton-cg", "lbfgs", "gd")
# tall, fewer rows than features, one row, one feature
SIZES = [(40, 4, 3), (3, 8, 2), (1, 2, 2), (12, 1, 4)]


@pytest.mark.parametrize(
    "n, d, classes, method",
    wide(
        [(*sizes, method) for sizes in SIZES for method in METHODS],
        keep=[
            *((*sizes, "newton-cg") for sizes in SIZES),
            *((*SIZES[0], method) for method in METHODS),
        ],
    ),
)
def test_cross_entropy_with_l2_is_multinomial_logistic_regression(n, d, classes, method):
    x, y, weights = classified(n, d, classes)
    y[: min(n, classes)] = np.arange(min(n, classes))
    problem = Problem(x, np.eye(classes), np.eye(classes)[y], "cross_entropy")
    found = Penalised(problem, l2=0.7, sample_weight=weights).solve(method)
    assert found.gradient_norm <= 1e-8 and found.history.advice == ""
    if n == 1:  # which scikit-learn refuses: the optimum is where the gradient is 0
        f = np.exp(x[0] @ found.x) / np.exp(x[0] @ found.x).sum()
        slope = weights[0] * np.outer(x[0], f - np.eye(classes)[y[0]]) + 0.7 * found.x
        assert np.abs(slope).max() <= 1e-7
        return
    # of two classes scikit-learn has one vector, the difference of two, at half the penalty
    strength = 1 / 0.7 if classes > 2 else 2 / 0.7
    theirs = LogisticRegression(C=strength, fit_intercept=False, tol=1e-13, max_iter=10_000)
    ours = found.x if classes > 2 else found.x[:, 1:] - found.x[:, :1]
    np.testing.assert_allclose(ours.T, theirs.fit(x, y, sample_weight=weights).coef_, atol=1e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_newton_reaches_its_tolerance_where_the_loss_is_flat_to_rounding(dtype):
    """Twelve rows of one feature: the loss, of order 10, hides steps that the gradient shows."""
    x, y, weights = classified(12, 1, 4)
    problem = Problem(x.astype(dtype), np.eye(4, dtype=dtype), np.eye(4, dtype=dtype)[y], KINDS[2])
    found = Penalised(problem, l2=0.7, sample_weight=weights).solve()
    assert found.history.stopped == "gradient" and found.history.advice == ""
    assert found.x.dtype == dtype and found.iterations == len(found.history.loss) - 1 <= 12


def test_without_penalty_and_weights_it_is_the_problem_itself():
    x, y, _ = classified(20, 3, 3)
    for kind in KINDS:
        problem = Problem(x, np.eye(3), np.eye(3)[y], kind)
        at = np.full((3, 3), 0.1) * np.arange(3)
        for call in ("loss", "gradient", "dense_hessian"):
            mine, own = (getattr(each, call)(at) for each in (Penalised(problem), problem))
            np.testing.assert_allclose(mine, own, rtol=1e-13)
    single = Problem.single(x, np.full(20, 0.05), "cross_entropy")
    twice = Penalised(single, l2=1.0, sample_weight=[2.0])
    v = np.arange(3.0)
    np.testing.assert_allclose(twice.gradient(v), 2 * single.gradient(v) + v, rtol=1e-12)
    by_jax = jax.jvp(twice.gradient, (v,), (v,))[1]
    np.testing.assert_allclose(twice.hvp(v, v), by_jax, rtol=1e-10)


def test_planted_weights_are_found_by_cross_entropy_too_and_constants_are_attained():
    rng = np.random.default_rng(0)
    a, x = rng.normal(size=(50, 5)), rng.normal(size=5) / 2
    problem = Problem.planted(x, a, kind="cross_entropy")
    found = problem.solve()
    np.testing.assert_allclose(found.x, x, atol=1e-7)
    assert found.loss == pytest.approx(-float(problem.b @ np.log(problem.b)), rel=1e-12)
    assert problem.log_loss(x) == pytest.approx(np.log(found.loss), rel=1e-10)
    two = Problem.single([[1.0], [-1.0]], [0.5, 0.5], "cross_entropy")  # f = (1/2, 1/2) at 0
    assert two.dense_hessian([0.0])[0, 0] == pytest.approx(two.lipschitz(), rel=1e-12)
    ratios = two.sampled_ratios(jax.random.key(0), radius=3.0, of="loss", pairs=200)
    assert 0.5 * two.lipschitz(of="loss") < ratios.max() <= two.lipschitz(of="loss")


@pytest.mark.parametrize("kind", ["normalized", "cross_entropy"])
def test_labels_of_0_and_1_that_weights_sort_out_say_why_it_is_stuck_and_what_to_do(kind):
    x, _, _ = classified(30, 3, 3)
    labels = np.eye(3)[(x @ np.diag([1.0, 2.0, 3.0])).argmax(axis=1)]
    problem = Problem(x, np.eye(3), labels, kind)
    with pytest.warns(UserWarning, match=r"0 and 1, which no finite weights reach.*Penalised") as w:
        found = problem.solve()
    assert w[0].filename == __file__ and found.history.advice in str(w[0].message)
    assert ("'cross_entropy', which is convex" in found.history.advice) == (kind == "normalized")
    replaced = re.search(r"problem = (dataclasses\.replace\(.*?\))", found.history.advice)
    names = {"dataclasses": dataclasses, "problem": problem}
    for asked in (problem, eval(replaced[1], names) if replaced else problem):
        assert Penalised(asked, l2=0.1).solve().history.advice == ""  # what it says helps
    assert asked.kind == "cross_entropy"


@pytest.mark.parametrize("single", [False, True])
def test_labels_of_several_ones_say_that_a_softmax_has_one_and_what_to_do(single):
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(40, 3)), rng.normal(size=(3, 4))
    logits = x @ w
    b = (logits >= np.sort(logits, axis=1)[:, [-2]]).astype(float)  # two of four
    keys = (x, np.eye(4))
    if single:
        b, keys = (rng.normal(size=40) > 0).astype(float), (None, x)
    with pytest.warns(UserWarning, match="Problem.solve: the labels are 0 and 1, ") as warned:
        found = Problem(*keys, b).solve()
    said = str(warned[0].message)
    assert found.history.advice in said and "a softmax shares out a single 1" in said
    assert (f"{b.sum():g} ones in all" if single else "2 in each row") in said
    names = {"np": np, "Problem": Problem, "b": b, "a": x, "a1": x, "j": 1}
    shared = eval(re.search(r"b / b\.sum\(.*?\)", said)[0], names)
    np.testing.assert_allclose(np.atleast_2d(shared).sum(axis=1), 1.0)
    each = eval(re.search(r"Problem\(a.*'cross_entropy'\)", said)[0], names)
    for problem in (each, Problem(*keys, shared, "cross_entropy")):  # what it says helps
        assert Penalised(problem, l2=1.0).solve().history.advice == ""
    theirs = LogisticRegression(fit_intercept=False).fit(x, b if single else b[:, 1])
    ours = Penalised(each, l2=1.0).solve().x.ravel()
    np.testing.assert_allclose(ours, theirs.coef_[0], atol=1e-3)


def test_rows_without_a_one_are_left_out_by_the_words_of_the_advice():
    rng = np.random.default_rng(0)
    x, b = rng.normal(size=(40, 3)), np.zeros((40, 4))
    b[np.arange(30), x[:30].argmax(axis=1)] = 1.0
    with pytest.warns(UserWarning, match="0 to 1 ones in a row") as warned:
        Problem(x, np.eye(4), b, "cross_entropy").solve()
    shared, rows, some = re.search(
        r"(b\[some\] / .*?True\)) for (a1\[some\]), some = (.*?\)),", str(warned[0].message)
    ).groups()
    names = {"b": b, "a1": x, "some": eval(some, {"b": b})}
    problem = Problem(eval(rows, names), np.eye(4), eval(shared, names), "cross_entropy")
    assert problem.b.shape == (30, 4) and Penalised(problem, l2=1.0).solve().history.advice == ""


def test_what_does_not_fit_is_refused_with_the_way_out():
    problem = Problem(np.ones((2, 1)), np.eye(3), np.full((2, 3), 1 / 3), "cross_entropy")
    with pytest.raises(ValueError, match=r"Problem: labels b .* at least 0.* kind 'normalized'"):
        Problem(np.ones((1, 1)), np.ones((1, 1)), [[-0.1]], "cross_entropy")
    with pytest.raises(ValueError, match="l2 must be at least 0"):
        Penalised(problem, l2=-1.0)
    for weights, message in (
        ([1.0], r"sample_weight must be 2 numbers .* one for each row of the labels, got 1$"),
        ([1.0] * 3, "sample_weight must be 2 numbers .*, got 3$"),
        ([1.0, -1.0], "sample_weight must be 2 numbers of at least 0, .*, got -1 at index 1"),
        ([[1.0, 1.0]], "sample_weight must have 1 ax"),
    ):
        with pytest.raises(ValueError, match=message):
            Penalised(problem, sample_weight=weights)
    with pytest.raises(TypeError, match="must be a Problem"):
        Penalised(np.ones(3))
    x = np.ones((1, 3))
    for shift in (
        lambda: problem.weight_shift(x, x),
        lambda: problem.trajectory_shift([x, x]),
        lambda: problem.context_shift(x, problem),
    ):
        with pytest.raises(ValueError, match=r"got 'cross_entropy'.*kind='normalized'"):
            shift()
