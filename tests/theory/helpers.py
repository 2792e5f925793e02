"""Samplers of the settings that the closed forms describe, and Monte Carlo with its error.

In NumPy, so that a test of one setting does not wait for a compiler.
"""

import numpy as np

from elsa import theory
from elsa.tasks import Prompt

SX, SB = np.array([[2.0, 0.5], [0.5, 1.0]]), np.array([[1.0, 0.3], [0.3, 0.5]])
SB_NEW = np.array([[0.4, -0.1], [-0.1, 1.5]])


def random_covariance(rng, dim, rank=None):
    factor = rng.normal(size=(dim, dim if rank is None else rank)) / dim**0.5
    return factor @ factor.T


def isotropic(dim, context_length, noise_var):
    return theory.Setting(dim=dim, context_length=context_length, noise_var=noise_var)


def random_setting(rng, n, d, noise_var, rank=None, *, floor=0.2, task_floor=0.0):
    """Random covariances, that of the task of the given rank (d by default), Sx above `floor`."""
    cov_x = random_covariance(rng, d) + floor * np.eye(d)
    cov_task = np.zeros((d, d)) if rank == 0 else random_covariance(rng, d, rank)
    return theory.Setting(
        dim=d,
        context_length=n,
        noise_var=noise_var,
        cov_x=cov_x,
        cov_task=cov_task + task_floor * np.eye(d),
    )


# d = 2, n = 5: the setting of the worked examples
WORKED = theory.Setting(dim=2, context_length=5, noise_var=0.5, cov_x=SX, cov_task=SB)


def autoregressive(context_length, rho):
    """Correlations rho^|i - j| of n + 1 tasks."""
    places = np.arange(context_length + 1)
    return rho ** np.abs(places[:, None] - places)


def _root(cov):
    """A factor of a covariance that may be singular."""
    values, vectors = np.linalg.eigh(np.asarray(cov))
    return vectors * np.sqrt(np.maximum(values, 0.0))


def _labelled(rng, x, tasks, noise_var, scale=1.0):
    """y = x . b scale + noise for x, tasks [B, n + 1, d], the query last."""
    y = scale * np.sum(x * tasks, axis=-1) + noise_var**0.5 * rng.normal(size=x.shape[:2])
    return Prompt(x[:, :-1], y[:, :-1], x[:, -1], y[:, -1])


def independent(rng, batch, setting):
    """Setting A and G: x ~ N(0, Sx), b ~ N(b*, Psi)."""
    x = rng.normal(size=(batch, setting.context_length + 1, setting.dim)) @ _root(setting.cov_x).T
    spread = rng.normal(size=(batch, 1, setting.dim)) @ _root(setting.cov_task).T
    return _labelled(rng, x, setting.task_mean + spread, setting.noise_var)


def retrieved(rng, batch, *, dim, context_length, alignment, noise_var):
    """Setting B: x_i ~ N(a x, (1 - a^2) I)."""
    query = rng.normal(size=(batch, 1, dim))
    noise = rng.normal(size=(batch, context_length, dim))
    context = alignment * query + (1.0 - alignment**2) ** 0.5 * noise
    x = np.concatenate([context, query], axis=1)
    return _labelled(rng, x, rng.normal(size=(batch, 1, dim)), noise_var)


def aligned(rng, batch, *, dim, context_length, alignment, noise_var):
    """Setting C: x_j ~ N(a b, I), labels over sqrt(k)."""
    task = rng.normal(size=(batch, 1, dim))
    x = alignment * task + rng.normal(size=(batch, context_length + 1, dim))
    return _labelled(rng, x, task, noise_var, (alignment**2 * dim + 1.0) ** -0.5)


def drifting(rng, batch, task_corr, *, dim, noise_var):
    """Setting F: a task for each example."""
    shape = (batch, np.shape(task_corr)[0], dim)
    tasks = _root(task_corr) @ rng.normal(size=shape)
    return _labelled(rng, rng.normal(size=shape), tasks, noise_var)


def assert_risks(sample, cases, *, seed, batch=200_000):
    """Mean squared errors of some predictors on the same draw, each within 4 standard errors.

    sample(rng, batch) draws; a case is (predict, exact risk).
    """
    drawn = sample(np.random.default_rng(seed), batch)
    for predict, exact in cases:
        squares = (np.asarray(predict(drawn)) - drawn.query_y) ** 2
        sampled = squares.mean(), squares.std(ddof=1) / batch**0.5
        assert_within_four_errors(sampled, exact)


def assert_within_four_errors(sampled, exact):
    mean, error = sampled
    assert error > 0 and abs(mean - exact) <= 4.0 * error, (mean, exact, (mean - exact) / error)


def step(weight):
    """x^T W X^T y, written out."""

    def predict(batch):
        correlation = np.sum(batch.x * batch.y[:, :, None], axis=1)
        return np.sum((batch.query_x @ weight) * correlation, axis=1)

    return predict
