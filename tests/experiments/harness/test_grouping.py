"""Which points share a run: what an experiment varies in one program, cut into products."""

import dataclasses
import re

import pytest
from ml_collections import ConfigDict

from experiments.harness import grouping
from experiments.harness.experiment import Experiment, RunError


@pytest.fixture
def config():
    plain = {"depth": 1, "name": "a", "rate": 0.1, "noise": 0.0, "sizes": (1,), "sweep": {}}
    return ConfigDict(plain).lock()


@pytest.fixture
def sharing(squares):
    """Rates and noises are axes within a program, noises for depths above 1 alone."""

    def shares(config):
        if config.depth > 8:
            raise ValueError(f"depth must be 8 or less, got {config.depth}")
        return {"rate": "learning_rate"} | ({"noise": "noise_var"} if config.depth > 1 else {})

    def with_axes(config, axes):
        config.sweep = ConfigDict(axes)
        return config

    return dataclasses.replace(squares.experiment, shares=shares, with_axes=with_axes)


def product(**axes):
    points = [{}]
    for key, values in axes.items():
        points = [{**point, key: value} for point in points for value in values]
    return points


def test_without_the_hooks_every_point_is_a_group(squares, config):
    points = product(depth=(1, 2), rate=(0.1, 0.2))
    groups = grouping.grouped(squares.experiment, config, points)
    assert [group.points for group in groups] == [[point] for point in points]
    assert [group.name for group in groups] == [
        f"depth={depth},rate={rate}" for depth in (1, 2) for rate in (0.1, 0.2)
    ]
    assert [(group.config.depth, group.config.rate) for group in groups] == [
        (point["depth"], point["rate"]) for point in points
    ]
    assert all(group.config.is_locked and group.axes == {} for group in groups)


def test_points_that_differ_only_within_a_program_are_one_group(sharing, config):
    points = product(rate=(0.1, 0.2), depth=(1, 2), noise=(0.0, 1.0))
    groups = grouping.grouped(sharing, config, points)
    found = {group.name: (group.config.sweep.to_dict(), len(group.points)) for group in groups}
    assert found == {
        "depth=1,noise=0.0": ({"learning_rate": (0.1, 0.2)}, 2),
        "depth=1,noise=1.0": ({"learning_rate": (0.1, 0.2)}, 2),
        "depth=2": ({"learning_rate": (0.1, 0.2), "noise_var": (0.0, 1.0)}, 4),
    }
    assert [group.config.depth for group in groups] == [1, 1, 2]
    assert config.sweep.to_dict() == {}


def test_points_that_are_no_product_are_cut_into_products(sharing, config):
    pairs = [(0.1, 0.0), (0.1, 1.0), (0.2, 0.0), (0.3, 1.0)]
    points = [{"depth": 2, "rate": rate, "noise": noise} for rate, noise in pairs]
    groups = grouping.grouped(sharing, config, points)
    assert [(group.name, group.config.sweep.to_dict()) for group in groups] == [
        ("depth=2,rate=0.1", {"noise_var": (0.0, 1.0)}),
        ("depth=2,rate=0.2", {"noise_var": (0.0,)}),
        ("depth=2,rate=0.3", {"noise_var": (1.0,)}),
    ]
    assert [point for group in groups for point in group.points] == points


def test_a_group_of_shared_keys_alone_has_a_name(sharing, config):
    (group,) = grouping.grouped(sharing, config, product(rate=(0.1, 0.2)))
    assert group.name == "all" and group.axes == {"rate": "learning_rate"}


def test_a_record_is_of_the_point_it_names(sharing, config):
    (group,) = grouping.grouped(sharing, config, product(rate=(0.1, 0.2)))
    assert group.point_of({"point": {"learning_rate": 0.2}}) == {"rate": 0.2}
    assert group.point_of({"learning_rate": 0.1}) == {"rate": 0.1}
    with pytest.raises(ValueError, match=r"group all: .* {'learning_rate': 0.3}, which is no poi"):
        group.point_of({"point": {"learning_rate": 0.3}})


def test_what_the_hook_refuses_names_the_point(sharing, config):
    with pytest.raises(RunError, match=r"^depth = 9, rate = 0.1: depth must be 8 or less, got 9$"):
        grouping.grouped(sharing, config, product(depth=(9,), rate=(0.1,)))


def test_names_are_safe_short_and_different(squares, config):
    points = product(name=("a/b", "a_b", "..", "x" * 90, "x" * 91), sizes=((1, 2), (12,)))
    names = [group.name for group in grouping.grouped(squares.experiment, config, points)]
    assert len(set(names)) == len(names) == 10
    assert names[2:4] == ["name=a_b,sizes=1+2", "name=a_b,sizes=12"]
    assert all(re.fullmatch(r"[\w.,=+-]{1,80}", name) for name in names)


@pytest.mark.parametrize(
    "keys, names",
    [
        (["train.rate", "depth"], ["rate", "depth"]),
        (["train.rate", "eval.rate", "depth"], ["train.rate", "eval.rate", "depth"]),
        (["seed", "runs.seed"], ["config.seed", "runs.seed"]),
        (["runs.case"], ["runs.case"]),
    ],
)
def test_columns_are_short_where_that_is_clear(keys, names):
    assert list(grouping.columns(keys).values()) == names


def test_one_hook_alone_is_refused(squares):
    with pytest.raises(TypeError, match="shares and with_axes go together, got only one of them"):
        dataclasses.replace(squares.experiment, shares=lambda config: {})
    assert isinstance(squares.experiment, Experiment)


def test_a_group_is_cut_where_more_are_asked_for_and_its_parts_say_what_they_hold(sharing, config):
    points = product(depth=(1, 2), rate=(0.1, 0.2, 0.3), noise=(0.0, 1.0))
    whole = grouping.grouped(sharing, config, points)
    assert [len(group.points) for group in whole] == [3, 3, 6]
    parts = grouping.grouped(sharing, config, points, at_least=5)
    half = {"noise_var": (0.0, 1.0)}
    assert [(group.name, group.config.sweep.to_dict()) for group in parts] == [
        ("depth=1,noise=0.0,rate=0.1", {"learning_rate": (0.1,)}),
        ("depth=1,noise=0.0,rate=0.2..0.3", {"learning_rate": (0.2, 0.3)}),
        ("depth=1,noise=1.0", {"learning_rate": (0.1, 0.2, 0.3)}),
        ("depth=2,rate=0.1,noise=0.0..1.0", {"learning_rate": (0.1,), **half}),
        ("depth=2,rate=0.2..0.3,noise=0.0..1.0", {"learning_rate": (0.2, 0.3), **half}),
    ]
    most = grouping.grouped(sharing, config, points, at_least=100)
    assert [group.points for group in most] == [[point] for point in _in_order(points, most)]
    assert len({group.name for group in most}) == len(points)


def _in_order(points, groups):
    """The points, in the order of groups of one."""
    return sorted(points, key=lambda point: [point in group.points for group in groups].index(True))
