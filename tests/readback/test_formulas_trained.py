"""What training makes of one layer, read from its weights."""

import jax
import numpy as np
import pytest

from elsa import predictors, readback, theory, training

DIM, LENGTH, NOISE, MEAN = 4, 16, 0.1, np.ones(4)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """One layer of ELSA with one head on tasks of mean |b*| = 2, a minute for three seeds."""
    config = {
        "task": {
            "name": "linear_regression",
            "dim": DIM,
            "context_length": LENGTH,
            "noise_var": NOISE,
            "task_mean": tuple(MEAN.tolist()),
        },
        "model": {"name": "elsa", "depth": 1, "layout": "stacked", "num_heads": 1},
        "num_seeds": 3,
        "dtype": "float32",
        "train": {
            **{"num_steps": 2_500, "batch": 128, "learning_rate": 0.01, "warmup": 125},
            "max_gradient_norm": 1.0,
        },
    }
    return training.fit(config, tmp_path_factory.mktemp("one_layer"))


def started_step(layer):
    """b0 and Gamma of a layer that adds x u + x L X^T X r + x Gamma X^T y, Gamma = push.left.

    b0 is nearest to u and to -Gamma^-1 L r at once, in the norm of the polynomial.
    """
    skip, pull, push = sorted(layer.lines, key=lambda line: (line.kind, line.operands))
    assert [line.kind for line in (skip, pull, push)] == ["A", "A B^T C", "A B^T C"]
    assert (pull.operands, push.operands) == (("query_x", "X", "X"), ("query_x", "X", "y"))
    gamma = np.eye(DIM) * push.coefficient if push.left is None else push.left
    left = np.eye(DIM) * pull.coefficient if pull.left is None else pull.left
    u, r = skip.right[:, 0], pull.right[:, 0]
    one = (skip.share / np.linalg.norm(u)) ** 2
    many = (pull.share / np.linalg.norm(left) / np.linalg.norm(r)) ** 2
    inner, square = np.sum(gamma * left), np.sum(gamma**2)
    return (one * u - many * inner * r) / (one + many * square), gamma, u


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_one_trained_layer_is_descent_from_the_tasks_mean(trained, seed):
    model = trained.model(seed, 0)
    (layer,) = readback.formulas(model, least=0.02).layers
    init, gamma, skip = started_step(layer)
    setting = theory.Setting(dim=DIM, context_length=LENGTH, noise_var=NOISE, task_mean=MEAN)
    best = theory.gd_beta_optimum(setting)
    assert layer.unexplained <= 0.02
    assert np.linalg.norm(init - best.init) <= 0.02 * np.linalg.norm(MEAN)
    # alone it is less sure: what it lacks, terms like (x v) y^T y make up for on these prompts
    assert np.linalg.norm(skip - best.init) <= 0.03 * np.linalg.norm(MEAN)
    (whole,) = readback.formulas(model).layers
    (push,) = (line for line in whole.lines if line.operands == ("query_x", "X", "y"))
    for matrix in (gamma, push.left):
        distance = np.linalg.norm(matrix - best.preconditioner)
        assert distance <= 0.04 * np.linalg.norm(best.preconditioner)

    prompt = trained.task(0).sample(jax.random.key(99), 20_000)
    predicted = np.asarray(model(prompt), np.float64)
    step = predictors.gd_beta(prompt, init, gamma)
    assert np.linalg.norm(predicted - step) <= 0.04 * np.linalg.norm(predicted)


@pytest.mark.slow
def test_the_program_of_a_trained_layer_predicts_what_it_predicts(trained):
    model = trained.model(0, 0)
    whole, short = (readback.formulas(model, least=least) for least in (None, 0.02))
    prompt = trained.task(0).sample(jax.random.key(98), 500)
    root = LENGTH**0.5
    h = jax.vmap(lambda x, y, q: whole.stack.pack(X=x / root, y=y / root, query_x=q[None]))(
        prompt.x, prompt.y, prompt.query_x
    )
    assert whole.error(h) <= 1e-4 < short.error(h) <= 0.04
    assert max(layer.unexplained for layer in whole.layers) <= 1e-4
