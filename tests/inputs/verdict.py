"""What a call with one spoilt argument came to, and which mutations mean something.

Good are an error of the library's own, raised by it in words that name the argument, and a right
result. All else is bad: `raw`, an error of Python, NumPy or jax, or one that names something else;
`silent`, a result where an error is due; `hangs`.
"""

import dataclasses
import dis
import functools
import re
import signal
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, NamedTuple

import jax
import numpy as np
from flax import nnx

import elsa
from elsa import training
from elsa.heads.head import Head
from elsa.prompts.layout import BlockLayout
from tests.inputs.calls import Call
from tests.inputs.mutations import VALUES, mutations
from tests.inputs.partners import partners

SECONDS = 20  # for one case
ROOT = str(Path(elsa.__file__).parent)
NAN_TOO = "NaN too"  # what the meanings say where a result of NaN is documented
GOOD = ("refused", "right")
_RTOL = 1e-9


class Case(NamedTuple):
    callable: str
    argument: str
    kind: str
    verdict: str
    said: str

    def __str__(self) -> str:
        return f"{self.callable}({self.argument}: {self.kind}) {self.verdict}: {self.said}"


def judged(
    name: str,
    call: Call,
    admitted: Callable[..., bool | str],
    chosen: Callable[[str, str, str], bool],
) -> Iterator[Case]:
    """Every argument of a call under every mutation, of those that are chosen."""
    expected = functools.cache(lambda: _numbers(call.run()))
    for argument, value in call.arguments.items():
        for kind, spoilt in mutations(value):
            if chosen(name, argument, kind):
                admits = admitted(name, call, argument, kind)
                verdict, said = _judge(name, call, argument, kind, spoilt, expected, admits)
                yield Case(name, argument, kind, verdict, said)


def _judge(
    name: str,
    call: Call,
    argument: str,
    kind: str,
    spoilt: Any,
    expected: Callable[[], list[np.ndarray]],
    admits: bool | str,
) -> tuple[str, str]:
    field = kind.partition(":")[0] if ":" in kind else argument
    kind = kind.rpartition(": ")[2]
    try:
        result = _in_time(call, argument, spoilt)
    except TimeoutError:
        return "hangs", f"longer than {SECONDS} s"
    except Exception as error:
        named = {argument, field, *_entries(spoilt), *_entries(call.arguments[argument])}
        named |= partners(name, argument)
        text = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        if not _raised_by_us(error.__traceback__):
            return "raw", text
        told = _names(str(error), named) or _shows(str(error), spoilt)
        return ("refused" if told else "other"), text
    numbers = _numbers(result)
    if kind.startswith("same"):
        right = _equal(numbers, expected(), _RTOL)
        return ("right", "") if right else ("silent", "not the same result")
    if kind == "close":
        right = _equal(numbers, expected(), 1e-3)
        return ("right", "") if right else ("silent", "not the same result")
    if not admits:
        return "silent", type(result).__name__
    if kind in VALUES or admits == NAN_TOO:
        return "right", ""
    nan = any(np.isnan(array).any() for array in numbers)
    return ("silent", "NaN") if nan else ("right", "")


def _entries(value: Any) -> list[str]:
    """An error about a mapping may name the entry that is wrong."""
    return [name for name in value if isinstance(name, str)] if isinstance(value, Mapping) else []


def _in_time(call: Call, argument: str, spoilt: Any) -> Any:
    def late(signum: int, frame: FrameType | None) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        result = call.run(**{argument: spoilt})
        return jax.block_until_ready(result) if isinstance(result, jax.Array) else result
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _raised_by_us(trace: TracebackType | None) -> bool:
    """Whether the innermost frame is a `raise` statement of the library."""
    if trace is None:
        return False
    while trace.tb_next is not None:
        trace = trace.tb_next
    code = trace.tb_frame.f_code
    if not code.co_filename.startswith(ROOT):
        return False
    return dis.opname[code.co_code[trace.tb_lasti]] in ("RAISE_VARARGS", "RERAISE")


def _shows(text: str, spoilt: Any) -> bool:
    """Of a name that is none: an error that shows it, and the known ones."""
    shown = [spoilt, *spoilt] if isinstance(spoilt, list | tuple | str) else [spoilt]
    shown += spoilt.values() if isinstance(spoilt, Mapping) else []
    return "unknown" in text and any(repr(value) in text for value in shown)


def _names(text: str, wanted: set[str]) -> bool:
    return any(re.search(rf"\b{re.escape(name)}\b", text) for name in wanted)


def _numbers(result: Any) -> list[np.ndarray]:
    """The real numbers in a result, in order: a module's weights, a head's terms, fields."""
    result = nnx.state(result, nnx.Param) if isinstance(result, nnx.Module) else result
    if isinstance(result, Head):
        terms = (*result.query, *result.key, *result.value)
        result = [(term.span.start, term.span.stop, term.matrix) for term in terms]
    if isinstance(result, BlockLayout):
        result = (result.shape, [tuple(box) for box in result.blocks.values()])
    if isinstance(result, training.RunSettings):  # holds what it was asked for, looked at by `fit`
        result = (result.train, result.seed, result.num_seeds)
    if isinstance(result, training.Trained):  # not how long its metrics are
        result = result.state
    if dataclasses.is_dataclass(result):  # also those that are no pytree, or hold sizes alone
        result = [getattr(result, field.name) for field in dataclasses.fields(result)]
    kinds = (int, float, np.ndarray, np.generic, jax.Array)
    leaves = [leaf for leaf in jax.tree.leaves(result) if isinstance(leaf, kinds)]
    found = [np.asarray(leaf) for leaf in leaves if not _is_key(leaf)]
    return [array.astype(float) for array in found if array.dtype.kind in "fiub"]


def _is_key(leaf: Any) -> bool:
    return isinstance(leaf, jax.Array) and jax.numpy.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _equal(numbers: list[np.ndarray], expected: list[np.ndarray], rtol: float) -> bool:
    """Entry by entry; a list may have come back as its entries."""
    one, other = (
        np.concatenate([a.ravel() for a in arrays] or [[]]) for arrays in (numbers, expected)
    )
    return one.shape == other.shape and np.allclose(one, other, rtol, rtol, equal_nan=True)
