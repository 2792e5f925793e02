"""Estimators in scikit-learn's sense, whose fit is a run of attention layers.

scikit-learn takes a second to import, and is imported with the first name that is used.
"""

from typing import TYPE_CHECKING, Any

__all__ = ["AttentionRidge"]

if TYPE_CHECKING:
    from elsa.estimators.attention_ridge import AttentionRidge


def __getattr__(name: str) -> Any:
    if name == "AttentionRidge":
        from elsa.estimators.attention_ridge import AttentionRidge

        return AttentionRidge
    raise AttributeError(f"module 'elsa.estimators' has no attribute {name!r}; it has {__all__}")
