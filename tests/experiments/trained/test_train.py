"""One config that builds, trains and measures any architecture on any prompt."""

import io
import itertools
import json

import jax
import numpy as np
import pytest
from rich.console import Console

from configs import train as config_file
from elsa import theory, training
from elsa.training import progress
from experiments.harness import command_line, engine, sweep
from experiments.harness.experiment import RunError
from experiments.trained import architecture_table, closed_forms, train, train_figures
from tests.helpers import wide

BY_HAND = ["model.init=construction", "prompt.layout=natural", "train.num_steps=0"]


@pytest.fixture(autouse=True)
def single_precision():
    """As `experiments.run` sets it for this config."""
    with jax.enable_x64(False):
        yield


def config_of(*words, mode="quick"):
    """The config with overrides of the command line."""
    config = config_file.get_config(mode).lock()
    command_line.apply_overrides(config, [f"--config.{word}" for word in words])
    return config


def small(*words):
    """A config that runs in seconds."""
    few = ["eval_prompts=256", "watch_prompts=64", "num_seeds=1", "train.warmup=10"]
    steps = (
        []
        if any(w.startswith("train.num_steps") for w in words)
        else ["train.num_steps=50", "train.evaluate_every=10"]
    )
    return config_of(*few, *steps, *words)


def ran(config, folder, screen=None):
    engine.run(train.EXPERIMENT, config, folder, screen=screen or Console(quiet=True))
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def test_what_is_built_by_hand_descends_to_ridge_layer_by_layer(tmp_path):
    """At every step the distance to ridge is that of gradient descent, and none is to descent."""
    (record,) = ran(small(*BY_HAND, "model.depth=3"), tmp_path)
    watched = {name: value[0][0] for name, value in record["watched"].items()}
    assert record["watched_steps"] == [0] and record["depth"] == 6
    steps = [watched[f"ridge/{layer}"] for layer in range(0, 7, 2)]
    np.testing.assert_allclose(steps, record["algorithm_to_ridge"], rtol=1e-4)
    assert all(after < before for before, after in itertools.pairwise(steps))
    assert all(watched[f"gradient_descent/{layer}"] < 1e-5 for layer in range(0, 7, 2))
    assert watched["w/6"] < watched["w/0"] == 1.0
    assert {path.stem for path in (tmp_path / "figures").glob("*.png")} == {
        "distance_to_ridge",
        "predictions",
    }


BESIDE = {  # start, its algorithm: key and label, and the layers that end a step
    "compiled": (
        [
            *("prompt.layout=natural", "model.init=compiled"),
            "model.algorithm=newton_schulz_ridge",
        ],
        ("newton_schulz_ridge", "Newton-Schulz"),
        [2, 3, 4],
    ),
    "a prompt without the regulariser": (
        ["model.init=construction", "model.architecture=lsa"],
        ("gradient_descent", "gradient descent on least squares"),
        [0, 1, 2, 3],
    ),
}


@pytest.mark.parametrize("start", wide(BESIDE, keep=["compiled"]))
def test_what_is_built_is_set_beside_its_own_algorithm(start, tmp_path):
    words, (name, label), layers = BESIDE[start]
    (record,) = ran(small(*words, "model.depth=3", "train.num_steps=0"), tmp_path)
    assert record["algorithm"] == label and record["step_layers"] == layers
    watched = {key: value[0][0] for key, value in record["watched"].items()}
    assert all(watched[f"{name}/{layer}"] < 1e-5 for layer in layers)
    to_ridge = [watched[f"ridge/{layer}"] for layer in layers]
    np.testing.assert_allclose(to_ridge, record["algorithm_to_ridge"], rtol=1e-4)


def test_what_is_trained_comes_closer_and_is_drawn(tmp_path, monkeypatch):
    monkeypatch.setattr(progress, "_LOG_SECONDS", -1.0)
    screen = Console(file=io.StringIO(), width=120)
    (record,) = ran(small("model.architecture=lsa", "model.depth=1"), tmp_path, screen)
    assert f"(ridge {record['target']:.4g})" in screen.file.getvalue()
    losses = np.array(record["along_training"]["losses"])
    assert losses[-1] < losses[0] and record["lines"]["ridge"] < record["risk"]
    watched = record["watched"]["ridge/1"]
    assert watched[-1][0] < watched[0][0]
    drawn = {path.stem for path in (tmp_path / "figures").glob("*.png")}
    assert drawn == {"distance_to_ridge", "predictions", "risk", "loss"}
    _, _, model = training.load(tmp_path)  # the folder alone is enough
    assert model.num_layers == 1


CANNOT = {  # architecture, layout and start that are refused, each with the list of what can
    "gpt2 on the designed prompt": ["model.architecture=gpt2", "prompt.layout=designed"],
    "softmax by hand": ["model.architecture=softmax", "model.init=construction"],
    "h3 of two layers": ["model.architecture=h3", "model.depth=2"],
    "lsa on the natural prompt by hand": ["model.architecture=lsa", *BY_HAND],
    "lsa compiled": [
        *("model.architecture=lsa", "model.init=compiled"),
        "prompt.layout=natural",
    ],
    "by hand on the transposed prompt": ["model.init=construction", "prompt.layout=transposed"],
    "noise on GPT-2": ["model.architecture=gpt2", "model.noise=0.1"],
    "an unknown one": ["model.architecture=mamba"],
    "an unknown layout": ["prompt.layout=naturl"],
    "an unknown start": ["model.init=compild"],
    "unknown biases": ["model.biases=rle"],
    "an unknown step": [
        *("prompt.layout=natural", "model.init=compiled"),
        "model.algorithm=newton_schulz",
    ],
    "GPT-2 of no layers": ["model.architecture=gpt2", "model.depth=0"],
    "a stack of less than none": ["model.depth=-1"],
}


def test_what_cannot_be_built_is_refused_with_what_can():
    for case, words in CANNOT.items():
        with pytest.raises(ValueError, match="What can be built") as refused:
            train.check(small(*words))
        listed = str(refused.value)
        assert all(name in listed for name in architecture_table.ARCHITECTURES), case
        near = {"naturl": "natural", "compild": "compiled", "newton_schulz": "newton_schulz_ridge"}
        _, _, value = words[-1].partition("=")
        assert value not in near or f"did you mean {near[value]}" in listed, case


LATE = {  # what can only be evaluated there, and would end a run after its training
    "gpt2 on longer contexts": ["model.architecture=gpt2", "evaluate.context_length=(32,)"],
    "biases by position": ["model.biases=position", "evaluate.context_length=(32,)"],
    "an untied stack deeper": ["evaluate.depth=(4,)"],
    "a table shifted": ["task.name=table", "evaluate.query_scale=(2.0,)"],
    "a covariance of another size": ["evaluate.cov_x=((1,2,3),)"],
    "an unknown task": ["evaluate.task=retrievl alignment=0.5"],
    "a task of another dim": ["evaluate.task=retrieval alignment=0.5 dim=3"],
    "a task with numbers it has not": ["evaluate.task=retrieval alignment=0.5 cov_x=(1,1)"],
    "a drift of another length": ["evaluate.task=drift context_length=3"],
}


def test_what_cannot_be_evaluated_is_refused_before_training():
    for case, words in LATE.items():
        key = words[-1].partition("=")[0].partition(".")[2]
        with pytest.raises(
            (ValueError, TypeError, KeyError), match=rf"config\.evaluate\.{key}\b"
        ) as refused:
            train.check(small(*words))
        assert "leaves it out" in str(refused.value) or "must have one number" in str(
            refused.value
        ), case


def test_other_laws_are_drawn_beside_theory(tmp_path):
    """Covariances and other tasks: the risk of one step of descent is that of its own law."""
    (record,) = ran(
        small(
            *("model.architecture=lsa", "model.init=construction", "model.depth=1"),
            *("train.num_steps=0", "evaluate.cov_x=((4, 0.25),)", "eval_prompts=4096"),
            "evaluate.task=retrieval alignment=0.5",
        ),
        tmp_path,
    )
    entries = record["elsewhere"]
    assert [entry["value"] for entry in entries] == [[4, 0.25], "retrieval alignment=0.5"]
    eta, n = record["step_size"], 8
    setting = theory.Setting(dim=2, context_length=n, noise_var=0.25, cov_x=np.diag([4.0, 0.25]))
    expected = theory.pgd_risk(eta / n * np.eye(2), setting)
    assert abs(entries[0]["mean"] - expected) < 4 * entries[0]["standard_error"]
    assert entries[0]["lines"][closed_forms.ONE_STEP] < expected
    assert set(entries[1]["lines"]) == {closed_forms.ONE_STEP}
    assert (tmp_path / "figures" / "other_laws.png").exists()


def test_keys_that_do_nothing_are_refused():
    for word in ("model.num_heads=2", "model.key_size=3", "model.init_scale=1.0"):
        with pytest.raises(ValueError, match=rf"{word.partition('=')[0]}.*model\.init='constr"):
            train.check(small(*BY_HAND, word))
    with pytest.raises(ValueError, match=r"model\.noise=0\.1 and model\.init='random'"):
        train.check(small("model.noise=0.1"))
    with pytest.raises(ValueError, match=r"train: task\.noise_var must be at least 0\.0, got nan"):
        train.check(small("task.noise_var=nan"))
    with pytest.raises(ValueError, match=r"train: prompt\.lam must be at least 0\.0, got -1"):
        train.check(small("prompt.lam=-1.0"))
    for word in ("task.noise_var=inf", "prompt.lam=inf"):  # of a table, or where nothing is built
        for other in ("task.name=table", "model.architecture=gpt2"):
            with pytest.raises(ValueError, match=rf"train: {word[:-4]} must be finite, got inf"):
                train.check(small(other, word))
    with pytest.raises(ValueError, match=r"name a CSV file by data\.path"):
        train.check(small("data.target=price"))


@pytest.mark.parametrize("name", architecture_table.ARCHITECTURES)
def test_every_architecture_is_built_by_its_name_alone(name):
    train.check(small(f"model.architecture={name}"))


def test_boxes_of_the_user_s_own(tmp_path):
    boxes = "X 0 0 8 2; y 0 2 8 1; query_x 8 3 1 2; prediction 8 5 1 1"
    train.check(small("prompt.layout=custom", f"prompt.boxes={boxes}"))
    with pytest.raises(ValueError, match=r"prompt\.boxes must be like"):
        train.check(small("prompt.layout=custom", "prompt.boxes=X 0 0 8"))
    with pytest.raises(ValueError, match=r"box of X must be \(5, 2\).*context_length=5"):
        train.check(small("prompt.layout=custom", f"prompt.boxes={boxes}", "task.context_length=5"))


@pytest.mark.parametrize("init", ["random", "construction"])
def test_a_prompt_of_one_s_own_without_boxes_is_refused_with_boxes_that_do(init):
    words = ("prompt.layout=custom", f"model.init={init}")
    with pytest.raises(ValueError, match=r"needs prompt\.boxes") as refused:
        train.check(small(*words))
    _, _, rest = str(refused.value).partition("--config.prompt.boxes='")
    train.check(small(*words, f"prompt.boxes={rest.partition(chr(39))[0]}"))


def test_a_table_of_the_user_s_own(tmp_path):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 2))
    rows = np.column_stack([x, x @ [1.0, -2.0] + 0.1 * rng.normal(size=60)])
    file = tmp_path / "own.csv"
    np.savetxt(file, rows, delimiter=",", header="a,b,price", comments="")
    words = (f"data.path={file}", "data.target=price", "train.num_steps=0", "model.depth=1")
    (record,) = ran(small(*words, BY_HAND[0]), tmp_path / "run")
    assert record["lines"] == {"ridge": record["target"]} and record["target"] < 1.0
    (held_out,) = record["elsewhere"]
    assert (held_out["changed"], held_out["value"]) == ("held_out", 0.2)
    assert held_out["ridge"] < 1.0 and held_out["mean"] > 0.0


def test_numbers_that_share_a_program_are_one_group():
    config = small()
    asked = sweep.ask(
        config,
        {"model.depth": "1,2", "train.learning_rate": "0.01,0.02", "model.init_scale": "0.1,0.3"},
    )
    shared = train.shares(config)
    assert set(shared) == {"train.learning_rate", "model.init_scale"}
    assert len(asked.points()) == 8
    assert set(train.shares(config_of(*BY_HAND))) == {"train.learning_rate", "model.noise"}
    assert set(train.shares(config_of("model.architecture=h3"))) == {"train.learning_rate"}


def test_points_of_one_program_are_trained_side_by_side(tmp_path):
    """Noises and rates are axes of one compiled program; a rate that diverges shows as such."""
    config = train.with_axes(
        small(BY_HAND[0], "train.skip_nonfinite=0", "model.depth=1").unlock(),
        {"learning_rate": (1e-3, 1e30), "noise": (0.0, 0.01)},
    )
    records = ran(config.lock(), tmp_path)
    assert [record["point"]["noise"] for record in records] == [0.0, 0.01, 0.0, 0.01]
    risks = [record["risk"] for record in records]
    assert risks[2:] == [None, None] and all(risk < 10.0 for risk in risks[:2])
    program = training.all_models(tmp_path).program
    assert len(program.sweep) == 4


def test_refusals_reach_the_command_line(tmp_path):
    with pytest.raises(RunError, match="What can be built"):
        ran(small(*CANNOT["gpt2 on the designed prompt"]), tmp_path)


def test_one_value_of_a_law_shows_mean_band_and_trimmed_mean_apart():
    numbers = {"mean": 1.6, "trimmed_mean": 1.5, "low": 1.55, "high": 1.7, "ridge": 0.6}
    entry = {"changed": "noise_var", "value": 0.5, "lines": {}, **numbers}
    along = {"steps": [50, 100], "losses": [[2.0, 3.0], [1.0, 2.0]]}
    ends = {"target": 0.6, "lines": {"ridge": 0.6}}
    record = {"run": "elsa", "point": {}, "elsewhere": [entry], "along_training": along, **ends}
    axes = train_figures._elsewhere([record]).axes[0]
    mean, trimmed = axes.lines[:2]
    assert mean.get_marker() != trimmed.get_marker()
    (bar,) = axes.collections
    assert bar.get_segments()[0][:, 1].tolist() == [1.55, 1.7]
    risk = train_figures._risk([record]).axes[0]
    assert risk.get_ylabel() == "loss (squared error)"
    assert risk.lines[0].get_label() == "elsa, training loss,\nmean over seeds"
    assert risk.lines[0].get_ydata().tolist() == [2.5, 1.5]
