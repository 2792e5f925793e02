"""A step of the weights is a bounded shift of the labels, or of the data, in context.

Gradient descent on softmax regression, in vector and matrix form: what each step, and all of them
so far, would be as a shift of the labels and of the data at fixed weights, beside the bounds. Then
sequences of contexts at fixed weights: tokens that drift, and tokens that layers of softmax
attention move.

Run:    python -m experiments.run --config=configs/softmax_shift.py
Vary:   --config.problems="('single 100x10',)" (n x d) --config.steps=2000 --config.step_share=0.5
Expect: the losses agree to 1e-15 of the first loss, no shift exceeds its bound; along training the
        bound of a step is 4 to 35 times the shift of the labels, along contexts 30 to 60 times
Time:   25 s on 2 CPU cores; configs/softmax_shift.py:quick 15 s
"""

from ml_collections import ConfigDict


def get_config(mode: str = "full") -> ConfigDict:
    """ "full", or "quick": smaller problems, the normalized loss, fewer steps."""
    if mode not in ("full", "quick"):
        raise ValueError(f"softmax_shift: mode must be 'full' or 'quick', got {mode!r}")
    config = ConfigDict({"experiment": "softmax_shift", "seed": 0, "dtype": "float64"})
    config.problems = ("single 50x5", "matrix 20x4")  # n x d
    config.kinds = ("normalized", "rescaled")
    config.steps = 500
    config.step_share = 0.5  # of one over the largest eigenvalue of the Hessian at the start
    config.contexts = ConfigDict({"length": 100, "rows": 50, "dim": 5})
    config.contexts.drift = 0.02  # standard deviation of what is added to every entry
    config.contexts.attention = 0.05  # spectral norm of the values of every layer
    if mode == "quick":
        config.problems = ("single 12x3", "matrix 6x2")
        config.kinds = ("normalized",)
        config.steps = 60
        config.contexts.update({"length": 20, "rows": 12, "dim": 3})
    return config
