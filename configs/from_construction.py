"""Training from weights written by hand: what it changes, and how much noise it survives.

Three steps of gradient descent for ridge regression on the natural prompt (Hagiwara,
arXiv:2503.23814, Section 3.5) are trained on: exact or with noise on every weight, weights tied or
not, biases by role or by position. Risk before and after, on other context lengths, the distance
that the weights move, and each step's matrix, eta I as built. Seven layers are a polynomial of
degree 3^7 in the prompt, and noise of .1 leaves no number in float32; one step (3 layers) takes it.

Run:    python -m experiments.run --config=configs/from_construction.py
Vary:   --config.train.learning_rate=0.003, --config.runs.untied.sweep.noise=0,
        --config.lengths='(8, 16, 32, 64, 128)'
Expect: risk .79 as built; every seed of the exact start and of noise .01 below .43 after training,
        Bayes .336, and below .34 on 32 examples
Time:   9 min of one CPU core; configs/from_construction.py:quick 20 s
"""

from typing import Any

from ml_collections import ConfigDict

from configs import base


def get_config(mode: str = "full") -> ConfigDict:
    """ "full", or "quick": two covariates, one step."""
    quick = base.is_quick("from_construction", mode)
    task = {
        "name": "linear_regression",
        "dim": 2 if quick else 4,
        "context_length": 8 if quick else 16,
        "noise_var": 0.25,
        "cov_x": (1.5, 0.5) if quick else (2.0, 1.0, 0.5, 0.25),
    }
    built = {
        **{"name": "elsa", "layout": "natural", "init": "construction", "step_size": 0.45},
        **{"lam": task["noise_var"], "depth": 1 if quick else 3, "tied": False, "biases": "role"},
    }
    small, none = (0.0, 0.01, 0.03), {"num_steps": 0}
    one_step = {**built, "depth": 1}
    runs: dict[str, Any] = {"untied": {"task": task, "model": built, "sweep": {"noise": small}}}
    if quick:
        runs["untied"]["sweep"]["noise"] = (0.0, 0.1)
    else:
        others: dict[str, tuple[dict[str, Any], tuple[float, ...]]] = {
            "tied": ({"tied": True}, (0.0,)),
            "position": ({"biases": "position"}, (0.0,)),
            "one_step": ({"depth": 1}, (0.0, 0.01, 0.1)),
        }
        for name, (own, noise) in others.items():
            runs[name] = {"task": task, "model": {**built, **own}, "sweep": {"noise": noise}}
        loud = {"sweep": {"noise": (0.1, 1.0)}, "train": none}
        runs["untied_as_built"] = {"task": task, "model": built, **loud}
        runs["one_step_as_built"] = {"task": task, "model": one_step, **loud}
    train = {
        "num_steps": 200 if quick else 1_500,
        "batch": 64,
        "learning_rate": 1e-2,
        "decay": "cosine",
        "adam_b2": 0.99,
        "skip_nonfinite": 20,  # steps in a row that may be skipped before a model stops
        "optimise": not quick,  # False compiles in about half the time
    }
    return base.trained(
        "from_construction",
        quick,
        runs,
        train=train,
        like=base.CLIPPED,
        num_seeds=1 if quick else 3,
        eval_prompts=10_000 if quick else 50_000,
        bayes_samples=10_000 if quick else 50_000,
        lengths=(16,) if quick else (8, 32, 64),  # besides the one that is trained on
    )
