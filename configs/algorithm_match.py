"""Stacks and trained models beside six algorithms: which one do they run, layer by layer?

Compiled stacks of gradient descent, preconditioned gradient descent, GD++, heavy ball, Chebyshev
and Newton-Schulz are compared with each of the six, whose numbers are fitted: predictions, their
derivatives by the query, and the directions of their changes, as Akyürek et al. (arXiv:2211.15661)
and von Oswald et al. (arXiv:2212.07677) compare trained models. The same with noise in the weights,
and for linear transformers that are trained here.

Run:    python -m experiments.run --config=configs/algorithm_match.py
Vary:   --config.noises="(0.01, 0.1)" (relative, of every weight), --config.depths="(3, 4)"
        --config.folders="('runs/depth',)" (runs of models trained before)
Expect: every compiled algorithm named, at a distance of rounding; with noise 1e-2 at least 95% of
        them. One trained layer is a step of gradient descent within 1%; two are near none of the
        six: the nearest is more than 0.2 away
Time:   2 min of one CPU core; configs/algorithm_match.py:quick 20 s
"""

from ml_collections import ConfigDict


def get_config(mode: str = "full") -> ConfigDict:
    """ "full", or "quick": fewer problems and steps, a transformer trained for a moment."""
    if mode not in ("full", "quick"):
        raise ValueError(f"algorithm_match: mode must be 'full' or 'quick', got {mode!r}")
    quick = mode == "quick"
    config = ConfigDict({"experiment": "algorithm_match", "seed": 0, "dtype": "float64"})
    config.task = ConfigDict({"dim": 3, "context_length": 12, "noise_var": 0.1})
    config.task.lam = 0.5  # of the algorithms that take a regulariser
    config.steps = 4  # of every algorithm
    config.batch = 8 if quick else 32  # problems
    config.noises = (1e-2,) if quick else (1e-3, 1e-2, 3e-2, 1e-1, 3e-1)  # relative
    config.draws = 1 if quick else 20  # of the noise, for each algorithm and size
    config.depths = (2,) if quick else (1, 2)  # of the transformers that are trained
    config.train = ConfigDict({"num_steps": 100 if quick else 4_000})
    config.train.batch = 64 if quick else 512
    config.train.learning_rate = 0.03
    config.train.sampler = "rows" if quick else "auto"  # quicker to compile
    config.train.optimise = not quick  # False compiles in about half the time
    config.folders = ()  # of runs of models trained before
    return config
