"""Steps read from stacks: as built, in another basis, with other matrices, trained or not."""

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from elsa import models, readback

N, D, T, ETA = 5, 3, 2, 0.3


def built(**own):
    options = {"layout": "natural", "init": "construction", "step_size": ETA, **own}
    return models.ELSAModel(D, N, T, **options, rngs=nnx.Rngs(0))


@pytest.mark.parametrize("own", [{}, {"tied": True}, {"biases": "position"}])
def test_as_built_every_step_is_eta_times_the_identity(own):
    found = readback.step_matrices(built(**own))
    np.testing.assert_allclose(found, ETA * np.broadcast_to(np.eye(D), (T, D, D)), atol=1e-14)


def test_a_preconditioner_is_read_in_any_basis_and_from_key_and_value_exchanged():
    """w += (A + B) X^T r: A with keys X and values r, B with keys r and values X, then a change of
    basis of the keys and a scale that moves from key to value."""
    model, rng = built(), np.random.default_rng(0)
    layer, readout = model.stack.body[1], model.readout(N)
    A, B = rng.normal(size=(2, D, D))
    rows = [i for k in range(D) for i, role in enumerate(model.roles) if ("w", k) in role]
    x, r, w = (list(readout.box(name).channels) for name in ("X", "residual", "w"))
    arrays = {name: np.array(getattr(layer, name)[...]) for name in layer.fields}
    p = arrays["wk"].shape[-1]
    arrays["bq"][0, 0, rows, :D] = A / ETA @ arrays["bq"][0, 0, rows, :D]  # which holds eta I
    arrays = {name: np.pad(a, [(0, 0), (0, D), (0, 0), (0, 0)]) for name, a in arrays.items()}
    for k in range(D):  # a head for each covariate: w += B[:, k] (x_k^T r)
        arrays["bq"][0, 2 + k, rows, 0] = B[:, k]
        arrays["wk"][0, 2 + k, r, 0] = 1.0
        arrays["wv"][0, 2 + k, x[k], w[0]] = 1.0
    basis = rng.normal(size=(p, p)) + 2.0 * np.eye(p)
    arrays["wq"], arrays["bq"] = (arrays[n] @ basis for n in ("wq", "bq"))
    arrays["wk"], arrays["bk"] = (5.0 * arrays[n] @ np.linalg.inv(basis).T for n in ("wk", "bk"))
    arrays["wv"], arrays["bv"] = (arrays[n] / 5.0 for n in ("wv", "bv"))
    for name, array in arrays.items():
        setattr(layer, name, nnx.Param(jnp.asarray(array)))
    found = readback.step_matrices(model)
    np.testing.assert_allclose(found[0], A + B, rtol=1e-10)
    np.testing.assert_allclose(found[1], ETA * np.eye(D), atol=1e-12)


def test_what_has_no_such_steps_is_refused():
    with pytest.raises(TypeError, match="step_matrices: model must be an ELSAModel"):
        readback.step_matrices(models.LSAModel(D, N, rngs=nnx.Rngs(0)))
    with pytest.raises(ValueError, match="two layers a step and the blocks"):
        readback.step_matrices(models.ELSAModel(D, N, rngs=nnx.Rngs(0)))
