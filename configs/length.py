"""Linear attention trained at one context length, run on contexts of others.

The trained weight is a preconditioner; on contexts of m rows it is scaled by 1/m in place of the
1/n of its training, and its risk is then a closed form. Beside it the optimum of the length trained
on, scaled alike, and the optimum of each length (Li, Rawat, Oymak, arXiv:2407.10005). The weight
shrinks for the noise of a context of n rows: on longer ones it is too small, and more examples help
it less than they could.

Run:    python -m experiments.run --config=configs/length.py
Vary:   --config.lengths=10,100, --config.runs.linear_attention.task.noise_var=1.0
Expect: at every length the risk of the model's own weight, within the error of the prompts; at the
        length trained on within 1% of the optimum, at 80 rows twice the optimum of that length
Time:   2 min on 2 CPU cores; configs/length.py:quick 10 s
"""

from ml_collections import ConfigDict

from configs import base


def get_config(mode: str = "full") -> ConfigDict:
    """ "full", or "quick": small dimension, three lengths."""
    quick = base.is_quick("length", mode)
    task = {
        "name": "linear_regression",
        "dim": 2 if quick else 5,
        "context_length": 5 if quick else 10,
        "noise_var": 0.1,
    }
    model = "merged_attention" if quick else "linear_attention"
    runs = {model: {"task": task, "model": {"name": model}, "sweep": {}}}
    return base.trained(
        "length",
        quick,
        runs,
        train={
            "num_steps": 400 if quick else 4_000,
            "sampler": "rows" if quick else "auto",  # quicker to compile
            "optimise": not quick,  # False compiles in about half the time
        },
        lengths=(2, 5, 40) if quick else (2, 5, 10, 20, 40, 80),
    )
