"""Examples retrieved around the query are worth more: one layer learns what theory allows.

Context covariates are drawn around the query, x_i = a x + sqrt(1 - a^2) z_i. Trained linear
attention (all weights) and merged H3 beside the exact optimum of one gradient step, and beside the
paper's approximation for many dimensions, which has no floor and is far below the optimum once
(a^2 d + 1) n is large (Li, Rawat, Oymak, arXiv:2407.10005, figure 2).

Run:    python -m experiments.run --config=configs/retrieval.py
Vary:   --config.train.num_steps=10000, --config.num_seeds=3
Expect: every mean within 2% of the exact theory; the seeds' mean weight within 5% of the
        optimal preconditioner in direction (one seed's by 11% at a = 0.6, where least squares on
        as many prompts as it averages over would be, too)
Time:   10 min on 2 CPU cores; configs/retrieval.py:quick 15 s
"""

from typing import Any

from ml_collections import ConfigDict


def get_config(mode: str = "full") -> ConfigDict:
    """ "full", or "quick": small dimension, one model, few points."""
    if mode not in ("full", "quick"):
        raise ValueError(f"retrieval: mode must be 'full' or 'quick', got {mode!r}")
    quick = mode == "quick"
    config = ConfigDict({"experiment": "retrieval", "seed": 0, "dtype": "float32"})
    lengths = (5, 10) if quick else (10, 20, 40, 60)
    config.runs = ConfigDict()
    for model in ("merged_h3",) if quick else ("linear_attention", "merged_h3"):
        run: dict[str, Any] = {
            "task": {
                "name": "retrieval",
                "dim": 3 if quick else 20,
                "context_length": max(lengths),
                "alignment": 0.0,
                "noise_var": 0.1,
            },
            "model": {"name": model},
            "sweep": {
                "alignment": (0.0, 0.6) if quick else (0.0, 0.2, 0.4, 0.6),
                "context_length": lengths,
            },
        }
        if model == "linear_attention":  # all weights take longer than one matrix to settle
            run["train"] = {"num_steps": 8_000, "average": 0.5}
        config.runs[model] = ConfigDict(run)
    config.num_seeds = 2 if quick else 5
    config.train = ConfigDict(
        {
            "num_steps": 400 if quick else 5_000,
            "batch": 128,
            "learning_rate": 0.02,
            "warmup": 50,
            "decay": "cosine",  # or "constant"
            "average": 0.85,  # weights are their mean over this last share of the steps
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
