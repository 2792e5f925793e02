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
Time:   20 min on 2 CPU cores; configs/drift.py:quick 15 s
"""

from typing import Any

from ml_collections import ConfigDict


def get_config(mode: str = "full") -> ConfigDict:
    """ "full", or "quick": small dimension, two correlations."""
    if mode not in ("full", "quick"):
        raise ValueError(f"drift: mode must be 'full' or 'quick', got {mode!r}")
    quick = mode == "quick"
    config = ConfigDict({"experiment": "drift", "seed": 0, "dtype": "float32"})
    task = {
        "name": "drift",
        "dim": 3 if quick else 20,
        "context_length": 10 if quick else 40,
        "noise_var": 0.1,
        "correlation": 0.9,
    }
    sweeps: dict[str, dict[str, tuple[float, ...]]] = {
        "": {"correlation": (0.5, 0.9) if quick else (0.9, 0.95, 0.98, 0.99, 1.0)}
    }
    if not quick:
        sweeps["_by_length"] = {"context_length": (10, 20, 40)}
    config.runs = ConfigDict()
    for model in ("merged_h3",) if quick else ("h3", "linear_attention"):
        for ending, sweep in sweeps.items():
            run: dict[str, Any] = {"task": task, "model": {"name": model}, "sweep": sweep}
            if model == "linear_attention":  # which has less to gain, and is slower to find it
                run["train"] = {"num_steps": 7_500}
            config.runs[f"{model}{ending}"] = ConfigDict(run)
    config.num_seeds = 2 if quick else 5
    config.train = ConfigDict(
        {
            "num_steps": 400 if quick else 3_600,
            "batch": 256,
            "learning_rate": 0.05 if quick else 0.02,
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
