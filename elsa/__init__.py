"""In-context learning by linear attention: weights built by hand, trained, and predicted.

Names are loaded when they are first used, so that `import elsa` costs next to nothing.
"""

import importlib
from typing import TYPE_CHECKING, Any

from elsa.base.compiler_faults import avoid as _avoid

__version__ = "0.1.0"

_avoid()  # before jax computes

# Public functions and classes -> the module that defines them.
_FROM = {
    "BlockLayout": "elsa.prompts",
    "CompileError": "elsa.compiler",
    "compile": "elsa.compiler",
    "elsa": "elsa.attention",
    "export": "elsa.exchange",
    "load": "elsa.exchange",
    "lsa": "elsa.attention",
    "mask_move": "elsa.attention",
    "streamed_gram": "elsa.attention",
}
_MODULES = (
    "algorithms",
    "constructions",
    "estimators",
    "heads",
    "models",
    "nn",
    "predictors",
    "prompts",
    "readback",
    "report",
    "softmax_regression",
    "tasks",
    "theory",
    "training",
)

__all__ = [
    "BlockLayout",
    "CompileError",
    "algorithms",
    "compile",
    "constructions",
    "elsa",
    "estimators",
    "export",
    "heads",
    "load",
    "lsa",
    "mask_move",
    "models",
    "nn",
    "predictors",
    "prompts",
    "readback",
    "report",
    "softmax_regression",
    "streamed_gram",
    "tasks",
    "theory",
    "training",
]

if TYPE_CHECKING:
    from elsa import (
        algorithms,
        constructions,
        estimators,
        heads,
        models,
        nn,
        predictors,
        prompts,
        readback,
        report,
        softmax_regression,
        tasks,
        theory,
        training,
    )
    from elsa.attention import elsa, lsa, mask_move, streamed_gram
    from elsa.compiler import CompileError, compile
    from elsa.exchange import export, load
    from elsa.prompts import BlockLayout


def __getattr__(name: str) -> Any:
    if name in _FROM:
        return getattr(importlib.import_module(_FROM[name]), name)
    if name in _MODULES:
        return importlib.import_module(f"elsa.{name}")
    raise AttributeError(f"module 'elsa' has no attribute {name!r}; it has {__all__}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
