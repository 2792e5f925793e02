"""The numbers of the page on scaling, read from what jax compiles for eight devices."""

import json
import math
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = """
import json, re
import jax, jax.numpy as jnp
from elsa import attention
from elsa.base import devices

KINDS = "all-reduce|all-gather|reduce-scatter|collective-permute|all-to-all"

def sent(function, *arrays):
    compiled = jax.jit(function).lower(*arrays).compile()
    held = compiled.memory_analysis().argument_size_in_bytes
    found = re.findall(rf"= (.*?) ({KINDS})(?:-start)?[(]", compiled.as_text())
    return {"sent": found, "held": held}

def over(array, axis, **mesh):
    return devices.split(array, devices.mesh(**mesh), **{axis: 0})

def layers(h):
    w = jnp.eye(h.shape[1])
    return attention.lsa(attention.lsa(h, w, w, w), w, w, w)

def gradient(w, x, y):
    return jax.grad(lambda w: jnp.mean((x @ w - y) ** 2))(w)

found = {}
for n in (64, 512):
    found[f"rows {n}"] = sent(layers, over(jnp.ones((n, 6)), "context", context=8))
table = over(jnp.ones((64, 5)), "context", context=8)
found["gram"] = sent(lambda table: table.T @ table, table)
x, y = jnp.ones((64, 8)), jnp.ones(64)
prompts = [over(array, "task", task=8) for array in (x, y)]
found["task"] = sent(gradient, jnp.ones(8), *prompts)
models = over(jnp.ones((16, 8)), "model", model=8)
found["model"] = sent(jax.vmap(gradient, (0, None, None)), models, x, y)
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def found():
    environment = {**os.environ, "JAX_NUM_CPU_DEVICES": "8", "PYTHONPATH": str(ROOT)}
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


def size(sent):
    """Bytes of what is sent, all of it summed over the devices."""
    assert {kind for _, kind in sent} <= {"all-reduce"}
    shapes = [re.fullmatch(r"f32\[([\d,]*)\].*", shape)[1] for shape, _ in sent]
    return sum(4 * math.prod(map(int, shape.split(","))) for shape in shapes)


def test_what_is_sent_is_what_the_page_says(found):
    page = (ROOT / "docs" / "scaling.md").read_text()
    (m, layers), (d, k), p = (6, 2), (4, 1), 8
    for n in (64, 512):
        assert size(found[f"rows {n}"]["sent"]) == 4 * m * m * layers == 288
        assert len(found[f"rows {n}"]["sent"]) == layers
        assert found[f"rows {n}"]["held"] == 4 * n * m / 8
    assert "m = 6, L = 2: 288 bytes at n = 64 and at n = 512" in page
    assert size(found["gram"]["sent"]) == 4 * (d + k) ** 2 and "d = 4, k = 1: 100 bytes" in page
    assert found["gram"]["held"] == 4 * 64 * (d + k) / 8
    assert size(found["task"]["sent"]) == 4 * p and "p = 8: 32 bytes" in page
    assert found["model"]["sent"] == []


def test_the_numbers_on_paper_follow_from_the_formula():
    page = (ROOT / "docs" / "scaling.md").read_text()
    for count, share in ((1_000, 73), (10_000, 17)):
        rows = 12 * 1e9 * 22 / (count * 1e12)
        hops = 2 * math.log2(count) * 5e-6
        assert re.search(rf"{rows * 1e6:.0f} µs \+ {hops * 1e6:.0f} µs +at P = {count:,}", page)
        assert round(100 * rows / (rows + hops)) == share and f"{share}%" in page
