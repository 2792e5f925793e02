"""Tasks as pytrees: stacked, mapped with a shared key, traced, put together without checks."""

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from elsa import tasks
from tests.helpers import equations, wide
from tests.tasks.helpers import COV_X, SMALL, fast


def stacked(several):
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *several)


def variants(name):
    """Three tasks of one structure with other numbers."""
    task, changes = SMALL[name], []
    for factor in (0.5, 1.0, 1.5):
        fields = {"noise_var": factor}
        if name in ("retrieval", "alignment"):
            fields["alignment"] = 0.5 * factor
        if name in ("linear_regression", "sphere", "gamma"):
            fields["cov_x"] = factor * COV_X
        if name == "gamma":
            fields["gamma_shape"] = 2.0 * factor
        if name == "drift":
            fields["task_corr"] = tasks.autoregressive(3, 0.6 * factor)
        if name == "table":
            fields = {"y": factor * np.arange(6.0)}
        changes.append(dataclasses.replace(task, **fields))
    return changes


MAPPED = [name for name in SMALL if name != "prescribed_spectrum"]


# with a Gram matrix and without, rows of the sphere, of a table
@pytest.mark.parametrize("name", wide(MAPPED, keep=["retrieval", "drift", "sphere", "table"]))
def test_stacked_tasks_with_a_shared_key_sample_what_each_samples_alone(name):
    several, key = variants(name), jax.random.key(0)

    def draw(task):
        return task.sample_gram(key, 4) if task.has_gram else task.sample(key, 4)

    together = fast(jax.vmap(draw))(stacked(several))
    single = fast(draw)
    alone = stacked([single(task) for task in several])
    for found, known in zip(jax.tree.leaves(together), jax.tree.leaves(alone), strict=True):
        np.testing.assert_allclose(found, known, rtol=1e-11, atol=1e-11)
    assert not np.array_equal(together.query_y[0], together.query_y[2])


def bits_drawn(function, *arguments):
    found = equations(jax.make_jaxpr(function)(*arguments).jaxpr)
    shapes = [e.outvars[0].aval.shape for e in found if e.primitive.name == "random_bits"]
    return sum(map(math.prod, shapes))


@pytest.mark.parametrize("name", [name for name in MAPPED if name != "gamma"])
def test_what_does_not_depend_on_a_mapped_field_is_drawn_once(name):
    several, key = variants(name), jax.random.key(0)
    draws = [lambda task: task.sample(key, 4)]
    if SMALL[name].has_gram:
        draws.append(lambda task: task.sample_gram(key, 4))
    for draw in draws:
        once = bits_drawn(draw, several[0])
        assert once > 0
        assert bits_drawn(jax.vmap(draw), stacked(several)) == once


@pytest.mark.parametrize("name", SMALL)
def test_a_task_survives_the_round_trip_and_its_leaves_have_names(name):
    task = SMALL[name]
    leaves, structure = jax.tree.flatten(task)
    back = jax.tree.unflatten(structure, leaves)
    assert type(back) is type(task)
    for field in dataclasses.fields(task):
        assert getattr(back, field.name) is getattr(task, field.name)
    paths, again = jax.tree_util.tree_flatten_with_path(task)
    assert again == structure and len(paths) == len(leaves)
    fields = {field.name for field in dataclasses.fields(task)}
    assert {jax.tree_util.keystr(path)[1:] for path, _ in paths} <= fields
    assert "dim" not in {jax.tree_util.keystr(path)[1:] for path, _ in paths}


def test_a_tree_is_put_together_without_checks_and_sizes_are_structure():
    task = SMALL["retrieval"]
    assert jax.tree.map(lambda _: "anything", task).alignment == "anything"
    assert jax.tree.map(lambda _: None, task).noise_var is None
    other = dataclasses.replace(task, context_length=4)
    assert jax.tree.structure(other) != jax.tree.structure(task)
    with pytest.raises(dataclasses.FrozenInstanceError):
        task.dim = 3


def test_fields_may_be_tracers_and_gradients_pass_through_them():
    """The noise of a label is sqrt(noise_var) times a draw: its slope is half of itself over it."""

    def label(noise_var, alignment):
        task = tasks.Retrieval(2, 3, alignment, noise_var)
        return task.sample(jax.random.key(0), 1).y[0, 0]

    slope = fast(jax.grad(label, argnums=(0, 1)))(0.3, 0.6)
    value = fast(label)
    noise = value(0.3, 0.6) - value(0.0, 0.6)
    np.testing.assert_allclose(slope[0], noise / (2 * 0.3), rtol=1e-10)
    assert np.isfinite(slope[1])


def test_a_class_that_is_no_frozen_dataclass_and_a_name_that_is_no_field_are_refused():
    @dataclasses.dataclass
    class Loose:
        dim: int

    @dataclasses.dataclass(frozen=True)
    class Fine:
        dim: int

    with pytest.raises(TypeError, match="Loose must be a frozen dataclass"):
        tasks.task(static=())(Loose)
    with pytest.raises(TypeError, match="int must be a frozen dataclass"):
        tasks.task(static=())(int)
    with pytest.raises(ValueError, match=r"Fine has no field 'dims', it has \['dim'\]"):
        tasks.task(static=("dims",))(Fine)
