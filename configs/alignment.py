"""Features aligned with the task are worth more: one layer learns what theory allows.

Covariates lean towards the task, x_i ~ N(a beta, I), labels x_i.beta / sqrt(a^2 d + 1). Trained
linear attention (all weights) and merged H3 beside the exact optimum of one gradient step, and
beside its approximation for many dimensions, in which an example counts (a^2 d + 1)^2 times; it has
no floor and is far below the optimum for large a (Li, Rawat, Oymak, arXiv:2407.10005, figure 2).

Run:    python -m experiments.run --config=configs/alignment.py
Vary:   --config.train.num_steps=10000, --config.num_seeds=3
Expect: every mean within 2% of the exact theory; the seeds' mean weight within 5% of the
        optimal preconditioner in direction
Time:   8 min beside another experiment on 2 CPU cores; configs/alignment.py:quick 15 s
"""

from ml_collections import ConfigDict

from configs import base


def get_config(mode: str = "full") -> ConfigDict:
    """ "full", or "quick": small dimension, one model, few points."""
    quick = base.is_quick("alignment", mode)
    lengths = (5, 10) if quick else (10, 20, 40, 60)
    alignments = (0.0, 0.6) if quick else (0.0, 0.2, 0.4, 0.6)
    task = {"name": "alignment", "dim": 3 if quick else 20, "context_length": max(lengths)}
    run = {
        "task": {**task, "alignment": 0.0, "noise_var": 0.1},
        "sweep": {"alignment": alignments, "context_length": lengths},
    }
    runs = {"merged_h3": {**run, "model": {"name": "merged_h3"}}}
    if not quick:  # all weights take longer than one matrix to settle
        longer = {"num_steps": 6_000, "average": 0.6}
        runs["linear_attention"] = {**run, "model": {"name": "linear_attention"}, "train": longer}
    train = {"num_steps": 400 if quick else 4_000, "batch": 128, "average": 0.85}
    return base.trained("alignment", quick, runs, train=train)
