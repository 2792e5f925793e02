"""What a small version says of itself, and the command that it names."""

import shlex

import pytest

from experiments.harness import run_page, smoke, typed


@pytest.fixture
def command(monkeypatch):
    """The words of the full run, of a small one that was given these words."""
    monkeypatch.setattr(typed, "run", lambda: ["python", "-m", "experiments.run"])

    def words(spec, *given):
        said = smoke.line(spec, given)
        assert said.startswith(f"{spec} is a smoke run: its figures are not the result")
        first, *rest = shlex.split(said[said.index("`") + 1 : said.rindex("`")])
        assert [first, *rest[:2]] == ["python", "-m", "experiments.run"]
        return rest[2:]

    return words


def test_a_small_version_says_what_its_figures_are_worth(command):
    assert command("configs/train.py:quick") == ["--config=configs/train.py"]
    for full in ("configs/train.py", "configs/train.py:full"):
        assert smoke.line(full, ["--config.seed=1"]) == ""


def test_the_full_run_keeps_what_was_set_as_a_shell_takes_it(command):
    given = [
        *("--config.data.path=my houses.csv", "--config.data.target=price [$]"),
        *("--config.data.drop=it's,name", "--config.lam=0.5", "--config.methods=('ridge_elsa',)"),
    ]
    assert command("configs/convergence.py:quick", *given) == [
        "--config=configs/convergence.py",
        *given,
    ]
    given = ["--config.seed=3", "--sweep.task.noise_var=0.1,1", "--sweep_mode=zip"]
    assert command("configs/train.py:quick", *given)[1:] == given


def test_the_full_run_leaves_out_what_only_makes_a_run_small(command):
    small = [
        *("--config.train.num_steps=20", "--config.train.evaluate_every=10"),
        *("--config.train.warmup=5", "--config.num_seeds=1", "--config.eval_prompts=100"),
    ]
    kept = ["--config.train.learning_rate=1e-3", "--config.task.dim=3"]
    assert command("configs/train.py:quick", *small, *kept)[1:] == kept
    large = ["--config.num_seeds=500", "--config.train.evaluate_every=1"]  # of all its steps
    assert command("configs/train.py:quick", *large)[1:] == large


def test_the_command_elsa_takes_the_name(monkeypatch):
    monkeypatch.setattr(typed, "_start", ["elsa"])
    assert "`elsa run train --config.seed=2`" in smoke.line("train:quick", ["--config.seed=2"])


def test_the_command_of_a_run_tells_that_of_the_full_one(monkeypatch):
    began = "/env/bin/python -m experiments.run --config=configs/train.py:quick --workdir='a b'"
    monkeypatch.setattr(typed, "run", lambda: ["python", "-m", "experiments.run"])
    found = smoke.of_command(f"{began} --config.seed=2 --config.num_seeds=1")
    assert found == "python -m experiments.run --config=configs/train.py --config.seed=2"
    assert smoke.of_command(began.replace(":quick", "")) == smoke.of_command("") == ""


def test_the_page_of_a_small_version_names_the_full_one(monkeypatch):
    monkeypatch.setattr(typed, "run", lambda: ["python", "-m", "experiments.run"])
    said = run_page.smoke_line("python -m experiments.run --config=configs/train.py:quick")
    assert "a smoke run" in said and "--config=configs/train.py</" in said
    assert run_page.smoke_line("python -m experiments.run --config=configs/train.py") == ""
    assert run_page.smoke_line("python -m experiments.run --config=gone/away.py:quick") == ""
