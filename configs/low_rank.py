"""Weights of rank r reach the optimum over all weights of that rank.

Merged linear attention with W = U V^T on tasks whose covariance decays, for every rank at once, two
context lengths; beside it the closed form, which keeps the r largest eigenvalues (Li, Rawat, Oymak,
arXiv:2407.10005, figure 3).

Run:    python -m experiments.run --config=configs/low_rank.py
Vary:   --config.runs.context_20.sweep.rank="(1, 5, 20)", --config.num_seeds=3
Expect: every mean within 1% of theory; the seeds' mean weight within 5% of the optimum
Time:   2 min on 2 CPU cores; configs/low_rank.py:quick 10 s
"""

from ml_collections import ConfigDict


def get_config(mode: str = "full") -> ConfigDict:
    """ "full", or "quick": small dimension, three ranks."""
    if mode not in ("full", "quick"):
        raise ValueError(f"low_rank: mode must be 'full' or 'quick', got {mode!r}")
    quick = mode == "quick"
    config = ConfigDict({"experiment": "low_rank", "seed": 0, "dtype": "float32"})
    dim = 3 if quick else 20
    total = sum(1.0 / (i + 1) for i in range(dim))
    task = {
        "name": "linear_regression",
        "dim": dim,
        "noise_var": 0.1,
        # eigenvalues of the tasks' covariance, 1 on average
        "cov_task": tuple(dim / total / (i + 1) for i in range(dim)),
    }
    ranks = (1, 2, 3) if quick else (1, 2, 3, 4, 6, 8, 12, 16, 20)
    config.runs = ConfigDict()
    for length in (10,) if quick else (20, 60):
        run = {
            "task": {**task, "context_length": length},
            "model": {"name": "low_rank_attention"},
            "sweep": {"rank": ranks},
        }
        config.runs[f"context_{length}"] = ConfigDict(run)
    config.num_seeds = 2 if quick else 5
    config.train = ConfigDict(
        {
            "num_steps": 400 if quick else 6_000,
            "batch": 128 if quick else 256,
            "learning_rate": 0.05 if quick else 0.01,
            "warmup": 50,
            "decay": "cosine",  # or "constant"
            "average": 0.75,  # weights are their mean over this last share of the steps
            "evaluate_every": 50,
            "patience": 0,  # evaluations without improvement until a model stops; 0: never
            "sampler": "auto",  # "rows", "gram", or the cheaper of what is possible
            "share_data": False,  # True: all seeds see the same prompts
            "checkpoint_seconds": 30.0,
            "matmul_precision": "highest",  # "high", "default": faster, on an accelerator
        }
    )
    config.eval_prompts = 20_000 if quick else 200_000
    return config
