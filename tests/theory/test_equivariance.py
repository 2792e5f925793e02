import itertools

import numpy as np
import pytest

from elsa import theory
from tests.helpers import table


def signed_permutations(size):
    """2^k k! orthogonal matrices, over which E[U B U] is what it is over all of them, B^T / k."""
    flips = theory.sign_flips(size, range(size))
    turns = np.stack([np.eye(size)[list(p)] for p in itertools.permutations(range(size))])
    return (flips[:, None] @ turns[None]).reshape(-1, size, size)


def matrices(samples, size, factors, seed=0):
    """[A_1 | .. | A_m] of independent entries N(0, 1 / k)."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(samples, size, factors * size)) / size**0.5


def product(size):
    def target(prompt):
        out = prompt[:, :size]
        for first in range(size, prompt.shape[1], size):
            out = out @ prompt[:, first : first + size]
        return out

    return target


def test_sign_flips_are_a_group():
    for rows, flipped in [(1, []), (1, [0]), (4, [3, 1])]:
        group = theory.sign_flips(rows, flipped)
        assert group.shape == (2 ** len(flipped), rows, rows)
        np.testing.assert_array_equal(group[0], np.eye(rows))
        members = {turn.tobytes() for turn in group + 0.0}
        assert len(members) == len(group)
        assert {(a @ b + 0.0).tobytes() for a in group for b in group} == members
        kept = [row for row in range(rows) if row not in flipped]
        assert (np.diagonal(group, axis1=1, axis2=2)[:, kept] == 1).all()


@pytest.mark.parametrize("size, factors", [(1, 2), (2, 2), (3, 4)])
def test_a_product_of_evenly_many_has_no_equivariant_part(size, factors):
    prompts = matrices(50, size, factors)
    found = theory.equivariant_floor(
        product(size), prompts, np.stack([np.eye(size), -np.eye(size)])
    )
    squares = [np.sum(product(size)(prompt) ** 2) for prompt in prompts]
    assert found.mean == pytest.approx(np.mean(squares), rel=1e-12)
    assert theory.product_floor(size=size, factors=factors) == 1.0


@pytest.mark.parametrize("size", [1, 2, 3])
def test_of_a_product_of_three_one_head_is_the_equivariant_part(size):
    group, target = signed_permutations(size), product(size)
    prompts = matrices(800 if size < 3 else 200, size, 3)
    for prompt in prompts[:5]:
        projected = np.mean([turn.T @ target(turn @ prompt) for turn in group], axis=0)
        a, b, c = np.split(prompt, 3, axis=1)
        np.testing.assert_allclose(projected, a @ b.T @ c / size, rtol=1e-12, atol=1e-13)
    found = theory.equivariant_floor(target, prompts, group)
    exact = theory.product_floor(size=size, factors=3) * size  # E |A B C|^2 = k
    assert abs(found.mean - exact) <= 4 * found.standard_error + 1e-12
    assert exact == pytest.approx(size - 1 / size, abs=1e-15)


def test_some_elements_of_an_infinite_group_estimate_the_same():
    size, rng = 2, np.random.default_rng(3)
    turns = np.linalg.qr(rng.normal(size=(20, size, size)))
    group = turns.Q * np.sign(np.diagonal(turns.R, axis1=1, axis2=2))[:, None]  # uniform
    found = theory.equivariant_floor(product(size), matrices(500, size, 3, seed=4), group)
    exact = theory.product_floor(size=size, factors=3) * size
    assert abs(found.mean - exact) <= 4 * found.standard_error + 0.2  # 20 turns, the same for all


def test_an_intercept_is_no_odd_function_of_the_query():
    """Rows [x_i, c] with the intercept c in the first: a latent of the task that no stack sees."""
    n, d, intercept_var, noise_var = 3, 2, 0.7, 0.0
    rng = np.random.default_rng(5)
    prompts = np.zeros((4_000, n + 1, d + 1 + d))
    prompts[:, :, :d] = rng.normal(size=(4_000, n + 1, d))
    prompts[:, 0, d] = intercept_var**0.5 * rng.normal(size=4_000)
    prompts[:, 0, d + 1 :] = rng.normal(size=(4_000, d))  # w

    def label(prompt):
        written = np.zeros((n + 1, 1))
        written[n] = prompt[n, :d] @ prompt[0, d + 1 :] + prompt[0, d]
        return written

    found = theory.equivariant_floor(label, prompts, theory.sign_flips(n + 1, [n]))
    setting = theory.Setting(dim=d, context_length=n, noise_var=noise_var)
    exact = theory.affine_floor(setting, intercept_var=intercept_var)
    assert abs(found.mean - exact) <= 4 * found.standard_error


def test_what_is_equivariant_has_no_floor():
    def layer(prompt):
        return prompt @ (prompt.T @ prompt)

    found = theory.equivariant_floor(layer, matrices(5, 3, 2), signed_permutations(3))
    assert abs(found.mean) < 1e-12


@table(
    "change, error, message",
    [
        ({"target": 3}, TypeError, "target must be a function of a prompt"),
        ({"target": lambda h: h[:1]}, ValueError, r"must return \(2, k\), a row for each"),
        ({"target": lambda h: h * np.nan}, ValueError, "the result of target must be finite"),
        ({"prompts": np.ones((1, 2, 3))}, ValueError, "prompts must be at least 2, got 1"),
        ({"prompts": np.ones((2, 3))}, ValueError, "prompts must have 3 axes"),
        ({"group": np.ones((1, 2, 2))}, ValueError, "group must hold orthogonal matrices"),
        ({"group": np.ones((1, 3, 3))}, ValueError, r"group must have shape|n"),
    ],
)
def test_bad_arguments(change, error, message):
    good = {"target": lambda h: h, "prompts": np.ones((2, 2, 3)), "group": -np.eye(2)[None]}
    with pytest.raises(error, match=f"equivariant_floor: .*{message}"):
        theory.equivariant_floor(**(good | change))


@table(
    "rows, flipped, error, message",
    [
        (2, [2], ValueError, r"flipped must name rows below 2, each once, got \[2\]"),
        (2, [1, 1], ValueError, "each once"),
        (2, [-1], ValueError, r"flipped\[0\] must be at least 0"),
        (0, [], ValueError, "rows must be at least 1"),
        (2, 1, TypeError, "flipped must be a list of rows"),
    ],
)
def test_bad_flips(rows, flipped, error, message):
    with pytest.raises(error, match=f"sign_flips: .*{message}"):
        theory.sign_flips(rows, flipped)


@table(
    "given, message",
    [
        ({"factors": 5}, "factors must be 3 or even, got 5"),
        ({"factors": 1}, "factors must be at least 2"),
        ({"size": 0}, "size must be at least 1"),
    ],
)
def test_bad_products(given, message):
    with pytest.raises(ValueError, match=f"product_floor: {message}"):
        theory.product_floor(**({"size": 2, "factors": 2} | given))
