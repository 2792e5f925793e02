"""Gradient flow of GD-beta reaches the one minimum from every start, at the rate of the Hessian.

The risk of one gradient step, in its start b0 and its preconditioner Gamma, is not convex, but has
no stationary point but its minimum. The flow is integrated with exact gradients from 50 random
starts: distance to the optimum and excess risk against time, beside the rate that the smallest
eigenvalue of the Hessian predicts (Zhang, Wu, Bartlett, arXiv:2402.14951).

Run:    python -m experiments.run --config=configs/gd_beta_flow.py
Vary:   --config.num_starts=200, --config.spread=30.0
Expect: every start within 1e-8 of the minimum, late rates within 0.1% of the Hessian's
Time:   30 s on 2 CPU cores; configs/gd_beta_flow.py:quick 5 s
"""

from ml_collections import ConfigDict

from configs import base


def get_config(mode: str = "full") -> ConfigDict:
    """ "full", or "quick": few starts in two dimensions."""
    quick = base.is_quick("gd_beta_flow", mode)
    config = ConfigDict({"experiment": "gd_beta_flow", "seed": 0, "dtype": "float64"})
    config.settings = ConfigDict()  # name -> a linear_regression task
    mean = (1.0, -2.0) if quick else (2.0, -1.0, 1.0, -2.0, 1.0)
    task = {"name": "linear_regression", "dim": len(mean), "context_length": 10 if quick else 20}
    task = {**task, "noise_var": 0.25, "task_mean": mean}
    config.settings["isotropic"] = ConfigDict(task)
    if not quick:
        config.settings["anisotropic"] = ConfigDict(
            {
                **task,
                "cov_x": (1.5, 1.25, 1.0, 0.75, 0.5),
                "cov_task": (0.5, 1.5, 1.0, 0.75, 1.25),
            }
        )
    config.num_starts = 5 if quick else 50
    config.spread = 3.0  # standard deviation of the entries of b0 - b* and of Gamma at the start
    config.decades = 12.0  # how far the slowest mode falls until the end
    config.num_times = 120
    return config
