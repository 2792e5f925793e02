"""Layers of attention needed for ten digits of the ridge solution, algorithm by algorithm.

Four algorithms are compiled from plain JAX steps: gradient descent needs about 11.5 layers for each
unit of the condition number, heavy ball and Chebyshev's semi-iteration about its square root,
Newton-Schulz its logarithm. Designs of condition number 10 to 10^4, and the diabetes data.

Run:    python -m experiments.run --config=configs/depth_to_accuracy.py
Vary:   --config.data.condition_numbers="(30.0,300.0)" --config.tolerance=1e-6
Expect: measured layers equal to the exact theory (largest difference 3 of 115,036 steps where
        rounding enters); at condition number 10^4 gradient descent 115,033, heavy ball 1,502,
        Chebyshev 1,187 and Newton-Schulz 21 layers
Time:   1 min on 2 CPU cores; configs/depth_to_accuracy.py:quick 15 s
"""

from ml_collections import ConfigDict


def get_config(mode: str = "full") -> ConfigDict:
    """ "full", or "quick": fewer tasks, condition numbers 10 and 100."""
    if mode not in ("full", "quick"):
        raise ValueError(f"depth_to_accuracy: mode must be 'full' or 'quick', got {mode!r}")
    config = ConfigDict({"experiment": "depth_to_accuracy", "seed": 0, "dtype": "float64"})
    config.data = ConfigDict({"tasks": 16, "dim": 10, "context_length": 40, "noise_var": 0.01})
    config.data.condition_numbers = (10.0, 100.0, 1000.0, 10_000.0)
    config.data.ridge_fraction = 0.5  # lam as a share of the smallest eigenvalue
    config.data.diabetes_lam = 1.0
    config.methods = ("gradient_descent", "heavy_ball", "chebyshev", "newton_schulz")
    config.tolerance = 1e-10
    if mode == "quick":
        config.data.tasks = 4
        config.data.condition_numbers = (10.0, 100.0)
    return config
