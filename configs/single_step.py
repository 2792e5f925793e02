"""One module's update is the gradient of the ridge loss, to rounding, whatever N, d and lambda.

One step of all four constructions on random tasks, against the analytic gradient
X^T (X w - y) + lambda w and against jax.grad of the loss.

Run:    python -m experiments.run --config=configs/single_step.py
Vary:   --config.shapes="('200x30', '2x9')" (N x d), --config.lams="(0.0, 0.1)"
Expect: float64 errors below 1e-12 relative over the whole grid, float32 below 1e-3, all within the
        rounding bound; ridge_lsa does not admit lambda = 0, the other three do.
Time:   40 s on 2 CPU cores; configs/single_step.py:quick 10 s
"""

from ml_collections import ConfigDict


def get_config(mode: str = "full") -> ConfigDict:
    """ "full", or "quick": two shapes, two regularisers, fewer tasks."""
    if mode not in ("full", "quick"):
        raise ValueError(f"single_step: mode must be 'full' or 'quick', got {mode!r}")
    config = ConfigDict({"experiment": "single_step", "seed": 0})
    config.dtypes = ("float64", "float32")
    config.shapes = ("1x1", "1x5", "6x1", "3x5", "5x5", "20x4", "50x10", "100x20")  # N x d
    config.lams = (0.0, 1e-3, 1.0, 100.0)
    config.batch = 256  # random tasks at each point of the grid
    if mode == "quick":
        config.shapes = ("1x5", "20x4")
        config.lams = (0.0, 1.0)
        config.batch = 64
    return config
