"""The error that attention alone keeps grows with the prior mean; the block's does not.

Best of 5 seeds of a linear transformer block and of attention alone, over |b*| and the context
length, with the gap between the two beside the gap that theory predicts (Zhang, Wu, Bartlett,
arXiv:2402.14951). The curvature of the loss grows like 1 + |b*|^2: clipped gradients and Adam,
whose steps do not depend on the loss's scale, serve all points alike.

Run:    python -m experiments.run --config=configs/prior_mean_gap.py
Vary:   --config.num_seeds=10, --config.train.learning_rate=0.01
Expect: best seeds within 2% of theory at every point; no gap at b* = 0
Time:   8 min on 2 CPU cores; configs/prior_mean_gap.py:quick 20 s
"""

from ml_collections import ConfigDict

from configs import base


def get_config(mode: str = "full") -> ConfigDict:
    """ "full", or "quick": two means, two lengths, two dimensions, two seeds."""
    quick = base.is_quick("prior_mean_gap", mode)
    dim = 2 if quick else 5
    norms = (1.0, 3.0) if quick else (0.0, 1.0, 3.0, 10.0)
    lengths = (5, 20) if quick else (10, 20, 40, 80)
    means = tuple((norm / dim**0.5,) * dim for norm in norms)
    task = {
        "name": "linear_regression",
        "dim": dim,
        "context_length": max(lengths),
        "noise_var": 0.25,
        "task_mean": means[-1],
    }
    sweep = {"task_mean": means, "context_length": lengths}
    runs = {
        model: {"task": task, "model": {"name": model}, "sweep": sweep}
        for model in ("linear_transformer_block", "linear_attention")
    }
    steps = {"num_steps": 800 if quick else 6_000, "evaluate_every": 100}
    return base.with_prior_mean("prior_mean_gap", quick, runs, train=steps)
