"""Runs on one page: a page of its own kind, and what is refused."""

import json
import shutil

import pytest

from elsa.report import style
from elsa.report.charts import chart
from experiments import report
from experiments.harness import comparison, engine, overlay
from experiments.harness.experiment import RunError


def test_twelve_runs_are_told_apart_and_the_page_says_so_beyond(squares, config, screen, tmp_path):
    charts = {}
    for number in range(13):
        figure, axes = style.figure()
        style.measured(axes, [1, 2], [number, 4], name="h3")
        charts[f"run {number}"] = chart(figure)
    (panel,) = overlay.overlaid(charts)["panels"]
    looks = [(one["colour"], one["second"]) for one in panel["series"]]
    assert len(set(looks[:12])) == 12 and looks[12] == looks[0]
    engine.run(squares.experiment, config, tmp_path / "0", screen=screen)
    paths = [shutil.copytree(tmp_path / "0", tmp_path / str(number)) for number in range(1, 14)]
    assert "the first repeat" not in comparison.page(comparison.read(paths[:12]))
    assert "From run 13 on the looks of the first repeat" in comparison.page(comparison.read(paths))


def test_the_command_writes_one_page_and_refuses_what_is_no_run_and_no_comparison(
    squares, config, screen, tmp_path, monkeypatch, capsys
):
    one, two, out = tmp_path / "one", tmp_path / "two", tmp_path / "page.html"
    engine.run(squares.experiment, config, one, screen=screen)
    shutil.copytree(one, two)
    (two / "summary.json").unlink()  # as of a run that was killed

    def call(*words, to=out):
        monkeypatch.setattr(report._OUT, "value", str(to), raising=False)
        return report.main(["report.py", *map(str, words)])

    sweep = tmp_path / "sweep"
    sweep.mkdir()
    (sweep / "sweep.json").write_text("{}")
    monkeypatch.setattr(report, "_OUT", type("Flag", (), {"value": ""})())
    assert call(one, two) == 0 and str(out) in capsys.readouterr().out
    page = out.read_text(encoding="utf-8")
    assert "comparison: one, two" in page and "stopped before its end" in page
    assert "data-chart" in page
    assert call(one, two) == 0 and out.read_text(encoding="utf-8") == page
    for words, to, said in (
        ([one, tmp_path / "no"], out, "holds no run"),
        ([one, one], out, "given twice"),
        ([], out, "no run given"),
        ([one], one / "report.html", "no comparison"),
        ([one], tmp_path, "is a folder"),
        ([sweep], out, "holds a sweep; give its runs"),
    ):
        capsys.readouterr()
        assert call(*words, to=to) == 2 and said in capsys.readouterr().err
    (one / "summary.json").write_text("[")
    with pytest.raises(RunError, match="cannot read the run in"):
        comparison.read([one])


def test_numbers_of_a_tables_columns_are_named_rounded_and_no_difference_where_they_look_alike(
    tmp_path,
):
    for name, last in {"one": 0.1 + 0.2, "two": 0.3}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text(json.dumps({"experiment": "x"}))
        answer = {"columns": ["age", "bmi"], "coefficients": [last, 1 / 3], "shape": [1, 2, 3]}
        (tmp_path / name / "summary.json").write_text(json.dumps({"answer": answer}))
    page = comparison.page(comparison.read([tmp_path / "one", tmp_path / "two"]))
    assert "answer.<wbr>coefficients, age" in page and page.count(">0.333333<") == 2
    assert page.count(">0.3<") == 2 and 'class="differs"' not in page
    assert "answer.columns" not in page and page.count("[1, 2, 3]") == 2
