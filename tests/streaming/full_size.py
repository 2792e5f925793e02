"""One stream of full size in a process of its own, whose anonymous memory is watched.

    python -m tests.streaming.full_size generator|npy|parquet ROWS [PATH]

Block t of the stream is one drawn block B with column j times s_tj, a power of two with a sign, so
that float32 holds it exactly, and its products are known without summing them over the stream:

    sum_t (B diag(s_t))^T (B diag(s_t)) = (B^T B) o (S^T S)
"""

import json
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np

DIM, BLOCK, LAM = 20, 50_000, 3.0
COLUMNS = DIM + 1  # the labels last


def drawn() -> np.ndarray:
    """B: covariates that depend on one another, and labels, [BLOCK, COLUMNS]."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((BLOCK, DIM)) @ (np.eye(DIM) + 0.2 * rng.standard_normal((DIM, DIM)))
    y = x @ rng.standard_normal((DIM, 1)) + 0.5 * rng.standard_normal((BLOCK, 1))
    return np.hstack([x, y]).astype(np.float32)


def scales(rows: int) -> np.ndarray:
    """S, [blocks, COLUMNS]; the sign of covariates and labels is one, so that they stay related."""
    rng = np.random.default_rng(1)
    blocks = rows // BLOCK
    signs = rng.choice([-1.0, 1.0], (blocks, 1))
    return np.float32(signs * 2.0 ** rng.integers(-1, 2, (blocks, COLUMNS)))


def blocks(rows: int) -> Iterator[np.ndarray]:
    base = drawn()
    for scale in scales(rows):
        yield base * scale


def exact(rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Sums and products of all rows, in float64."""
    base, scale = drawn().astype(np.float64), scales(rows).astype(np.float64)
    return base.sum(axis=0) * scale.sum(axis=0), (base.T @ base) * (scale.T @ scale)


def write(kind: str, path: Path, rows: int) -> None:
    """The stream as a file, a block at a time."""
    if kind == "npy":
        file = np.lib.format.open_memmap(path, "w+", np.float32, (rows, COLUMNS))
        for number, block in enumerate(blocks(rows)):
            file[number * BLOCK : (number + 1) * BLOCK] = block
        return
    import polars as pl
    from polars.io.plugins import register_io_source

    schema = {f"c{column}": pl.Float32 for column in range(COLUMNS)}

    def source(columns: object, predicate: object, count: object, size: object) -> Iterator:
        yield from (pl.DataFrame(block, schema) for block in blocks(rows))

    table = register_io_source(source, schema=schema)
    table.sink_parquet(path, compression="uncompressed", row_group_size=4 * BLOCK)


def watch(peak: list[float], over: threading.Event) -> None:
    """Keeps the largest anonymous memory of this process in MB."""
    while not over.wait(0.02):
        status = Path("/proc/self/status").read_text().splitlines()
        line = next(line for line in status if line.startswith("RssAnon"))
        peak[0] = max(peak[0], int(line.split()[1]) / 1e3)


def main(kind: str, rows: int, path: str = "") -> None:
    import jax

    jax.config.update("jax_enable_x64", True)
    import elsa
    from elsa import algorithms, attention, constructions, tasks
    from elsa.estimators import AttentionRidge

    peak, over = [0.0], threading.Event()
    threading.Thread(target=watch, args=(peak, over), daemon=True).start()
    source = {
        "generator": lambda: lambda: blocks(rows),
        "npy": lambda: tasks.NpyRows(path),
        "parquet": lambda: tasks.ParquetRows(path),
    }[kind]()
    sums, products = exact(rows)
    gram = attention.streamed_gram(source)

    A, b = products[:DIM, :DIM] + LAM * np.eye(DIM), products[:DIM, DIM:]
    direct = np.linalg.solve(A, b)
    inputs = {"X": (1000, DIM), "y": (1000, 1), "lam": (1, 1), "Z": (DIM, DIM), "w": (DIM, 1)}
    compiled = elsa.compile(algorithms.newton_schulz_ridge(), inputs, depth=30)
    start = {"Z": np.eye(DIM) / np.trace(A), "w": np.zeros((DIM, 1)), "lam": LAM}
    by_step = compiled.streamed("X", "y", any_length=True)(source, **start)["w"]
    values = np.linalg.eigvalsh(A)
    step_size, depth = 2.0 / (values[0] + values[-1]), int(12 * values[-1] / values[0])
    by_hand = constructions.ridge_lsa_state(rows, DIM, depth, step_size)
    by_hand = by_hand.streamed("X", "y")(source, lam=LAM)["w"]

    mean = sums / rows
    about = products - rows * np.outer(mean, mean)
    spread = np.sqrt(np.diag(about)[:DIM] / rows)
    standard = about[:DIM, :DIM] / np.outer(spread, spread) + LAM * np.eye(DIM)
    slopes = np.linalg.solve(standard, about[:DIM, DIM] / spread) / spread
    fitted = AttentionRidge(LAM).fit_stream(source)
    over.set()

    def error(got: np.ndarray, wanted: np.ndarray) -> float:
        return float(np.linalg.norm(np.asarray(got) - wanted) / np.linalg.norm(wanted))

    print(
        json.dumps(
            {
                "gram": float(np.abs(gram / products - 1.0).max()),
                "compiled": error(by_step, direct),
                "by hand": error(by_hand, direct),
                "estimator": error(fitted.coef_, slopes),
                "anonymous MB": peak[0],
            }
        )
    )


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), *sys.argv[3:])
