"""Arguments of the predictors that are refused by name."""

import numpy as np
import pytest

from elsa import predictors
from elsa.tasks import Prompt
from tests.helpers import table

_DRAWN = np.random.default_rng(0).normal
GOOD = Prompt(_DRAWN(size=(2, 4, 3)), _DRAWN(size=(2, 4)), _DRAWN(size=(2, 3)), _DRAWN(size=2))


@table(
    "call, error, message",
    [
        (lambda: predictors.ridge(GOOD, -0.1), ValueError, "ridge: lam must be at least 0.0"),
        (lambda: predictors.ridge(GOOD, np.nan), ValueError, "ridge: lam must be finite"),
        (lambda: predictors.ridge(GOOD, [1.0, 2.0]), ValueError, "ridge: lam must be a number"),
        (lambda: predictors.bayes(GOOD, np.eye(2), 0.1), ValueError, "cov_task must have shape"),
        (lambda: predictors.bayes(GOOD, -np.eye(3), 0.1), ValueError, "positive semi-definite"),
        (lambda: predictors.bayes(GOOD, np.triu(np.ones((3, 3))), 0.1), ValueError, "symmetric"),
        (lambda: predictors.bayes(GOOD, np.eye(3), -1.0), ValueError, "noise_var must be at least"),
        (
            lambda: predictors.bayes(GOOD, np.eye(3), 0.1, [0.0]),
            ValueError,
            r"bayes: task_mean must have shape \(d=3,\), got \(1,\)",
        ),
        (
            lambda: predictors.gradient_descent(GOOD, -1, 0.1),
            ValueError,
            "gradient_descent: steps must be at least 0, got -1",
        ),
        (
            lambda: predictors.gradient_descent(GOOD, 2.0, 0.1),
            TypeError,
            "steps must be an integer",
        ),
        (
            lambda: predictors.gradient_descent(GOOD, 2, [0.1, 0.2, 0.3]),
            ValueError,
            r"step_size must be a number or have shape \(steps=2,\), got \(3,\)",
        ),
        (
            lambda: predictors.gradient_descent(GOOD, 2, 0.1, -1.0),
            ValueError,
            "lam must be at least",
        ),
        (
            lambda: predictors.gradient_descent(GOOD, 2, 0.1, init=np.ones(2)),
            ValueError,
            "gradient_descent: init must have shape",
        ),
        (
            lambda: predictors.polynomial_step(GOOD, []),
            ValueError,
            r"polynomial_step: coefficients must have shape \(degree \+ 1,\), got \(0,\)",
        ),
        (
            lambda: predictors.preconditioned_step(GOOD, np.eye(2)),
            ValueError,
            r"preconditioned_step: weight must have shape \(d=3, d=3\), got \(2, 2\)",
        ),
        (
            lambda: predictors.weighted_step(GOOD, np.ones(3)),
            ValueError,
            r"weighted_step: sample_weights must have shape \(n=4,\), got \(3,\)",
        ),
        (
            lambda: predictors.weighted_step(GOOD, np.ones(4), np.ones((3, 2))),
            ValueError,
            "weighted_step: weight must have shape",
        ),
        (
            lambda: predictors.gd_beta(GOOD, np.ones(2), np.eye(3)),
            ValueError,
            "gd_beta: init must have shape",
        ),
        (
            lambda: predictors.gd_beta(GOOD, np.ones(3), np.full((3, 3), np.nan)),
            ValueError,
            "gd_beta: preconditioner must be finite",
        ),
    ],
)
def test_bad_arguments(call, error, message):
    with pytest.raises(error, match=message):
        call()
