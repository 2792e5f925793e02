"""Prompts that do not fit a model are refused by name, whatever the model."""

import jax
import jax.numpy as jnp
import pytest
from flax import nnx

from elsa import models, tasks
from elsa.tasks import gram_prompt

EXTRA = {
    "low_rank_attention": {"rank": 1},
    "lora_attention": {"rank": 1, "base_weight": jnp.eye(2)},
    "linear_transformer": {"depth": 1},
    "gpt2": {"width": 4, "depth": 1},
}


def prompt_of(dim):
    return tasks.LinearRegression(dim, 3, 0.1).sample(jax.random.key(0), 2)


# those on blocks have refusals of their own
ON_REGRESSION = sorted(n for n, cls in models.MODELS.items() if not hasattr(cls, "prompt_kind"))


@pytest.fixture(params=ON_REGRESSION)
def model(request):
    return models.build(
        {"name": request.param, **EXTRA.get(request.param, {})},
        rngs=nnx.Rngs(params=0),
        dim=2,
        context_length=3,
        scale=1.0,
    )


def test_a_prompt_of_another_dimension_is_refused(model):
    where = type(model).__name__
    with pytest.raises(ValueError, match=rf"{where}: .* model's d = 2 covariates, got 4 and 4"):
        model(prompt_of(4))
    with pytest.raises(ValueError, match=rf"{where}: .*covariates, got 4 and 4"):
        model(gram_prompt(prompt_of(4)))


def test_one_prompt_that_is_no_batch_is_refused(model):
    alone = jax.tree.map(lambda part: part[0], prompt_of(2))
    with pytest.raises(ValueError, match=rf"{type(model).__name__}: x must have 3 axes"):
        model(alone)


def test_a_query_that_is_not_like_its_context_is_refused(model):
    prompt = prompt_of(2)
    with pytest.raises(ValueError, match=rf"{type(model).__name__}: query_x must have shape"):
        model(prompt._replace(query_x=prompt_of(3).query_x))
    with pytest.raises(ValueError, match="got 2 and 3"):
        model(gram_prompt(prompt)._replace(query_x=prompt_of(3).query_x))
