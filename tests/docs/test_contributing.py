"""How to add: the four files of the example and their entries, and what their experiment gives."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np

from scripts.readme_commands import fences

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
OPENING = re.compile(r"^`(?P<path>[\w/]+\.py)`, (with `(?P<entry>[^`]+)` in `(?P<table>[\w/.]+)`)?")


def example():
    """(path, code, entry or None, the file whose table gets it or None) for each file."""
    lines = TEXT.splitlines()
    for fence in fences(TEXT):
        opening = OPENING.match(lines[fence.line - 3])
        if opening:
            yield opening["path"], fence.text, opening["entry"], opening["table"]


def register(path, entry, table):
    """Adds an entry to the one table of a file, and the import of what it names."""
    text = table.read_text(encoding="utf-8")
    opening = re.compile(r"^(TASKS|MODELS|DRIVERS|__all__)\b.*[{\[].*$", re.MULTILINE)
    (begin,) = opening.finditer(text)
    text = f"{text[: begin.end()]}\n    {entry}{text[begin.end() :]}"
    name = entry.rstrip(",").split()[-1]
    if ":" not in entry or '"' not in name:  # a function of __all__, or a class
        module = path.removesuffix(".py").replace("/", ".")
        line = f"from {module} import {name.strip(chr(34))}\n"
        place = text.index("from elsa")
        text = text[:place] + line + text[place:]
    table.write_text(text, encoding="utf-8")


def get_config(mode):
    (code,) = (code for path, code, *_ in example() if path == "configs/signs.py")
    names = {}
    exec(compile(code, "configs/signs.py", "exec"), names)
    return names["get_config"](mode)


def test_a_task_a_model_an_algorithm_and_an_experiment_are_files_of_their_own(tmp_path):
    for folder in ("configs", "elsa", "experiments"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    written = {}
    for path, code, entry, table in example():
        assert not (tmp_path / path).exists()
        (tmp_path / path).write_text(code, encoding="utf-8")
        written[path] = len(code.splitlines())
        if entry:
            register(path, entry, tmp_path / table)
    assert [Path(path).parent.name for path in written] == [
        "tasks",
        "models",
        "algorithms",
        "trained",
        "configs",
    ]
    assert written["experiments/trained/signs.py"] <= 40
    assert written["configs/signs.py"] <= 25
    assert get_config("full").train.num_steps > get_config("quick").train.num_steps
    command = "experiments.run --config=configs/signs.py:quick --workdir=run"
    assert command.removesuffix(" --workdir=run") in TEXT
    done = subprocess.run(
        [sys.executable, "-m", *command.split()],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path), "COLUMNS": "140"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "risk of a trained step against that of the best one" in done.stdout
    assert (tmp_path / "run" / "figures" / "risk.png").read_bytes().startswith(b"\x89PNG")
    lines = (tmp_path / "run" / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    records = [json.loads(line) for line in lines]
    assert [record["point"]["context_length"] for record in records] == [5, 10]
    for record in records:
        assert abs(record["excess"]) <= 0.01 + 4 * record["evaluation_error"] / record["target"]
        assert record["preconditioner_distance"]["largest"] <= 1e-6  # of directions
        assert record["error_as_attention"] <= 1e-5  # float32
        n, d = record["point"]["context_length"], 3
        np.testing.assert_allclose(record["step_size"], 1 / (n + d + 1 + 0.1), rtol=0.02)
