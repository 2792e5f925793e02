"""What the configs of trained experiments share, and what they do not."""

import pytest

from configs import base

RUN = {"task": {"dim": 2}, "model": {"name": "h3"}, "sweep": {}}


@pytest.mark.parametrize("mode, expected", [("full", False), ("quick", True)])
def test_a_mode_is_full_or_quick(mode, expected):
    assert base.is_quick("name", mode) is expected
    with pytest.raises(ValueError, match=r"name: mode must be 'full' or 'quick', got ''"):
        base.is_quick("name", "")


def test_a_config_s_own_values_go_before_the_shared_ones():
    train = {"num_steps": 100, "batch": 7, "average": 0.5}
    config = base.trained("name", True, {"one": RUN}, train=train, num_seeds=3, bayes_samples=9)
    assert (config.experiment, config.num_seeds, config.bayes_samples) == ("name", 3, 9)
    assert (config.train.batch, config.train.average, config.train.num_steps) == (7, 0.5, 100)
    assert config.train.decay == base.AVERAGED["decay"]
    assert base.trained("name", True, {}, train={"num_steps": 1}).train.batch == 128


def test_an_override_of_one_run_leaves_the_others():
    config = base.trained("name", False, {"one": RUN, "two": RUN}, train={"num_steps": 1})
    config.update_from_flattened_dict({"runs.one.task.dim": 5})
    assert (config.runs.one.task.dim, config.runs.two.task.dim) == (5, 2)
    assert RUN["task"]["dim"] == 2


def test_eigenvalues_that_decay_are_1_on_average():
    values = base.decaying(4)
    assert sum(values) == pytest.approx(4.0)
    assert [values[0] / value for value in values] == pytest.approx([1, 2, 3, 4])
