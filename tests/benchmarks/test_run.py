"""The command: choice of cases, folder, comparison, exit codes; its cases here take no time."""

import json

import pytest

from benchmarks import harness, run, saved

SECONDS = {"value": 1.0}
DRAW = run.figure.draw


def fake(repeats):
    ours, turns = SECONDS["value"], (1.0,) * repeats
    yield harness.Row("fake", "time of theirs", 1.0, "s", turns=turns, judged=False)
    yield harness.Row(
        "fake", "time of ours against theirs", ours, "s", 1.0, limit=1.05,
        turns=(ours,) * repeats, baseline_turns=turns,
    )  # fmt: skip
    for at in (1.0, 10.0):
        yield harness.Row(
            "fake grows", f"time at n={at:g}", at, "s", axis="n", at=at, series="ours"
        )
    yield harness.Row("fake grows", "exponent", 1.0, "exponent", axis="n", series="ours", limit=1.1)
    yield harness.Row("fake grows", "of PyTorch", None, "s", judged=False, note="not installed")


def broken(repeats):
    yield harness.Row("broken", "before", 1.0, "s")
    raise RuntimeError("no such thing")


@pytest.fixture(autouse=True)
def _cases(monkeypatch, tmp_path):
    monkeypatch.setattr(run, "CASES", {"fake": fake, "other": fake, "broken": broken})
    monkeypatch.setattr(run, "QUICK", {"other": None})
    monkeypatch.setitem(SECONDS, "value", 1.0)
    monkeypatch.setattr(run.figure, "draw", lambda rows: [])  # a second each
    monkeypatch.chdir(tmp_path)


def test_results_figures_and_where_they_are(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(run.figure, "draw", DRAW)
    assert run.main(["--only=fake", "--repeats=3", "--output=out"]) == 0
    out = capsys.readouterr().out
    assert "1.05 kept" in out and "missing" in out and "not installed" in out
    for name in ("results.jsonl", "ratios.png", "growth.png"):
        assert f"out/{name}" in out and (tmp_path / "out" / name).stat().st_size > 0
    first, *rows = map(json.loads, (tmp_path / "out/results.jsonl").read_text().splitlines())
    assert {"cpu", "cores", "load", "versions", "peers", "device"} <= set(first["machine"])
    assert first["arguments"] == ["--only=fake", "--repeats=3", "--output=out"]
    assert [row["turns"] for row in rows[:2]] == [3, 3]
    assert {row["name"] for row in rows} == {"fake"} and all("load" in row for row in rows)
    assert set(saved.read(tmp_path / "out").rows) == {(r["case"], r["metric"]) for r in rows}


def test_a_folder_of_its_own_below_runs(capsys, tmp_path):
    assert run.main(["--only=fake", "--repeats=1"]) == 0
    assert len(list((tmp_path / "runs/bench").glob("*/results.jsonl"))) == 1


def test_a_planted_regression_fails_and_is_named(capsys):
    assert run.main(["--only=fake", "--repeats=5", "--output=before"]) == 0
    assert run.main(["--only=fake", "--repeats=5", "--output=same", "--compare=before"]) == 0
    assert "0 regressed" in capsys.readouterr().out
    SECONDS["value"] = 1.5
    slower = ["--only=fake", "--repeats=5", "--compare=before/results.jsonl"]
    assert run.main([*slower, "--output=slower"]) == 1
    out = capsys.readouterr().out
    assert "measured once more: fake" in out and "1 regressed" in out
    assert "regressed: fake: time of ours against theirs: 1 -> 1.5 ratio, 1.50x worse" in out
    assert run.main([*slower, "--output=let_pass", "--tolerance=0.6"]) == 0


def test_a_regression_that_is_gone_at_the_second_look_is_none(capsys, monkeypatch):
    assert run.main(["--only=fake", "--repeats=5", "--output=before"]) == 0

    def once(repeats):
        SECONDS["value"] = 3.0 - SECONDS["value"]  # 2, then 1 again
        yield from fake(repeats)

    monkeypatch.setitem(run.CASES, "fake", once)
    assert run.main(["--only=fake", "--repeats=5", "--output=now", "--compare=before"]) == 0
    assert "measured once more: fake" in capsys.readouterr().out


def test_a_case_that_fails_is_named_and_the_others_run(capsys):
    assert run.main(["--only=broken", "--only=fake", "--repeats=1", "--output=out"]) == 1
    told = capsys.readouterr()
    assert "failed: broken" in told.out and "no such thing" in told.err
    assert [key[0] for key in saved.read(run.Path("out")).rows][:2] == ["broken", "fake"]


def test_ctrl_c_keeps_what_was_measured(capsys, monkeypatch):
    def stopped(repeats):
        yield from fake(repeats)
        raise KeyboardInterrupt

    monkeypatch.setitem(run.CASES, "fake", stopped)
    assert run.main(["--only=fake", "--repeats=1", "--output=out"]) == 130
    assert "results: out/results.jsonl" in capsys.readouterr().out
    assert len(saved.read(run.Path("out")).rows) == 6


def test_quick_leaves_out_what_is_long_unless_it_is_named():
    assert set(run.chosen_cases(None, quick=False)) == {"fake", "other", "broken"}
    assert set(run.chosen_cases(None, quick=True)) == {"fake", "broken"}
    assert set(run.chosen_cases(["other"], quick=True)) == {"other"}


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--only=none"], "choose from"),
        (["--repeats=0"], "must be at least 1, got 0"),
        (["--compare=nowhere"], "nowhere"),
        (["--compare=text"], "text, line 1"),
        (["--compare=empty"], "holds no rows"),
        (["--compare=bytes"], "no result of a benchmark run"),
        (["--compare=list"], "machine is no JSON object"),
        (["--compare=short"], "short, line 2: case is missing"),
        (["--compare=words"], "value must be a number or null, got 'fast'"),
        (["--compare=kinds"], "judged must be a bool, got 1"),
        (["--tolerance=0"], "tolerance must be above 0, got 0.0"),
        (["--output=taken"], "holds results already"),
    ],
)
def test_wrong_arguments_are_refused(arguments, message, capsys, tmp_path):
    head = '{"machine": {}, "arguments": []}\n'
    row = {"case": "c", "metric": "m", "unit": "s", "judged": True, "turns": 0}
    numbers = dict.fromkeys(["value", "baseline", "ratio", "low", "high"])
    files = {
        "text": "fast", "empty": head, "list": '{"machine": []}\n', "short": head + "{}\n",
        "words": head + json.dumps(row | numbers | {"value": "fast"}) + "\n",
        "kinds": head + json.dumps(row | numbers | {"judged": 1}) + "\n",
    }  # fmt: skip
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / saved.RESULTS).write_text("")
    with pytest.raises(SystemExit) as stopped:
        run.main([*arguments, "--only=fake"])
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err
