"""Points of a sweep, mapped over axis by axis."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from elsa import training
from elsa.base import arithmetic
from elsa.training.grid import Grid
from elsa.training.settings import RunSettings
from elsa.training.sweep import make_sweep
from tests.training import cases

SWEEP = {"noise_var": (0.1, 0.5), "context_length": (2, 4, 6), "learning_rate": (0.1, 0.2)}


def grid_of(sweep):
    made = make_sweep(RunSettings.from_config(cases.config(sweep=sweep)))
    return Grid.of(sweep, made.points, made.axes)


def test_each_part_of_a_point_has_the_axes_along_which_it_differs():
    grid = grid_of(SWEEP)
    assert grid.sizes == (2, 3, 2)
    shapes = {
        "noise": grid.points.task.noise_var.shape,
        "length": grid.points.length.shape,
        "rate": grid.points.learning_rate.shape,
        "shared": grid.points.task.gamma_shape.shape,
    }
    assert shapes == {"noise": (2,), "length": (3,), "rate": (2,), "shared": ()}
    axes = [(a.task.noise_var, a.length, a.learning_rate) for a in grid.axes]
    assert axes == [(0, None, None), (None, 0, None), (None, None, 0)]
    assert grid.differ(lambda point: point.task) == 2
    assert grid.differ(lambda point: point.length) == 3
    assert grid.differ(lambda point: (point.task, point.length)) == 6
    assert grid.differ(lambda point: point.model) == 1


def test_an_array_that_differs_along_two_axes_keeps_both():
    values = np.arange(6.0).reshape(6, 1) * np.ones(3)
    grid = Grid.of({"a": range(2), "b": range(3)}, {"x": values}, {"x": 0})
    assert grid.points["x"].shape == (2, 3, 3)
    assert grid.axes == ({"x": 0}, {"x": 0})


def test_a_number_that_is_none_differs_from_itself():
    grid = Grid.of({"a": range(2)}, {"x": np.array([np.nan, np.nan])}, {"x": 0})
    assert grid.axes == ({"x": 0},)


@pytest.mark.parametrize("sweep", [SWEEP, {"learning_rate": (0.1, 0.2, 0.3)}, {}])
def test_a_map_over_axes_gives_every_point_its_own(sweep):
    made = make_sweep(RunSettings.from_config(cases.config(sweep=sweep)))
    own = {"w": jnp.arange(2.0 * len(made)).reshape(len(made), 2)}

    def one(own, point, shared):
        length = 0 if point.length is None else point.length
        number = point.task.noise_var + 10 * length + 1000 * point.learning_rate
        return {"w": own["w"] + shared, "number": number}

    by_axis = Grid.of(sweep, made.points, made.axes).over(one)(own, 5.0)
    in_line = Grid.line(made.points, made.axes, len(made)).over(one)(own, 5.0)
    assert jax.tree.all(jax.tree.map(lambda a, b: bool((a == b).all()), by_axis, in_line))
    assert by_axis["number"].shape == (len(made),)
    assert len(np.unique(by_axis["number"])) == len(made)


def test_what_depends_on_one_axis_is_computed_once_for_the_others():
    """The expensive part's output has the size of its own axis alone."""
    seen = []

    def one(own, point, shared):
        seen.append(jnp.exp(jnp.broadcast_to(point.task.noise_var, (7,))))
        return seen[-1].sum() * point.learning_rate

    grid = grid_of(SWEEP)
    jaxpr = jax.make_jaxpr(grid.over(one))(jnp.zeros((12, 1)), 0.0)
    (exp,) = [eqn for eqn in jaxpr.eqns if eqn.primitive.name == "exp"]
    assert exp.outvars[0].aval.shape == (2, 7)


@pytest.mark.parametrize("model", ["linear_attention", "merged_h3"])
def test_models_train_as_when_points_were_mapped_in_line(model, tmp_path, monkeypatch):
    """Every model of a sweep over two axes, and its risk; the order of sums may differ."""
    sweep = {"noise_var": (0.1, 0.5), "context_length": (3, 6)}
    config = {"model": {"name": model}, "sweep": sweep}
    by_axis = training.fit(cases.config(**config), tmp_path / "axes")
    with monkeypatch.context() as patch:
        patch.setattr(arithmetic, "LATEST", 5)
        in_line = training.fit(cases.config(**config), tmp_path / "line")
    assert by_axis.program.arithmetic != in_line.program.arithmetic
    for name, weights in cases.weights(in_line).items():
        np.testing.assert_allclose(cases.weights(by_axis)[name], weights, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(by_axis.risk(64)[0], in_line.risk(64)[0], rtol=1e-6)
