"""Which algorithm a stack or a model runs: candidates against the steps, planted ones named."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import elsa
from configs import algorithm_match as config_file
from elsa import algorithms, constructions, models, tasks
from elsa.readback import algorithm_match
from elsa.readback.matching_candidates import CANDIDATES, Problems
from experiments.constructed.algorithm_match_problems import disturb, planted, prompts

CONFIG = config_file.get_config("quick")
LAM = 0.3


def steps(d):
    """Candidate -> its numbers, the step of `elsa.algorithms`, and further blocks at the start."""
    P = np.diag(0.1 * 0.7 ** np.arange(d)) + 0.01
    rest = {"v": np.zeros((d, 1)), "p": np.zeros((d, 1)), "Z": 0.2 * np.eye(d)}
    return {
        "gradient descent": ((0.1,), algorithms.gradient_descent(0.1), rest),
        "preconditioned": (P.ravel(), algorithms.preconditioned_gradient_descent(P), rest),
        "GD++": ((0.1, 0.05), algorithms.gd_plus_plus(step_size=0.1, curvature=0.05), rest),
        "heavy ball": ((0.1, 0.4), algorithms.heavy_ball(step_size=0.1, momentum=0.4), rest),
        "Chebyshev": ((0.5, 4.0), algorithms.chebyshev(smallest=0.5, largest=4.0), rest),
        "Newton-Schulz": ((0.2,), algorithms.newton_schulz_ridge(), rest),
    }


@pytest.mark.parametrize("name", CANDIDATES)
def test_a_candidate_walks_as_the_step_of_its_name(name):
    rng = np.random.default_rng(0)
    X, y, query = rng.normal(size=(6, 3)) / 2, rng.normal(size=(6, 1)), rng.normal(size=(1, 3))
    numbers, step, rest = steps(3)[name]
    in_context = name in ("preconditioned", "GD++")
    lam = 0.0 if in_context else LAM
    of = Problems((X.T @ X)[None], (X.T @ y)[None, :, 0], lam)
    path = CANDIDATES[name].path(of, 4, np.asarray(numbers))
    state = {"X": X, "y": y, "query_x": query, "prediction": np.zeros((1, 1)), **rest}
    state |= {"w": np.zeros((3, 1)), "lam": np.full((1, 1), LAM)}
    for t in range(4):
        own = {n: v for n, v in state.items() if n in inspect.signature(step).parameters}
        state |= step(**own, **({"t": t} if name == "Chebyshev" else {}))
        found = np.asarray(state["prediction"] if in_context else query @ state["w"])
        np.testing.assert_allclose(found[0, 0], query[0] @ path[t + 1, 0], rtol=1e-10)


def named(name, noise, seed, prompt):
    one = planted(CONFIG, prompt)[name]
    stack = one.make()
    if noise:
        disturb(stack, noise, np.random.default_rng(seed))
    return algorithm_match(stack, prompt, lam=one.lam, **one.blocks)


def test_a_compiled_algorithm_is_named_and_its_numbers_found():
    prompt = prompts(CONFIG)
    found = named("heavy ball", 0.0, 0, prompt)
    column = found.names.index("heavy ball")
    assert found.name == "heavy ball"
    assert found.predictions.shape == (CONFIG.steps, len(CANDIDATES))
    assert found.sensitivities[:, column].max() < 1e-8
    np.testing.assert_allclose(found.predictions[:, column], 0.0, atol=1e-8)
    np.testing.assert_allclose(found.directions[:, column], 1.0, atol=1e-8)
    np.testing.assert_allclose(found.numbers["heavy ball"]["momentum"], 0.4, rtol=1e-6)


@pytest.mark.slow
def test_every_compiled_algorithm_is_named_and_with_noise_19_in_20():
    prompt = prompts(CONFIG)
    assert [named(name, 0.0, 0, prompt).name for name in CANDIDATES] == [*CANDIDATES]
    tried = [(name, seed) for name in CANDIDATES for seed in range(10)]
    wrong = [(n, s, f) for n, s in tried if (f := named(n, 1e-2, s, prompt).name) != n]
    assert len(wrong) <= 0.05 * len(tried), wrong


def test_numbers_may_be_given():
    prompt, one = prompts(CONFIG), None
    one = planted(CONFIG, prompt)["gradient descent"]
    stack = one.make()
    given = {"gradient descent": {"step_size": 0.01}}
    found = algorithm_match(
        stack, prompt, lam=one.lam, algorithms=("gradient descent",), numbers=given
    )
    assert found.numbers == given
    assert found.sensitivities[0, 0] > 0.5
    np.testing.assert_allclose(found.directions[0], 1.0)  # the step's size alone is another


def test_a_construction_of_least_squares_is_gradient_descent():
    task = tasks.LinearRegression(3, 6)
    prompt = task.sample(jax.random.key(1), 4)
    stack = constructions.least_squares_lsa(6, 3, 3, 0.05)
    found = algorithm_match(stack, prompt)
    assert found.name == "gradient descent"
    np.testing.assert_allclose(found.numbers["gradient descent"]["step_size"], 0.05, rtol=1e-6)


def compiled(step, d, depth=4, **options):
    """A step on 12 examples, with the blocks that it takes."""
    shapes = {"X": (12, d), "y": (12, 1), "lam": (1, 1), "w": (d, 1), "v": (d, 1), "p": (d, 1)}
    shapes |= {"query_x": (1, d), "prediction": (1, 1)}
    own = {n: s for n, s in shapes.items() if n in inspect.signature(step).parameters}
    return elsa.compile(step, own, depth, **options)


def test_an_exact_match_wins_over_descent_in_effect_and_what_is_near_none_is_none():
    prompt = tasks.LinearRegression(2, 12, noise_var=0.1).sample(jax.random.key(0), 6)
    prompt = prompt._replace(x=prompt.x / 12**0.5)
    gram = np.swapaxes(prompt.x, 1, 2) @ np.asarray(prompt.x)
    largest = float(np.linalg.eigvalsh(gram).max()) + 0.5
    chebyshev = algorithms.chebyshev(smallest=largest / 2, largest=largest)
    ball = algorithms.heavy_ball(step_size=0.8 / largest, momentum=0.04)
    plus = algorithms.gd_plus_plus(step_size=0.5 / largest, curvature=0.04 / largest)
    P = np.diag([1.05, 0.95]) / largest
    slight = {
        "Chebyshev": (compiled(chebyshev, 2, tied=False), 0.5),
        "heavy ball": (compiled(ball, 2), 0.5),
        "GD++": (compiled(plus, 2), 0.0),
        "preconditioned": (compiled(algorithms.preconditioned_gradient_descent(P), 2), 0.0),
        "none": (compiled(lambda X, y, w: {"w": w + 0.1 * (X.T @ X) @ (X.T @ y)}, 2), 0.0),
    }
    found = {}
    for name, (stack, lam) in slight.items():
        near = dict.fromkeys(("gradient descent", "heavy ball", name))
        tried = tuple(CANDIDATES) if name == "none" else tuple(near)
        found[name] = algorithm_match(stack, prompt, lam=lam, algorithms=tried)
    assert {name: one.name for name, one in found.items()} == {n: n for n in slight}
    assert np.sqrt((found["none"].sensitivities[:, 0] ** 2).mean()) > 0.25


@pytest.mark.slow
def test_a_linear_transformer_of_plain_steps_is_gradient_descent():
    task = tasks.LinearRegression(3, 6)
    prompt = task.sample(jax.random.key(1), 8)
    model = models.LinearTransformer(3, 2, rngs=nnx.Rngs(0))
    p, q = np.zeros((2, 1, 4, 4)), np.zeros((2, 1, 4, 4))
    p[:, :, 3, 3], q[:, :, :3, :3] = 1.0, -0.05 * np.eye(3)
    model.p[...], model.q[...] = jnp.asarray(p), jnp.asarray(q)
    found = algorithm_match(model, prompt)
    assert found.name == "gradient descent"
    assert found.sensitivities[:, 0].max() < 1e-8
    np.testing.assert_allclose(found.numbers["gradient descent"]["step_size"], 0.05, rtol=1e-6)


def test_what_cannot_be_matched_is_refused():
    prompt = tasks.LinearRegression(3, 6).sample(jax.random.key(1), 4)
    stack = constructions.least_squares_lsa(6, 3, 3, 0.05)
    with pytest.raises(TypeError, match="prompt must be a Prompt"):
        algorithm_match(stack, prompt.x)
    with pytest.raises(KeyError, match="unknown algorithm 'newton'"):
        algorithm_match(stack, prompt, algorithms=("newton",))
    with pytest.raises(TypeError, match="model must be a stack or a model"):
        algorithm_match(3.0, prompt)
    with pytest.raises(ValueError, match="lam must be at least 0"):
        algorithm_match(stack, prompt, lam=-1.0)
