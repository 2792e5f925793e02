"""Devices are counted, limited and refused by name; one of them is enough."""

import jax
import jax.numpy as jnp
import pytest

from elsa.base import devices


def test_all_devices_are_chosen_unless_they_are_limited():
    here = jax.local_devices()
    assert devices.chosen() == here
    with devices.limited(1):
        assert devices.chosen() == here[:1]
        with devices.limited(None):
            assert devices.chosen() == here
    with jax.default_device(here[0]):
        assert devices.chosen() == here[:1]
    assert devices.chosen() == here


@pytest.mark.parametrize("count", [0, -1, 10**6])
def test_a_limit_that_cannot_be_is_refused(count):
    with (
        pytest.raises(ValueError, match=f"limited: count must be at .*got {count}"),
        devices.limited(count),
    ):
        pass


def test_a_mesh_of_more_devices_than_there_are_says_how_many():
    with pytest.raises(ValueError, match=r"at most the number of devices, .*got 2 \* 3 \* 500"):
        devices.mesh(model=2, task=3, context=500)
    with pytest.raises(ValueError, match="mesh: task must be at least 1, got 0"):
        devices.mesh(task=0)
    assert dict(devices.mesh().shape) == {"model": 1, "task": 1, "context": 1}


def test_an_array_is_divided_along_axes_that_it_has():
    here, array = devices.mesh(), jnp.ones((4, 3))
    found = devices.split(array, here, context=0, task=1)
    assert found.sharding.spec == jax.sharding.PartitionSpec("context", "task")
    assert (found == array).all()
    with pytest.raises(ValueError, match="context must be an axis of an array of 2 axes, got 2"):
        devices.split(array, here, context=2)
    with pytest.raises(ValueError, match="task and context must be two axes, got 0 twice"):
        devices.split(array, here, task=0, context=0)
    with pytest.raises(KeyError, match="rows"):
        devices.split(array, here, rows=0)
