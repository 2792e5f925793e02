"""A bad config is refused before jax is imported, by the checks that its driver asks again."""

import subprocess
import sys
from pathlib import Path

import pytest

from experiments import early, run
from experiments.constructed import checking, depth_to_accuracy, perturbations
from experiments.harness import command_line
from experiments.harness.experiment import RunError

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
    "train": ("--config.eval_prompts=0", "eval_prompts must be at least 1, got 0"),
}


def test_what_is_asked_early_is_tested_here_and_every_driver_is_known():
    assert set(BAD) == set(early.CHECKS) <= set(run.DRIVERS)


@pytest.mark.parametrize("name", BAD)
def test_the_early_check_takes_the_config_and_refuses_what_is_wrong_in_it(name):
    word, message = BAD[name]
    config = command_line.load(f"{name}:quick")
    early.refuse(config)
    command_line.apply_overrides(config, [word])
    with pytest.raises(RunError, match=message):
        early.refuse(config)


def test_the_names_are_those_of_the_drivers():
    assert tuple(depth_to_accuracy.SOLVERS) == checking.SOLVERS
    assert tuple(perturbations.FAMILIES) == checking.CONSTRUCTIONS


def test_a_missing_table_ends_a_run_without_jax():
    program = (
        "import sys\nfrom experiments import run\n"
        "words = ['run', '--config=convergence', *sys.argv[1:]]\n"
        "code = run.main(run.parse_flags(words))\n"
        "print(code, *sorted({'flax', 'jax', 'matplotlib', 'scipy'} & set(sys.modules)))"
    )
    words = ("--config.data.path=no.csv", "--config.data.target=y")
    done = subprocess.run(
        [sys.executable, "-c", program, *words], cwd=ROOT, capture_output=True, text=True
    )
    assert done.stdout == "2\n", done.stderr
    said = "error: read_csv: path (data.path in a config) must be a CSV file, got 'no.csv'"
    assert done.stderr.startswith(said)
