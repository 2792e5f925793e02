"""The lines of metrics.jsonl: one JSON object per record, in the order the cases ran.

Every line holds `case` (its name) and `seconds` (wall time of the whole case). A case of several
records writes one line for each, numbered by `part` (from 0) of `parts`. A line ends in `chain`, a
digest that no record has once it is read.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from elsa.base import strict_json
from experiments.harness import chain
from experiments.harness.chain import LineError

Record = dict[str, Any]
_OURS = ("case", "seconds", "part", "parts", chain.FIELD)


def dump(
    case: str,
    results: Mapping[str, Any] | Sequence[Mapping[str, Any]],
    *,
    seconds: float,
    after: str | None = None,
) -> bytes:
    """The lines of one case.

    Args:
      case: its name.
      results: what was measured, one record or several.
      seconds: wall time of the case.
      after: the digest of the last line before them; None writes lines without any.

    Raises:
      ValueError: naming case and field, for NaN, infinity or a field name of ours; naming the case
        if there is no record.
      TypeError: naming case and field, for anything but a plain JSON value.
    """
    where = f"case {case!r}"
    single = isinstance(results, Mapping)
    records = [results] if isinstance(results, Mapping) else list(results)
    if not records:
        raise ValueError(f"{where}: it measured nothing; a case gives at least one record")
    lines = []
    for part, record in enumerate(records):
        taken = [name for name in _OURS if name in record]
        if taken:
            raise ValueError(f"{where}: the field {taken[0]!r} is the run folder's own")
        numbers = {} if single else {"part": part, "parts": len(records)}
        line = {"case": case, **numbers, "seconds": round(seconds, 6), **record}
        text = strict_json.dumps(line, where=where)
        if after is not None:
            linked = chain.linked(strict_json.loads(text), after)
            after, text = linked[chain.FIELD], strict_json.dumps(linked, where=where)
        lines.append(text + "\n")
    return "".join(lines).encode()


def parse(data: bytes) -> tuple[list[Record], int, str]:
    """The records of a file, how many of its bytes they take, and a word on what was cut off.

    A kill can cut the last line, or the lines of the last case; these are left out, and described
    in the third value, which is empty otherwise.

    Raises:
      LineError: for anything else that is not as `dump` writes it.
    """
    *lines, cut = data.split(b"\n")
    records = [_record(number, line) for number, line in enumerate(lines, start=1)]
    seen: set[str] = set()
    start = 0
    while start < len(records):
        case, parts = records[start]["case"], records[start].get("parts", 1)
        if case in seen:
            raise LineError(start + 1, f"case {case!r} is recorded twice")
        group = records[start : start + parts]
        for part, record in enumerate(group):
            head = record["case"], record.get("part", 0), record.get("parts", 1)
            if head != (case, part, parts):
                raise LineError(
                    start + part + 1,
                    f"expected part {part} of {parts} of case {case!r}, "
                    f"got part {head[1]} of {head[2]} of case {head[0]!r}",
                )
        if len(group) < parts:
            dropped = f"only {len(group)} of the {parts} records of case {case!r} were written"
            return records[:start], sum(len(line) + 1 for line in lines[:start]), dropped
        seen.add(case)
        start += parts
    return records, len(data) - len(cut), "its last line was cut off" if cut else ""


def _record(number: int, line: bytes) -> Record:
    try:
        record = strict_json.loads(line)
    except ValueError as error:
        raise LineError(number, f"no JSON ({error})") from error
    if not isinstance(record, dict) or not isinstance(record.get("case"), str):
        raise LineError(number, "no record of a case")
    parts = record.get("parts", 1)
    if type(parts) is not int or parts < 1:
        raise LineError(number, f"parts must be a whole number from 1 on, got {parts!r}")
    seconds = record.get("seconds", 0.0)  # which the chain leaves out
    if type(seconds) not in (int, float):
        raise LineError(number, f"seconds must be a number, got {seconds!r}")
    record.pop(chain.FIELD, None)
    return record
