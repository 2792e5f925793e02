"""One layer of linear attention and one of H3 both learn one step of preconditioned descent.

Both are trained with all their weights on in-context linear regression, for several context
lengths, in three settings: without label noise, with it, and with tasks whose covariance is not
isotropic; the risk of every trained model beside the optimum of one preconditioned gradient step
(Li, Rawat, Oymak, arXiv:2407.10005, figure 1).

Run:    python -m experiments.run --config=configs/attention_vs_h3.py
Vary:   --config.train.num_steps=5000, --config.runs.noisy_h3.task.noise_var=2.0
Expect: every mean within 1% of theory; the seeds' mean weight within 5% of the optimal
        preconditioner in direction
Time:   21 min beside another experiment on 2 CPU cores; configs/attention_vs_h3.py:quick 15 s
"""

from typing import Any

from ml_collections import ConfigDict

from configs import base


def get_config(mode: str = "full") -> ConfigDict:
    """ "full", or "quick": one dimension, two context lengths, one setting."""
    quick = base.is_quick("attention_vs_h3", mode)
    dim, lengths = (1, (4, 8)) if quick else (20, (10, 20, 40, 60))
    # eigenvalues of the tasks' covariance, 1 on average
    decaying = tuple(2.0 * (dim - i) / (dim + 1) for i in range(dim))
    settings: dict[str, dict[str, Any]] = {"noisy": {"noise_var": 1.0}}
    if not quick:
        settings["noiseless"] = {"noise_var": 0.0}
        settings["non_isotropic"] = {"noise_var": 0.0, "cov_task": decaying}
    runs = {}
    for setting, law in settings.items():
        task = {"name": "linear_regression", "dim": dim, "context_length": max(lengths), **law}
        for model in ("linear_attention", "h3"):
            runs[f"{setting}_{model}"] = {
                "task": task,
                "model": {"name": model},
                "sweep": {"context_length": lengths},
            }
    if not quick:  # the least certain of its weights
        runs["non_isotropic_h3"]["train"] = {"num_steps": 3_000}
    train = {
        "num_steps": 500 if quick else 2_500,
        "learning_rate": 0.03 if quick else 0.02,
        "optimise": not quick,  # False compiles in about half the time
    }
    return base.trained("attention_vs_h3", quick, runs, train=train)
