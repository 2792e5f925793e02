"""--extend and --branch without any training: what is refused, set aside, and written down."""

import dataclasses
import json
from pathlib import Path

import pytest
from ml_collections import ConfigDict

from elsa.base import files
from experiments.harness import engine, going_on
from experiments.harness.experiment import REFUSED, Branch, RunError
from tests.experiments.harness.test_folder import tree


@pytest.fixture
def trains(squares):
    """The squares, as if their cases trained: places are kept, some configs cannot go on."""
    places = []

    def extends(config, case, folder):
        if config.train.decay != "constant":
            raise ValueError("extend: train.decay must be 'constant'")

    def branches(config, case, folder, branch, overwrite):
        if branch.at == "best":
            raise ValueError("no best checkpoint")

    def measure(config, case, place):
        places.append(place)
        return squares.experiment.measure(config, case, place)

    experiment = dataclasses.replace(
        squares.experiment, measure=measure, extends=extends, branches=branches
    )
    return experiment, places


def config_of(num_steps=400, decay="constant", **own):
    train = {"num_steps": num_steps, "decay": decay}
    shared = {"experiment": "squares", "sizes": (1, 2), "shift": 0.0, "repeats": 1}
    return ConfigDict({**shared, "train": train, **own})


@pytest.fixture
def go(trains, tmp_path, screen):
    """Runs in tmp_path / "run"."""
    return lambda config=None, **words: engine.run(
        trains[0], config or config_of(), tmp_path / "run", screen=screen, **words
    )


def test_an_extension_measures_again_and_sets_aside_what_the_shorter_run_left(
    go, squares, tmp_path, screen
):
    go()
    before = tree(tmp_path / "run")
    go(config_of(800), extend=True)
    assert squares.measured == [1, 2, 1, 2]
    after = tree(tmp_path / "run")
    assert json.loads(after["config.json"])["train"]["num_steps"] == 800
    for name in ("metrics.jsonl", "summary.json", "timing.json"):
        assert after[f"{name}.400"] == before[name] and name in after
    assert after["figures.400/growth.svg"] == before["figures/growth.svg"]
    told = "goes on from 400 to 800 steps; summary.json.400, timing.json.400, figures.400, metrics"
    assert told in " ".join(screen.file.getvalue().split())
    go(config_of(800), extend=True)  # the same command: nothing more to do
    assert squares.measured == [1, 2, 1, 2] and tree(tmp_path / "run") == after
    go(config_of(1200), extend=True)
    go(config_of(1200))
    assert tree(tmp_path / "run")["metrics.jsonl.800"] == after["metrics.jsonl"]


@pytest.mark.parametrize("kept", range(4))
def test_the_same_command_goes_on_wherever_an_extension_was_killed(
    go, squares, tmp_path, monkeypatch, kept
):
    go()
    records = (tmp_path / "run" / "metrics.jsonl").read_bytes()
    rename, write, done = files.rename_free, files.replace, []

    def killed(real):
        def call(*arguments):
            if len(done) == kept:
                raise SystemExit
            done.append(arguments)
            return real(*arguments)

        return call

    with monkeypatch.context() as patch:
        patch.setattr(files, "rename_free", killed(rename))
        patch.setattr(files, "replace", killed(write))
        with pytest.raises(SystemExit):
            go(config_of(800), extend=True)
    go(config_of(800), extend=True)
    assert squares.measured == [1, 2, 1, 2]
    after = tree(tmp_path / "run")
    assert after["metrics.jsonl.400"] == records
    assert {"summary.json", "summary.json.400", "figures/growth.png"} <= set(after)
    assert json.loads(after["config.json"])["train"]["num_steps"] == 800


@pytest.mark.parametrize(
    "asked, words, says",
    [
        (config_of(800), {}, "train.num_steps is 400 there, 800 is asked for"),
        (config_of(200), {"extend": True}, "a run of 400 steps, which --extend cannot shorten to"),
        (config_of(800, shift=1.0), {"extend": True}, "shift is 0.0 there, 1.0 is asked for"),
        (config_of(800, "cosine"), {"extend": True}, "train.decay is .constant. there, .cosine."),
        (config_of(800), {"extend": True, "overwrite": True}, "--overwrite starts anew"),
        (None, {"branch": Branch(Path("/there"), "best")}, "no best checkpoint"),
    ],
)
def test_what_is_refused_leaves_the_folder_as_it_was(go, tmp_path, asked, words, says):
    go()
    before = tree(tmp_path / "run")
    with pytest.raises(RunError, match=says) as caught:
        go(asked, **words)
    assert caught.value.exit_code == REFUSED and "\n" not in str(caught.value)
    assert tree(tmp_path / "run") == before


def test_what_the_driver_refuses_leaves_the_folder_as_it_was(go, tmp_path):
    go(config_of(decay="cosine"))
    before = tree(tmp_path / "run")
    with pytest.raises(RunError, match=r"^extend: train.decay must be 'constant'$") as caught:
        go(config_of(800, "cosine"), extend=True)
    assert caught.value.exit_code == REFUSED
    assert tree(tmp_path / "run") == before


def test_an_empty_folder_starts_a_run_and_a_refused_branch_makes_none(go, squares, tmp_path):
    with pytest.raises(RunError, match="no best checkpoint"):
        go(branch=Branch(Path("/there"), "best"))
    assert not (tmp_path / "run").exists()
    go(extend=True)
    assert squares.measured == [1, 2]


def test_a_folder_remembers_where_its_runs_start(go, trains, squares, tmp_path):
    start = Branch(Path("/there"), 40)

    def stop(n):
        if n == 2:
            raise KeyboardInterrupt

    squares.before = stop
    with pytest.raises(RunError, match="interrupted"):
        go(branch=start)
    squares.before = lambda n: None
    go()  # without the flag: all its runs start there
    assert [place.branch for place in trains[1]] == [start, start, start]
    assert going_on.origin_of(tmp_path / "run") == {"folder": "/there", "at": 40}
    with pytest.raises(RunError, match=r"a branch of /there@40, /there@newest is asked for"):
        go(branch=Branch(Path("/there"), "newest"))
    go(overwrite=True)
    assert trains[1][-1].branch is None and not (tmp_path / "run" / going_on.ORIGIN).exists()


def test_a_branch_of_its_own_folder_is_refused(go, tmp_path):
    with pytest.raises(RunError, match=r"--branch=.*/run/old lies in --workdir=.*/run"):
        go(branch=Branch(tmp_path / "run" / "old", "newest"))


def test_to_go_on_and_to_start_from_another_are_two_things(go, tmp_path):
    with pytest.raises(RunError, match="--branch starts from another's runs: leave one out"):
        go(extend=True, branch=Branch(tmp_path / "other", "newest"))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("words", [{"extend": True}, {"branch": Branch(Path("/there"), "newest")}])
def test_an_experiment_that_trains_nothing_refuses_the_flags(squares, tmp_path, screen, words):
    flag = next(iter(words))
    with pytest.raises(RunError, match=f"--{flag}: the experiment squares has no training runs"):
        engine.run(squares.experiment, config_of(), tmp_path / "run", screen=screen, **words)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "text, folder, at",
    [
        ("runs/a", "runs/a", "newest"),
        ("runs/a@best", "runs/a", "best"),
        ("runs/a@newest", "runs/a", "newest"),
        ("runs/a@800", "runs/a", 800),
        ("kept@home", "kept@home", "newest"),
        ("kept@home@7", "kept@home", 7),
    ],
)
def test_the_words_of_a_branch(tmp_path, monkeypatch, text, folder, at):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "kept@home").mkdir()
    assert going_on.branch_of(text) == (tmp_path / folder, at)


@pytest.mark.parametrize(
    "text, says",
    [
        ("", "--branch is empty"),
        ("runs/a@bset", "expected FOLDER@newest, FOLDER@be"),
        ("x" * 300, "--branch must be the folder of a run, got 'x{40}'.., 300 characters: File na"),
        (f"{'x' * 300}@y", "--branch must be the folder of a run, got 'x{40}'.., 302 characters: "),
    ],
)
def test_words_that_are_no_branch(text, says):
    with pytest.raises(RunError, match=says):
        going_on.branch_of(text)
