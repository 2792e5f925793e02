"""What the biases of ELSA buy: a prior mean, an intercept, and nothing that role channels do not.

Linear self-attention (LSA) with one head and with d + 1, ELSA with one head, and LSA that is told
which rows are examples and which the query, trained on prompts with the query in a row of its own:
risk against |b*|, where tasks are N(b*, I), against the deviation of an intercept, and on affine
tasks against depth. One layer beside the closed forms of its class; below every stack without
biases stands the floor that holds at any depth. No rate was chosen on the reported prompts.

Run:    python -m experiments.run --config=configs/elsa_vs_lsa.py
Vary:   --config.runs.mean_elsa.model.num_heads=2, --config.train.learning_rate=0.003
Expect: one layer within 1.5% of the closed forms (LSA with d + 1 heads at |b*| = 4 within 3%); on
        affine tasks LSA above its floor 1.25 at every depth, ELSA of two layers below .65
Time:   12 min of one CPU core; configs/elsa_vs_lsa.py:quick 20 s
"""

from typing import Any

from ml_collections import ConfigDict

from configs import base

_MODELS: dict[str, dict[str, Any]] = {
    "elsa": {"name": "elsa"},
    "lsa": {"name": "lsa"},
    "lsa_roles": {"name": "lsa", "layout": "stacked_roles"},
}
_DEEP = {"num_steps": 1_500, "batch": 64}
_DEEPEST = {**_DEEP, "learning_rate": 6e-3, "loss": "huber", "huber_delta": 3.0}


def get_config(mode: str = "full") -> ConfigDict:
    """ "full", or "quick": d = 2, few steps, one layer."""
    quick = base.is_quick("elsa_vs_lsa", mode)
    dim, n = (2, 8) if quick else (4, 16)
    shared = {"dim": dim, "context_length": n, "noise_var": 0.1}
    means = tuple((norm / dim**0.5,) * dim for norm in ((2.0,) if quick else (0.0, 2.0, 4.0)))
    task = {"name": "linear_regression", "task_mean": means[-1], **shared}
    heads = {"name": "lsa", "num_heads": dim + 1, "masked": True}
    models = {**_MODELS, "lsa": {"name": "lsa", "masked": True}, "lsa_heads": heads}
    runs: dict[str, Any] = {
        f"mean_{name}": {
            "panel": "mean",
            "task": task,
            "model": {"depth": 1, "init_scale": 0.3, **model},
            # without a mean many heads are one head
            "sweep": {"task_mean": means[1:] if name == "lsa_heads" else means},
        }
        for name, model in models.items()
        if not (quick and name in ("lsa_roles", "lsa_heads"))
    }
    affine = {"name": "affine_regression", "intercept_var": 1.0, **shared}
    variances = (1.0,) if quick else (0.0, 0.25, 1.0)
    for name in ("elsa",) if quick else _MODELS:
        runs[f"intercept_{name}"] = {
            "panel": "intercept",
            "task": affine,
            "model": {"depth": 1, "init_scale": 0.3, **_MODELS[name]},
            "sweep": {"intercept_var": variances},
        }
    depths = {1: _MODELS, 2: _MODELS, 4: ("elsa", "lsa")}  # at 4 role channels cost a minute
    for depth, name in () if quick else ((d, name) for d in depths for name in depths[d]):
        runs[f"depth_{depth}_{name}"] = {
            "panel": "depth",
            "task": {**affine, "noise_var": 0.25},
            "model": {"depth": depth, "init_scale": 0.3, **_MODELS[name]},
            "sweep": {},
            "train": _DEEPEST if depth > 2 else _DEEP,
        }
    train = {
        "num_steps": 300 if quick else 2_000,
        "batch": 128,
        "learning_rate": 0.02 if quick else 0.01,
        "evaluate_every": 100,
        "decay": "cosine",
        "loss": "squared",  # "huber" in the deepest stacks, where single prompts dominate
        "huber_delta": 3.0,
        "adam_b2": 0.999,
        "skip_nonfinite": 20,  # steps in a row that may be skipped before a model stops
        "optimise": not quick,  # False compiles in about half the time
    }
    return base.trained(
        "elsa_vs_lsa",
        quick,
        runs,
        train=train,
        like=base.CLIPPED,
        **{**base.bayes(quick), "num_seeds": 1 if quick else 3},
    )
