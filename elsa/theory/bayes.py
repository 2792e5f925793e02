"""The risk of the posterior mean, which no predictor of the same prompt beats."""

import jax
import jax.numpy as jnp
import jax.scipy.linalg as jsl
import numpy as np
from jaxtyping import Array

from elsa.base import checks
from elsa.base.arrays import Number
from elsa.base.jit import jitted
from elsa.base.precision import exact
from elsa.theory import matrices
from elsa.theory.results import Estimate
from elsa.theory.setting import Setting, require

_CHUNK_ENTRIES = 2**21  # of the covariates drawn at once: 16 MB in float64


@exact
def bayes_risk(setting: Setting, key: Array, samples: int) -> Estimate:
    """Mean risk of the posterior mean over contexts, by sampling them; its standard error.

    Given X the risk is s2 + tr(Sx P), P = (Psi^{-1} + X^T X / s2)^{-1} the posterior covariance of
    b ~ N(b*, Psi), whatever b*. It depends on Sx and Psi only through the eigenvalues l of
    Sx^{1/2} Psi Sx^{1/2}: with L = diag(l) over the non-zero ones and Z of independent N(0, 1),

        s2 + s2 tr(L (s2 I + L^{1/2} Z^T Z L^{1/2})^{-1})        where n is at least their number,
        s2 + tr(L) - tr(L Z^T (s2 I + Z L Z^T)^{-1} Z L)         where it is smaller.

    Without noise the first is 0 and the second the prior's variance on what X does not see.

    Args:
      setting: n, s2, Sx and Psi = `cov_task`, either of which may be singular.
      key: of the contexts.
      samples: how many contexts to draw, at least 2.

    Raises:
      ValueError: for fewer than 2 samples.
      TypeError: for a number of samples that is not an integer, or anything but a `Setting`.
    """
    where = "bayes_risk"
    require(where, setting)
    checks.random_key(where, key)
    checks.size(where, samples=(samples, 2))
    noise_var, context_length = setting.noise_var, setting.context_length
    spectrum = matrices.whiten(
        cov_x=setting.cov_x, moment=setting.cov_task, noise_var=noise_var
    ).values
    seen = spectrum[spectrum > spectrum.size * np.finfo(np.float64).eps * spectrum[0]]
    if seen.size == 0 or (noise_var == 0.0 and context_length >= seen.size):
        return Estimate(noise_var, 0.0)

    chunk = min(samples, max(1, _CHUNK_ENTRIES // (context_length * seen.size)))
    with jax.enable_x64(True):  # the same number whatever jax computes in elsewhere
        draws = [
            np.asarray(_posterior_risks(part, seen, noise_var, context_length, chunk))
            for part in jax.random.split(key, -(-samples // chunk))
        ]
    risks = np.concatenate(draws)[:samples]
    return Estimate(float(risks.mean()), float(risks.std(ddof=1) / np.sqrt(samples)))


@jitted("context_length", "batch")
def _posterior_risks(
    key: Array, values: Array, noise_var: Number, context_length: int, batch: int
) -> Array:
    """The risk of each of `batch` contexts."""
    noise = jnp.asarray(noise_var)
    roots = jnp.sqrt(values)
    white = jax.random.normal(key, (batch, context_length, values.size), values.dtype)
    data = white * roots[None, None]
    if context_length >= values.size:
        small, right = jnp.einsum("bni,bnj->bij", data, data), jnp.diag(roots)[None]
    else:
        small, right = jnp.einsum("bni,bmi->bnm", data, data), data * roots[None, None]
    ridge = noise * jnp.eye(small.shape[-1], dtype=values.dtype)
    factor = jnp.linalg.cholesky(small + ridge[None])
    right = jnp.broadcast_to(right, (*factor.shape[:2], values.size))
    explained = jnp.sum(jsl.solve_triangular(factor, right, lower=True) ** 2, axis=(1, 2))
    if context_length >= values.size:
        return noise + noise * explained
    return noise + jnp.sum(values) - explained
