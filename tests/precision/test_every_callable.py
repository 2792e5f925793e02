"""Whatever is public asks for full precision of its products, under a caller who asks for less.

The products are read from what jax traces, so that a CPU sees what an accelerator would round.
"""

import functools
import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from types import ModuleType

import pytest

import elsa
from tests.helpers import wide
from tests.precision import (
    attention_cases,
    estimation_cases,
    model_cases,
    prompt_cases,
    softmax_cases,
    stack_cases,
    theory_cases,
)
from tests.precision.products import Case, faults

TABLES = (
    attention_cases,
    estimation_cases,
    model_cases,
    prompt_cases,
    softmax_cases,
    stack_cases,
    theory_cases,
)
# A room of words and files, without a number in it.
WITHOUT_NUMBERS = {"elsa.base", "elsa.__main__"}
# Readers of a run's files: what they return are models and programs, which the table has.
READERS = {
    "training.Trained.risk_along_training",
    "training.Trained.watched_along_training",
    "training.all_models",
    "training.load",
}
PROTOCOLS = {"tasks.BlockTask", "tasks.Task", "training.Tracker"}


def public() -> Iterator[object]:
    """Every public object of the library: those of `__all__`, or all that a module defines."""
    rooms = [f"elsa.{found.name}" for found in pkgutil.iter_modules(elsa.__path__)]
    for name in rooms:
        if name not in WITHOUT_NUMBERS:
            yield from _public_of(importlib.import_module(name))


def _public_of(module: ModuleType) -> Iterator[object]:
    name = module.__name__
    own = [n for n, v in vars(module).items() if getattr(v, "__module__", "") == name]
    for public in getattr(module, "__all__", [n for n in own if not n.startswith("_")]):
        value = getattr(module, public)
        if isinstance(value, ModuleType):
            yield from _public_of(value)
        else:
            yield value


def callables() -> set[str]:
    """The rooms and names of all that can be called, methods and properties of classes included."""
    found = set()
    for value in public():
        if not callable(value):
            continue
        name = f"{value.__module__.split('.')[1]}.{value.__name__}"  # type: ignore[attr-defined]
        if inspect.isclass(value):
            found |= (
                {f"{name}.{member}" for member in members(value)}
                if name not in PROTOCOLS
                else set()
            )
        else:
            found.add(name)
    return found


def members(kind: type) -> set[str]:
    """Methods and properties that are ours, inherited ones included."""
    own = [base for base in kind.__mro__ if base.__module__.split(".")[0] == "elsa"]
    return {
        name
        for base in own
        for name, value in vars(base).items()
        if (name == "__call__" or not name.startswith("_"))
        and isinstance(value, property | classmethod | staticmethod | type(members))
    }


@functools.cache
def _cases(table: ModuleType) -> dict[str, Case]:
    made: dict[str, Case] = table.cases()
    return made


HEAVY = (prompt_cases, softmax_cases, stack_cases)  # their gradients take half a minute


@pytest.mark.parametrize(
    "table, gradients",
    wide(
        [*((table, True) for table in TABLES), *((table, False) for table in HEAVY)],
        keep=[(table, table not in HEAVY) for table in TABLES],
    ),
    ids=lambda of: of.__name__.rpartition(".")[2] if isinstance(of, ModuleType) else None,
)
def test_every_product_is_in_full_precision(table, gradients):
    by_name = _cases(table)
    once = {id(case): case for case in by_name.values()}  # some names share a case
    found = {key: faults(case, gradients=gradients) for key, case in once.items()}
    assert {name: found[id(case)] for name, case in by_name.items() if found[id(case)]} == {}


def test_every_public_callable_has_a_case():
    have = {name.partition(",")[0] for table in TABLES for name in _cases(table)}
    wanted = callables() - READERS
    assert sorted(wanted - have) == [], "give these a case in tests/precision"
    assert sorted(have - wanted) == [], "these are no public callables any more"
