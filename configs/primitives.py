"""One attention head moves, transposes and multiplies blocks of its prompt exactly, up to rounding.

Properties 1 to 4 of Hagiwara (arXiv:2503.23814): mask-and-move, any constant, the input itself,
products of two and of three blocks. Every line of the head table on random matrices of several
shapes (one row, one column, fewer rows than columns) and magnitudes, with several head scales,
against direct computation in NumPy float64.

Run:    python -m experiments.run --config=configs/primitives.py
Vary:   --config.shapes="('8x64x3', '2x2x2')" (n x d x k), --config.draws=1000
Expect: no error above gamma_k = k u / (1 - k u), u the unit roundoff of the dtype and k the terms
        that are summed; mask-and-move and the input without any error in every dtype.
Time:   30 s on 2 CPU cores; configs/primitives.py:quick 8 s
"""

from ml_collections import ConfigDict


def get_config(mode: str = "full") -> ConfigDict:
    """ "full", or "quick": one shape, few draws."""
    if mode not in ("full", "quick"):
        raise ValueError(f"primitives: mode must be 'full' or 'quick', got {mode!r}")
    config = ConfigDict({"experiment": "primitives", "seed": 0})
    config.dtypes = ("float64", "float32", "bfloat16")
    config.shapes = ("1x1x1", "1x6x3", "6x1x3", "3x8x5", "8x3x5", "16x16x16", "64x8x32")
    config.draws = 300  # random matrices for each shape, magnitude and head scale
    config.magnitudes = (1e-3, 1.0, 1e3)  # of the entries of the blocks
    config.scales = (1.0, -1.0, 0.7)  # s of the heads
    if mode == "quick":
        config.shapes = ("3x8x5",)
        config.draws = 20
    return config
