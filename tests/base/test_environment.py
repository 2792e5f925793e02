"""What is written down about where numbers are computed, and which of it changes them."""

import copy
import json
import subprocess

import jax
import pytest

from elsa.base import environment as module
from elsa.base.environment import (
    Difference,
    beside_results,
    changes_results,
    commit_of,
    environment,
)


def test_it_is_plain_json_and_equals_itself():
    here = environment()
    assert json.loads(json.dumps(here)) == here
    assert changes_results(here, here) is None and beside_results(here, here) is None
    assert here["x64"] is True and here["versions"]["jax"] == jax.__version__


def test_the_switch_that_a_block_sets_is_the_one_in_force():
    with jax.enable_x64(False):
        found = changes_results(environment(), {**environment(), "x64": True})
    assert str(found) == "x64 was false, now true"


RESULTS = {
    "x64": (False, "set JAX_ENABLE_X64=1"),
    "device.platform": ("tpu", "go on where it was begun"),
    "device.kind": ("TPU v4", "go on where it was begun"),
    "device.instructions": ("x86_64 sse4_2", "go on where it was begun"),
    "device.processes": (2, "start it as 1 (on the command line --processes=1)"),
    "device.used": (2, "give --devices=1 (in Python, "),
    "versions.jax": ("0.1", "install jax=="),
    "versions.jaxlib": ("0.1", "install jaxlib=="),
    "versions.flax": ("0.1", "install flax=="),
    "versions.optax": ("0.1", "install optax=="),
    "switches.jax_default_prng_impl": ("rbg", 'set JAX_DEFAULT_PRNG_IMPL to "threefry2x32"'),
    "switches.jax_random_seed_offset": (1, "set JAX_RANDOM_SEED_OFFSET to 0"),
    "switches.jax_threefry_partitionable": (None, "set JAX_THREEFRY_PARTITIONABLE to true"),
    "xla_flags": (["--xla_cpu_enable_fast_math=true"], "set XLA_FLAGS to "),
}
BESIDE = {
    "commit": "0" * 40,
    "uncommitted_changes": None,
    "versions.elsa": "0.0",
    "versions.numpy": "1.0",
    "versions.python": "3.0",
    "device.count": 99,
    "host.cpu_count": 99,
}


def with_entry(environment, key, value):
    changed = copy.deepcopy(environment)
    *groups, name = key.split(".")
    place = changed
    for group in groups:
        place = place[group]
    place[name] = value
    return changed


def without_entry(environment, key):
    changed = with_entry(environment, key, None)
    *groups, name = key.split(".")
    place = changed
    for group in groups:
        place = place[group]
    del place[name]
    return changed


def test_what_changes_bits_is_told_from_what_does_not_and_says_the_way_back():
    here = {**environment(), "commit": "1" * 40, "uncommitted_changes": False}  # as of a checkout
    for key, (value, way_back) in RESULTS.items():
        found = changes_results(here, with_entry(here, key, value))
        assert found.key == key and found.way_back.startswith(way_back), key
        assert found.now == json.dumps(value)
        # a version that did not write the entry says nothing about it
        assert changes_results(without_entry(here, key), here) is None
    for key, value in BESIDE.items():
        assert changes_results(here, with_entry(here, key, value)) is None, key
        assert beside_results(here, with_entry(here, key, value)).key == key


def test_what_was_not_set_is_to_be_unset_and_flags_are_given_as_a_shell_takes_them():
    for key, before, way_back in (
        ("switches.jax_default_matmul_precision", "null", "unset JAX_DEFAULT_MATMUL_PRECISION"),
        ("switches.jax_default_matmul_precision", '"high"', "set JAX_DEFAULT_MATMUL_PRECISION to "),
        ("switches.jax_disable_jit", "false", "set JAX_DISABLE_JIT to false"),
        ("xla_flags", "[]", "unset XLA_FLAGS"),
        ("xla_flags", '["--a=1", "--b"]', 'set XLA_FLAGS to "--a=1 --b"'),
    ):
        assert Difference(key, before, "").way_back.startswith(way_back)


def test_a_record_from_before_devices_were_counted_used_one():
    here = environment()
    before = copy.deepcopy(here)
    del before["device"]["used"]
    assert changes_results(before, with_entry(here, "device.used", 1)) is None
    found = changes_results(before, with_entry(here, "device.used", 8))
    assert str(found) == "device.used was 1, now 8"
    assert changes_results({}, here) is None


def test_flags_of_xla_that_compute_nothing_do_not_count(monkeypatch):
    here = environment()
    flags = " ".join(here["xla_flags"])
    more = "--xla_dump_to=/tmp/x --xla_cpu_multi_thread_eigen=false"
    monkeypatch.setenv("XLA_FLAGS", f"{more} {flags} {flags}")
    assert environment() == here
    monkeypatch.setenv("XLA_FLAGS", f"{flags} --xla_cpu_enable_fast_math=true")
    assert changes_results(here, environment()).key == "xla_flags"


def git(folder, *arguments):
    name = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
    hooks = ["-c", "core.hooksPath=/dev/null"]
    subprocess.run(
        ["git", "-C", folder, *name, *hooks, *arguments], check=True, capture_output=True
    )


def test_the_commit_and_whether_it_is_all_of_the_program(tmp_path):
    git(tmp_path, "init")
    git(tmp_path, "commit", "--allow-empty", "-m", "first")
    commit, changes = commit_of(tmp_path)
    assert len(commit) == 40 and changes is False
    (tmp_path / "new.py").write_text("")
    assert commit_of(tmp_path) == (commit, True)
    (tmp_path / "venv").mkdir()  # a package installed inside another repository
    assert commit_of(tmp_path / "venv") == (None, None)


def test_no_repository_and_no_git_are_no_error(tmp_path, monkeypatch):
    assert commit_of(tmp_path) == (None, None)
    monkeypatch.setenv("PATH", "")
    assert commit_of(tmp_path) == (None, None)


def test_a_package_that_is_not_installed_has_no_version(monkeypatch):
    monkeypatch.setattr(module, "_PACKAGES", ("no-such-package",))
    assert environment()["versions"]["no-such-package"] is None


@pytest.mark.parametrize(
    "flags, expected",
    [
        ("fpu sse4_2 avx avx2 fma avx512f", "avx2 fma"),
        ("sse4_2 avx2 avx fma", "avx2 fma"),
        ("fpu sse4_2", "sse4_2"),
    ],
)
def test_the_vectors_of_a_cpu_that_change_bits(flags, expected, monkeypatch):
    text = f"processor : 0\nflags\t\t: {flags}\n"
    monkeypatch.setattr(module.Path, "read_text", lambda *_, **__: text)
    monkeypatch.setattr(module.platform, "machine", lambda: "x86_64")
    assert module.instructions() == f"x86_64 {expected}"


def test_a_system_that_lists_no_vectors_is_named_by_its_machine(monkeypatch):
    def missing(*_, **__):
        raise FileNotFoundError

    monkeypatch.setattr(module.Path, "read_text", missing)
    assert module.instructions() == module.platform.machine()
