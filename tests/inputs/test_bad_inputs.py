"""Bad input is refused by name: every public callable, one argument spoilt at a time.

The fast suite takes a fixed sample of the cases, every callable and every kind of mutation among
them, but for what has to be trained or compiled first; the slow one takes all.
"""

import functools
import inspect
import zlib
from collections import Counter

import jax
import pytest

from tests.inputs import (
    algorithms_calls,
    attention_calls,
    estimators_calls,
    models_calls,
    softmax_calls,
    stacks_calls,
    tasks_calls,
    theory_calls,
    training_calls,
)
from tests.inputs.calls import Call
from tests.inputs.meanings import admitted
from tests.inputs.mutations import mutations
from tests.inputs.verdict import GOOD, Case, judged
from tests.inputs.without_a_call import WITHOUT_A_CALL, WITHOUT_A_ROW
from tests.precision.test_every_callable import public

ROOMS = {
    "algorithms": algorithms_calls,
    "attention": attention_calls,
    "estimators": estimators_calls,
    "models": models_calls,
    "softmax": softmax_calls,
    "stacks": stacks_calls,
    "tasks": tasks_calls,
    "theory": theory_calls,
    "training": training_calls,
}
QUICK = ("algorithms", "attention", "softmax", "tasks", "theory")
SHARE = 12  # one case in so many in the fast suite
SELDOM = {  # kinds that few arguments have
    *("array", "huge within", "integer name", "longer", "missing", "unknown entry"),
    *("returns none", "returns text", "takes nothing"),
}


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path, monkeypatch):
    """A path given as text is relative; and the frames of jax must show whose error it is."""
    monkeypatch.chdir(tmp_path)
    before = jax.config.jax_traceback_filtering
    jax.config.update("jax_traceback_filtering", "off")
    yield
    jax.config.update("jax_traceback_filtering", before)


@functools.cache
def _calls(room: str) -> dict[str, Call]:
    return ROOMS[room].calls()


def _sampled(name: str, argument: str, kind: str) -> bool:
    draw = zlib.crc32(f"{name} {argument} {kind}".encode())
    return draw % SHARE == 0 or kind in SELDOM or kind == "text"


def _verdicts(room: str, chosen) -> list[Case]:
    return [
        case for name, call in _calls(room).items() for case in judged(name, call, admitted, chosen)
    ]


def _check(cases: list[Case]) -> None:
    bad = [case for case in cases if case.verdict not in GOOD]
    assert not bad, "\n".join(map(str, bad))


@pytest.mark.parametrize("room", QUICK)
def test_a_sample_of_bad_inputs_is_refused_by_name(room, record_property):
    cases = _verdicts(room, _sampled)
    record_property("bad inputs tried", len(cases))
    _check(cases)


@pytest.mark.slow
@pytest.mark.parametrize("room", ROOMS)
def test_bad_inputs_are_refused_by_name(room, record_property):
    cases = _verdicts(room, lambda *_: True)
    record_property("bad inputs tried", len(cases))
    for verdict, count in Counter(case.verdict for case in cases).items():
        record_property(f"bad inputs: {verdict}", count)
    _check(cases)


def test_the_sample_holds_every_callable_and_every_kind_of_mutation():
    kinds, taken, names, number = set(), set(), set(), 0
    for room in QUICK:
        for name, call in _calls(room).items():
            for argument, value in call.arguments.items():
                for kind, _ in mutations(value):
                    number += 1
                    kinds.add(kind.rpartition(": ")[2])
                    if _sampled(name, argument, kind):
                        taken.add(kind.rpartition(": ")[2])
                        names.add(name)
    assert number >= 4000
    assert sorted(kinds - taken) == []
    without_arguments = {n for r in QUICK for n, c in _calls(r).items() if not c.arguments}
    assert sorted({n for r in QUICK for n in _calls(r)} - names - without_arguments) == []


@pytest.mark.slow
def test_every_public_callable_is_in_the_table():
    have = {part for room in ROOMS for name in _calls(room) for part in name.split(".")}
    wanted = {value.__name__ for value in public() if callable(value)}
    assert sorted(wanted - have - WITHOUT_A_CALL.keys()) == []
    assert sorted(WITHOUT_A_CALL.keys() - wanted) == []


@pytest.mark.slow
def test_every_public_method_with_arguments_is_in_the_table_or_on_the_list_of_those_without_a_row():
    names = {name.partition(",")[0] for room in ROOMS for name in _calls(room)}
    have = {".".join(name.split(".")[-2:]) for name in names}
    classes = [value for value in public() if inspect.isclass(value) and not _is_protocol(value)]
    missing = {
        f"{cls.__name__}.{name}"
        for public_class in classes
        for cls in public_class.__mro__
        if cls.__module__.startswith("elsa.")
        for name, method in vars(cls).items()
        if _takes_arguments(name, method)
        and not {f"{kin.__name__}.{name}" for kin in _kin(public_class)} & have
    }
    assert sorted(missing) == sorted(WITHOUT_A_ROW)


def _kin(cls: type) -> list[type]:
    """A class, what it inherits from, and what inherits from it."""
    return [*cls.__mro__, *type.__subclasses__(cls)]


def _is_protocol(cls: type) -> bool:
    return getattr(cls, "_is_protocol", False)


def _takes_arguments(name: str, method: object) -> bool:
    if name.startswith("_") and name != "__call__":
        return False
    function = getattr(method, "__func__", method)
    return inspect.isfunction(function) and len(inspect.signature(function).parameters) > 1
