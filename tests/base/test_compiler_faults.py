"""Faults of a jaxlib that give wrong numbers."""

import os
import subprocess
import sys

import pytest

from elsa.base import compiler_faults

SWITCH = "--xla_cpu_experimental_ynn_fusion_type="

# Five sweeps' labels at once, as `tasks.Drift` makes them: jaxlib 0.10.2 gives the last of them the
# factors of the first.
SUMS = """
def labels(root, x, own, noise):
    return (jnp.einsum("bsd,btd->bst", x, own) * root[None]).sum(-1) + noise

keys = jax.random.split(jax.random.key(0), 4)
shapes = (5, 41, 41), (256, 41, 20), (256, 41, 20), (256, 41)
given = [jax.random.normal(key, shape) for key, shape in zip(keys, shapes)]
found = jax.jit(jax.vmap(labels, (0, None, None, None)))(*given)
root, x, own, noise = (np.asarray(array, np.float64) for array in given)
expected = np.einsum("bsd,btd,pst->pbs", x, own, root, optimize=True) + noise
np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-3)
"""
IMPORTS = "import jax, jax.numpy as jnp, numpy as np\n"


def run(code, flags=""):
    """Python, compiling as a user's does."""
    left_out = ("JAX_", "XLA_", "OMP_", "OPENBLAS_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(left_out)}
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**kept, "JAX_PLATFORMS": "cpu", "XLA_FLAGS": flags},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize("before", [IMPORTS + "import elsa", "import elsa\n" + IMPORTS])
def test_sums_over_a_swept_product_are_right(before):
    done = run(f"{before}\n{SUMS}")
    assert done.returncode == 0, done.stderr


def test_where_jax_has_computed_before_a_warning_says_what_to_do(monkeypatch):
    monkeypatch.setattr(compiler_faults, "_jaxlib", lambda: "0.10.2")
    monkeypatch.setenv("XLA_FLAGS", "--other=1")
    monkeypatch.setattr(compiler_faults, "_has_computed", lambda: True)
    with pytest.warns(RuntimeWarning, match=f"import elsa.*XLA_FLAGS={SWITCH}"):
        compiler_faults.avoid()
    assert os.environ["XLA_FLAGS"] == "--other=1"


@pytest.mark.parametrize(
    "version, given, expected",
    [
        ("0.10.2", "", SWITCH),
        ("0.10.2", "--other=1", f"--other=1 {SWITCH}"),
        ("0.10.2", f"{SWITCH}-reduce", f"{SWITCH}-reduce"),  # the user's own stays
        ("0.11.0", "", ""),  # right there; and a flag that XLA does not know would end Python
        ("", "", ""),
    ],
)
def test_the_flag_is_set_for_the_jaxlib_that_needs_it(monkeypatch, version, given, expected):
    monkeypatch.setattr(compiler_faults, "_jaxlib", lambda: version)
    monkeypatch.setattr(compiler_faults, "_has_computed", lambda: False)
    monkeypatch.setenv("XLA_FLAGS", given)
    compiler_faults.avoid()
    assert os.environ["XLA_FLAGS"] == expected


def test_it_is_known_whether_jax_has_computed():
    done = run(
        IMPORTS
        + "from elsa.base.compiler_faults import _has_computed\n"
        + "assert not _has_computed(); jnp.ones(3).sum(); assert _has_computed()"
    )
    assert done.returncode == 0, done.stderr
