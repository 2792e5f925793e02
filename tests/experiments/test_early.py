"""A bad config is refused before jax is imported, by the checks that its driver asks again."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from elsa.base import known_names
from experiments import early, run
from experiments.constructed import checking, depth_to_accuracy, perturbations
from experiments.harness import command_line, listing
from experiments.harness.experiment import RunError
from experiments.trained import architecture_table

ROOT = Path(run.__file__).parents[1]
BAD = {  # of each experiment that is asked early: what is wrong, and the message
    "algorithm_match": ("--config.batch=1", "batch must be at least 2, got 1"),
    "convergence": ("--config.methods=a", "methods must be one of .*, got 'a'"),
    "depth_to_accuracy": ("--config.methods=a", "methods must be one of .*, got 'a'"),
    "layout_ablation": ("--config.constructions=a", "constructions must be one of .*, got 'a'"),
    "primitives": ("--config.shapes=3x8", "shapes must be n x d x k, .*, got '3x8'"),
    "single_step": ("--config.lams=-1,", "lams must be at least 0.0, got -1"),
    "softmax_lipschitz": ("--config.problems=a", "problems must be named as .*, got 'a'"),
    "softmax_regression": ("--config.kinds=a", "kinds must be one of .*, got 'a'"),
    "softmax_shift": ("--config.step_share=0", "step_share must be finite and above 0, got 0"),
    "gd_beta_flow": ("--config.num_starts=0", "num_starts must be at least 1, got 0"),
    "train": ("--config.eval_prompts=0", "eval_prompts must be at least 1, got 0"),
}
_TRAINED = sorted(set(run.DRIVERS) - set(BAD))  # those that train runs of their configs
BAD |= dict.fromkeys(
    _TRAINED, ("--config.train.num_steps=-50", "train: num_steps must be at least 0, got -50")
)
PLAIN = [  # further numbers of the groups train and data, and columns that are none
    ("depth", "num_seeds=0", "num_seeds must be at least 1, got 0"),
    ("depth", "train.learning_rate=-1", "learning_rate must be finite and above 0, got -1"),
    ("depth", "train.keep=0", "keep must be at least 1, got 0"),
    ("train", "train.num_steps=-5", "num_steps must be at least 0, got -5"),
    ("train", "train.num_steps=70", "num_steps must be a multiple of evaluate_every=50, got 70"),
    ("train", "train.batch=0", "batch must be at least 1, got 0"),
    ("train", "train.tracker=wandbb", "tracker must be one of .*, got 'wandbb'"),
    ("train", "train.matmul_precision=low", "matmul_precision must be one of .*, got 'low'"),
    ("train", "dtype=float16", "dtype must be one of .*, got 'float16'"),
    ("train", "model.architecture=elssa", "architecture='elssa' is unknown; did you mean elsa"),
    ("train", "model.init=ramdom", "model.init='ramdom' is unknown; did you mean random"),
    ("train", "model.biases=rol", "model.biases='rol' is unknown; did you mean role"),
    ("train", "prompt.layout=staked", "prompt.layout='staked' is unknown; did you mean stacked"),
    ("train", "model.depth=-1", "cannot be built with model.depth=-1.\nWhat can be built:"),
    ("train", "task.name=linear_regresion", "unknown task.name .*; did you mean 'linear_regress"),
    ("train", "task.dim=-3", "train: task.dim must be at least 1, got -3"),
    ("train", "task.context_length=0", "train: task.context_length must be at least 1, got 0"),
    ("train", "task.context_length=3000000000", "task.context_length must be below 2147483648"),
    ("depth", "runs.layers_2.task.name=drfit", "runs.layers_2.task.name 'drfit', .* 'drift'"),
    ("depth", "runs.layers_2.model.name=gtp2", "runs.layers_2.model.name 'gtp2', .* 'gpt2'"),
    ("train", "train.decay=cosin", "decay must be one of .*, got 'cosin'; did you mean 'cosine'"),
    ("train", "data.held_out=1.0", "data.held_out must be a share of the rows below 1, got 1.0"),
    ("train", "data.drop=age", "data.drop='age' is of a file; name a CSV file by data.path"),
    ("algorithm_match", "train.batch=0", "batch must be at least 1, got 0"),
    ("convergence", "data.held_out=-0.5", r"data.held_out must be at least 0.0, got -0.5"),
    ("convergence_synthetic", "data.tasks=0", "data.tasks must be at least 1, got 0"),
    ("convergence_synthetic", "data.ridge_fraction=2.0", "ridge_fraction must be at most 1, got 2"),
    ("depth_to_accuracy", "data.noise_var=-1", "data.noise_var must be at least 0.0, got -1"),
    ("depth_to_accuracy", "data.diabetes_lam=0", "data.diabetes_lam must be finite and above 0"),
]
CONFIGS = [file.stem for file in listing.files(command_line.CONFIGS)]
SEEDS = [  # in every config that has one
    ("-1", "seed must be at least 0, got -1"),
    ("4294967296", r"seed must be below 2\*\*32, got 4294967296"),
    ("1.5", "seed is an integer .*, got '1.5'"),
    ("a", "seed is an integer .*, got 'a'"),
    ("None", "seed is an integer .*, got 'None'"),
]
TABLE = "age,sex,price\n1,0,2.5\n2,1,3.5\n4,0,1.5\n"
COLUMNS = [  # of such a table: what a newcomer gets wrong
    ("data.target=prize", "target must be a column of .*; did you mean 'price'"),
    ("data.drop=agee", "drop must name columns of .*; did you mean 'age'"),
    ("data.drop=age,sex", "drop must leave a covariate beside the target"),
    ("data.separator=;", "separator .* was given as ';', and ',' separates the first line"),
    ("data.decimal=x", "decimal must be one of"),
]


def test_every_experiment_is_asked_early():
    assert set(early.CHECKS) <= set(BAD) == set(run.DRIVERS)


def refused(name, *words):
    """What the early check says of a config that it takes without these words."""
    config = command_line.load(f"{name}:quick")
    early.refuse(config)
    with pytest.raises(RunError) as error:
        command_line.apply_overrides(config, words)
        early.refuse(config)
    return str(error.value)


@pytest.mark.parametrize("name", BAD)
def test_the_early_check_takes_the_config_and_refuses_what_is_wrong_in_it(name):
    word, message = BAD[name]
    assert re.search(message, refused(name, word))


def test_a_seed_that_makes_no_key_is_refused_early_by_every_experiment():
    drawn = [name for name in CONFIGS if "seed" in command_line.load(f"{name}:quick")]
    assert set(CONFIGS) - set(drawn) == {"convergence"}  # of a table
    for name in drawn:
        for text, message in SEEDS:
            assert re.search(message, refused(name, f"--config.seed={text}")), name


@pytest.mark.parametrize("name, word, message", PLAIN)
def test_plain_ranges_of_training_and_data_are_asked_early(name, word, message):
    assert re.search(message, refused(name, f"--config.{word}"))


def test_a_run_s_own_numbers_of_training_are_asked_early():
    config = command_line.load("depth:quick")
    with config.unlocked():
        next(iter(config.runs.values())).train = {"warmup": -1}
    with pytest.raises(RunError, match="train: warmup must be at least 0, got -1"):
        early.refuse(config)


@pytest.mark.parametrize("name", ["convergence", "train"])
@pytest.mark.parametrize("word, message", COLUMNS)
def test_columns_that_are_none_are_refused_early(tmp_path, name, word, message):
    file = tmp_path / "houses.csv"
    file.write_text(TABLE)
    words = [f"--config.data.path={file}", "--config.data.target=price", f"--config.{word}"]
    assert re.search(message, refused(name, *words))


def test_entries_are_looked_at_early_where_the_file_is_small(tmp_path):
    file = tmp_path / "houses.csv"
    words = [f"--config.data.path={file}", "--config.data.target=price"]
    file.write_text(TABLE + "4,male,1.5\n")
    assert "line 5, column 'sex': expected a finite number" in refused("train", *words)
    file.write_text(TABLE + "4,0,1.5\n" * 200_000 + "4,male,1.5\n")
    config = command_line.load("train:quick")
    command_line.apply_overrides(config, words)
    early.refuse(config)  # the driver reads them
    assert "target must be a column" in refused("train", *words, "--config.data.target=prize")


def test_the_names_are_those_of_the_drivers():
    assert tuple(depth_to_accuracy.SOLVERS) == checking.SOLVERS
    assert tuple(perturbations.FAMILIES) == checking.CONSTRUCTIONS


def test_names_that_are_known_early_are_those_that_stand_for_something():
    from elsa import models, tasks
    from elsa.models import starts

    assert known_names.written("model") == tuple(models.MODELS)
    assert known_names.written("task") == tuple(tasks.TASKS)
    there = {layout: list(known) for layout, known in starts.CONSTRUCTIONS.items()}
    assert {k: list(v) for k, v in known_names.CONSTRUCTIONS.items()} == there
    assert list(known_names.ALGORITHMS) == list(starts.ALGORITHMS)
    for init in known_names.INITS[1:]:
        there = {layout: [*known] for layout, known in starts.table(init).items()}
        assert {k: [*v] for k, v in architecture_table.starts(init).items()} == there
    assert {each.name for each in architecture_table.ARCHITECTURES.values()} < {*models.MODELS}


def test_a_task_that_a_program_adds_is_known_early(monkeypatch):
    from elsa import tasks

    monkeypatch.setitem(tasks.TASKS, "sparse", tasks.LinearRegression)
    known_names.refuse("train", "task", "task.name", "sparse")
    with pytest.raises(KeyError, match=r"unknown task.name 'spars', .*; did you mean 'sparse'"):
        known_names.refuse("train", "task", "task.name", "spars")


@pytest.mark.parametrize(
    "name, words, said",
    [
        (
            "train",
            ("--config.model.architecture=elssa",),
            "model.architecture='elssa' is unknown; did you mean elsa",
        ),
        (
            "train",
            ("--config.task.name=linear_regresion",),
            "train: unknown task.name 'linear_regresion', known are",
        ),
        (
            "convergence",
            ("--config.data.path=no.csv", "--config.data.target=y"),
            "read_csv: path (data.path in a config) must be a CSV file, got 'no.csv'",
        ),
        (
            "train",
            ("--config.data.path=docs/data/linnerud.csv", "--config.data.target=wast"),
            "read_csv: target must be a column of docs/data/linnerud.csv",
        ),
    ],
)
def test_a_bad_config_ends_a_run_without_jax(name, words, said):
    program = (
        "import sys\nfrom experiments import run\n"
        f"words = ['run', '--config={name}', *sys.argv[1:]]\n"
        "code = run.main(run.parse_flags(words))\n"
        "print(code, *sorted({'flax', 'jax', 'matplotlib', 'scipy'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *words], cwd=ROOT, capture_output=True, text=True
    )
    assert done.stdout == "2\n", done.stderr
    assert done.stderr.startswith(f"error: {said}")
