"""How fast softmax regression changes, beside bounds of the paper's kind and tight ones.

Largest ratio over 10,000 pairs in the ball |x| <= R, on centred data of spectral norm R with labels
of norm 1, beside three bounds: from R alone, as the paper's; from norms of the data; the sharp one.

Run:    python -m experiments.run --config=configs/softmax_lipschitz.py
Vary:   --config.radii="(1.0, 4.0)" --config.problems="('single 20x3',)" (n x d) --config.pairs=1000
Expect: no ratio above any bound; at R = 3 the paper's kind is 15 to 18 orders of magnitude above
        what is measured for the normalized loss, the sharp bound less than one for few rows
Time:   40 s on 2 CPU cores; configs/softmax_lipschitz.py:quick 15 s
"""

from ml_collections import ConfigDict


def get_config(mode: str = "full") -> ConfigDict:
    """ "full", or "quick": two problems, three radii."""
    if mode not in ("full", "quick"):
        raise ValueError(f"softmax_lipschitz: mode must be 'full' or 'quick', got {mode!r}")
    config = ConfigDict({"experiment": "softmax_lipschitz", "seed": 0, "dtype": "float64"})
    config.problems = ("single 2x1", "single 4x3", "single 8x8", "matrix 4x2")  # n x d
    config.radii = (0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 2.5, 3.0)
    config.pairs = 10_000  # half of them close, half independent
    if mode == "quick":
        config.problems = ("single 2x1", "matrix 4x2")
        config.radii = (0.5, 1.5, 3.0)
    return config
