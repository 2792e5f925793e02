"""The page of a run: self-contained HTML whose numbers are those of its files."""

import dataclasses
import html.parser
import json
import re
from pathlib import Path

import pytest
from rich.table import Table

from elsa.base.stopping import INTERRUPTED
from elsa.report import document
from experiments.harness import engine, run_page, typed
from experiments.harness.experiment import RunError

VOID = {"meta", "br", "wbr", "img", "input", "link"}
NASTY = "</script><script>alert(1)</script> & \"'<b>"


class Reader(html.parser.HTMLParser):
    """Open tags, ids, addresses and text of a page; an end without its start fails."""

    def __init__(self, page):
        super().__init__()
        self.open, self.seen, self.ids, self.addresses, self.text = [], [], [], [], []
        self.feed(page)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.seen.append(tag)
        self.open += [] if tag in VOID else [tag]
        named = dict(attributes)
        self.ids += [named["id"]] if "id" in named else []
        self.addresses += [named[key] for key in ("src", "href") if key in named]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def charts_of(page):
    found = re.search(r'<script type="application/json"[^>]*>(.*?)</script>', page, re.DOTALL)
    return json.loads(found[1])


@pytest.fixture
def run(squares, config, screen, tmp_path):
    """Runs the squares in one folder, with other functions if asked."""

    def call(**others):
        experiment = dataclasses.replace(squares.experiment, **others)
        engine.run(experiment, config, tmp_path / "run", screen=screen, command="python run.py")
        return (tmp_path / "run" / "report.html").read_text(encoding="utf-8")

    return call


def test_the_page_is_whole_loads_nothing_and_holds_the_numbers_of_records_and_figures(
    run, screen, tmp_path
):
    page = run()
    reader = Reader(page)
    assert len(reader.ids) == len(set(reader.ids)) and reader.seen.count("h1") == 1
    assert all(address.startswith(("#", "data:")) for address in reader.addresses)
    outside = set(re.findall(r"https?://[^\"' ]+", page))
    assert outside <= {"http://www.w3.org/2000/svg"}  # a name of XML, which no browser asks for
    (chart,) = charts_of(page)
    (curve,) = chart["panels"][0]["series"]
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    records = [json.loads(line) for line in lines]
    assert curve["x"] == [r["n"] for r in records] and curve["y"] == [r["square"] for r in records]
    text = "".join(reader.text)
    assert "Finished: 3 cases" in text and "python run.py --overwrite" in text
    assert screen.file.getvalue().rstrip().endswith(str(tmp_path / "run" / "report.html"))
    assert run() == page  # the same bytes when it is made again


def test_what_users_write_is_text(run, config):
    config.lock()
    with config.unlocked():
        config.note = NASTY
        config[NASTY] = 1

    def figures(config, records, summary):
        from matplotlib.figure import Figure

        figure = Figure()
        figure.subplots().plot([1, 2], [3, 4], label=NASTY)
        return {"growth": figure}

    page = run(figures=figures)
    reader = Reader(page)
    assert reader.seen.count("script") == 2 and "b" not in reader.seen
    assert "".join(reader.text).count(NASTY) >= 2
    assert charts_of(page)[0]["panels"][0]["series"][0]["name"] == NASTY
    Reader(document.paragraph("half a pair \ud800").strip())


@pytest.mark.parametrize("error", [KeyboardInterrupt(), RunError("no more")])
def test_a_run_that_was_stopped_has_a_page_that_says_so(run, squares, error, tmp_path):
    def stop(n):
        if n == 3:
            raise error

    squares.before = stop
    with pytest.raises(RunError):
        run()
    page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    text = "".join(Reader(page).text)
    assert "Stopped before its end: 2 of 3 cases are recorded" in text
    assert charts_of(page) == []
    squares.before = lambda n: None
    assert "Finished: 3 cases" in run()


def test_a_page_that_cannot_be_written_leaves_the_exit_code_of_the_stop(run, squares, monkeypatch):
    """As where the folder that the command was typed in is gone."""

    def gone(about_it):
        raise FileNotFoundError(2, "No such file or directory")

    def stop(n):
        raise KeyboardInterrupt

    squares.before = stop
    monkeypatch.setattr(run_page, "write", gone)
    with pytest.raises(RunError) as stopped:
        run()
    assert stopped.value.exit_code == INTERRUPTED


@pytest.mark.parametrize(
    "train, way",
    [
        ({"decay": "constant"}, "--extend"),
        ({}, "--branch=runs/one --workdir=runs/one-longer"),
        ({"decay": "constant", "patience": 3}, "--branch=runs/one --workdir=runs/one-longer"),
    ],
)
def test_the_command_that_trains_on_is_one_that_is_not_refused(train, way):
    config = {"train": {"num_steps": 200, **train}}
    shown = {"config": config, "environment": {}, "records": [], "cases": 1}
    page = run_page.page(
        run_page.Run(path=Path("runs/one"), command="elsa run x", grows=True, **shown)
    )
    assert f"elsa run x --config.train.num_steps=400 {way}<" in page


def test_commands_name_their_folder_and_hold_in_it_wherever_the_page_is_made(monkeypatch, tmp_path):
    monkeypatch.setattr(typed, "_start", [".venv/bin/elsa"])
    monkeypatch.chdir(tmp_path)

    def page(folder):
        environment = {"command": ".venv/bin/elsa run x --workdir=one", "folder": str(folder)}
        shown = {"config": {}, "environment": environment, "records": [], "cases": 1}
        return run_page.page(run_page.Run(path=Path("one"), **shown))

    here, there = page(tmp_path), page(tmp_path / "other")
    assert f"<code>cd {tmp_path}<" in here and "<code>.venv/bin/elsa report one OTHER_RUN<" in here
    assert f"<code>cd {tmp_path / 'other'}<" in there
    assert f"<code>{tmp_path}/.venv/bin/elsa report {tmp_path}/one OTHER_RUN<" in there


def test_numbers_and_flags_of_tables_break_nowhere_and_what_is_below_a_table_stays_there():
    table = Table("key", "value", title="above", caption="see --config.lam=44")
    table.add_row("a", "-1.5e-06")
    table.add_row("b", "x --config.seed=1")
    page = run_page.printed(table)
    assert '<td class="number">-1.5e-06</td>' in page
    assert '<td>x <span class="whole">--config.seed</span>=1</td>' in page
    assert page.index("above") < page.index("-1.5e-06") < page.index("config.lam")
