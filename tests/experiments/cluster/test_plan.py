"""What a job reads of its sweep: as it was written, or why not."""

import dataclasses
import json

import pytest
from ml_collections import ConfigDict

from experiments.cluster import plan
from experiments.harness import sweep
from experiments.harness.experiment import RunError
from experiments.harness.grouping import grouped


@pytest.fixture
def base():
    return ConfigDict({"sizes": (1, 2), "rate": 0.1, "name": "a", "nested": {"of": ((1,), 2)}})


@pytest.fixture
def experiment(squares):
    def with_axes(config, axes):
        config.sizes = tuple(range(len(axes["rate"])))
        return config

    return dataclasses.replace(
        squares.experiment, shares=lambda config: {"rate": "rate"}, with_axes=with_axes
    )


def test_groups_are_read_as_they_were_to_the_type_of_each_value(tmp_path, base, experiment):
    axes = {"sizes": ((1, 2), (3,)), "rate": "0.1:1:log:7", "nested.of": (((3,), 4), ((5,), 6))}
    asked = sweep.ask(base, axes)
    made = grouped(experiment, base, asked.points(), at_least=9)
    plan.write(tmp_path, made, plan.digest(base, asked))
    read = plan.read(tmp_path, experiment, base, asked, tmp_path)
    assert len(read) == len(made) >= 9
    for one, other in zip(read, made, strict=True):
        assert (one.name, one.axes) == (other.name, other.axes)
        assert list(map(repr, one.points)) == list(map(repr, other.points))
        assert repr(one.config) == repr(other.config)


@pytest.mark.parametrize(
    "spoil, match",
    [
        (lambda path: path.unlink(), "cannot read .*plan.json: FileNotFoundError"),
        (lambda path: path.write_text('{"version": 1, "sw'), "cannot read .*plan.json: "),
        (lambda path: path.write_text('{"version": 7}'), "plan.json has version 7, expected 1"),
        (lambda path: path.write_text("{}"), "cannot read .*plan.json: KeyError"),
    ],
)
def test_a_plan_that_cannot_be_read_names_the_way_on(tmp_path, base, experiment, spoil, match):
    asked = sweep.ask(base, {"rate": "1,2"})
    plan.write(tmp_path, grouped(experiment, base, asked.points()), plan.digest(base, asked))
    spoil(tmp_path / "plan.json")
    with pytest.raises(RunError, match=f"{match}.*Run the command that submitted it again"):
        plan.read(tmp_path, experiment, base, asked, tmp_path)


def test_a_plan_holds_for_its_own_config_and_sweep_alone(tmp_path, base, experiment):
    asked = sweep.ask(base, {"rate": "1,2"})
    plan.write(tmp_path, grouped(experiment, base, asked.points()), plan.digest(base, asked))
    held = {"config": base.to_dict(), **asked.asked(), "parts": 3}
    (tmp_path / "sweep.json").write_text(json.dumps(held))
    other = sweep.ask(base, {"rate": "1,3"})
    with pytest.raises(
        RunError, match=r"another sweep: axes.rate was \[1.0, 2.0\] and is \[1.0, 3"
    ):
        plan.read(tmp_path, experiment, base, other, tmp_path)
    base.name = "b"
    with pytest.raises(RunError, match=r'config\.name was "a" and is "b" now'):
        plan.read(tmp_path, experiment, base, asked, tmp_path)
    (tmp_path / "sweep.json").unlink()
    with pytest.raises(RunError, match=r"plan.json is of another sweep. Run the command"):
        plan.read(tmp_path, experiment, base, asked, tmp_path)
