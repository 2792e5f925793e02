"""The page of a sweep: its figure, its numbers, and links to the pages of its runs."""

import dataclasses
import os
import re
from urllib.parse import unquote

import pytest

from experiments.harness import engine, groups, sweep
from experiments.harness.experiment import RunError, Shown


def test_a_sweep_has_a_page_with_figure_table_and_links_to_every_run(
    squares, config, screen, tmp_path, monkeypatch
):
    monkeypatch.setattr(engine, "environment", lambda config, command: {"command": command})
    config.sizes, folder = (2,), tmp_path / "a sweep"
    drawn = dataclasses.replace(squares.experiment, figures=lambda *all: {})
    asked = sweep.ask(config, {"shift": "0.0,1.0"})

    def fails_at_one(config, case, place):
        if config.shift == 1.0:
            raise RunError("no number", exit_code=1)
        return drawn.measure(config, case, place)

    def run(**changed):
        experiment = dataclasses.replace(drawn, shown=Shown(main="square"), **changed)
        groups.run(experiment, config, asked, folder, screen=screen, command="make it again")
        return (folder / "report.html").read_text(encoding="utf-8")

    with pytest.raises(RunError, match="1 of 2 groups failed"):
        run(measure=fails_at_one)
    assert "<td>failed</td>" in (folder / "report.html").read_text(encoding="utf-8")
    page = run()
    links = re.findall(r'<a href="(groups/[^"]*)">', page)
    assert links == ["groups/shift%3D0.0/report.html", "groups/shift%3D1.0/report.html"]
    assert all((folder / unquote(link)).is_file() for link in links)
    assert page.count("<td>finished</td>") == 2 and 'data-chart="0"' in page
    assert "records of the sweep" in page and "make it again" in page
    assert f"<code>cd {os.getcwd()}<" in page and f"report &#x27;{folder}/groups&#x27;/*<" in page
    assert f"  {folder / 'report.html'}\n" in screen.file.getvalue()
