"""Weights of rank r reach the optimum over all weights of that rank.

Merged linear attention with W = U V^T on tasks whose covariance decays, for every rank at once, two
context lengths; beside it the closed form, which keeps the r largest eigenvalues (Li, Rawat, Oymak,
arXiv:2407.10005, figure 3).

Run:    python -m experiments.run --config=configs/low_rank.py
Vary:   --config.runs.context_20.sweep.rank="(1, 5, 20)", --config.num_seeds=3
Expect: every mean within 1% of theory; the seeds' mean weight within 5% of the optimum
Time:   3 min beside another experiment on 2 CPU cores; configs/low_rank.py:quick 10 s
"""

from ml_collections import ConfigDict

from configs import base


def get_config(mode: str = "full") -> ConfigDict:
    """ "full", or "quick": small dimension, three ranks."""
    quick = base.is_quick("low_rank", mode)
    dim = 3 if quick else 20
    cov_task = base.decaying(dim)
    task = {"name": "linear_regression", "dim": dim, "noise_var": 0.1, "cov_task": cov_task}
    sweep = {"rank": (1, 2, 3) if quick else (1, 2, 3, 4, 6, 8, 12, 16, 20)}
    model = {"name": "low_rank_attention"}
    runs = {
        f"context_{n}": {"task": {**task, "context_length": n}, "model": model, "sweep": sweep}
        for n in ((10,) if quick else (20, 60))
    }
    train = {
        "num_steps": 400 if quick else 6_000,
        "learning_rate": 0.05 if quick else 0.01,
        "sampler": "rows" if quick else "auto",  # quicker to compile
    }
    return base.trained("low_rank", quick, runs, train=train)
