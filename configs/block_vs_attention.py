"""On tasks with a prior mean a linear transformer block reaches what attention alone cannot.

Weights b ~ N(b*, I) with b* != 0. Attention alone keeps an error; with a linear feed-forward layer
behind it the block learns one gradient step from a start of its own, b*, and its risk is nearly
Bayes': risks along training beside Bayes, the best GD-beta and the best attention, and the start
and preconditioner read from the trained blocks (Zhang, Wu, Bartlett, arXiv:2402.14951).

Run:    python -m experiments.run --config=configs/block_vs_attention.py
Vary:   --config.num_seeds=10, --config.train.num_steps=8000
Expect: best seeds within 2% of theory, starts read from the blocks within 5% of b*
Time:   3 min on 2 CPU cores; configs/block_vs_attention.py:quick 20 s
"""

from ml_collections import ConfigDict

from configs import base


def get_config(mode: str = "full") -> ConfigDict:
    """ "full", or "quick": one context length, two dimensions, two seeds."""
    quick = base.is_quick("block_vs_attention", mode)
    lengths = (10,) if quick else (10, 20, 40)
    task = {
        "name": "linear_regression",
        "dim": 2 if quick else 5,
        "context_length": max(lengths),
        "noise_var": 0.25,
        "cov_x": (1.25, 0.75) if quick else (1.5, 1.25, 1.0, 0.75, 0.5),
        "task_mean": (2.0, -1.0) if quick else (2.0, -1.0, 1.0, -2.0, 1.0),
    }
    runs = {
        model: {"task": task, "model": {"name": model}, "sweep": {"context_length": lengths}}
        for model in ("linear_transformer_block", "linear_attention")
    }
    steps = {"num_steps": 800 if quick else 4_000}
    return base.with_prior_mean("block_vs_attention", quick, runs, train=steps)
