"""Rows a second of a streamed Gram matrix, beside what memory and the disk give at most.

A row is 20 float32 numbers, 80 bytes. The baseline of rows in memory is a copy of them by NumPy;
of rows in a file, the same bytes read without a look at them, from the page cache where the file
fits there.
"""

import functools
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness import Row, sample
from elsa import tasks
from elsa.attention import streamed_gram

ROWS, QUICK_ROWS, DIM, BLOCK = 2_000_000, 200_000, 20, 65_536
_BYTES = 2**22  # of a read


def run(repeats: int) -> Iterator[Row]:
    """Rows from memory, from .npy and from Parquet."""
    yield from of_size(ROWS, min(repeats, 7))


def quick(repeats: int) -> Iterator[Row]:
    """A tenth of them."""
    yield from of_size(QUICK_ROWS, repeats)


def of_size(rows: int, repeats: int) -> Iterator[Row]:
    """Each source beside the same bytes, moved and not multiplied."""
    import polars as pl

    data = np.random.default_rng(0).standard_normal((rows, DIM), np.float32)
    target = np.empty_like(data)
    with tempfile.TemporaryDirectory(prefix="elsa-bench-") as folder:
        npy, parquet = Path(folder) / "rows.npy", Path(folder) / "rows.parquet"
        np.save(npy, data)
        table = pl.DataFrame(data, [f"c{column}" for column in range(DIM)])
        table.write_parquet(parquet, compression="uncompressed", row_group_size=4 * BLOCK)
        sources: dict[str, tuple[Any, str, Callable[[], object]]] = {
            "an array": (data, "a copy by NumPy", lambda: np.copyto(target, data)),
            ".npy": (tasks.NpyRows(npy), "reading the file", lambda: _read(npy)),
            "Parquet": (tasks.ParquetRows(parquet), "reading the file", lambda: _read(parquet)),
        }
        for name, (source, baseline, move) in sources.items():
            case = f"streams, {rows} x {DIM} float32 from {name}"
            own = functools.partial(streamed_gram, source)
            turns = sample({baseline: move, "streamed_gram": own}, repeats=repeats, warm_up=1)
            rates = {n: tuple(rows / t for t in seconds) for n, seconds in turns.items()}
            yield from _rows(case, rates, baseline)


def _rows(case: str, rates: dict[str, tuple[float, ...]], baseline: str) -> Iterator[Row]:
    first = float(np.median(rates[baseline]))
    own = rates["streamed_gram"]
    yield Row(
        case,
        f"rate of {baseline}",
        first,
        "rows/s",
        turns=rates[baseline],
        judged=False,
        note=f"{first * 4 * DIM / 1e9:.2f} GB/s",
    )
    yield Row(
        case,
        f"rate of streamed_gram against {baseline}",
        float(np.median(own)),
        "rows/s",
        first,
        turns=own,
        baseline_turns=rates[baseline],
    )


def _read(path: Path) -> None:
    with path.open("rb", buffering=0) as file:
        while file.read(_BYTES):
            pass
