"""Lipschitz constants: worked numbers, 10,000 sampled pairs each, and how tight they are."""

import functools
import math

import jax
import numpy as np
import pytest

from elsa import softmax_regression as sr
from elsa.softmax_regression import Problem
from tests.helpers import wide
from tests.softmax_regression.cases import KINDS, MATRIX, A, B, drawn, norm_of

KEY = jax.random.key(20230705)  # fixed in advance
RADIUS = 2.0
SINGLE, RESCALED = (Problem.single(A, B, kind) for kind in KINDS)
CASES = [(kind, of) for kind in KINDS for of in ("gradient", "loss", "softmax")][:5]


@functools.cache
def ratios(sizes, kind, of):
    """10,000 pairs on data with |A| of order 1: one call each, shared by the tests."""
    _, _, problem = drawn(sizes, kind)
    return problem.sampled_ratios(KEY, radius=RADIUS, of=of), problem


def test_the_worked_constants():
    assert SINGLE.lipschitz(of="softmax") == pytest.approx(0.866025404, rel=1e-8)
    assert SINGLE.lipschitz() == pytest.approx(1.2533223, rel=1e-7)
    assert SINGLE.lipschitz(sharp=True) == pytest.approx(0.767373724, rel=1e-8)
    assert RESCALED.lipschitz(0.6) == pytest.approx(61.7441874, rel=1e-8)
    assert sr.label_operator_norm(B) == pytest.approx(1.06770783, rel=1e-8)


def test_the_worked_constants_of_the_matrix_form():
    problem = Problem(**MATRIX)
    assert problem.lipschitz(of="softmax") == pytest.approx(1.04058417, rel=1e-8)
    rows = problem.row_lipschitz(of="softmax")
    assert rows == pytest.approx([0.812463569, 0.908361885], rel=1e-8)
    assert problem.lipschitz() == pytest.approx(1.88233011, rel=1e-8)
    assert problem.row_lipschitz() == pytest.approx([1.1030858, 1.4343633], rel=1e-7)


def test_one_row_of_the_matrix_form_is_the_single_form():
    for kind, of in CASES:
        single, matrix = Problem.single(A, B, kind), Problem(np.ones((1, 1)), A, B[None], kind)
        for sharp in (False, True):
            expected = single.lipschitz(0.7, of=of, sharp=sharp)
            assert matrix.lipschitz(0.7, of=of, sharp=sharp) == expected
            for problem in (single, matrix):
                rows = problem.row_lipschitz(0.7, of=of, sharp=sharp)
                assert rows == pytest.approx([expected], rel=1e-12)


def test_the_curvature_bound_is_the_largest_over_a_fine_grid():
    s = (1 - np.linspace(0, 1, 100_001) ** 2) / 4  # dense towards 1/4, where the root is steep
    for beta in (0.0, 0.1, 0.5, 1.0, 2.0, 10.0, 1e6):
        tail = 2 * math.sqrt(2) * beta * s * np.sqrt(1 - 4 * s)
        grid = max(np.abs(12 * s**2 - 2 * s + sign * tail).max() for sign in (1, -1))
        assert grid <= sr.curvature_bound(beta) * (1 + 1e-12)
        assert sr.curvature_bound(beta) == pytest.approx(grid, rel=1e-8)
        assert sr.curvature_bound(beta) <= 0.25 + math.sqrt(2 / 27) * beta
    assert sr.curvature_bound(1.0) == pytest.approx(0.359116756, rel=1e-8)
    assert sr.curvature_bound(2.0) == pytest.approx(0.586421543, rel=1e-8)


def test_the_curvature_bound_is_attained_by_two_opposite_coordinates():
    """Logits (t, -t), labels (1, -1) beta / sqrt 2: the norm of the Hessian in the logits."""
    dense = jax.jit(
        jax.vmap(lambda z, b: Problem.single(np.eye(2), b).dense_hessian(z), in_axes=(0, None))
    )
    for beta in (0.0, 1.0, 3.0):
        t = np.linspace(-3, 3, 2001)
        labels = beta / math.sqrt(2) * np.array([1.0, -1.0])
        found = np.linalg.norm(dense(np.stack([t, -t], axis=1), labels), 2, axis=(1, 2)).max()
        assert found == pytest.approx(sr.curvature_bound(beta), rel=1e-5)
        assert found <= sr.curvature_bound(beta) * (1 + 1e-12)


@pytest.mark.parametrize("n", [1, 2, 5])
def test_the_label_operator_norm_is_that_of_the_matrix(n):
    rng = np.random.default_rng(n)
    for b in (rng.normal(size=n), np.full(n, 1 / n), np.zeros(n), np.ones(n), np.eye(n)[0]):
        expected = np.linalg.norm(np.eye(n) - np.outer(b, np.ones(n)), 2)
        assert sr.label_operator_norm(b) == pytest.approx(expected, rel=1e-7)
        if b.sum() == pytest.approx(1.0, abs=1e-15) and n > 1:
            assert expected == pytest.approx(math.sqrt(n) * np.linalg.norm(b), rel=1e-7)


PAIRED = [(2, 1), (4, 3), (1, 2), (3, 5), (4, 2, 3, 2)]


@pytest.mark.parametrize(
    "sizes, kind, of",
    wide(
        [(sizes, *case) for sizes in PAIRED for case in CASES],
        keep=[(sizes, *case) for sizes in ((1, 2), (3, 5), (4, 2, 3, 2)) for case in CASES],
    ),
    ids=str,
)
def test_no_pair_exceeds_a_constant(sizes, kind, of):
    found, problem = ratios(sizes, kind, of)
    assert found.shape == (10_000,) and np.isfinite(found).all()
    sharp, plain = (problem.lipschitz(RADIUS, of=of, sharp=sharp) for sharp in (True, False))
    assert found.max() <= sharp <= plain * (1 + 1e-12)
    labels = np.atleast_2d(problem.b)
    worst = sr.worst_case_lipschitz(
        labels.shape[1],
        max(norm_of(problem), RADIUS),
        kind,
        of=of,
        label_norm=np.linalg.norm(labels, axis=1).max(),
    )
    if not (of == "loss" and len(sizes) == 4):
        assert plain <= worst


def test_no_pair_of_one_row_exceeds_its_constant():
    a1, a2, b = (MATRIX[name] for name in ("a1", "a2", "b"))
    for kind in KINDS:
        bounds = Problem(a1, a2, b, kind).row_lipschitz(RADIUS, sharp=True)
        for row, bound in enumerate(bounds):
            one = Problem(a1[row : row + 1], a2, b[row : row + 1], kind)
            assert one.sampled_ratios(KEY, radius=RADIUS).max() <= bound


def test_two_rows_of_one_channel_use_the_constants_up():
    """Tightness where theory says that the constants are attained: the sheet's first row."""
    problem = Problem.single([[1.0], [-1.0]], [0.7, -0.7])
    for of, least in (("softmax", 0.999), ("gradient", 0.999), ("loss", 0.4)):
        found = problem.sampled_ratios(KEY, radius=3.0, of=of)
        assert least <= found.max() / problem.lipschitz(of=of, sharp=True) <= 1.0


def test_constants_of_the_normalized_loss_hold_for_centred_data_too():
    """Softmax does not see the mean of A's rows, so that the smaller norm serves."""
    found, problem = ratios((4, 3), "normalized", "gradient")
    data = problem.a2 + np.array([5.0, -3.0, 1.0])
    moved, centred = (Problem.single(a, problem.b) for a in (data, data - data.mean(axis=0)))
    again, centred = moved.sampled_ratios(KEY, radius=RADIUS), centred.lipschitz(sharp=True)
    assert again.max() <= centred < moved.lipschitz(sharp=True) / 5
    assert found.max() <= centred


def test_the_rescaled_constants_grow_with_the_ball_and_need_one():
    normalized, rescaled = (Problem.single(A / 2, B, kind) for kind in KINDS)
    near, far = (rescaled.lipschitz(radius) for radius in (0.5, 5.0))
    assert near < far < rescaled.lipschitz(400.0, sharp=True)
    assert rescaled.lipschitz(1e4) == math.inf
    assert sr.worst_case_lipschitz(3, 30.0) == math.inf
    assert normalized.lipschitz(0.5) == normalized.lipschitz()
    assert rescaled.lipschitz(of="softmax") == normalized.lipschitz(of="softmax")
    with pytest.raises(ValueError, match="radius must be given for kind 'rescaled', got None"):
        rescaled.lipschitz()
    with pytest.raises(ValueError, match=r"^Problem\.row_lipschitz: radius must be given"):
        Problem(**MATRIX, kind="rescaled").row_lipschitz(of="loss")


def test_the_papers_kind_of_bound_is_the_rescaled_one_of_the_sheet():
    """With |A| = R and |b| = 1 at most, R^2 |P|^2 e^{R^2} (2 e^{R^2} + sqrt(n) - 1)."""
    radius, n = 1.3, 4
    size, change = math.exp(radius**2), 1 + math.sqrt(n)
    expected = radius**2 * change**2 * size * (2 * size + math.sqrt(n) - 1)
    assert sr.worst_case_lipschitz(n, radius, "rescaled") == pytest.approx(expected, rel=1e-12)
    assert sr.worst_case_lipschitz(n, radius, of="softmax") == pytest.approx(
        radius * (size**2 + n * size**4), rel=1e-12
    )


REFUSED = {
    "lipschitz: of must be one of": lambda: SINGLE.lipschitz(of="hessian"),
    "lipschitz: radius must be at least 0": lambda: RESCALED.lipschitz(-1.0),
    "radius must be finite": lambda: RESCALED.lipschitz(np.nan),
    "curvature_bound: spread must be at least 0": lambda: sr.curvature_bound(-1.0),
    "spread must be finite": lambda: sr.curvature_bound(np.inf),
    "worst_case_lipschitz: rows must be at least 1": lambda: sr.worst_case_lipschitz(0, 1.0),
    "kind must be one of": lambda: sr.worst_case_lipschitz(2, 1.0, "a"),
    "of must be one of": lambda: sr.worst_case_lipschitz(2, 1.0, of="a"),
    "label_norm must be at least 0": lambda: sr.worst_case_lipschitz(2, 1.0, label_norm=-1.0),
    "sampled_ratios: radius must be finite and above 0": lambda: SINGLE.sampled_ratios(
        KEY, radius=0.0
    ),
    "pairs must be at least 1": lambda: SINGLE.sampled_ratios(KEY, radius=1.0, pairs=0),
    "sampled_ratios: of must be one": lambda: SINGLE.sampled_ratios(KEY, radius=1.0, of="a"),
    "sampled_ratios: the rescaled loss overflows .* smaller": lambda: RESCALED.sampled_ratios(
        KEY, radius=1e4, pairs=10
    ),
}
NO_NUMBERS = {
    "lipschitz: radius must hold real": lambda: RESCALED.lipschitz("a"),
    "rows must be an integer": lambda: sr.worst_case_lipschitz(2.0, 1.0),
    "lipschitz: a must be an array with values, got a tracer": lambda: jax.jit(
        lambda problem: problem.lipschitz()
    )(SINGLE),
}


def test_bad_input_is_refused():
    for error, calls in ((ValueError, REFUSED), (TypeError, NO_NUMBERS)):
        for message, call in calls.items():
            with pytest.raises(error, match=message):
                call()


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_pairs_of_any_dtype_are_measured_in_float64(dtype):
    """Two rows attain the constant of softmax, so that rounding of float32 would exceed it."""
    problem = jax.tree.map(dtype, Problem.single([[0.5], [-0.5]], [1.0, -1.0]))
    for x64 in (True, False):
        for radius in (0.01, 0.1, 1.0):
            with jax.enable_x64(x64):
                found = problem.sampled_ratios(KEY, radius=radius, of="softmax")
            assert found.dtype == np.float64
            assert 0.999 < found.max() / problem.lipschitz(of="softmax") <= 1.0


def test_the_curvature_bound_of_large_labels():
    limit = np.sqrt(2) / (3 * np.sqrt(3))
    for spread in (1e8, 1e160, 1e300):
        assert sr.curvature_bound(spread) / spread == pytest.approx(limit, rel=1e-7)
