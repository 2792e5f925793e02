"""When the task drifts along the context, H3 learns to weigh recent examples; attention cannot.

Tasks of neighbouring examples have correlation rho. H3's filter becomes the optimal sample weights
and its risk the optimum of a weighted gradient step; linear attention, which weighs all examples
alike, stays at the unweighted optimum, which gets worse with longer contexts (Li, Rawat, Oymak,
arXiv:2407.10005, figure 4).

Run:    python -m experiments.run --config=configs/drift.py
Vary:   --config.train.num_steps=5000, --config.num_seeds=3
Expect: H3 within 1% of the weighted optimum, attention within 1% of its own, above it; both meet
        where nothing drifts, at rho = 1; the seeds' mean weight within 5% of the optimum. Far below
        rho = 0.9 a context is worth too little for its weights to be learnt from so few prompts
        (at 0.5, 1.5% of the risk)
Time:   27 min beside another experiment on 2 CPU cores; configs/drift.py:quick 15 s
"""

from typing import Any

from ml_collections import ConfigDict

from configs import base


def get_config(mode: str = "full") -> ConfigDict:
    """ "full", or "quick": small dimension, two correlations."""
    quick = base.is_quick("drift", mode)
    sizes = {"dim": 3, "context_length": 10} if quick else {"dim": 20, "context_length": 40}
    task = {"name": "drift", **sizes, "noise_var": 0.1, "correlation": 0.9}
    correlations = (0.5, 0.9) if quick else (0.9, 0.95, 0.98, 0.99, 1.0)
    sweeps: dict[str, dict[str, Any]] = {"": {"correlation": correlations}}
    if not quick:
        sweeps["_by_length"] = {"context_length": (10, 20, 40)}
    runs = {}
    for model in ("merged_h3",) if quick else ("h3", "linear_attention"):
        for ending, sweep in sweeps.items():
            run: dict[str, Any] = {"task": task, "model": {"name": model}, "sweep": sweep}
            if model == "linear_attention":  # which has less to gain, and is slower to find it
                run["train"] = {"num_steps": 7_500}
            runs[f"{model}{ending}"] = run
    train = {
        "num_steps": 400 if quick else 3_600,
        "batch": 256,
        "learning_rate": 0.05 if quick else 0.02,
    }
    return base.trained("drift", quick, runs, train=train)
