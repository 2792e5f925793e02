"""Devices are counted, limited and refused by name; one of them is enough."""

import os
import subprocess
import sys

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


def test_zeros_follow_where_devices_do_not_divide_an_axis():
    """As it stands the axis is refused, with what to do."""
    program = """
import jax, jax.numpy as jnp, numpy as np
from elsa.base import devices
over, array = devices.mesh(context=2, task=2), jnp.arange(1.0, 16.0).reshape(5, 3)
try:
    devices.split(array, over, context=0)
except ValueError as error:
    print(error)
found = devices.split(array, over, context=0, task=1, zeros=True)
assert found.sharding.spec == jax.sharding.PartitionSpec("context", "task")
np.testing.assert_array_equal(found, np.pad(array, ((0, 1), (0, 1))))
same = devices.split(array[:4], over, context=0, zeros=True)
np.testing.assert_array_equal(same, array[:4])
"""
    environment = {**os.environ, "JAX_NUM_CPU_DEVICES": "4"}
    command = [sys.executable, "-c", program]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert (
        "the 2 devices divide, got 5; take a mesh of 1, or zeros=True, which puts 1" in ran.stdout
    )


def test_zeros_is_a_truth_value():
    with pytest.raises(TypeError, match="zeros"):
        devices.split(jnp.ones((4, 3)), devices.mesh(), context=0, zeros="no")
