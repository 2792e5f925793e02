"""The same convergence on designs of condition number 1, 10, 100 and 1000, 256 tasks at once.

Every task has directions, weights and noise of its own (elsa.tasks.PrescribedSpectrum); the
condition number is that of X^T X + lam I. A second design has fewer rows than covariates, so that
lam is the smallest eigenvalue. Each curve is the median over tasks, with its range.

Run:    python -m experiments.run --config=configs/convergence_synthetic.py
Vary:   --config.data.condition_numbers="(30.0,300.0)" --config.data.tasks=1000
Expect: at most 1e-10 in float64 after 1, 115, 1152 and 11513 steps (7e-16 after one step at
        condition number 1), 1e-7 to 5e-5 in float32; every task's decay within 0.003% of theory in
        float64, 0.3% in float32
Time:   2 min on 2 CPU cores, 1 GB of memory; configs/convergence_synthetic.py:quick 15 s
"""

from ml_collections import ConfigDict


def get_config(mode: str = "full") -> ConfigDict:
    """ "full", or "quick": fewer tasks, condition numbers 1 and 10 alone."""
    if mode not in ("full", "quick"):
        raise ValueError(f"convergence_synthetic: mode must be 'full' or 'quick', got {mode!r}")
    config = ConfigDict({"experiment": "convergence", "seed": 0, "dtypes": ("float64", "float32")})
    config.data = ConfigDict({"tasks": 256, "dim": 6, "context_length": 16, "noise_var": 0.01})
    config.data.condition_numbers = (1.0, 10.0, 100.0, 1000.0)
    config.data.ridge_fraction = 0.5  # lam as a share of the smallest eigenvalue
    config.data.short_context_length = 4  # of the design with fewer rows than covariates
    config.data.short_condition_numbers = (100.0,)  # () leaves that design out
    config.methods = (
        *("gradient_descent", "ridge_lsa", "ridge_lsa_state"),
        *("ridge_elsa", "ridge_elsa_one_layer"),
    )
    config.tolerance = 1e-10
    config.max_depth = 20_000
    config.shown_depths = (10, 100, 1000)
    config.curve_points = 200
    if mode == "quick":
        config.data.tasks = 32
        config.data.condition_numbers = (1.0, 10.0)
        config.data.short_condition_numbers = ()
    return config
