"""From words to a config: files, modes, keys and values, and what each mistake is told."""

import sys
from pathlib import Path

import pytest
from ml_collections import ConfigDict, config_dict

from experiments.harness import command_line, typed
from experiments.harness.experiment import RunError
from tests.helpers import table

GOOD = '''
"""A claim."""
from ml_collections import ConfigDict

def get_config(mode="full"):
    if mode not in ("full", "quick"):
        raise ValueError(f"mode must be full or quick, got {mode!r}")
    config = ConfigDict(dict(experiment="squares", depth=32 if mode == "full" else 2))
    config.twice = config.get_oneway_ref("depth") * 2
    return config
'''


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder of configs that counts as the checkout's own, one level below the current one."""
    configs = tmp_path / "configs"
    configs.mkdir()
    (configs / "convergence.py").write_text(GOOD)
    (configs / "layout_ablation.py").write_text(GOOD)
    monkeypatch.setattr(command_line, "CONFIGS", configs)
    monkeypatch.chdir(tmp_path)
    return configs


@pytest.fixture
def config():
    config = ConfigDict(
        {
            "experiment": "squares",
            "depth": 32,
            "lam": 0.5,
            "layers": {"tied": True, "depth": 4},
            "sizes": (1, 2),
            "rates": (0.1, 0.2),
            "dtypes": ("float64",),
            "mixed": (1, "a"),
            "none": None,
            "listed": [1],
            "path": config_dict.placeholder(str),
        }
    )
    config.twice = config.get_oneway_ref("depth") * 2
    return config.lock()


def refused(config, *words):
    with pytest.raises(RunError) as error:
        command_line.apply_overrides(config, words)
    assert error.value.exit_code == 2
    return str(error.value)


@pytest.mark.parametrize("spec, depth", [("", 32), (":full", 32), (":quick", 2)])
def test_a_config_is_loaded_in_its_mode_and_locked(folder, spec, depth):
    config = command_line.load(f"configs/convergence.py{spec}")
    assert config.depth == depth and config.twice == 2 * depth and config.is_locked


@table(
    "spec, message",
    [
        (
            "configs/convergance.py",
            r"'configs/convergance.py'; did you mean configs/convergence.py",
        ),
        ("convergance", r"no config file 'convergance'; did you mean convergence\?"),
        ("configs", r"no config file 'configs'; --list shows them all"),
        ("xyz.py:quick", r"no config file 'xyz.py'; --list shows them all"),
        ("configs/convergence.py:fast", r"convergence.py:fast: mode must be full or quick, got 'f"),
        ("configs/convergence.py:", r"convergence.py:: mode must be full or quick, got ''"),
    ],
)
def test_a_wrong_file_or_mode_is_told_the_nearest_or_the_known(folder, spec, message):
    with pytest.raises(RunError, match=message):
        command_line.load(spec)


@table(
    "source, message",
    [
        ("x = (1,\n", r"bad.py, line 1: '\(' was never closed"),
        ("x = 1\n", r"bad.py is no config: it defines no get_config"),
        ("def get_config():\n    return {}\n", r"must return a ConfigDict, got dict"),
        ("def get_config():\n    raise KeyError('depth')\n", r"bad.py: depth$"),
        ("x = int('a')\n", r"bad.py: invalid literal"),
        ("import nothing_of_the_kind\n", r"bad.py, line 1: No module named 'nothing_of_the_kind'$"),
        ("def get_config():\n    return lam\n", r"bad.py, line 2: name 'lam' is not defined$"),
    ],
)
def test_a_file_that_is_no_config_is_told_why(folder, source, message):
    (folder / "bad.py").write_text(source)
    with pytest.raises(RunError, match=message):
        command_line.load("configs/bad.py")


OWN = "from configs import convergence\nconfig = convergence.get_config()\n"


@table(
    "lines, message",
    [
        ("config.lamb = 10.0", r"own.py sets the key 'lamb', .* do nothing; did you mean lam\?"),
        ("config.data.file = 'a.csv'", r"the key 'data.file', .*; did you mean data\.\w+\?"),
        ("config.xyz = 1", r"the key 'xyz', which configs of convergence .*; there are: .* lam, "),
        (
            "config.data = {'path': 'a.csv', 'target': 'y'}",
            r"lacks 4 keys of convergence: data.decimal, .* Start from it, `from configs ",
        ),
    ],
)
def test_keys_of_a_config_of_one_s_own_are_those_of_ours(tmp_path, monkeypatch, lines, message):
    monkeypatch.chdir(tmp_path)
    own = tmp_path / "own.py"
    end = "\ndef get_config():\n    return config\n"
    own.write_text(f"{OWN}config.lam = 10.0\nconfig.seed = 1{end}")  # of convergence_synthetic
    assert command_line.load("own.py").lam == 10.0
    own.write_text(f"{OWN}{lines}{end}")
    with pytest.raises(RunError, match=message):
        command_line.load("own.py")


def test_a_table_that_is_named_is_told_how_it_is_given(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("houses.csv").write_text("a,y\n1,2\n")
    config = command_line.load("convergence")
    assert "--config.data.path=houses.csv --config.data.target=COLUMN" in refused(
        config, "houses.csv"
    )
    assert "did you mean data.path?" in refused(config, "--config.data.file=houses.csv")


def test_a_text_file_is_no_config(folder):
    (folder / "notes.txt").write_text("depth = 3")
    with pytest.raises(RunError, match=r"notes.txt is no Python file"):
        command_line.load("configs/notes.txt")


@pytest.mark.parametrize(
    "spec, place",
    [
        ("configs/a.py", "runs/a"),
        ("configs/a.py:full", "runs/a"),
        ("/else/where/a.py:quick", "runs/a-quick"),
    ],
)
def test_a_mode_has_a_folder_of_its_own(spec, place):
    assert command_line.default_workdir(spec) == Path(place)


@pytest.mark.parametrize(
    "words, key, value",
    [
        (["--config.depth=3"], "depth", 3),
        (["--config.depth", "-3"], "depth", -3),
        (["-config.depth=3"], "depth", 3),
        (["--config.depth=3", "--config.depth=4"], "depth", 4),
        (["--config.depth=3"], "twice", 6),
        (["--config.lam=1"], "lam", 1.0),
        (["--config.layers.depth=8"], "layers.depth", 8),
        (["--config.layers.tied=false"], "layers.tied", False),
        (["--noconfig.layers.tied"], "layers.tied", False),
        (["--config.layers.tied"], "layers.tied", True),
        (["--config.sizes=(3, 4, 5)"], "sizes", (3, 4, 5)),
        (["--config.sizes=3,4"], "sizes", (3, 4)),
        (["--config.sizes=3"], "sizes", (3,)),
        (["--config.sizes=()"], "sizes", ()),
        (["--config.rates=1,0.5"], "rates", (1.0, 0.5)),
        (["--config.dtypes=float32,float64"], "dtypes", ("float32", "float64")),
        (["--config.dtypes=('float32',)"], "dtypes", ("float32",)),
        (["--config.mixed=(2,'b')"], "mixed", (2, "b")),
        (["--config.path=a=b.csv"], "path", "a=b.csv"),
    ],
)
def test_an_override_sets_its_key_to_a_value_of_the_same_type(config, words, key, value):
    command_line.apply_overrides(config, words)
    found = command_line.keys(config)[key]
    assert found == value and type(found) is type(value)


def test_overrides_come_back_in_one_form(config):
    words = ["--noconfig.layers.tied", "--config.lam", "-1", "--config.path=a b"]
    overrides = command_line.apply_overrides(config, words)
    assert overrides == ["--config.layers.tied=false", "--config.lam=-1", "--config.path=a b"]
    again = command_line.repeat_command("configs/a.py", Path("runs/a"), overrides)
    assert again.endswith(
        "-m experiments.run --config=configs/a.py --workdir=runs/a "
        "--config.layers.tied=false --config.lam=-1 '--config.path=a b'"
    )


@pytest.mark.parametrize(
    "words, message",
    [
        (
            ["--config.depht=3"],
            "--config.depht=3: the config has no key 'depht'; did you mean depth or layers.depth? "
            "Nothing was run.",
        ),
        (["--config.layers.tid=1"], "did you mean layers.tied?"),
        (["--config.tied=1"], "did you mean layers.tied?"),
        (["--config.keys=1"], "the config has no key 'keys'; "),  # a method of ConfigDict
        (["--config.q=1"], "has no key 'q'; there are: depth, dtypes, experiment, lam, "),
        (["--config.layers=1"], "layers is a group; set layers.depth or layers.tied. Nothing"),
        (
            ["--config.depth=abc"],
            "--config.depth=abc: depth is an integer (32 in the config), got 'abc'. Nothing was",
        ),
        (["--config.depth=1e3"], "depth is an integer (32 in the config), got '1e3'"),
        (["--config.lam=much"], "lam is a number (0.5 in the config), got 'much'"),
        (["--config.layers.tied=maybe"], "layers.tied is true or false (True in the config), got"),
        (["--config.sizes=(1, 2"], "sizes is a tuple, as in '(1, 2)' ((1, 2) in the config), got"),
        (["--config.sizes=1,a"], "sizes is a tuple"),
        (["--config.sizes=1,2.5"], "sizes is a tuple"),
        (["--config.sizes=1,True"], "sizes is a tuple"),
        (["--config.rates=abc"], "rates is a tuple"),
        (["--config.listed=[2]"], "listed is a list and can only be set in the config file"),
        (["--config.none=2"], "none is a NoneType and can only be set in the config file"),
        (["--noconfig.depth"], "--noconfig.depth: depth is not true or false"),
        (["--config.depth"], "--config.depth: a value is missing"),
        (["depth=3"], "unexpected argument 'depth=3'. Nothing was run."),
        (["--depth=3"], "flag --depth=3; did you mean --config.depth or --config.layers.depth?"),
        (["--workdri=x"], "unknown flag --workdri=x; did you mean --workdir? Nothing was run."),
        (["--"], "unknown flag --. Nothing was run."),
    ],
)
def test_every_mistake_is_told_what_is_known(config, words, message):
    assert message in refused(config, *words)


@pytest.mark.parametrize(
    "word, message",
    [
        ("model.name=gpt2", "no key 'model.name'; did you mean model.architecture? Nothing"),
        ("train.lr=1", "no key 'train.lr'; did you mean train.learning_rate? Nothing"),
        ("model.heads=2", "no key 'model.heads'; did you mean model.num_heads? Nothing"),
        ("prompt.dim=2", "no key 'prompt.dim'; did you mean task.dim? Nothing"),
    ],
)
def test_keys_of_the_same_group_are_the_nearest(word, message):
    assert message in refused(command_line.load("train"), f"--config.{word}")


@pytest.mark.parametrize("word", ["convergence", "convergence:quick", "configs/convergence.py"])
def test_a_config_without_its_flag_is_told_the_command(monkeypatch, word):
    monkeypatch.chdir(command_line.CONFIGS.parent)
    monkeypatch.setattr(sys, "orig_argv", ["python", "-m", "experiments.run", word])
    monkeypatch.setattr(typed, "_start", [])
    end = ":quick" if "quick" in word else ""
    with pytest.raises(RunError) as error:
        command_line.refuse_flags([word])
    assert str(error.value) == (
        f"unexpected argument {word!r}. Nothing was run. To run that config: "
        f"python -m experiments.run --config=configs/convergence.py{end}"
    )


def test_without_a_config_only_what_is_no_override_is_refused():
    command_line.refuse_flags(["--config.depth=3", "--noconfig.tied"])
    with pytest.raises(RunError, match=r"unknown flag --confg=a; did you mean --config\?"):
        command_line.refuse_flags(["--config.depth=3", "--confg=a"])


def test_the_experiment_of_a_config_is_not_overridden():
    config = ConfigDict({"experiment": "convergence", "seed": 0})
    with pytest.raises(RunError, match="give the --config of the other experiment"):
        command_line.apply_overrides(config, ["--config.experiment=primitives"])
