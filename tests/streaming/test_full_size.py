"""Streams of full size in constant memory, in processes of their own; small ones in this one."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from elsa import tasks
from elsa.attention import streamed_gram
from tests.streaming import full_size

ROOT = Path(__file__).parents[2]
ROWS = {"generator": 100_000_000, "npy": 20_000_000, "parquet": 20_000_000}
BYTES = 4 * full_size.COLUMNS * ROWS["npy"]


def watched(kind, rows, path=""):
    """What a process of its own comes to, and its largest anonymous memory."""
    command = [sys.executable, "-m", "tests.streaming.full_size", kind, str(rows), str(path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=3 * 3600)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads Linux's own counts")
@pytest.mark.parametrize("kind", ROWS)
def test_a_stream_of_full_size_is_exact_in_a_gigabyte(kind, tmp_path, record_property):
    path = tmp_path / f"rows.{kind}"
    if kind != "generator":
        if shutil.disk_usage(tmp_path).free < 2 * BYTES:
            pytest.skip(f"needs {2 * BYTES / 1e9:.0f} GB of disk")
        full_size.write(kind, path, ROWS[kind])
    try:
        found = watched(kind, ROWS[kind], path)
    finally:
        path.unlink(missing_ok=True)
    assert found.pop("anonymous MB") <= 1000.0
    assert found.pop("gram") <= 1e-6
    assert len(found) == 3 and all(error <= 1e-5 for error in found.values()), found


@pytest.mark.parametrize("kind", ROWS)
def test_a_small_stream_of_the_same_kind_has_the_products_that_are_known(kind, tmp_path):
    """The known ones are those of no sum over the stream."""
    rows, path = 3 * full_size.BLOCK, tmp_path / "rows"
    if kind == "generator":
        source = full_size.blocks(rows)
    else:
        full_size.write(kind, path, rows)
        reader = tasks.NpyRows if kind == "npy" else tasks.ParquetRows
        source = reader(path, block_rows=34_567)
    products = full_size.exact(rows)[1]
    assert np.abs(streamed_gram(source) / products - 1.0).max() < 1e-12
