"""Losses and derivatives in both forms: jax, long doubles, the tensor trick, worked numbers."""

import dataclasses
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from elsa.softmax_regression import Problem, formulas
from elsa.softmax_regression.formulas import Data
from tests.helpers import relative_error, wide
from tests.softmax_regression.cases import (
    KINDS,
    MATRIX,
    MATRIX_V,
    MATRIX_X,
    METHODS,
    SIZES,
    A,
    B,
    V,
    X,
    along,
    drawn,
    logits_of,
    norm_of,
)

LONG = np.longdouble
SINGLE = Problem.single(A, B)


def plain_loss(x, problem):
    """The loss as it is written, without care for overflow."""
    u = jnp.exp(logits_of(x, problem))
    total = u.sum(axis=-1, keepdims=True)
    residual = u / total if problem.kind == "normalized" else u
    residual -= problem.b if problem.kind == "normalized" else total * problem.b
    return (residual**2).sum() / 2


def long_derivatives(x, v, problem):
    """Gradient and product of the normalized loss by rows, the Hessian dense, in long doubles."""
    shape = x.shape
    x, v, a2 = (np.atleast_2d(np.asarray(array, LONG)) for array in (x, v, problem.a2))
    a1 = np.ones((1, 1), LONG) if problem.a1 is None else np.asarray(problem.a1, LONG)
    gradient, product = np.zeros_like(x), np.zeros_like(x)
    for row, b in zip(a1, np.atleast_2d(np.asarray(problem.b, LONG)), strict=True):
        z = a2 @ (row @ x)
        f = np.exp(z - z.max())
        f = f / f.sum()
        jacobian = np.diag(f) - np.outer(f, f)
        g = jacobian @ (f - b)
        middle = jacobian @ jacobian + np.diag(g) - np.outer(g, f) - np.outer(f, g)
        gradient += np.outer(row, g @ a2)
        product += np.outer(row, middle @ (a2 @ (row @ v)) @ a2)
    return gradient.reshape(shape), product.reshape(shape)


@pytest.mark.parametrize(
    "problem, x, v, kind, loss, gradient, product",
    [
        (
            *(SINGLE, X, V, "normalized", 0.0221070693),
            [0.0256595341, 8.55087394e-05],
            [-0.0221952405, 0.216710178],
        ),
        (
            *(SINGLE, X, V, "rescaled", 0.456570247),
            [1.28659256, -0.267121236],
            [0.767036607, 4.8362102],
        ),
        (
            *(Problem(**MATRIX), MATRIX_X, MATRIX_V, "normalized", 0.131045449),
            [[0.0568228788, 0.0120501056], [0.190781903, 0.0483490268]],
            [[0.0454364833, -0.0176218671], [0.260831263, 0.0825139987]],
        ),
        (
            *(Problem(**MATRIX), MATRIX_X, MATRIX_V, "rescaled", 0.669360726),
            [[0.756689925, 1.03563744], [0.782920338, -0.297891309]],
            [[0.877517543, 3.15485709], [3.037681, -1.60612468]],
        ),
    ],
    ids=["single normalized", "single rescaled", "matrix normalized", "matrix rescaled"],
)
def test_the_worked_examples(problem, x, v, kind, loss, gradient, product):
    problem = dataclasses.replace(problem, kind=kind)
    assert float(problem.loss(x)) == pytest.approx(loss, rel=1e-8)
    np.testing.assert_allclose(problem.gradient(x), gradient, rtol=1e-8)
    np.testing.assert_allclose(problem.hvp(x, v), product, rtol=1e-8)


@jax.jit
def everything(x, v, problem):
    """All that is compared, in one program a shape: eager operations would each be compiled."""
    flat, hessian = x.ravel(), problem.dense_hessian(x)
    rows = problem.rows()
    by_rows = jax.vmap(lambda row: (row.loss(flat), row.gradient(flat), row.hvp(flat, v.ravel())))
    loss, gradient, product = (found.sum(axis=0) for found in by_rows(rows))
    return {
        "loss": problem.loss(x),
        "plain loss": plain_loss(x, problem),
        "loss of the rows": loss,
        "gradient": problem.gradient(x),
        "jax.grad": jax.grad(problem.loss)(x),
        "gradient of the rows": gradient.reshape(x.shape),
        "product": problem.hvp(x, v),
        "jvp": along(jax.grad(problem.loss), x, v),
        "product of the rows": product.reshape(x.shape),
        "dense product": (hessian @ v.ravel()).reshape(x.shape),
        "dense product, transposed": (hessian.T @ v.ravel()).reshape(x.shape),
    }


@pytest.mark.parametrize(
    "sizes, kind",
    wide(
        itertools.product(SIZES, KINDS),
        keep=[
            *((sizes, "normalized") for sizes in ((1, 1), (3, 5), (4, 1, 1, 3), (7, 3, 6, 2))),
            *((sizes, "rescaled") for sizes in ((1, 4), (6, 1), (12, 3), (2, 4, 3, 5))),
        ],
    ),
    ids=str,
)
def test_derivatives_are_those_of_jax_and_of_the_tensor_trick(sizes, kind):
    for logits in (0.1, 1.0, 5.0):
        x, v, problem = drawn(sizes, kind, logits=logits)
        found = everything(x, v, problem)
        # the size of a gradient's terms: where it vanishes (one key, normalized) it is 0 to their
        # rounding
        pull = norm_of(problem) * (1 if kind == "normalized" else np.exp(2 * logits))
        push = pull * norm_of(problem) * np.linalg.norm(v)
        assert relative_error(found["loss"], found["plain loss"]) <= 1e-12
        assert relative_error(found["loss"], found["loss of the rows"]) <= 1e-12
        slope, product = found["gradient"], found["product"]
        assert relative_error(slope, found["jax.grad"], 1e-5 * pull) <= 1e-10
        assert relative_error(slope, found["gradient of the rows"], 1e-3 * pull) <= 1e-12
        assert relative_error(product, found["jvp"], 1e-5 * push) <= 1e-10
        for other in ("product of the rows", "dense product", "dense product, transposed"):
            assert relative_error(product, found[other], 1e-3 * push) <= 1e-12


@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_the_normalized_loss_takes_logits_of_any_size(sizes):
    for logits in (5.0, 30.0, 1e3):
        x, v, problem = drawn(sizes, logits=logits)
        found = jax.tree.map(np.asarray, everything(x, v, problem))
        assert all(np.isfinite(found[name]).all() for name in found if name != "plain loss")
        rows = np.linalg.norm(np.atleast_2d(problem.b), axis=1)
        assert 0 <= found["loss"] <= ((1 + rows) ** 2).sum() / 2
        gradient, product = long_derivatives(x, v, problem)
        scale = 1e-12 * norm_of(problem)
        for other in (gradient, found["jax.grad"]):
            assert np.abs(found["gradient"] - other).max() <= scale
        scale *= norm_of(problem) * np.linalg.norm(v)
        for other in (product, found["jvp"]):
            assert np.abs(found["product"] - other).max() <= scale


def test_the_rows_of_the_tensor_trick_are_the_kronecker_product():
    _, _, problem = drawn((2, 4, 3, 5))
    rows = problem.rows()
    np.testing.assert_array_equal(rows.a2.reshape(6, 20), np.kron(problem.a1, problem.a2))
    np.testing.assert_array_equal(rows.b, problem.b)


def test_one_query_of_one_channel_is_the_single_form():
    x, v, single = drawn((6, 3), "rescaled")
    matrix = Problem(np.ones((1, 1)), single.a2, single.b[None], "rescaled")

    @jax.jit
    def all_of(x, v, problem):
        return [getattr(problem, name)(*(x, v)[:count]) for name, count in METHODS.items()]

    pairs = zip(all_of(x, v, single), all_of(x[None], v[None], matrix), strict=True)
    for expected, found in pairs:
        np.testing.assert_allclose(found.reshape(expected.shape), expected, rtol=1e-12, atol=1e-14)


def test_slabs_of_rows_change_nothing(monkeypatch):
    x, v, problem = drawn((7, 3, 6, 2), "rescaled")
    data = Data(problem.a1, problem.a2, problem.b)

    def computed():
        @jax.jit
        def compute(x, v, data):
            functions = (formulas.loss, formulas.gradient, formulas.log_loss)
            made = [f.__wrapped__(x, data, "rescaled") for f in functions]
            return [*made, formulas.hvp.__wrapped__(x, v, data, "rescaled")]

        return compute(x, v, data)

    whole = computed()
    monkeypatch.setattr(formulas, "SLAB", 2 * 6)  # two rows at a time, and one left over
    for one, other in zip(whole, computed(), strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-13)


@pytest.mark.parametrize("sizes", [(6, 3), (7, 3, 6, 2)], ids=str)
def test_the_rescaled_loss_reaches_as_far_as_its_dtype_and_says_where_it_ends(sizes):
    x, v, problem = drawn(sizes, "rescaled")
    unit = x / logits_of(x, problem).max()
    message = r"the rescaled loss overflows float64: the largest logit is 4.* about 355; log_loss"
    for method, vectors in METHODS.items():
        if method != "log_loss":
            with pytest.raises(ValueError, match=rf"^Problem.{method}: {message}"):
                getattr(problem, method)(*(400 * unit, v)[:vectors])
    small = jax.tree.map(np.float32, problem)
    with pytest.raises(ValueError, match=r"overflows float32: the largest logit is 4.* about 44"):
        small.loss(np.float32(46 * unit))
    assert not np.isfinite(jax.jit(problem.loss)(400 * unit))  # no error under jit


def test_the_ends_of_the_two_losses():
    a, b = np.eye(2), np.array([0.3, 0.2])
    assert np.isfinite(Problem.single(a, b, "rescaled").loss([350.0, 0.0]))
    with pytest.raises(ValueError, match=r"the result overflows .* scale them down"):
        Problem.single(a, [1e200, 0.0]).loss([1.0, 0.0])
    for problem, x in (
        (Problem.single([[1e300], [-1e300]], np.zeros(2), "rescaled"), [1e10]),
        (Problem([[1.0]], [[1e300], [-1e300]], np.zeros((1, 2))), [[1e10]]),
    ):
        with pytest.raises(ValueError, match=r"^Problem.probabilities: the result overflows .* sc"):
            problem.probabilities(x)


@pytest.mark.parametrize("sizes", [(6, 3), (7, 3, 6, 2)], ids=str)
def test_log_loss_is_the_logarithm_and_stays_finite(sizes):
    logarithm = jax.jit(lambda x, problem: jax.value_and_grad(problem.log_loss)(x))
    for kind in KINDS:
        x, _, problem = drawn(sizes, kind, logits=3.0)
        value, slope = logarithm(x, problem)
        loss = problem.loss(x)
        assert float(value) == pytest.approx(np.log(float(loss)), rel=1e-12)
        np.testing.assert_allclose(slope, problem.gradient(x) / loss, rtol=1e-11)
        for size in (1e3, -1e3, 1e5):
            value, slope = logarithm(x * size / np.abs(logits_of(x, problem)).max(), problem)
            assert np.isfinite(value) and np.isfinite(slope).all()


def test_log_loss_grows_by_twice_a_common_logit_and_is_minus_infinity_at_a_perfect_fit():
    problem = Problem.single(np.ones((2, 1)), [0.3, 0.9], "rescaled")
    low, high = (float(problem.log_loss([size])) for size in (0.0, 500.0))
    assert high - low == pytest.approx(1000.0, rel=1e-12)
    value, slope = jax.value_and_grad(Problem.single([[1.0]], [1.0]).log_loss)(np.array([2.0]))
    assert value == -np.inf and slope == 0.0


def test_log_loss_is_finite_for_labels_whose_squares_are_not():
    for kind in KINDS:
        x, _, problem = drawn((3, 5), kind)
        times = {f: dataclasses.replace(problem, b=problem.b * f) for f in (1e100, 1e200, 1e-200)}
        assert np.isfinite(float(times[1e-200].log_loss(x)))
        expected = np.log(float(times[1e100].loss(x))) + 2 * np.log(1e100)
        assert float(times[1e200].log_loss(x)) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("sizes", [(6, 3), (7, 3, 6, 2)], ids=str)
def test_probabilities_are_the_softmax_of_the_logits_and_planted_labels(sizes):
    x, _, problem = drawn(sizes, logits=2.0)
    u = np.exp(logits_of(x, problem))
    expected = u / u.sum(axis=-1, keepdims=True)
    np.testing.assert_allclose(problem.probabilities(x), expected, rtol=1e-13)
    data = [a for a in (problem.a1, problem.a2) if a is not None]
    planted = Problem.planted(x, *data, kind="rescaled")
    np.testing.assert_array_equal(planted.b, problem.probabilities(x))
    assert planted.kind == "rescaled"
    # an entry of labels up to 1 may be a rounding off, as another program has computed it
    rounding = np.finfo(planted.b.dtype).eps
    loss = dataclasses.replace(planted, kind="normalized").loss(x)
    assert 0 <= float(loss) <= planted.b.size * rounding**2
