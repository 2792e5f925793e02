"""A plugin of pytest that holds every annotation of `elsa` to what the tests pass: `make typed`.

Tests with `pytest.raises` pass wrong values on purpose, and are left out. `--passed-into=FILE`
writes the names of the tests that passed, for `--leave-out=FILE` of tests/conftest.py.
"""

import inspect
import random
from pathlib import Path
from typing import Any, Self

import beartype
import numpy as np
from jaxtyping import install_import_hook

_READ_AS = {
    int: int | np.integer,  # as `checks.integer` has it
    float: float | int | np.floating | np.integer,
    Self: Any,  # the hook decorates methods one by one, and beartype learns Self from whole classes
}
checked = beartype.beartype(
    conf=beartype.BeartypeConf(hint_overrides=beartype.FrozenDict(_READ_AS))
)
install_import_hook("elsa", f"{__name__}.checked")


_passed: list[str] = []


def pytest_addoption(parser):
    parser.addoption("--passed-into", metavar="FILE", type=Path)


def pytest_runtest_logreport(report):  # with pytest-xdist, of all workers
    if report.when == "call" and report.passed:
        _passed.append(report.nodeid)


def pytest_sessionfinish(session):
    path = session.config.getoption("passed_into")
    if path is not None and not hasattr(session.config, "workerinput"):
        path.write_text("".join(f"{name}\n" for name in sorted(_passed)), encoding="utf-8")


def pytest_configure(config):
    # beartype looks at one entry of a list, where hypothesis would have the numbers to itself
    config.addinivalue_line("filterwarnings", "ignore:Do not use the `random` module")


def pytest_runtest_setup(item):
    random.seed(item.nodeid)


def pytest_collection_modifyitems(config, items):
    refusals = [item for item in items if "pytest.raises" in inspect.getsource(item.function)]
    config.hook.pytest_deselected(items=refusals)
    items[:] = [item for item in items if item not in refusals]
