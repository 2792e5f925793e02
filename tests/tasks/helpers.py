"""Sampling under jit, tasks that tests share, and how far a mean may be from its expectation."""

import functools

import jax
import numpy as np

from elsa import tasks

# Each program runs once or twice: compile it fast, not well.
FAST = {"xla_backend_optimization_level": 0}


def fast(function, **options):
    """jax.jit without the optimisations of XLA's backend."""
    return jax.jit(function, compiler_options=FAST, **options)


BATCH = 20_000


@functools.partial(fast, static_argnames="batch")
def sample(task, key, batch=BATCH):
    """Under jit with the task as an argument: tasks of one structure share a program."""
    return task.sample(key, batch)


@functools.partial(fast, static_argnames="batch")
def _sample_gram(task, key, length, batch):
    return task.sample_gram(key, batch, length)


@fast
def _reduced(prompt, length):
    return tasks.gram_prompt(tasks.keep_last(prompt, length))


def sample_gram(task, key, length=None, batch=BATCH):
    return _sample_gram(task, key, task.context_length if length is None else length, batch)


def gram_of_rows(task, key, length=None, batch=BATCH):
    return _reduced(sample(task, key, batch), task.context_length if length is None else length)


COV_X = np.array([[2.0, 0.5], [0.5, 1.0]])
COV_TASK = np.array([[1.0, 0.3], [0.3, 0.5]])
MEAN = np.array([1.0, -2.0])
CORR = tasks.autoregressive(3, 0.8)

# Every task by its name, small.
SMALL = {
    "linear_regression": tasks.LinearRegression(2, 5, 0.5, COV_X, COV_TASK, MEAN),
    "sphere": tasks.LinearRegression(2, 5, 0.5, COV_X, covariates="sphere"),
    "gamma": tasks.LinearRegression(2, 5, 0.5, COV_X, covariates="gamma", gamma_shape=2.0),
    "affine": tasks.AffineRegression(2, 5, 0.5, 2.0, COV_X, COV_TASK),
    "retrieval": tasks.Retrieval(2, 3, 0.6, 0.3),
    "alignment": tasks.Alignment(2, 3, 0.6, 0.3),
    "drift": tasks.Drift(2, 3, CORR, 0.3),
    "table": tasks.TableContexts(np.arange(12.0).reshape(6, 2), np.arange(6.0) ** 2, 3),
    "prescribed_spectrum": tasks.PrescribedSpectrum(2, 3, 10.0, noise_var=0.1),
}
WITH_GRAM = {name: task for name, task in SMALL.items() if task.has_gram}


def assert_mean(values, expected):
    """The mean over the first axis is within 4 standard errors of what is expected."""
    found = np.asarray(values, dtype=np.float64)
    error = found.std(axis=0) / len(found) ** 0.5
    distance = np.abs(found.mean(axis=0) - np.asarray(expected))
    worst = np.max(distance / np.maximum(error, 1e-12 * np.abs(found).max()))
    assert worst < 4.0, (
        f"{worst} standard errors: got {found.mean(axis=0)} +- {error}, want {expected}"
    )


def assert_same_mean(first, second):
    """Two independent samples have means within 4 standard errors of their difference."""
    a, b = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    error = np.sqrt(a.var(axis=0) / len(a) + b.var(axis=0) / len(b))
    worst = np.max(np.abs(a.mean(axis=0) - b.mean(axis=0)) / np.maximum(error, 1e-300))
    assert worst < 4.0, f"{worst} standard errors: {a.mean(axis=0)} and {b.mean(axis=0)}"


def written(folder, content):
    """The path of a table with this content, sizes.csv."""
    path = folder / "sizes.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(path)
