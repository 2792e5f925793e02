"""Estimators in scikit-learn's sense: what their fit and their predictions are given."""

from typing import Any

import numpy as np

from elsa.estimators import AttentionRidge
from tests.inputs.calls import Call, call
from tests.precision.data import DIM, ROWS, VECTOR, X, normal

_Y = X @ VECTOR
_ALPHA, _DEPTH = 0.5, 12


def _fit(
    X: Any,
    y: Any,
    sample_weight: Any = None,
    alpha: float = _ALPHA,
    algorithm: str = "newton_schulz",
    depth: int | None = None,
) -> Any:
    model = AttentionRidge(alpha, algorithm=algorithm, depth=depth)
    fitted = model.fit(X, y, sample_weight)
    return fitted.coef_, fitted.intercept_


def calls() -> dict[str, Call]:
    fitted = AttentionRidge(_ALPHA, depth=_DEPTH).fit(X, _Y)
    return {
        "estimators.AttentionRidge": call(
            _fit,
            X=X,
            y=_Y,
            sample_weight=np.linspace(1.0, 2.0, ROWS),
            alpha=_ALPHA,
            algorithm="newton_schulz",
            depth=_DEPTH,
        ),
        "estimators.AttentionRidge.fit": call(fitted.fit, X=X, y=_Y),
        "estimators.AttentionRidge.fit_stream": call(
            lambda rows, target: (
                AttentionRidge(_ALPHA, depth=_DEPTH).fit_stream(rows, target=target).coef_
            ),
            rows=np.c_[X, _Y],
            target=3,
        ),
        "estimators.AttentionRidge.predict": call(
            AttentionRidge(_ALPHA, depth=_DEPTH).fit(X, _Y).predict, X=normal(2, DIM)
        ),
    }
