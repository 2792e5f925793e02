"""The laws that the closed forms are asked about: what a setting holds, refuses, and rules out."""

import dataclasses
import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from elsa import theory
from tests.helpers import table
from tests.theory import helpers

SIZES = {"dim": 2, "context_length": 5, "noise_var": 0.5}
MEAN = np.array([1.0, -2.0])
LAWS = {"cov_x": helpers.SX, "cov_task": helpers.SB, "task_mean": MEAN}
FULL = theory.Setting(**SIZES, **LAWS)
# what a reader could put in each other's place
NAMES = {"dim", "context_length", "noise_var", "cov_x", "cov_task", "task_mean", "alignment"}


def test_the_defaults_are_isotropic_about_zero():
    plain, laws = theory.Setting(**SIZES), {"cov_x": np.eye(2), "cov_task": np.eye(2)}
    for name, expected in {**laws, "task_mean": np.zeros(2), "second_moment": np.eye(2)}.items():
        np.testing.assert_array_equal(getattr(plain, name), expected)


def test_the_second_moment_is_the_covariance_about_the_mean_and_the_mean():
    np.testing.assert_array_equal(FULL.second_moment, helpers.SB + np.outer(MEAN, MEAN))
    drawn = np.random.default_rng(0).multivariate_normal(MEAN, helpers.SB, size=100_000)
    products = drawn[:, :, None] * drawn[:, None, :]
    error = products.std(axis=0, ddof=1) / len(drawn) ** 0.5
    assert (np.abs(products.mean(axis=0) - FULL.second_moment) <= 4 * error).all()


def test_centred_forgets_the_mean_and_nothing_else():
    centred = FULL.centred()
    assert not centred.task_mean.any() and FULL.task_mean.any()
    for name in ("dim", "context_length", "noise_var", "cov_x", "cov_task"):
        np.testing.assert_array_equal(getattr(centred, name), getattr(FULL, name))
    np.testing.assert_array_equal(centred.second_moment, helpers.SB)


def test_a_step_from_zero_sees_the_mean_and_one_from_the_mean_does_not():
    by_moment = dataclasses.replace(FULL, cov_task=FULL.second_moment, task_mean=None)
    for rank in (0, 1, 2):
        ours, expected = (theory.pgd_optimum(s, rank=rank) for s in (FULL, by_moment))
        assert ours.risk == pytest.approx(expected.risk, rel=1e-14)
    assert theory.pgd_optimum(FULL).risk > theory.pgd_optimum(FULL.centred()).risk
    assert theory.gd_beta_optimum(FULL).risk == theory.gd_beta_optimum(FULL.centred()).risk


def test_it_is_float64_of_its_own_and_nobody_writes_to_it():
    given = {name: np.array(values, np.float32) for name, values in LAWS.items()}
    setting = theory.Setting(**SIZES, **given)
    for name, array in given.items():
        kept = getattr(setting, name)
        array[...] = np.nan
        assert kept.dtype == np.float64 and np.isfinite(kept).all()
        with pytest.raises(ValueError, match="read-only"):
            kept[0] = 0.0
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(setting, name, kept)
    column = theory.Setting(**SIZES, task_mean=jnp.array([[1.0], [-2.0]]))
    np.testing.assert_array_equal(column.task_mean, MEAN)


def test_no_two_numbers_can_be_swapped_without_a_word():
    """Sizes, variances and covariances have no place in a call, only names."""
    with pytest.raises(TypeError, match="positional"):
        theory.Setting(2, 5, 0.5)
    functions = [f for f in map(theory.__dict__.get, theory.__all__) if inspect.isfunction(f)]
    parameters = {f.__name__: inspect.signature(f).parameters for f in functions}
    placed = {
        (function, name)
        for function, own in parameters.items()
        for name in own.keys() & NAMES
        if own[name].kind is not inspect.Parameter.KEYWORD_ONLY
    }
    assert placed == set()
    laws = NAMES & {"cov_x", "cov_task", "task_mean"}
    assert [name for name, own in parameters.items() if own.keys() & laws] == []


def test_every_function_of_a_setting_refuses_what_is_none():
    eye, key = np.eye(2), jax.random.key(0)
    intercept = {"intercept_var": 1.0}
    calls = {
        "affine_bayes_risk": lambda wrong: theory.affine_bayes_risk(wrong, key, 10, **intercept),
        "affine_elsa_optimum": lambda wrong: theory.affine_elsa_optimum(wrong, **intercept),
        "affine_floor": lambda wrong: theory.affine_floor(wrong, **intercept),
        "affine_lsa_optimum": lambda wrong: theory.affine_lsa_optimum(wrong, **intercept),
        "bayes_risk": lambda wrong: theory.bayes_risk(wrong, key, 10),
        "gd_beta_flow": lambda wrong: theory.gd_beta_flow(MEAN, eye, wrong, [1.0]),
        "gd_beta_gradient": lambda wrong: theory.gd_beta_gradient(MEAN, eye, wrong),
        "gd_beta_hessian": theory.gd_beta_hessian,
        "gd_beta_optimum": theory.gd_beta_optimum,
        "gd_beta_rates": theory.gd_beta_rates,
        "gd_beta_risk": lambda wrong: theory.gd_beta_risk(MEAN, eye, wrong),
        "linear_attention_optimum": theory.linear_attention_optimum,
        "linear_attention_risk": lambda wrong: theory.linear_attention_risk(MEAN, eye, wrong),
        "lora_optimum": lambda wrong: theory.lora_optimum(eye, wrong, rank=1),
        "multi_head_optimum": theory.multi_head_optimum,
        "pgd_gradient": lambda wrong: theory.pgd_gradient(eye, wrong),
        "pgd_optimum": theory.pgd_optimum,
        "pgd_risk": lambda wrong: theory.pgd_risk(eye, wrong),
        "prior_mean_gap_bound": theory.prior_mean_gap_bound,
        "transposed_optimum": theory.transposed_optimum,
    }
    takes = {
        name
        for name in theory.__all__
        if inspect.isfunction(function := getattr(theory, name))
        and "setting" in inspect.signature(function).parameters
    }
    assert calls.keys() == takes
    for name, call in calls.items():
        message = rf"{name}: setting must be a theory.Setting, got ndarray; .*Setting\(dim="
        with pytest.raises(TypeError, match=message):
            call(eye)


@table(
    "change, error, message",
    [
        ({"dim": 0}, ValueError, "dim must be at least 1, got 0"),
        ({"dim": 2.0}, TypeError, "dim must be an integer, got 2.0"),
        ({"dim": 3}, ValueError, r"cov_x must have shape \(d=3, d=3\), got \(2, 2\)"),
        ({"cov_x": np.ones((2, 3))}, ValueError, "cov_x must have shape"),
        ({"cov_x": np.ones(2)}, ValueError, "cov_x must have 2 axes"),
        ({"cov_x": np.zeros((0, 0))}, ValueError, r"cov_x must have shape .*, got \(0, 0\)"),
        ({"cov_x": 1j * np.eye(2)}, TypeError, "cov_x must hold real numbers"),
        ({"cov_x": -np.eye(2)}, ValueError, "cov_x must be positive semi-definite, .* -1"),
        ({"cov_task": np.eye(3)}, ValueError, r"cov_task must have shape \(d=2, d=2\)"),
        ({"cov_task": [[1.0, 0.5], [0.0, 1.0]]}, ValueError, "cov_task must be symmetric"),
        ({"cov_task": -np.eye(2)}, ValueError, "cov_task must be positive semi-definite, .* -1"),
        ({"cov_task": np.full((2, 2), np.inf)}, ValueError, "cov_task must be finite"),
        ({"task_mean": 1.0}, ValueError, r"task_mean must have shape \(2,\), got \(\)"),
        ({"task_mean": np.ones((2, 2))}, ValueError, r"task_mean must have shape \(2,\)"),
        ({"task_mean": [np.nan, 0.0]}, ValueError, "task_mean must be finite"),
        ({"context_length": 0}, ValueError, "context_length must be at least 1, got 0"),
        ({"context_length": 2.0}, TypeError, "context_length must be an integer, got 2.0"),
        ({"noise_var": -0.1}, ValueError, "noise_var must be at least 0.0, got -0.1"),
        ({"noise_var": np.nan}, ValueError, "noise_var must be finite"),
        ({"noise_var": [0.1, 0.2]}, ValueError, "noise_var must be a single number"),
    ],
)
def test_bad_laws(change, error, message):
    with pytest.raises(error, match=f"Setting: {message}"):
        theory.Setting(**(SIZES | LAWS | change))


def test_traced_laws_are_refused_by_name():
    with pytest.raises(TypeError, match="Setting: cov_x is traced, by jit, vmap or grad"):
        jax.jit(lambda cov_x: theory.Setting(**SIZES, cov_x=cov_x).dim)(np.eye(2))
