"""One layer without biases on the transposed prompt: a row for each covariate, and one of labels.

Derivations: docs/theory.md.
"""

import numpy as np

from elsa.theory import pgd
from elsa.theory.results import ScaledStep
from elsa.theory.setting import Setting, require


def transposed_optimum(setting: Setting) -> ScaledStep:
    """The best one layer without biases on rows that are covariates, and its risk.

    The row of labels predicts y^T A X x: a weight for each pair of examples, none for the
    covariates. Examples are exchangeable, so that the best A is a I, one plain step:

        a = tr(Sx Sb Sx) / tr(Sx [(n + 1) Sx Sb Sx + (M + s2) Sx]),    M = tr(Sx Sb)
        risk = M + s2 - n a tr(Sx Sb Sx)

    the least of `pgd_risk` over multiples of I; a preconditioner would reach `pgd_optimum`.

    Args:
      setting: n, s2, Sx, and Sb = E[b b^T]; either matrix may be singular.

    Raises:
      TypeError: for a setting that is no `Setting`.
    """
    require("transposed_optimum", setting)
    sx, sb = setting.cov_x, setting.second_moment
    cross = float(np.trace(sx @ sb @ sx))
    square = float(np.trace(sx @ pgd.label_moment(setting)))
    scale = cross / square if square > 0.0 else 0.0
    label_var = float(np.trace(sx @ sb)) + setting.noise_var
    return ScaledStep(scale, label_var - setting.context_length * scale * cross)
