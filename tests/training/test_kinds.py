"""Tasks that ask for a matrix: what trains on them, what is refused, how errors are measured."""

import dataclasses
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from elsa import models, tasks, training
from elsa.training import answers, descent
from elsa.training.setup import bare_program
from tests.helpers import table

PRODUCTS = {"name": "products", "dim": 2}
REGRESSION = {"name": "linear_regression", "dim": 2, "context_length": 4}


def config(task=PRODUCTS, model="block_elsa", **own):
    train = {"num_steps": 2, "batch": 4, "evaluate_every": 2, "optimise": False, **own}
    return {"task": task, "model": {"name": model}, "train": train, "dtype": "float64"}


def own_task(sample, **fields):
    """A task with blocks of which something is wrong."""

    @tasks.task(static=("dim",))
    @dataclasses.dataclass(frozen=True)
    class Own:
        dim: int = 2
        context_length: ClassVar[int] = 2
        prompt_kind: ClassVar[type] = tasks.BlockPrompt

        def sample(self, key, batch):
            return sample(batch)

    for name, value in {"blocks": {"A": (2, 3)}, "target_shape": (2, 2), **fields}.items():
        setattr(Own, name, value)
    return Own


def prompt(batch, A=(2, 3), target=(2, 2), **more):
    named = {"A": A, **more}
    return tasks.BlockPrompt(
        {name: jnp.zeros((batch, *shape)) for name, shape in named.items()},
        jnp.zeros((batch, *target)),
    )


def test_a_matrix_is_trained_on_and_its_errors_are_summed_over_its_entries(tmp_path):
    trained = training.fit(config(), tmp_path / "run")
    task, model, program = trained.task(), trained.model(), trained.program
    key = jax.random.fold_in(program._root(2), 0)
    drawn = task.sample(key, 4)
    squares = np.sum((np.asarray(model(drawn) - drawn.target)) ** 2, axis=(1, 2))
    risk, error = trained.risk(4)
    np.testing.assert_allclose(risk[0, 0], squares.mean(), rtol=1e-12)
    np.testing.assert_allclose(error[0, 0], squares.std(ddof=1) / 2, rtol=1e-9)
    found = trained.evaluate(4)
    np.testing.assert_allclose(found.mean[0, 0], squares.mean(), rtol=1e-12)
    np.testing.assert_allclose(found.median[0, 0], np.median(squares), rtol=1e-12)
    np.testing.assert_allclose(found.trimmed_mean[0, 0], squares.mean(), rtol=1e-12)
    with pytest.raises(ValueError, match=r"model: models of a Products read blocks .* run on 3"):
        trained.model(context_length=3)
    with pytest.raises(TypeError, match=r"model 'block_elsa' reads a tasks.BlockPrompt, and task"):
        trained.evaluate(4, task=REGRESSION)
    with pytest.raises(ValueError, match=r"BlockELSA: prompt must have the blocks \['A', 'B'\]"):
        trained.evaluate(4, task={**PRODUCTS, "factors": 3})


@table(
    "sample, fields, error, message",
    [
        (
            lambda batch: prompt(batch, target=(2, 1)),
            {},
            ValueError,
            r"target must have shape \(3, 2, 2\), got \(3, 2, 1\)",
        ),
        (
            lambda batch: prompt(batch, A=(2, 2)),
            {},
            ValueError,
            r"blocks\['A'\] must have shape \(3, 2, 3\), got \(3, 2, 2\)",
        ),
        (
            lambda batch: prompt(batch, B=(2, 2)),
            {},
            ValueError,
            r"must have \[\"blocks\['A'\]\", 'target'\], got",
        ),
        (
            lambda batch: prompt(batch)._asdict(),
            {},
            TypeError,
            r"must return a tasks\.BlockPrompt, got dict",
        ),
        (
            prompt,
            {"prompt_kind": dict},
            TypeError,
            r"prompt_kind of Own must be one of tasks\.Prompt, .* got <class 'dict'>",
        ),
    ],
)
def test_prompts_of_other_blocks_than_the_task_s_are_refused(
    sample, fields, error, message, monkeypatch
):
    monkeypatch.setitem(tasks.TASKS, "own", own_task(sample, **fields))
    with pytest.raises(error, match=message):
        training.validate(config({"name": "own"}))


def test_a_task_with_blocks_says_what_it_lacks(monkeypatch):
    own = own_task(prompt)
    del own.target_shape
    monkeypatch.setitem(tasks.TASKS, "own", own)
    with pytest.raises(TypeError, match=r"\(Own\) has no target_shape; .* -> tasks.BlockPrompt"):
        training.validate(config({"name": "own"}))


@pytest.mark.parametrize("name", [n for n in models.MODELS if not n.startswith("block_")])
def test_models_that_read_examples_are_refused_by_name(name):
    message = rf"model '{name}' reads a tasks.Prompt, and task 'products' .*: block_elsa, block_lsa"
    with pytest.raises(TypeError, match=message):
        training.validate(config(model=name))


def test_models_that_read_blocks_are_refused_on_examples():
    with pytest.raises(TypeError, match=r"reads a tasks.BlockPrompt, .* 'linear_regression' gives"):
        training.validate(config(REGRESSION))


def test_a_matrix_has_no_gram_sampler_and_no_other_length():
    with pytest.raises(ValueError, match="got 'gram', but Products has no Gram matrix"):
        training.validate(config(sampler="gram"))
    with pytest.raises(KeyError, match="context_length"):
        training.validate({**config(), "sweep": {"context_length": (2, 3)}})
    program = bare_program(training.RunSettings.from_config(config()))
    assert program.sampler == "rows"


def test_predictions_that_are_no_matrix_are_refused(monkeypatch, tmp_path):
    class Flat(nnx.Module):
        prompt_kind = tasks.BlockPrompt

        def __init__(self, *, rngs):
            self.w = nnx.Param(jnp.zeros(()))

        def __call__(self, prompt):
            return prompt.blocks["A"][:, 0, 0] * self.w[...]

    monkeypatch.setitem(models.MODELS, "flat", Flat)
    with pytest.raises(ValueError, match=r"Flat must return one .* \(4, 2, 2\), got \(4,\)"):
        training.fit(config(model="flat"), tmp_path / "run")


def test_losses_of_numbers_are_as_they_were_and_those_of_matrices_add_up():
    rng = np.random.default_rng(0)
    flat, wide = rng.normal(size=5), rng.normal(size=(5, 2, 3))
    np.testing.assert_array_equal(answers.squares(jnp.asarray(flat)), flat**2)
    np.testing.assert_array_equal(answers.sizes(jnp.asarray(flat)), np.abs(flat))
    squares = (wide**2).sum(axis=(1, 2))
    np.testing.assert_allclose(answers.squares(jnp.asarray(wide)), squares, rtol=1e-14)
    np.testing.assert_allclose(answers.sizes(jnp.asarray(wide)) ** 2, squares, rtol=1e-14)
    large = jnp.asarray(1e30 * wide, jnp.float32)
    assert np.isfinite(answers.sizes(large)).all() and np.isinf(answers.squares(large)).all()
    assert np.isnan(answers.sizes(jnp.asarray([[np.nan, 1.0]]))).all()
    assert np.isinf(answers.sizes(jnp.asarray([[np.inf, 1.0]]))).all()
    assert answers.sizes(jnp.zeros((1, 2))) == 0.0
    each = [float(descent.huber(jnp.asarray([r]), 0.7)) for r in wide.ravel()]
    np.testing.assert_allclose(descent.huber(jnp.asarray(wide), 0.7), sum(each) / 5, rtol=1e-14)
