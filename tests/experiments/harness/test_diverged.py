"""The end of a command of which points diverged: who, the rate to lower, and the exit code."""

import dataclasses

import polars as pl
import pytest

from experiments.harness import diverged, engine, groups, sweep
from experiments.harness.experiment import FAILED

RATE = {"key": "config.train.learning_rate", "rate": 0.5}


def lost(*seeds):
    return {"lost": {"seeds": [{"seed": n, "step": step} for n, step in seeds], **RATE}}


SOUND = {"risk": 1.0, "risks": [1.0, 1.0]}
GONE = {"risk": None, "risks": [None, None], **lost((0, 12), (1, 1234))}


@pytest.fixture
def driver(squares, monkeypatch):
    """The squares, of which those below zero diverge, shift and all."""
    monkeypatch.setattr(engine, "environment", lambda config, command: {})

    def measure(config, case, place):
        squares.measured.append((case["n"], config.shift))
        return {**(SOUND if config.shift >= 0 and case["n"] != 2 else GONE), "square": 1.0}

    return dataclasses.replace(squares.experiment, measure=measure, figures=lambda *all: {})


def test_a_line_names_point_seeds_steps_and_the_rate_that_it_had():
    record = {"case": "merged", "point": {"noise_var": 0.5, "n": 3}, **GONE}
    (line,) = diverged.lines([{"case": "other", **SOUND}, record], {"depth": 2})
    assert line == (
        "merged at depth = 2, noise_var = 0.5, n = 3: seed 0 in step 12, seed 1 in step 1,234; "
        "a lower --config.train.learning_rate may help, it was 0.5"
    )
    partly = {"case": "merged", "risk": 1.0, "risks": [1.0, None, 1.0], **lost((1, None))}
    (line,) = diverged.lines([partly])
    assert line.startswith("merged: seed 1 (its risk is not finite) of 3; a lower ")
    assert not diverged.nothing_is_left([partly]) and diverged.nothing_is_left([record])
    assert not diverged.nothing_is_left([]) and not diverged.nothing_is_left([record, SOUND])
    many = diverged.said([f"point {n}" for n in range(14)], of=20)
    assert many.startswith("diverged: 14 of 20 points, recorded as such; ")
    assert many.endswith("\n  point 9\n  and 4 more, `status` diverged in the table")


def test_a_run_ends_with_what_diverged_and_measures_nothing_again(
    driver, squares, config, screen, tmp_path
):
    for _ in range(2):
        engine.run(driver, config, tmp_path, screen=screen)
        last = screen.file.getvalue().splitlines()[-2:]
        assert last[0].startswith("diverged: 1 of 3 points, recorded as such; all else has its")
        assert last[1].startswith("  n = 2: seed 0 in step 12, seed 1 in step 1,234; a lower ")
    assert squares.measured == [(1, 0.0), (2, 0.0), (3, 0.0)]
    config.sizes = (2,)
    with pytest.raises(diverged.NothingLeftError, match="1 of 1 points") as caught:
        engine.run(driver, config, tmp_path / "none", screen=screen)
    assert caught.value.exit_code == FAILED and (tmp_path / "none" / "summary.json").exists()


def test_a_sweep_ends_with_what_diverged_and_only_where_nothing_is_left_with_1(
    driver, squares, config, screen, tmp_path
):
    config.sizes = (1,)

    def run(values, folder):
        asked = sweep.ask(config, {"shift": values})
        return groups.run(driver, config, asked, tmp_path / folder, screen=screen)

    for _ in range(2):
        found = run("-1.0,0.0,1.0", "some")
        assert found.group_by("shift", maintain_order=True).agg(pl.col("status")).rows() == [
            (-1.0, ["diverged"] * 2),
            (0.0, ["done"] * 2),
            (1.0, ["done"] * 2),
        ]
        last = screen.file.getvalue().splitlines()[-2:]
        assert last[0].startswith("diverged: 1 of 3 points, ")
        assert last[1].startswith("  n = 1 at shift = -1: seed 0 in step 12, ")
    assert squares.measured == [(1, -1.0), (1, 0.0), (1, 1.0)]
    with pytest.raises(diverged.NothingLeftError, match="diverged: 2 of 2 points"):
        run("-1.0,-2.0", "none")
