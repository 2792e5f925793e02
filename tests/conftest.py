"""Strict numerics for every test, and how many examples a property is tried on."""

import collections
import gc
import itertools
import os
import signal
from pathlib import Path

os.environ["MPLBACKEND"] = "Agg"  # before matplotlib is imported: no test opens a window

import hypothesis
import jax
import jaxlib
import pytest

from tests import cheap_programs

# A shell's background job ignores Ctrl-C, and so do the processes that it starts: tests send it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
# Those that nohup starts ignore SIGHUP.
if hasattr(signal, "SIGHUP"):
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

jax.config.update("jax_enable_x64", True)
jax.config.update("jax_numpy_rank_promotion", "raise")

# Thousands of small programs take longer to compile than to run, and half as long with the emitters
# XLA had before, a tenth less as one module of LLVM's each, where XLA makes up to 32, a seventh
# less where what is the same in each turn of a loop, constants above all, stays in it. jaxlib 0.12
# no longer has those emitters, and ends at a flag that it does not know. With TEST_EMITTERS=default
# the tests run what users run. Processes that tests start inherit it.
if jaxlib.version.__version_info__ < (0, 11) and os.environ.get("TEST_EMITTERS") != "default":
    _QUICKLY = (
        "--xla_cpu_use_fusion_emitters=false --xla_cpu_parallel_codegen_split_count=1"
        " --xla_disable_hlo_passes=while-loop-invariant-code-motion"
    )
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {_QUICKLY}".strip()

# No deadline and no limit on drawing: jax compiles each new shape, on a machine that may be busy.
_PATIENT = {"deadline": None, "suppress_health_check": [hypothesis.HealthCheck.too_slow]}
hypothesis.settings.register_profile("quick", max_examples=5, derandomize=True, **_PATIENT)
hypothesis.settings.register_profile("thorough", max_examples=200, print_blob=True, **_PATIENT)
hypothesis.settings.load_profile("quick")  # the option --hypothesis-profile is read after this file


cheap_programs.share_contexts()
cheap_programs.copy_arrays()

# Every program that XLA has compiled holds some of the 65,530 pieces of memory that Linux lets a
# process map: beyond them the next compilation crashes.
_MAX_PROGRAMS = 2000
_compiled: collections.Counter[str] = collections.Counter()
jax.monitoring.register_event_duration_secs_listener(
    lambda event, *_, **__: _compiled.update([event])
)


# What outlives every test, modules and compiled programs above all, is much to look through for
# each search for garbage: it is set aside.
_MANY_OBJECTS = 200_000


def pytest_addoption(parser):
    parser.addoption(
        "--leave-out", metavar="FILE", type=Path, help="leaves out the tests that it names"
    )


def pytest_configure(config):
    if (cache := getattr(config, "cache", None)) is None:
        return
    path = cache.mkdir("programs")
    if not hasattr(config, "workerinput"):
        cheap_programs.forget_many(path)
    cheap_programs.keep_programs(path)


def pytest_collection_modifyitems(config, items):
    path = config.getoption("leave_out")
    if path is None:
        return
    names = set(path.read_text(encoding="utf-8").splitlines())
    config.hook.pytest_deselected(items=[item for item in items if item.nodeid in names])
    items[:] = [item for item in items if item.nodeid not in names]


@pytest.hookimpl(tryfirst=True)
def pytest_collection():
    """Nothing that collecting makes is garbage."""
    gc.disable()


def pytest_collection_finish():
    gc.enable()
    _set_aside()


def _set_aside():
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True, scope="module")  # a module's own fixtures may count programs
def _few_programs():
    """Lets go of the compiled programs of earlier tests, where there are many."""
    yield
    cheap_programs.forget_context()
    if _compiled["/jax/core/compile/backend_compile_duration"] > _MAX_PROGRAMS:
        _compiled.clear()
        gc.unfreeze()
        jax.clear_caches()
        _set_aside()
    elif len(gc.get_objects()) > _MANY_OBJECTS:
        _set_aside()


def pytest_terminal_summary(terminalreporter):
    """Adds up what tests have counted with `record_property`, over all workers."""
    counts = collections.Counter()
    for report in itertools.chain.from_iterable(terminalreporter.stats.values()):
        if getattr(report, "when", None) == "call":
            counts.update(dict(report.user_properties))
    for name, count in sorted(counts.items()):
        terminalreporter.write_line(f"{name}: {count}")
