"""Affine regression: every task has an intercept, which layers without biases cannot predict.

w ~ N(0, Psi), c ~ N(0, sc2), x_i and x ~ N(0, H), y = <w, x> + c + noise of variance s2 on context
and query. The query x lies in a row and channels of its own.
Derivations: docs/theory.md.
"""

import dataclasses

import jax
import numpy as np
from jaxtyping import Array

from elsa.base import checks
from elsa.base.precision import exact
from elsa.theory import matrices, pgd
from elsa.theory.results import AffineStep, Estimate, Step
from elsa.theory.setting import Setting, require

_CHUNK_ENTRIES = 2**21  # of the covariates drawn at once: 16 MB in float64


def affine_lsa_optimum(setting: Setting, *, intercept_var: float) -> Step:
    """The best one layer without biases, with any number of heads: the intercept is noise to it.

    It is `pgd_optimum` with noise of variance s2 + sc2.

    Args:
      setting: n, s2, Psi = `cov_task` and H = `cov_x`, without a mean.
      intercept_var: sc2.

    Raises:
      ValueError: for a setting whose tasks have a mean, or a negative sc2.
      TypeError: for a setting that is no `Setting`.
    """
    return _without_intercept("affine_lsa_optimum", setting, intercept_var)


def affine_elsa_optimum(setting: Setting, *, intercept_var: float) -> AffineStep:
    """The best one layer with biases for the roles of rows; one head of key size d + 1 attains it.

    Beside the step it predicts k mean(y), and with M = tr(H Psi)

        k = sc2 / (sc2 + (M + s2) / n),    risk = risk of `affine_lsa_optimum` - k sc2

    Args, Raises: as `affine_lsa_optimum`.
    """
    where = "affine_elsa_optimum"
    weight, risk = _without_intercept(where, setting, intercept_var)
    label_var = float(np.trace(setting.cov_x @ setting.cov_task)) + setting.noise_var
    total = intercept_var + label_var / setting.context_length
    scale = float(intercept_var) / total if total > 0.0 else 0.0
    return AffineStep(weight, scale, risk - scale * float(intercept_var))


def affine_floor(setting: Setting, *, intercept_var: float) -> float:
    """sc2 + s2: no stack without biases predicts better, of whatever depth, heads and tying.

    What such a stack writes into the query's row is odd in that row, and the intercept is even.

    Args, Raises: as `affine_lsa_optimum`.
    """
    _check("affine_floor", setting, intercept_var)
    return float(intercept_var) + setting.noise_var


@exact
def affine_bayes_risk(
    setting: Setting, key: Array, samples: int, *, intercept_var: float
) -> Estimate:
    """Mean risk of the posterior mean over contexts, by sampling them; its standard error.

    Given X, the risk is s2 + tr(H P_ww) + P_cc with P = (diag(Psi, sc2)^{-1} + Z^T Z / s2)^{-1},
    Z = [X, 1], the posterior covariance of (w, c).

    Args:
      setting, intercept_var: as in `affine_lsa_optimum`.
      key: of the contexts.
      samples: how many contexts to draw, at least 2.

    Raises:
      ValueError: for fewer than 2 samples, or as `affine_lsa_optimum`.
      TypeError: for a number of samples that is no integer and a setting that is no `Setting`.
    """
    where = "affine_bayes_risk"
    _check(where, setting, intercept_var)
    checks.random_key(where, key)
    checks.size(where, samples=(samples, 2))
    dim, n, noise_var = setting.dim, setting.context_length, setting.noise_var
    root_x, root_task = matrices.roots(setting.cov_x)[0], matrices.roots(setting.cov_task)[0]
    root = np.zeros((dim + 1, dim + 1))
    root[:dim, :dim], root[dim, dim] = root_task, float(intercept_var) ** 0.5
    seen = np.zeros_like(root)
    seen[:dim, :dim], seen[dim, dim] = root_task @ setting.cov_x @ root_task, float(intercept_var)
    chunk = min(samples, max(1, _CHUNK_ENTRIES // (n * (dim + 1))))
    draws = []
    for part in jax.random.split(key, -(-samples // chunk)):
        with jax.enable_x64(True):  # the same number whatever jax computes in elsewhere
            white = np.asarray(jax.random.normal(part, (chunk, n, dim), np.float64))
        rows = np.concatenate([white @ root_x, np.ones((chunk, n, 1))], axis=2)
        draws.append(noise_var + np.trace(seen) - _explained(rows @ root, seen, noise_var))
    risks = np.concatenate(draws)[:samples]
    return Estimate(float(risks.mean()), float(risks.std(ddof=1) / np.sqrt(samples)))


def _explained(rows: np.ndarray, seen: np.ndarray, noise_var: float) -> np.ndarray:
    """What each context tells: sum_i s_i^2 / (s2 + s_i^2) v_i^T S v_i, of the SVD of its rows."""
    _, values, vectors = np.linalg.svd(rows, full_matrices=False)
    squares = values**2
    known = values > max(rows.shape[1:]) * np.finfo(np.float64).eps * values[:, :1]
    told = np.divide(squares, noise_var + squares, out=np.zeros_like(values), where=known)
    explained: np.ndarray = np.einsum(
        "bi,bij,jk,bik->b", told, vectors, seen, vectors, optimize=True
    )
    return explained


def _without_intercept(where: str, setting: Setting, intercept_var: float) -> Step:
    _check(where, setting, intercept_var)
    noise_var = setting.noise_var + float(intercept_var)
    return pgd.pgd_optimum(dataclasses.replace(setting, noise_var=noise_var))


def _check(where: str, setting: Setting, intercept_var: float) -> None:
    require(where, setting)
    checks.number(where, intercept_var=intercept_var)
    checks.finite(where, intercept_var=intercept_var)
    checks.at_least(where, intercept_var=(intercept_var, 0.0))
    if setting.task_mean.any():
        raise ValueError(
            f"{where}: setting must have tasks without a mean, got task_mean "
            f"{setting.task_mean.tolist()}; setting.centred() has none"
        )
