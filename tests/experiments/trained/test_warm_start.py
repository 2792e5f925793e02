"""Where models of the `train` experiment start: a run, a file, and what does not fit."""

import jax
import numpy as np
import pytest
from flax import nnx

import elsa
from configs import train as config_file
from elsa import constructions, models, training
from experiments.trained import train, warm_start

N, D = 8, 2  # of the quick config
STEP = 0.2


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """Three steps written by hand, in a file."""
    path = tmp_path_factory.mktemp("files") / "ridge.safetensors"
    stack = constructions.ridge_lsa(N, D, 3, STEP, num_queries=1, dtype=np.float32)
    elsa.export(stack, path)
    return path


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of no steps, its two models as they were drawn."""
    settings = {
        "task": {"name": "linear_regression", "dim": D, "context_length": N, "noise_var": 0.25},
        "model": {"name": "linear_attention"},
        "num_seeds": 2,
        "train": {"num_steps": 0},
    }
    return training.fit(settings, tmp_path_factory.mktemp("runs") / "first").folder


def config_of(path, **own):
    config = config_file.get_config("quick")
    config.model.update(init="checkpoint", path=str(path))
    for key, value in own.items():
        group, _, name = key.partition("_")
        config[group][name] = value
    return config.lock()


def test_a_file_says_architecture_depth_and_layout(file):
    config = config_of(file, prompt_lam=0.5)
    (name, case), *_ = train.cases(config).items()
    assert name == "lsa" and case["model"]["depth"] == 3
    assert case["model"]["layout"] == "designed" and case["model"]["lam"] == 0.5
    train.check(config)
    built = models.build(case["model"], rngs=nnx.Rngs(0), dim=D, context_length=N, dtype=np.float32)
    start = warm_start.start(config)["init"]
    own, given = (jax.tree.leaves(nnx.state(model, nnx.Param)) for model in (built, start))
    assert [leaf.shape for leaf in own] == [leaf.shape for leaf in given]
    written = elsa.load(file).weights[0]
    assert np.array_equal(start.stack.body[0].wq[0], written.wq)
    assert train.shares(config) == {"train.learning_rate": "learning_rate"}


def test_a_run_of_any_architecture_says_it_too(run):
    config = config_of(run)
    assert train.cases(config)["linear_attention"]["model"] == {"name": "linear_attention"}
    train.check(config)
    assert warm_start.start(config) == {"init": str(run), "init_noise": 0.0}


@pytest.mark.parametrize(
    "own, says",
    [
        ({"model_depth": 5}, r"model.depth=5 \(there: 3\); leave out what the source says"),
        ({"model_architecture": "gpt2"}, r"model.architecture='gpt2' \(there: 'lsa'\)"),
        ({"prompt_layout": "natural"}, r"prompt.layout='natural' \(there: 'designed'\)"),
        ({"prompt_boxes": "X 0 0 1 1"}, "prompt.boxes='X 0 0 1 1'"),
        ({"model_noise": -0.1}, "model.noise must be at least 0"),
        ({"model_path": ""}, "model.init='checkpoint' needs model.path"),
        pytest.param(
            {"task_dim": 3, "task_cov_x": (1.0, 1.0, 1.0)},
            r"fit: init: stack/body/0/wk is \[3, 2",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_what_the_source_has_not_is_refused_by_name(file, own, says):
    with pytest.raises(ValueError, match=says):
        train.check(config_of(file, **own))


def test_what_holds_nothing_to_start_from_is_refused(tmp_path, file):
    for path in (tmp_path / "none.safetensors", tmp_path / "no_run"):
        with pytest.raises(FileNotFoundError, match=path.name):
            train.check(config_of(path))
    elsa.export(elsa.load(file).stack, tmp_path / "bare.safetensors")
    with pytest.raises(ValueError, match="holds a stack without named blocks"):
        train.check(config_of(tmp_path / "bare.safetensors"))


def test_one_start_at_a_time(file, tmp_path):
    with pytest.raises(ValueError, match="two starts; leave one out"):
        train.EXPERIMENT.branches(config_of(file), {}, tmp_path, None, False)


def test_the_models_of_a_run_go_on_from_its_weights(run, tmp_path):
    config = config_of(run)
    (case,) = train.cases(config).values()
    settings = {"task": case["task"], "model": case["model"], "num_seeds": 2}
    settings["train"] = {"num_steps": 0}
    there = training.all_models(run)
    here = training.fit(settings, tmp_path / "here", **warm_start.start(config))
    for own, given in zip(
        jax.tree.leaves(here.state.params), jax.tree.leaves(there.state.params), strict=True
    ):
        assert np.array_equal(own, given)


def test_what_is_set_in_so_many_words_is_compared_at_the_default_too(run, file):
    check = train.EXPERIMENT.given(["model.architecture", "prompt.layout", "model.depth"]).check
    says = r"model.architecture='elsa' \(there: 'linear_attention'\)"
    with pytest.raises(ValueError, match=says):
        check(config_of(run))
    check(config_of(run, model_architecture="linear_attention"))
    with pytest.raises(ValueError, match=r"prompt.layout='stacked' \(there: 'designed'\)"):
        check(config_of(file, model_architecture="lsa"))
    # tied is the config's to choose for a file; that a run without biases has none is no conflict
    train.EXPERIMENT.given(["model.tied", "model.biases", "model.step_size"]).check(config_of(file))


def test_one_layer_may_be_asked_for_of_a_model_of_one(run):
    config = config_of(run, model_depth=1)
    train.check(config)
    (case,) = train.cases(config).values()
    says = f"{run} holds linear_attention: 1 layer, layout stacked"
    assert says in warm_start.said(config, case["model"])
    with pytest.raises(ValueError, match=r"model.depth=2 \(there: 1\)"):
        train.check(config_of(run, model_depth=2))
