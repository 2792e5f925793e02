"""Tasks and models of the user's own: what they lack is said by name, before anything runs."""

import dataclasses

import jax
import jax.numpy as jnp
import pytest
from flax import nnx

from elsa import models, tasks, training
from elsa.training import contracts
from elsa.training.errors import TrainingError
from elsa.training.setup import bare_program
from tests.helpers import table


def prompts(batch, n=4, d=2, **changed):
    shapes = {"x": (batch, n, d), "y": (batch, n), "query_x": (batch, d), "query_y": (batch,)}
    return tasks.Prompt(**{part: jnp.zeros(s) for part, s in (shapes | changed).items()})


def a_task(sample, fields=("dim", "context_length"), decorated=True):
    cls = dataclasses.make_dataclass(
        "Own", [(name, int) for name in fields], frozen=True, namespace={"sample": sample}
    )
    return tasks.task(static=tuple(fields))(cls) if decorated else cls


def run_of(monkeypatch, own, model="merged_attention", **fields):
    monkeypatch.setitem(tasks.TASKS, "own", own)
    task = {"name": "own"} | (fields or {"dim": 2, "context_length": 4})
    train = {"num_steps": 2, "batch": 2, "evaluate_every": 2}
    return {"task": task, "model": {"name": model}, "train": train}


@table(
    "sample, error, message",
    [
        (
            lambda self, key, batch: prompts(batch, query_y=(batch, 1)),
            ValueError,
            r"task 'own' \(Own\): for batch=3, .* query_y must have shape \(3,\), got \(3, 1\)",
        ),
        (
            lambda self, key, batch: prompts(7),
            ValueError,
            r"x must have shape \(3, 4, 2\), got \(7",
        ),
        (
            lambda self, key, batch: prompts(batch, n=5),
            ValueError,
            r"x must have shape \(3, 4, 2\), got \(3, 5, 2\)",
        ),
        (
            lambda self, key, batch: tuple(prompts(batch)),
            TypeError,
            r"must return a tasks\.Prompt, got tuple",
        ),
    ],
)
def test_prompts_of_other_shapes_are_refused(sample, error, message, monkeypatch):
    with pytest.raises(error, match=message):
        training.validate(run_of(monkeypatch, a_task(sample)))


def test_a_task_says_what_it_lacks(monkeypatch):
    bare = a_task(lambda self, key, batch: prompts(batch), decorated=False)
    with pytest.raises(TypeError, match=r"task 'own' \(Own\) is no pytree: .* @tasks.task"):
        training.validate(run_of(monkeypatch, bare))
    without = a_task(lambda self, key, batch: prompts(batch), fields=("dim",))
    with pytest.raises(TypeError, match=r"\(Own\) has no context_length; a task has dim, context"):
        training.validate(run_of(monkeypatch, without, dim=2))


def test_predictions_of_another_shape_are_refused(monkeypatch, tmp_path):
    class Wide(nnx.Module):
        def __init__(self, dim, *, rngs):
            self.w = nnx.Param(jnp.zeros(dim))

        def __call__(self, prompt):
            return prompt.query_x @ self.w[...][:, None]

    monkeypatch.setitem(models.MODELS, "wide", Wide)
    task = a_task(lambda self, key, batch: prompts(batch))
    config = run_of(monkeypatch, task, model="wide")
    with pytest.raises(ValueError, match=r"Wide must return one .* \(2,\), got \(2, 1\)"):
        training.fit(config, tmp_path / "run")


def test_a_task_without_a_gram_sampler_draws_rows(monkeypatch):
    own = a_task(lambda self, key, batch: prompts(batch))
    settings = training.RunSettings.from_config(run_of(monkeypatch, own))
    assert bare_program(settings).sampler == "rows"


def test_a_run_of_a_task_that_is_not_registered_here_says_how(unbroken, monkeypatch):
    monkeypatch.delitem(tasks.TASKS, "linear_regression")
    with pytest.raises(TrainingError, match=r"does not know; set elsa\.tasks\.TASKS\['linear_reg"):
        training.load(unbroken.folder)
    monkeypatch.undo()
    monkeypatch.delitem(models.MODELS, "merged_attention")
    with pytest.raises(TrainingError, match=r"its model is 'merged_attention', which this process"):
        training.all_models(unbroken.folder)


def test_shapes_are_looked_at_without_drawing(monkeypatch):
    seen = []
    own = a_task(lambda self, key, batch: seen.append(key) or prompts(batch))
    training.validate(run_of(monkeypatch, own))
    assert seen and all(isinstance(key, jax.core.Tracer) for key in seen)
    contracts.check_predictions(None, (2,), (2,))


class Built(nnx.Module):
    def __init__(self, dim, *, rngs):
        self.w = nnx.Param(jnp.zeros(dim))


class OfNothing(nnx.Module):
    def __call__(self, prompt):
        return prompt.query_y


class WithoutWeights(OfNothing):
    def __init__(self):
        pass


class OfThree(Built):
    def __call__(self, x, y, query_x):
        return y


class OfText(Built):
    def __call__(self, prompt):
        return "a text"


class OfComplex(Built):
    def __call__(self, prompt):
        return prompt.query_x @ self.w[...] * 1j


@table(
    "model, message",
    [
        (OfNothing, r"model 'own' \(OfNothing\) cannot be built: add __init__\(self, dim, \*, rng"),
        (WithoutWeights, r"\(WithoutWeights\) cannot be built: add __init__"),
        (Built, r"model 'own' \(Built\) cannot be called: add __call__\(self, prompt\)"),
        (OfThree, r"__call__\(self, prompt\), got __call__\(self, x, y, query_x\)"),
        (OfText, "OfText must return an array of predictions, one for each prompt, got str"),
        (OfComplex, "OfComplex must return an array .*, real, got complex"),
        (dict, r"model 'own' must be a class of flax.nnx.Module, got dict"),
        (len, r"model 'own' must be a class of flax.nnx.Module, got builtin_function"),
    ],
)
def test_models_say_what_they_lack(model, message, monkeypatch, tmp_path):
    monkeypatch.setitem(models.MODELS, "own", model)
    config = run_of(monkeypatch, a_task(lambda self, key, batch: prompts(batch)), model="own")
    with pytest.raises(TypeError, match=message):
        training.fit(config, tmp_path / "run")


def test_a_plain_class_is_no_task(monkeypatch):
    with pytest.raises(
        TypeError, match=r"class Plain is no dataclass: decorate it with @tasks\.ta"
    ):
        training.validate(run_of(monkeypatch, type("Plain", (), {})))
