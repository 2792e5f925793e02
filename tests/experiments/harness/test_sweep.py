"""What a sweep asks: words to axes, axes to points, and what each mistake is told."""

import numpy as np
import pytest
from ml_collections import ConfigDict

from experiments.harness import command_line, sweep
from experiments.harness.experiment import RunError
from experiments.harness.sweep import Span


@pytest.fixture
def config():
    config = ConfigDict(
        {
            "experiment": "squares",
            "seed": 3,
            "depth": 4,
            "name": "lsa",
            "tied": True,
            "sizes": (1, 2),
            "train": {"learning_rate": 0.1, "steps": 100},
            "listed": [1],
        }
    )
    config.twice = config.get_oneway_ref("depth") * 2
    return config.lock()


def refused(config, axes, **options):
    with pytest.raises(RunError) as error:
        sweep.ask(config, axes, **options)
    assert error.value.exit_code == 2
    return str(error.value)


@pytest.mark.parametrize(
    "key, text, values",
    [
        ("depth", "1,2,4", (1, 2, 4)),
        ("depth", "-1", (-1,)),
        ("train.learning_rate", "1,1e-3", (1.0, 0.001)),
        ("name", "lsa, elsa", ("lsa", "elsa")),
        ("name", "a:b:log:3", ("a:b:log:3",)),
        ("tied", "true,false", (True, False)),
        ("sizes", "(1,2),(3,)", ((1, 2), (3,))),
        ("sizes", "3,4", ((3,), (4,))),
        ("train.learning_rate", "1e-3:1e-1:log:3", (0.001, 0.01, 0.1)),
        ("train.learning_rate", "1e-3:1e-1:log:5", (0.001, 0.00316228, 0.01, 0.0316228, 0.1)),
        ("train.learning_rate", "-1:1:lin:3", (-1.0, 0.0, 1.0)),
        ("depth", "1:8:log:4", (1, 2, 4, 8)),
        ("depth", "1:3:lin:9", (1, 2, 3)),
        ("depth", "2:9:lin:1", (2,)),
        ("depth", (1, 2), (1, 2)),
        ("train.learning_rate", [1, 0.5], (1.0, 0.5)),
        ("listed", [[1], [2, 3]], ([1], [2, 3])),
    ],
)
def test_values_have_the_type_of_their_key(config, key, text, values):
    (found,) = sweep.ask(config, {key: text}).axes.values()
    assert found == values
    assert [type(value) for value in found] == [type(value) for value in values]


def test_several_axes_are_combined_with_the_last_one_fastest(config):
    axes = {"depth": "1,2", "name": "a,b,c"}
    points = [tuple(point.values()) for point in sweep.ask(config, axes).points()]
    assert points == [(1, "a"), (1, "b"), (1, "c"), (2, "a"), (2, "b"), (2, "c")]
    axes["depth"] = "1,2,1"
    points = sweep.ask(config, axes, mode="zip").points()
    assert points == [{"depth": d, "name": n} for d, n in [(1, "a"), (2, "b"), (1, "c")]]


def test_random_points_differ_follow_the_seed_and_fill_their_ranges(config):
    rate, axes = "train.learning_rate", {"train.learning_rate": "1e-4:1:log", "name": "a,b"}
    asked = sweep.ask(config, axes, mode="random", samples=400)
    points = asked.points()
    assert asked.axes[rate] == Span(1e-4, 1.0, log=True, whole=False)
    assert points == asked.points() and len({tuple(p.values()) for p in points}) == 400
    assert points[:9] == sweep.ask(config, axes, mode="random", samples=9).points()
    exponents = np.log10([point[rate] for point in points])
    assert exponents.min() > -4 and exponents.max() < 0
    error = 4 / 12**0.5 / 400**0.5  # of the mean of a uniform law of width 4
    assert abs(exponents.mean() + 2) < 4 * error
    config.unlock().seed = 4
    assert sweep.ask(config, axes, mode="random", samples=9).points() != points[:9]
    whole = sweep.ask(config, {"depth": "1:3:lin"}, mode="random", samples=3).points()
    assert sorted(point["depth"] for point in whole) == [1, 2, 3]


@pytest.mark.parametrize(
    "axes, options, message",
    [
        ({"depht": "1"}, {}, "--sweep.depht=1: the config has no key 'depht'; did you mean depth?"),
        ({"train": "1"}, {}, "train is a group; set train.learning_rate or train.steps"),
        ({"depth": "1,x"}, {}, "--sweep.depth=1,x: depth is an integer (4 in the config), got 'x'"),
        ({"depth": "1.5"}, {}, "depth is an integer"),
        ({"experiment": "a,b"}, {}, "experiment says which driver reads this config"),
        ({"listed": "1"}, {}, "listed is a list and can only be set in the config file"),
        ({"depth": "1,2,1"}, {}, "--sweep.depth=1,2,1: 1 is given twice. Nothing was run."),
        ({"depth": ","}, {}, "--sweep.depth=,: values are missing"),
        ({"depth": ()}, {}, "--sweep.depth=(): values are missing"),
        ({"depth": 3}, {}, "--sweep.depth=3: sweep() gives a tuple of values for each key"),
        ({"depth": ("a",)}, {}, "--sweep.depth=('a',): "),
        ({"depth": "1:3:lin"}, {}, "the range needs a count, as in 1:3:lin:5"),
        ({"depth": "1:3:lin:0"}, {}, "the range needs a count"),
        ({"depth": "3:1:lin:2"}, {}, "a range goes from a lower to a higher number"),
        ({"depth": "0:1:log:2"}, {}, "a range in logarithm starts above 0"),
        ({"depth": "1:x:log:2"}, {}, "depth is an integer (4 in the config), got 'x'"),
        ({"depth": "1,2", "name": "a"}, {"mode": "zip"}, "depth has 2, name has 1"),
        ({"depth": "1,2", "name": "a,a"}, {"mode": "zap"}, "must be one of product, zip, random"),
        ({"depth": "1,2"}, {"mode": "random"}, "--sweep_samples=N goes with --sweep_mode=random"),
        ({"depth": "1,2"}, {"samples": 3}, "--sweep_samples=N goes with --sweep_mode=random"),
        ({"depth": "1,2"}, {"mode": "random", "samples": 0}, "must be 1 or more, got 0"),
    ],
)
def test_every_mistake_is_told_what_is_known(config, axes, options, message):
    assert message in refused(config, axes, **options)


def test_more_samples_than_points_and_a_point_that_comes_twice_are_refused(config):
    with pytest.raises(RunError, match=r"--sweep_samples=5: .* fewer different points \(found 4\)"):
        axes = {"depth": "1,2", "name": "a,b"}
        sweep.ask(config, axes, mode="random", samples=5).points()
    with pytest.raises(RunError, match=r"--sweep_mode=zip: .* depth = 1, name = a comes twice"):
        sweep.ask(config, {"depth": "1,1", "name": "a,a"}, mode="zip").points()


def test_the_words_of_a_sweep_are_told_from_those_of_the_config():
    words = ["--sweep.a=1,2", "--config.b", "3", "--sweep.c.d", "4", "-sweep.e=x=y"]
    asked, others = sweep.split(words)
    assert asked == {"a": "1,2", "c.d": "4", "e": "x=y"} and others == ["--config.b", "3"]
    assert sweep.split(sweep.words(asked)) == (asked, [])


@pytest.mark.parametrize(
    "words, message",
    [
        (["--sweep.a"], "--sweep.a: values are missing, as in --sweep.a=1,2,3"),
        (["--sweep.a="], "--sweep.a=: values are missing, as in --sweep.a=1,2,3"),
        (["--sweep.a=1", "--sweep.a=2"], "--sweep.a=2: a is swept twice"),
    ],
)
def test_a_word_without_values_or_given_twice_is_refused(words, message):
    with pytest.raises(RunError, match=message):
        sweep.split(words)


def test_derived_values_follow_a_point_and_the_base_stays(config):
    changed = sweep.with_values(config, {"depth": 7, "train.learning_rate": 1})
    assert (changed.depth, changed.twice, changed.train.learning_rate) == (7, 14, 1.0)
    assert (config.depth, config.twice) == (4, 8) and changed.is_locked
    assert set(command_line.keys(changed)) == set(command_line.keys(config))


def test_the_sweep_of_a_config_file(tmp_path):
    path = tmp_path / "a.py"
    path.write_text("def sweep():\n    return {'depth': (1, 2)}\n")
    assert sweep.own(f"{path}:quick") == {"depth": (1, 2)}
    path.write_text("x = 1\n")
    with pytest.raises(RunError, match=r"a.py defines no sweep\(\); name keys instead: --sweep"):
        sweep.own(str(path))
    path.write_text("def sweep():\n    return ()\n")
    with pytest.raises(RunError, match=r"must return a mapping key -> values, got \(\)"):
        sweep.own(str(path))
