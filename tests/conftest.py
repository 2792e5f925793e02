"""Strict numerics for every test, and how many examples a property is tried on."""

import collections
import itertools
import os

os.environ["MPLBACKEND"] = "Agg"  # before matplotlib is imported: no test opens a window

import hypothesis
import jax

jax.config.update("jax_enable_x64", True)
jax.config.update("jax_numpy_rank_promotion", "raise")

# No deadline and no limit on drawing: jax compiles each new shape, on a machine that may be busy.
_PATIENT = {"deadline": None, "suppress_health_check": [hypothesis.HealthCheck.too_slow]}
hypothesis.settings.register_profile("quick", max_examples=5, derandomize=True, **_PATIENT)
hypothesis.settings.register_profile("thorough", max_examples=200, print_blob=True, **_PATIENT)
hypothesis.settings.load_profile("quick")  # the option --hypothesis-profile is read after this file


def pytest_terminal_summary(terminalreporter):
    """Adds up what tests have counted with `record_property`, over all workers."""
    counts = collections.Counter()
    for report in itertools.chain.from_iterable(terminalreporter.stats.values()):
        if getattr(report, "when", None) == "call":
            counts.update(dict(report.user_properties))
    for name, count in sorted(counts.items()):
        terminalreporter.write_line(f"{name}: {count}")
