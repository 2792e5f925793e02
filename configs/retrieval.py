"""Examples retrieved around the query are worth more: one layer learns what theory allows.

Context covariates are drawn around the query, x_i = a x + sqrt(1 - a^2) z_i. Trained linear
attention (all weights) and merged H3 beside the exact optimum of one gradient step, and beside the
paper's approximation for many dimensions, which has no floor and is far below the optimum once
(a^2 d + 1) n is large (Li, Rawat, Oymak, arXiv:2407.10005, figure 2).

Run:    python -m experiments.run --config=configs/retrieval.py
Vary:   --config.train.num_steps=10000, --config.num_seeds=3
Expect: every mean within 2% of the exact theory; the seeds' mean weight within 5% of the
        optimal preconditioner in direction (one seed's by 13% at a = 0.6, where least squares on
        as many prompts as it averages over would be, too)
Time:   10 min beside another experiment on 2 CPU cores; configs/retrieval.py:quick 15 s
"""

from ml_collections import ConfigDict

from configs import base


def get_config(mode: str = "full") -> ConfigDict:
    """ "full", or "quick": small dimension, one model, few points."""
    quick = base.is_quick("retrieval", mode)
    lengths = (5, 10) if quick else (10, 20, 40, 60)
    alignments = (0.0, 0.6) if quick else (0.0, 0.2, 0.4, 0.6)
    task = {"name": "retrieval", "dim": 3 if quick else 20, "context_length": max(lengths)}
    run = {
        "task": {**task, "alignment": 0.0, "noise_var": 0.1},
        "sweep": {"alignment": alignments, "context_length": lengths},
    }
    runs = {"merged_h3": {**run, "model": {"name": "merged_h3"}}}
    if not quick:  # all weights take longer than one matrix to settle
        longer = {"num_steps": 8_000, "average": 0.5}
        runs["linear_attention"] = {**run, "model": {"name": "linear_attention"}, "train": longer}
    train = {"num_steps": 400 if quick else 5_000, "batch": 128, "average": 0.85}
    return base.trained("retrieval", quick, runs, train=train)
