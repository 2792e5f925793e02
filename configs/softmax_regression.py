"""Newton's method recovers planted softmax regressions; L-BFGS follows, gradient descent crawls.

Loss and gradient norm against iterations, for the normalized and the rescaled loss, in vector and
matrix form, on Gaussian data with logits of variance 1 and labels that some weights explain.

Run:    python -m experiments.run --config=configs/softmax_regression.py
Vary:   --config.problems="('single 500x32', 'matrix 300x8')" (n x d) --config.methods="('lbfgs',)"
Expect: Newton-CG and L-BFGS end at a normalized loss below 1e-16 with the planted weights to 1e-8
        or better; gradient descent with step 1/L keeps most of the normalized loss at n = 2048
Time:   3 min on 2 CPU cores; configs/softmax_regression.py:quick 10 s
"""

from ml_collections import ConfigDict


def get_config(mode: str = "full") -> ConfigDict:
    """ "full", or "quick": two small problems, the normalized loss, fewer steps of descent."""
    if mode not in ("full", "quick"):
        raise ValueError(f"softmax_regression: mode must be 'full' or 'quick', got {mode!r}")
    config = ConfigDict({"experiment": "softmax_regression", "seed": 0, "dtype": "float64"})
    config.problems = ("single 50x5", "single 200x16", "single 2048x64", "matrix 2048x64")  # n x d
    config.kinds = ("normalized", "rescaled")
    config.methods = ("newton-cg", "lbfgs", "gd")
    config.max_iterations = ConfigDict({"single": 10_000, "matrix": 200})
    if mode == "quick":
        config.problems = ("single 50x5", "matrix 12x3")
        config.kinds = ("normalized",)
        config.max_iterations.single = 500
        config.max_iterations.matrix = 100
    return config
