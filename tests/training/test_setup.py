"""A config is refused before anything is computed or written."""

import numpy as np
import pytest

from elsa import training
from tests.helpers import table

GOOD = {
    "task": {"name": "linear_regression", "dim": 3, "context_length": 5},
    "model": {"name": "merged_attention"},
    "train": {"num_steps": 100},
}


def changed(room, **entries):
    return {**GOOD, room: {**GOOD.get(room, {}), **entries}}


def test_a_good_config_comes_back_with_every_default():
    settings = training.validate(GOOD)
    assert settings.train.batch == training.TrainSettings(num_steps=100).batch
    assert settings.to_dict()["num_seeds"] == 1


def test_a_model_that_takes_arrays_at_its_start_can_be_checked_without_them():
    config = changed("model", name="lora_attention", rank=2)
    assert training.validate(config).model["rank"] == 2
    table = {"name": "table", "context_length": 5}  # which knows its covariates by its data alone
    assert training.validate({**config, "task": table}).task == table


@table(
    "config, error, message",
    [
        (changed("task", noise_var=-1.0), ValueError, "noise_var must be at least 0.0, got -1.0"),
        (changed("model", name="merged_h3", width=3), KeyError, "unknown argument 'width'"),
        (changed("model", name="merged"), KeyError, "unknown model 'merged'.*merged_attention"),
        (changed("sweep", context_length=(0, 5)), ValueError, "context_length must be at least 1"),
        (changed("train", sampler="gram") | {"model": {"name": "h3"}}, ValueError, "H3 weighs"),
        (changed("sweep", dims=(1, 2)), KeyError, "unknown axis 'dims'.*'dim'"),
    ],
)
def test_a_config_that_makes_no_run_is_refused(config, error, message):
    with pytest.raises(error, match=message):
        training.validate(config)


@pytest.mark.parametrize("given", [{"scale": 5.0}, {"name": "merged_h3"}])
def test_plain_values_belong_into_the_config(tmp_path, given):
    with pytest.raises(ValueError, match="given must hold arrays that the config leaves out"):
        training.fit(GOOD, tmp_path / "run", given=given)
    assert not (tmp_path / "run").exists()


def test_an_array_that_the_model_does_not_take_is_refused_before_the_folder_is_made(tmp_path):
    with pytest.raises(KeyError, match="merged_attention: unknown argument 'base_weight'"):
        training.fit(GOOD, tmp_path / "run", given={"base_weight": np.eye(3)})
    assert not (tmp_path / "run").exists()
