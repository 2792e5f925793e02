import jax
import numpy as np
import pytest
from flax import nnx

from elsa import models
from tests.helpers import table
from tests.models.trained import prompt_of

GIVEN = {"dim": 2, "context_length": 3, "scale": 0.5, "dtype": "float32"}
OWN = {
    "linear_transformer": {"depth": 2},
    "lora_attention": {"rank": 1},
    "low_rank_attention": {"rank": 1},
}
TRAINED = (  # one number for every prompt
    "h3",
    "linear_attention",
    "linear_transformer",
    "lora_attention",
    "low_rank_attention",
    "merged_attention",
    "merged_h3",
    "softmax_attention",
)


@pytest.mark.parametrize("name", TRAINED)
def test_a_config_names_a_model_and_the_task_fixes_its_sizes(name):
    given = {**GIVEN, **({"base_weight": np.eye(2)} if name == "lora_attention" else {})}
    model = models.build({"name": name, **OWN.get(name, {})}, rngs=nnx.Rngs(0), **given)
    assert type(model) is models.MODELS[name]
    kinds = {leaf.dtype.name for leaf in jax.tree.leaves(nnx.state(model, nnx.Param))}
    assert kinds == {"float32"}
    assert getattr(model, "scale", 0.5) == 0.5
    found = model(prompt_of((4, 3, 2)))  # whose query labels are NaN
    assert found.shape == (4,) and np.isfinite(found).all()


def test_a_config_s_own_argument_goes_before_the_task_s():
    model = models.build({"name": "merged_attention", "dim": 3}, rngs=nnx.Rngs(0), **GIVEN)
    assert model.weight.shape == (3, 3)


@table(
    "settings, error, message",
    [
        ({"name": "merged_atention"}, KeyError, r"unknown model.*did you mean 'merged_attention'"),
        ({}, KeyError, "settings must have a 'name', one of"),
        ({"name": "h3", "state_sise": 2}, KeyError, r"argument 'state_sise'.*mean 'state_size'"),
        ({"name": "h3", "rngs": 2}, KeyError, "unknown argument 'rngs'"),
        ({"name": "linear_transformer"}, TypeError, "depth"),
        ({"name": "linear_attention", "key_size": 0}, ValueError, "key_size must be at least 1"),
    ],
)
def test_what_makes_no_model_is_refused(settings, error, message):
    with pytest.raises(error, match=message):
        models.build(settings, rngs=nnx.Rngs(0), **GIVEN)
