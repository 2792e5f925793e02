"""Attention layers with weights built by hand converge to scikit-learn's ridge solution.

One task in the prompt: scikit-learn's diabetes data (442 patients, 10 covariates) or a table of
your own, columns standardised, labels centred. |w_T - w| / |w| against depth T for the four ridge
constructions and for plain gradient descent, all with the best step size from w_0 = 0, beside the
closed form; the decay a step beside -log((kappa - 1)/(kappa + 1)). The last of the methods gives
the answer: coefficients.csv in the table's own units, and predictions.csv for rows that it has not
seen, beside scikit-learn's Ridge on standardised columns.

Run:    python -m experiments.run --config=configs/convergence.py
Vary:   --config.data.path=my.csv --config.data.target=COLUMN --config.data.drop=COLUMN,COLUMN,
        --config.lam=10
Expect: condition number 372.0, so 4284 steps: 7.9e-11 from scikit-learn's Ridge in float64 for
        every construction, as the closed form says (worst case 1e-10); about 1e-6 in float32; decay
        0.005376 a step, within 0.03% of theory
Time:   20 s on 2 CPU cores; configs/convergence.py:quick 10 s
"""

from ml_collections import ConfigDict


def get_config(mode: str = "full") -> ConfigDict:
    """ "full", or "quick": a stronger regulariser, so that fewer steps suffice."""
    if mode not in ("full", "quick"):
        raise ValueError(f"convergence: mode must be 'full' or 'quick', got {mode!r}")
    config = ConfigDict({"experiment": "convergence", "dtypes": ("float64", "float32")})
    # A CSV file with a header and the name of its label column; both empty: the diabetes data.
    # What separates columns ("tab", ";", ..) and the decimal mark are found out where they are "".
    config.data = ConfigDict({"path": "", "target": "", "separator": "", "decimal": ""})
    config.data.drop = ""  # columns to leave out, whatever stands in them: "name,date"
    config.data.held_out = 0.2  # share of the rows that the predictions are for, always the same
    config.lam = 1.0
    config.methods = (
        *("gradient_descent", "ridge_lsa", "ridge_lsa_state"),
        *("ridge_elsa", "ridge_elsa_one_layer"),
    )
    config.tolerance = 1e-10  # the depth is what theory asks for to get there ...
    config.max_depth = 20_000  # ... or this, where theory asks for more
    config.shown_depths = (10, 100, 1000)  # columns of the table, beside the last depth
    config.curve_points = 200  # depths kept of every curve
    if mode == "quick":
        config.lam = 100.0
    return config
