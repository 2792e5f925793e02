"""ELSA with biases by role: ELSA itself, and LSA on a prompt with indicator channels."""

import numpy as np
import pytest
from flax import nnx

from elsa import attention, nn
from elsa.heads.head import HeadWeights
from elsa.nn.role_layers import RoleELSA

N, M, P, ROLES, HEADS = 5, 3, 2, 2, 2


def drawn(rows, seed=0):
    rng = np.random.default_rng(seed)
    shapes = [(M, P), (M, P), (M, M), (rows, P), (rows, P), (rows, M)]
    return HeadWeights(*(rng.normal(size=(HEADS, *shape)) for shape in shapes))


def matrix():
    rng = np.random.default_rng(1)
    return rng.normal(size=(N, ROLES)), rng.normal(size=(N, M))


def test_a_role_for_each_row_is_elsa():
    weights, (_, h) = drawn(N), matrix()
    found = RoleELSA.from_weights(weights)(h, np.eye(N))
    np.testing.assert_allclose(found, nn.ELSA.from_weights(weights)(h), rtol=1e-13)


def test_biases_by_role_are_lsa_on_the_prompt_with_role_channels():
    """ELSA(H) with biases R b is LSA([H | R]) with weights [W; b], its first channels."""
    weights, (roles, h) = drawn(ROLES), matrix()
    found = RoleELSA.from_weights(weights)(h, roles)
    wide = np.hstack([h, roles])
    expected = sum(
        attention.lsa(
            wide,
            *(
                np.vstack([w[k], b[k]])
                for w, b in ((weights.wq, weights.bq), (weights.wk, weights.bk))
            ),
            np.vstack([weights.wv[k], weights.bv[k]]) @ np.eye(M, M + ROLES),
        )
        for k in range(HEADS)
    )
    np.testing.assert_allclose(found, expected[:, :M], rtol=1e-12)


def test_biases_by_position_become_biases_by_role_where_they_agree():
    indicator = np.array([[1, 0], [0, 1], [1, 0], [1, 0], [0, 1]], float)
    by_role, (_, h) = drawn(ROLES), matrix()
    biases = {f: indicator @ getattr(by_role, f) for f in ("bq", "bk", "bv")}
    positions = nn.ELSA.from_weights(by_role._replace(**biases))
    made = RoleELSA.from_positions(positions, indicator, where="test")
    scaled = indicator / np.sqrt(indicator.sum(axis=0))
    np.testing.assert_allclose(made(h, scaled), positions(h), rtol=1e-12)
    with pytest.raises(ValueError, match="different biases in bq; biases='position' keeps them"):
        RoleELSA.from_positions(nn.ELSA.from_weights(drawn(N)), indicator, where="test")


def test_a_stack_hands_the_roles_to_its_layers():
    roles, h = matrix()
    layer = RoleELSA(ROLES, M, P, rngs=nnx.Rngs(0), init_scale=0.5)
    stack = nn.Stack([layer], 2, epilogue=[layer])
    step = h + layer(h, roles)
    step = step + layer(step, roles)
    np.testing.assert_allclose(stack(h, roles=roles), step + layer(step, roles), rtol=1e-12)
    np.testing.assert_allclose(stack.ended(step, roles), step + layer(step, roles), rtol=1e-12)
