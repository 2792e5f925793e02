"""One layer of linear attention and one of H3 both learn one step of preconditioned descent.

Both are trained with all their weights on in-context linear regression, for several context
lengths, in three settings: without label noise, with it, and with tasks whose covariance is not
isotropic; the risk of every trained model beside the optimum of one preconditioned gradient step
(Li, Rawat, Oymak, arXiv:2407.10005, figure 1).

Run:    python -m experiments.run --config=configs/attention_vs_h3.py
Vary:   --config.train.num_steps=5000, --config.runs.noisy_h3.task.noise_var=2.0
Expect: every mean within 1% of theory; the seeds' mean weight within 5% of the optimal
        preconditioner in direction
Time:   17 min on 2 CPU cores; configs/attention_vs_h3.py:quick 15 s
"""

from typing import Any

from ml_collections import ConfigDict


def get_config(mode: str = "full") -> ConfigDict:
    """ "full", or "quick": one dimension, two context lengths, one setting."""
    if mode not in ("full", "quick"):
        raise ValueError(f"attention_vs_h3: mode must be 'full' or 'quick', got {mode!r}")
    quick = mode == "quick"
    config = ConfigDict({"experiment": "attention_vs_h3", "seed": 0, "dtype": "float32"})
    dim = 1 if quick else 20
    # eigenvalues of the tasks' covariance, 1 on average
    decaying = tuple(2.0 * (dim - i) / (dim + 1) for i in range(dim))
    settings: dict[str, dict[str, Any]] = {
        "noiseless": {"noise_var": 0.0},
        "noisy": {"noise_var": 1.0},
        "non_isotropic": {"noise_var": 0.0, "cov_task": decaying},
    }
    lengths = (4, 8) if quick else (10, 20, 40, 60)
    config.runs = ConfigDict()
    for setting, task in settings.items():
        if quick and setting != "noisy":
            continue
        for model in ("linear_attention", "h3"):
            run: dict[str, Any] = {
                "task": {
                    "name": "linear_regression",
                    "dim": dim,
                    "context_length": max(lengths),
                    **task,
                },
                "model": {"name": model},
                "sweep": {"context_length": lengths},
            }
            if setting == "non_isotropic" and model == "h3":  # the least certain of its weights
                run["train"] = {"num_steps": 3_000}
            config.runs[f"{setting}_{model}"] = ConfigDict(run)
    config.num_seeds = 2 if quick else 5
    config.train = ConfigDict(
        {
            "num_steps": 500 if quick else 2_500,
            "batch": 128 if quick else 256,
            "learning_rate": 0.03 if quick else 0.02,
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
