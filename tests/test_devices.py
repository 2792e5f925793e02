"""Eight devices compute what one does, to rounding, and the same bits whenever they are as many.

A process of its own has the eight, which jax divides a CPU into.
"""

import os
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import elsa
from elsa import constructions, nn, training
from elsa.base import devices
from elsa.softmax_regression import Problem
from elsa.training.errors import TrainingError
from tests.helpers import wide
from tests.training import cases

ROOT = Path(__file__).parents[1]
COUNT = 8
TOLERANCE = {"float32": 1e-5, "float64": 1e-10}
PROGRAM = """
import sys, warnings
import jax
import numpy as np
jax.config.update("jax_enable_x64", True)
jax.config.update("jax_disable_most_optimizations", True)
warnings.simplefilter("error")
from pathlib import Path
from tests import test_devices
what, folder, num_steps = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
if what == "again":
    test_devices.goes_on(folder)
else:
    np.savez(folder / "found.npz", **test_devices.computed(what, folder, num_steps))
    if what == "float64":
        test_devices.goes_on_elsewhere(folder)
"""


def by_rows(array, **how):
    """The rows divided over the devices there are."""
    over = devices.mesh(context=len(devices.chosen()))
    return devices.split(jnp.asarray(array), over, context=0, **how)


def stacks(dtype):
    """By name, what stacks give of a prompt whose rows are divided."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(64, 3)).astype(dtype), rng.normal(size=(64, 1)).astype(dtype)
    data = {"X": by_rows(x), "y": by_rows(y), "lam": 0.5}
    built = constructions.ridge_elsa(64, 3, 4, 0.01, dtype=dtype)

    def step(X, y, lam, w):
        return {"w": w - 0.01 * (X.T @ (X @ w - y) + lam * w)}

    shapes = {"X": (64, 3), "y": (64, 1), "lam": (1, 1), "w": (3, 1)}
    compiled = elsa.compile(step, shapes, depth=4, dtype=dtype)
    # 61 rows, which only one device divides
    odd = {name: by_rows(block[:61], zeros=True) for name, block in {"X": x, "y": y}.items()}
    for_odd = constructions.ridge_elsa(len(odd["X"]), 3, 4, 0.01, dtype=dtype)
    layer = nn.LSA(4, 4, num_heads=2, rngs=nnx.Rngs(0), dtype=dtype)
    stack, prompt = nn.Stack([layer], 3), by_rows(np.concatenate([x, y], 1) / 8)
    run = jax.jit(lambda prompt, form: stack(prompt, form=form), static_argnames="form")
    return {
        "constructed": built(**data)["w"],
        "rows of zeros": for_odd(**odd, lam=0.5)["w"],
        "compiled": compiled(**data, w=np.zeros((3, 1), dtype))["w"],
        "direct form": run(prompt, form="direct"),
        "Gram form": run(prompt, form="gram"),
    }


def solved(dtype):
    """Weights of softmax regression by each solver; the rows of queries and labels are divided."""
    rng = np.random.default_rng(2)
    queries, keys = rng.normal(size=(16, 2)).astype(dtype), rng.normal(size=(4, 3)).astype(dtype)
    labels = by_rows(jax.nn.softmax(queries @ np.ones((2, 3), dtype) @ keys.T, axis=1))
    problem = Problem(by_rows(queries), keys, labels)
    steps = {"gd": 20, "lbfgs": None, "newton-cg": None}
    return {name: problem.solve(name, max_iterations=most).x for name, most in steps.items()}


def trained(dtype, folder, num_steps):
    """The weights of models that share their prompts, or of one alone, and their errors."""
    sweeps = {"sweep": {"learning_rate": (0.05, 0.02, 0.01, 0.005)}, "one model": {}}
    found = {}
    for name, sweep in sweeps.items():
        steps = {"num_steps": num_steps, "evaluate_every": num_steps // 2}
        config = cases.quiet(dtype=dtype, sweep=sweep, num_seeds=1, train=steps)
        run = training.fit(config, folder / f"{name} {dtype}")
        assert run.program.compilations == 1
        found |= {name: cases.weight(run), f"risk of {name}": run.risk(64)[0]}
    return {**found, "evaluation": run.evaluate(64).median}


def computed(dtype, folder, num_steps):
    """Everything that may be divided, by name."""
    found = {**stacks(dtype), **solved(dtype), **trained(dtype, folder, num_steps)}
    return {name: np.asarray(value) for name, value in found.items()}


def asked():
    """A run, and one of half as many steps."""
    constant = {"evaluate_every": 10, "decay": "constant", "average": 0}
    longer = cases.quiet(sweep={}, train={"num_steps": 20, **constant})
    shorter = cases.quiet(sweep={}, train={"num_steps": 10, **constant})
    return longer, shorter


def goes_on(folder):
    """A run of eight devices, again on eight."""
    longer, shorter = asked()
    training.fit(shorter, folder / "cut")
    again = training.fit(longer, folder / "cut", extend=True)
    cases.assert_same_bits(again, training.fit(longer, folder / "whole"))


def goes_on_elsewhere(folder):
    """A run of eight devices, continued on three, of which two divide it."""
    longer, shorter = asked()
    whole = training.fit(longer, folder / "whole")
    assert whole.program.placing.mesh.shape == {"model": 2, "task": 4, "context": 1}
    assert set(whole.state.active.devices()) == {jax.devices()[0]}  # models can be called here
    training.fit(shorter, folder / "elsewhere")
    with devices.limited(3):
        with pytest.raises(TrainingError, match=r"device.used was 8, now 3.*--devices=8"):
            training.fit(longer, folder / "elsewhere", extend=True)
        moved = training.fit(longer, folder / "elsewhere", extend=True, environment="accept")
        assert moved.program.placing.said().startswith("on 2 of 3 devices: the models in 2")
    np.testing.assert_allclose(cases.weight(moved), cases.weight(whole), rtol=1e-10)


def on_eight(what, folder, num_steps=0):
    """A dtype: what is computed in it, as found.npz. "again": that a run has the same bits."""
    subprocess.run(
        [sys.executable, "-c", PROGRAM, what, str(folder), str(num_steps)],
        cwd=ROOT,
        env={**os.environ, "JAX_NUM_CPU_DEVICES": str(COUNT), "PYTHONPATH": str(ROOT)},
        check=True,
    )


CASES = [(dtype, num_steps) for num_steps in (40, 500) for dtype in TOLERANCE]


@pytest.mark.parametrize("dtype, num_steps", wide(CASES, keep=[("float64", 40)]))
def test_eight_devices_compute_what_one_does(tmp_path, dtype, num_steps):
    (tmp_path / "eight").mkdir()
    on_eight(dtype, tmp_path / "eight", num_steps)
    with np.load(tmp_path / "eight" / "found.npz") as eight:
        found = dict(eight)
    known = computed(dtype, tmp_path, num_steps)
    assert found.keys() == known.keys() and len(known) == 13
    for name, value in known.items():
        tolerance = TOLERANCE[dtype] * np.abs(value).max()
        np.testing.assert_allclose(found[name], value, 0.0, tolerance, err_msg=name)


@pytest.mark.slow
def test_a_run_of_eight_devices_goes_on_with_the_same_bits(tmp_path):
    on_eight("again", tmp_path)
