"""A low-rank correction of frozen weights adapts to tasks with another covariance.

A first run trains merged linear attention on tasks whose covariance decays in one order. Its
weights are frozen, and corrections U V^T of every rank are trained on tasks that decay in the other
order, beside the closed form for those very weights and the one for an optimal base (Li, Rawat,
Oymak, arXiv:2407.10005, figure 3).

Run:    python -m experiments.run --config=configs/lora.py
Vary:   --config.runs.correction.sweep.rank="(0, 5, 20)", --config.num_seeds=3
Expect: every mean within 2% of theory; rank 20 as good as training anew
Time:   2 min on 2 CPU cores; configs/lora.py:quick 15 s
"""

from ml_collections import ConfigDict


def get_config(mode: str = "full") -> ConfigDict:
    """ "full", or "quick": small dimension, three ranks."""
    if mode not in ("full", "quick"):
        raise ValueError(f"lora: mode must be 'full' or 'quick', got {mode!r}")
    quick = mode == "quick"
    config = ConfigDict({"experiment": "lora", "seed": 0, "dtype": "float32"})
    dim = 3 if quick else 20
    total = sum(1.0 / (i + 1) for i in range(dim))
    decaying = tuple(dim / total / (i + 1) for i in range(dim))
    task = {
        "name": "linear_regression",
        "dim": dim,
        "context_length": 8 if quick else 40,
        "noise_var": 0.1,
    }
    config.runs = ConfigDict()
    config.runs.base = ConfigDict(
        {
            "task": {**task, "cov_task": decaying},
            "model": {"name": "merged_attention"},
            "sweep": {},
        }
    )
    config.runs.correction = ConfigDict(
        {
            "task": {**task, "cov_task": decaying[::-1]},
            "model": {"name": "lora_attention"},
            "sweep": {"rank": (0, 1, 3) if quick else (0, 1, 2, 3, 4, 6, 8, 12, 16, 20)},
        }
    )
    config.num_seeds = 2 if quick else 5
    config.train = ConfigDict(
        {
            "num_steps": 400 if quick else 6_000,
            "batch": 128 if quick else 256,
            "learning_rate": 0.05 if quick else 0.01,
            "warmup": 50,
            "decay": "cosine",  # or "constant"
            "average": 0.75,  # weights are their mean over this last share of the steps
            "evaluate_every": 50,
            "patience": 0,  # evaluations without improvement until a model stops; 0: never
            "sampler": "auto",  # "rows", "gram", or the cheaper of what is possible
            "share_data": False,  # True: all seeds see the same prompts
            "checkpoint_seconds": 30.0,
            "optimise": not quick,  # False compiles in about half the time
            "matmul_precision": "highest",  # "high", "default": faster, on an accelerator
        }
    )
    config.eval_prompts = 20_000 if quick else 200_000
    return config
