"""The command as a process, on the terminals, pipes and locales that it may meet."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from experiments import run
from experiments.harness import listing
from tests.experiments.conftest import CONFIG

ROOT = Path(run.__file__).parents[1]
DRIVER = """
from matplotlib.figure import Figure
from rich.table import Table
from experiments.harness.experiment import Experiment
def tables(summary):
    table = Table("λ × 2", "error", title="κ → ∞")
    table.add_row("√η – Größe", "1e-3 ± 1")
    return [table]
EXPERIMENT = Experiment(
    cases=lambda config: {"λ": {}}, measure=lambda config, case, place: {"x": 1.0},
    summarise=lambda config, records: {"x": 1.0, "shown": "λ"}, tables=tables,
    figures=lambda config, records, summary: {"growth": Figure()})
"""
LAUNCH = """
import driver_of_letters
from absl import app
from elsa.base import streams
from experiments import run
run.DRIVERS['squares'] = 'driver_of_letters'
if __name__ == "__main__":
    with streams.guarded():
        app.run(run.main, flags_parser=run.parse_flags)
"""
ASCII = ("| sqrt eta - Grosse | 1e-3 +- 1 |", "kappa -> inf", "lambda x 2")
NO_UTF_8 = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
LATIN = ("| sqrt eta - Größe | 1e-3 ± 1 |", "lambda × 2")
TERMINALS = [  # environment, what follows the command, its exit code, what it prints
    ({"PYTHONIOENCODING": "ascii"}, "", 0, ASCII),
    ({"PYTHONIOENCODING": "ascii", "TERM": "dumb", "COLUMNS": "60"}, "<&-", 0, ASCII),
    ({"PYTHONIOENCODING": "latin-1"}, "", 0, LATIN),
    ({"PYTHONIOENCODING": "cp1252"}, "", 0, ("| sqrt eta – Größe | 1e-3 ± 1 |",)),
    (NO_UTF_8, "", 0, ASCII),
    ({"PYTHONIOENCODING": "utf-8"}, "", 0, ("│ √η – Größe │ 1e-3 ± 1 │",)),
    ({"PYTHONIOENCODING": "utf-8", "COLUMNS": "14"}, "", 0, ("error  1e-3 ±", "κ → ∞")),
    ({}, ">&-", 0, ()),
    ({}, "2>&-", 0, ("files:",)),
    ({}, ">&- 2>&- <&-", 0, ()),
    ({}, ">/dev/full", 1, ("error: cannot write standard output: No space left on device",)),
    ({}, ">/dev/full 2>/dev/full", 1, ()),
    ({}, "| head -c 1", 0, ("1",)),
]


@pytest.mark.slow
@pytest.mark.parametrize("environment, after, code, shown", TERMINALS)
def test_the_work_is_done_and_shown_on_every_terminal(tmp_path, environment, after, code, shown):
    (tmp_path / "squares.py").write_text(CONFIG, encoding="utf-8")
    (tmp_path / "driver_of_letters.py").write_text(DRIVER, encoding="utf-8")
    (tmp_path / "launch.py").write_text(LAUNCH, encoding="utf-8")
    words = f"{sys.executable} launch.py --config=squares.py '--workdir=Größe λ'"
    kept = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "PYTHONIOENCODING")}
    path = f"{ROOT}{os.pathsep}{tmp_path}"
    done = subprocess.run(
        ["bash", "-c", f"{words} {after}; exit ${{PIPESTATUS[0]}}"],
        cwd=tmp_path,
        env={**kept, **environment, "PYTHONPATH": path},
        capture_output=True,
    )
    encoding = environment.get("PYTHONIOENCODING", "utf-8")
    printed, said = done.stdout.decode(encoding), done.stderr.decode("utf-8")
    assert done.returncode == code, said
    assert "Traceback" not in said and "Exception ignored" not in said
    for text in shown:
        assert text in printed + said
    folder = tmp_path / "Größe λ"
    assert json.loads((folder / "summary.json").read_bytes())["shown"] == "λ"
    assert "Größe λ" in json.loads((folder / "env.json").read_bytes())["command"]
    assert (folder / "figures" / "growth.png").exists()


@pytest.mark.slow
def test_help_and_list_end_with_0_and_40_columns_show_every_claim():
    def command(*words, **environment):
        words = [sys.executable, "-m", "experiments.run", *words]
        kept = {**os.environ, **environment, "PYTHONIOENCODING": "ascii"}
        return subprocess.run(words, cwd=ROOT, env=kept, capture_output=True, text=True)

    helped = command("--help")
    assert helped.returncode == 0 and "--workdir" in helped.stdout
    listed = command("--list", COLUMNS="40")
    assert listed.returncode == 0 and max(map(len, listed.stdout.splitlines())) <= 40
    lines = listed.stdout.splitlines()
    for name in ("config", "claim", "time"):
        starts = [line for line in lines if line.startswith(f"{name}  ")]
        assert len(starts) == len(list(listing.files(ROOT / "configs")))
