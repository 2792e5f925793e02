"""Primitives that solve with a constant, with values of every parameter: see parameter_cases."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from tests.compiler.tracing.parameter_cases import Case

C = np.tri(3) + np.eye(3) + 0.25 * np.tri(3).T
D = C @ C.T + np.eye(3)


def triangular(b, **options):
    return lax.linalg.triangular_solve(C, b, **options)


CASES: dict[str, list[Case]] = {
    "custom_linear_solve": [
        Case(lambda a, b: jnp.linalg.solve(C, a)),
        Case(lambda a, b: jax.scipy.linalg.solve(D, a, assume_a="pos")),
        Case(lambda a, b: jnp.linalg.solve(C, a), "thin"),
        Case(lambda a, b: jnp.linalg.solve(C, a[:3]), "vector"),
        Case(lambda a, b: jax.vmap(lambda r: jnp.linalg.solve(C, r), 1, 1)(a)),
        Case(lambda a, b: jax.vjp(lambda x: jnp.linalg.solve(C, x), a)[1](b["A"])[0] + a),
        Case(lambda a, b: jnp.linalg.solve(a[:, :3], b["v"][:3]), "block", "Newton-Schulz"),
        Case(lambda a, b: jnp.linalg.solve(np.ones((3, 3)), a), "block", "singular"),
    ],
    "triangular_solve": [
        Case(lambda a, b: triangular(a, left_side=True)),
        Case(lambda a, b: triangular(a, left_side=True, lower=True)),
        Case(lambda a, b: triangular(a, left_side=True, lower=True, transpose_a=True)),
        Case(lambda a, b: triangular(a, left_side=True, unit_diagonal=True)),
        Case(lambda a, b: triangular(a.T, lower=True)),
        Case(lambda a, b: triangular(triangular(a, left_side=True, lower=True), left_side=True)),
        Case(
            lambda a, b: lax.linalg.triangular_solve(a[:, :3], b["c"], left_side=True),
            "block",
            "Newton-Schulz",
        ),
    ],
}
