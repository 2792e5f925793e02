"""A low-rank correction of frozen weights adapts to tasks with another covariance.

A first run trains merged linear attention on tasks whose covariance decays in one order. Its
weights are frozen, and corrections U V^T of every rank are trained on tasks that decay in the other
order, beside the closed form for those very weights and the one for an optimal base (Li, Rawat,
Oymak, arXiv:2407.10005, figure 3).

Run:    python -m experiments.run --config=configs/lora.py
Vary:   --config.runs.correction.sweep.rank="(0, 5, 20)", --config.num_seeds=3
Expect: every mean within 2% of theory; rank 20 as good as training anew
Time:   4 min beside another experiment on 2 CPU cores; configs/lora.py:quick 15 s
"""

from ml_collections import ConfigDict

from configs import base


def get_config(mode: str = "full") -> ConfigDict:
    """ "full", or "quick": small dimension, three ranks."""
    quick = base.is_quick("lora", mode)
    dim, length = (3, 8) if quick else (20, 40)
    decaying = base.decaying(dim)
    task = {"name": "linear_regression", "dim": dim, "context_length": length, "noise_var": 0.1}
    runs = {
        "base": {
            "task": {**task, "cov_task": decaying},
            "model": {"name": "merged_attention"},
            "sweep": {},
        },
        "correction": {
            "task": {**task, "cov_task": decaying[::-1]},
            "model": {"name": "lora_attention"},
            "sweep": {"rank": (0, 1, 3) if quick else (0, 1, 2, 3, 4, 6, 8, 12, 16, 20)},
        },
    }
    train = {
        "num_steps": 400 if quick else 6_000,
        "learning_rate": 0.05 if quick else 0.01,
        "optimise": not quick,  # False compiles in about half the time
    }
    return base.trained("lora", quick, runs, train=train)
