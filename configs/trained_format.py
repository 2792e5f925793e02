"""What of the prompt's format matters to trained stacks: a query beside data, a transposed prompt.

LSA and ELSA trained on linear regression whose prompt has the query in a row and channels of its
own (stacked), in a row of its own and the channels of the data (shared), in the row of the first
example (natural), or rows that are covariates (transposed), where one layer without biases has one
step size for all directions. With a prior mean it matters whether the sums over rows have the
query's row. The order of rows and channels does not matter: a run on a prompt with its blocks
elsewhere, from the same weights moved with them, has the same losses to rounding.

Run:    python -m experiments.run --config=configs/trained_format.py
Vary:   --config.runs.plain_stacked_lsa.model.num_heads=1, --config.train.num_steps=4000
Expect: one layer within 2% of the best preconditioned step 1.113, transposed of the best plain one
        1.444; prior mean: ELSA near 1.067, LSA with d + 1 heads 1.178, with one 1.54 (stacked) to
        1.78 (shared), with the query masked within 2% of 1.801; two layers transposed: only ELSA
        below 1.113; shuffled: the same losses of its one seed
Time:   7 min of one CPU core; configs/trained_format.py:quick 20 s
"""

from typing import Any

from ml_collections import ConfigDict

from configs import base


def get_config(mode: str = "full") -> ConfigDict:
    """ "full", or "quick": two covariates, few steps, two formats."""
    quick = base.is_quick("trained_format", mode)
    dim, n = (2, 8) if quick else (4, 16)
    sizes = {"name": "linear_regression", "dim": dim, "context_length": n}
    cov_x = (2.0, 0.25) if quick else (2.0, 1.0, 0.5, 0.25)
    plain = {**sizes, "noise_var": 0.25, "cov_x": cov_x}
    mean = {**sizes, "noise_var": 0.1, "task_mean": (2.0 / dim**0.5,) * dim}  # |b*| = 2
    shared = {
        "X": (0, 0, n, dim),
        "query_x": (n, 0, 1, dim),
        "y": (0, dim, n, 1),
        "prediction": (n, dim + 1, 1, 1),
    }
    shuffled = {  # of stacked: the same blocks in other rows and channels
        "y": (1, 0, n, 1),
        "query_x": (0, 1, 1, dim),
        "prediction": (0, dim + 1, 1, 1),
        "X": (1, dim + 2, n, dim),
    }
    formats: dict[str, dict[str, Any]] = {
        "stacked": {},
        "shared": {"layout": "custom", "boxes": shared},
        "natural": {"layout": "natural"},
        "transposed": {"layout": "transposed"},
    }
    runs: dict[str, Any] = {}

    def add(panel: str, place: str, model: str, task: dict[str, Any], **own: Any) -> None:
        heads = f"_{own['num_heads']}_heads" if panel == "mean" and "num_heads" in own else ""
        masked = "_masked" if own.get("masked", False) else ""
        runs[f"{panel}_{place}_{model}{heads}{masked}"] = {
            "panel": panel,
            "format": place,
            "task": task,
            "model": {"name": model, "depth": 1, "init_scale": 0.3, **formats[place], **own},
            "sweep": {},
        }

    # one head often loses the direction of the largest variance on its way, and stays without it
    for place in ("stacked", "transposed") if quick else formats:
        for model in ("lsa",) if quick or place in ("shared", "natural") else ("lsa", "elsa"):
            add("plain", place, model, plain, num_heads=4 if place == "transposed" else 2)
    runs["plain_stacked_lsa_shuffled"] = {
        **runs["plain_stacked_lsa"],
        "like": "plain_stacked_lsa",
        "num_seeds": 1,  # it starts from one model's weights, the other run's first
        "model": {**runs["plain_stacked_lsa"]["model"], "layout": "custom", "boxes": shuffled},
    }
    if not quick:
        for place in ("stacked", "shared", "natural"):
            add("mean", place, "lsa", mean)
        add("mean", "stacked", "lsa", mean, num_heads=dim + 1)
        add("mean", "stacked", "lsa", mean, masked=True)  # no row attends to the query's
        add("mean", "stacked", "elsa", mean)
        add("mean", "natural", "elsa", mean, num_heads=2)
        for place in ("stacked", "transposed"):
            for model in ("lsa", "elsa"):
                add("two_layers", place, model, plain, depth=2)
    train = {
        "num_steps": 300 if quick else 2_000,
        "batch": 64 if quick else 128,
        "learning_rate": 0.02 if quick else 0.01,
        "adam_b2": 0.99,
        "evaluate_every": 100,
        "decay": "cosine",
        "skip_nonfinite": 20,  # steps in a row that may be skipped before a model stops
        "optimise": not quick,  # False compiles in about half the time
    }
    return base.trained(
        "trained_format",
        quick,
        runs,
        train=train,
        like=base.CLIPPED,
        num_seeds=2 if quick else 3,
        eval_prompts=20_000 if quick else 50_000,
        bayes_samples=10_000 if quick else 50_000,
    )
