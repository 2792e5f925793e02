"""A linear transformer of L layers beats L steps of gradient descent, and theory says by how much.

Stacks of 1 to 4 layers in the (P, Q) parametrisation are trained on noisy linear regression. L
steps of gradient descent with the best step sizes are one such stack, but a layer may also change
the covariates, and the stack then is a polynomial of degree up to (3^L - 1)/2 in X^T X: trained
risks beside L steps, the best such polynomial, and Bayes (Ahn et al., arXiv:2306.00297).

Run:    python -m experiments.run --config=configs/depth.py
Vary:   --config.train.num_steps=10000, --config.runs.layers_2.task.noise_var=1.0
Expect: best seeds within 3% of the polynomial's risk, Bayes' from three layers on
Time:   4 min beside another experiment on 2 CPU cores; configs/depth.py:quick 15 s
"""

from ml_collections import ConfigDict

from configs import base


def get_config(mode: str = "full") -> ConfigDict:
    """ "full", or "quick": two layers, one dimension."""
    quick = base.is_quick("depth", mode)
    task = {
        "name": "linear_regression",
        "dim": 1 if quick else 5,
        "context_length": 6 if quick else 20,
        "noise_var": 0.5 if quick else 0.1,
    }
    model = {"name": "linear_transformer", "init_scale": 0.1}
    runs = {
        f"layers_{depth}": {"task": task, "model": {**model, "depth": depth}, "sweep": {}}
        for depth in ((2,) if quick else (1, 2, 3, 4))
    }
    train = {
        "num_steps": 800 if quick else 4_000,
        "batch": 128 if quick else 512,
        "learning_rate": 0.03,
        "evaluate_every": 100,
    }
    return base.trained(
        "depth",
        quick,
        runs,
        train=train,
        like={**base.CLIPPED, **base.DRAWN, **base.DECAYING},
        **base.bayes(quick),
    )
