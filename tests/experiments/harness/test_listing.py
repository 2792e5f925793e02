"""What `--list` reads from a config's docstring."""

import io
import re

import pytest
from rich.console import Console

from experiments.harness import command_line, listing

FULL = '''"""The error of gradient descent in context falls by the factor that theory
gives.

Run:    python -m experiments.run --config=configs/convergence.py
Vary:   --config.depth=64
Expect: a decay within 1% of theory.
Time:   about 30 s on 2 cores
        (quick: 5 s)
"""
'''


@pytest.mark.parametrize(
    "source, claim, time",
    [
        (
            FULL,
            "The error of gradient descent in context falls by the factor that theory gives.",
            "about 30 s on 2 cores (quick: 5 s)",
        ),
        ('"""A claim.\n\nExpect: 1\nTime: 5 s\nRun: x\n"""', "A claim.", "5 s"),
        ('"""A claim."""', "A claim.", ""),
        ("x = 1", "", ""),
        ("x = (", "(line 1: '(' was never closed)", ""),
    ],
)
def test_claim_and_time_come_from_the_docstring(source, claim, time):
    assert listing.claim_and_time(source) == (claim, time)


def test_the_table_names_every_config_as_it_is_reached_from_here(tmp_path, monkeypatch):
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "convergence.py").write_text(FULL)
    (tmp_path / "configs" / "a_longer_name_than_most.py").write_text('"""Second."""')
    for shared in ("__init__", "base"):
        (tmp_path / "configs" / f"{shared}.py").write_text("")
    monkeypatch.chdir(tmp_path)
    screen = Console(file=io.StringIO(), width=120)
    screen.print(listing.table(tmp_path / "configs"))
    shown = screen.file.getvalue()
    assert "configs/convergence.py" in shown and "configs/a_longer_name_than_most.py" in shown
    assert shown.index("a_longer") < shown.index("convergence") and "__init__" not in shown
    assert "configs/base.py" not in shown
    assert "times: on an idle laptop-class machine with 2 cores" in shown
    assert "NAME:quick: a smoke run" in shown and "its figures are not the result" in shown
    assert "(quick: 5 s)" in shown and "Second." in shown and "…" not in shown


def test_times_of_all_configs_are_written_alike():
    where = "(beside another experiment )?on 2 CPU cores|of one CPU core"
    kind = re.compile(rf"\d+ (s|min) ({where})(, [^;]+)?; NAME:quick \d+ s")
    for path in listing.files(command_line.CONFIGS):
        _, time = listing.claim_and_time(path.read_text("utf-8"))
        assert kind.fullmatch(time.replace(f"configs/{path.name}", "NAME")), f"{path.name}: {time}"
