"""Which mutations have a right result, and where: the one place that says so."""

import inspect

import numpy as np

from tests.inputs.calls import Call
from tests.inputs.mutations import VALUES
from tests.inputs.otherwise import DOCUMENTED_NAN, OTHERWISE
from tests.inputs.verdict import NAN_TOO

# Of a number: what the formula means at 0, below 0, at infinity, or far away.
NUMBERS = {
    "alpha": "zero huge",
    "lam": "zero huge",
    "l2": "zero huge",
    "noise_var": "zero huge",
    "d_lam": "zero negative huge",
    "momentum": "zero",
    "alignment": "zero",
    "smallest": "zero",
    "residual": "zero",
    "correlation": "zero negative",
    "curvature": "zero huge",
    "scale": "huge",
    "query_scale": "huge",
    "intercept_var": "zero huge",
    "intercept_scale": "negative zero huge",
    "noise": "zero huge",
    "init_noise": "zero",
    "step_size": "huge",
    "sharpness": "huge",
    "condition_number": "huge",
    "largest": "huge",
    "decay": "huge",
    "floor": "huge",
    "gamma_shape": "huge",
    "ridge_fraction": "zero",
    "radius": "zero huge",
    "label_norm": "zero huge",
    "spread": "zero huge",
    "init_scale": "huge",
    "least": "zero",
    "unit": "zero",
    "learning_rate": "huge",
    "average": "zero",
    "huber_delta": "huge",
    "adam_b2": "zero",
    "max_gradient_norm": "zero huge",
    "min_improvement": "zero huge",
    "checkpoint_seconds": "zero huge",
    "tolerance": "huge",
}
# Of an integer: 0 rounds or rows, and numbers that are no size of an array.
INTEGERS = {
    "depth": "zero",
    "steps": "zero",
    "last": "zero",
    "rank": "zero",
    "num_queries": "zero",
    "shift": "zero",
    "length": "zero",
    "warmup": "zero",
    "patience": "zero huge",
    "seed": "zero",
    "draw": "zero",
    "skip_nonfinite": "zero",
    "num_steps": "zero",
    "point": "zero",
    "layer": "zero",
    "index": "zero",
    "row": "zero",
    "rows": "zero negative",
    "channels": "zero negative",
    "first": "zero",
    "keep": "huge",
    "terms": "zero",
    "power": "zero",
    "exponent": "zero",
}
# Arrays whose entries are squares, eigenvalues, errors or counts: none lies below 0, and not all
# are 0.
NOT_NEGATIVE = {
    "cov_x",
    "cov_task",
    "task_corr",
    "eigenvalues",
    "steps",
    "times",
    "errors",
    "exact",
}
NOT_ZERO = {"errors", "exact", "reference", "start", "task_corr", "coefficients", "times"}
# Sums of products of what they are given: they are asked within jit and vmap, look at no value, and
# NaN, infinity and overflow are in the result what they are in the formula.
PASS_NAN = {
    "attention.lsa",
    "attention.elsa",
    "attention.gram.context_gram",
    "attention.gram.tokens",
    "attention.gram.right_multiplier",
    "attention.gram.run_layers",
    "attention.with_roles",
    "attention.without_biases",
    "models.readout.from_attention",
    "models.readout.from_residual_stream",
    "models.readout.from_block",
    "nn.LSA.__call__",
    "nn.ELSA.__call__",
    "nn.LSA.scores",
    "nn.ELSA.scores",
    "nn.BlockStack.run",
    "nn.BlockStack.padded",
    "nn.Stack.__call__",
    "nn.Stack.ended",
    "readback.Formulas.run",
    "prompts.BlockLayout.block",
    "prompts.BlockLayout.unpack",
    "prompts.edits.edited",
    "tasks.counted_prompt",
    "tasks.gram_prompt",
    "tasks.keep_last",
    "tasks.pair_prompt",
    "theory.ridge_loss",
    "theory.ridge_gradient",
    "training.across_seeds",
    "metrics.relative_distance",
}
# Models look at no value of a prompt either: a training step that asked would wait for the device.
ROOMS_THAT_PASS_NAN = ("models.",)
# These look at values and refuse NaN and infinity; what only overflows within a product comes out
# as it does in the formula, as no result is waited for.
OVERFLOW = (
    *(
        "estimators.",
        "constructions.",
        "compiler.",
        "nn.BlockStack.",
        "nn.Streamed.",
        "predictors.",
        "softmax_regression.",
    ),
    *("prompts.", "readback.Formulas.", "tasks.", "report.", "training."),
)
# Numbers of closed forms that are the size of no array.
ONLY_NUMBERS = {"dim", "context_length"}
# Elementwise along these: more entries or axes are more of the same question.
MORE_ENTRIES = {
    "theory.chebyshev_bound": "steps",
    "theory.heavy_ball_bound": "steps",
    "theory.newton_schulz_bound": "steps",
    "theory.chebyshev_factors": "eigenvalues",
    "theory.error_curve": "steps start",
    "theory.gradient_descent_factors": "eigenvalues",
    "theory.heavy_ball_factors": "eigenvalues",
    "theory.newton_schulz_factors": "eigenvalues scale",
    "theory.relative_errors": "factors start",
    "theory.settled_at": "errors",
    "theory.multi_step_risk": "coefficients",
    "theory.equivariant_floor": "prompts group",
    "theory.scratch_shift": "X",
    "tasks.TableContexts": "x",
    "predictors.polynomial_step": "coefficients",
    "predictors.ridge_weights": "X y",
    "softmax_regression.Problem": "a1 a2",
    "softmax_regression.Problem.single": "a",
    "softmax_regression.Problem.planted": "a1 a2",
    "softmax_regression.Problem.trajectory_shift": "path",
    "softmax_regression.softmax_attention": "a",
    "softmax_regression.label_operator_norm": "b",
    "training.across_seeds": "values",
    "models.readout.from_attention": "output",
    "models.readout.from_residual_stream": "row",
    "models.readout.from_block": "row",
    "metrics.relative_distance": "",
    "readback.Formulas.error": "prompts",
    "prompts.BlockLayout.block": "h",
    "prompts.BlockLayout.unpack": "h",
    "prompts.edits.edited": "h",
    "nn.LSA.__call__": "h",
    "nn.LSA.scores": "h",
    "nn.ELSA.__call__": "h",  # of a batch
    "nn.Stack.__call__": "h",
    "nn.BlockStack.padded": "h",
    "nn.Stack.ended": "h",
    "algorithms.matrix_polynomial": "coefficients",
    "metrics.fitted_decay": "errors",
    "metrics.fit_window": "errors exact",
    "attention.lsa": "h",
    "attention.equivariance_error": "h",
    "attention.with_roles": "h roles",
    "attention.gram.context_gram": "x",
    "attention.gram.tokens": "x",
    "attention.streamed_gram": "rows",
    "estimators.AttentionRidge.fit_stream": "rows",
}
_MORE = {"axis more", "axis fewer", "row more", "column more", "no rows", "vector", "column"}
_WITHOUT_ROWS = ("attention.", "models.", "nn.", "prompts.")
# Without end, or far from it, each has a limit or a value.
DIVERGED = {"theory.settled_at", "metrics.fit_window", "metrics.fitted_decay"}
AT_INFINITY = {
    "theory.accelerated_rate",
    "theory.chebyshev_bound",
    "theory.contraction",
    "theory.decay_rate",
    "theory.heavy_ball_bound",
}
# A column or a number of a 1 x 1 block, and a dtype by its name in bytes, as NumPy has it.
BLOCKS_OF_ONE = {"lam": {"number", "axis fewer"}}
# Neither models nor predictors look at the label that they are to predict.
UNSEEN = ("query_y", "target")
ROOMS_BLIND_TO_THE_LABEL = ("models.", "predictors.")


def admitted(name: str, call: Call, argument: str, kind: str) -> bool | str:
    """Whether that mutation of that argument has a right result."""
    if (name, argument, kind) in DOCUMENTED_NAN:
        return NAN_TOO
    field, _, kind = kind.rpartition(": ")
    if field in UNSEEN and name.startswith(ROOMS_BLIND_TO_THE_LABEL):
        return True
    base = name.partition(",")[0]
    read, value = field or argument, call.arguments[argument]
    if kind in OTHERWISE.get((base, argument), "").split(", "):
        return True
    if kind == "none":
        return _default(call, argument) is None
    if kind in ("integers", "integer"):
        return not isinstance(value, bool | str)
    if kind == "bytes":
        return argument == "dtype"
    if isinstance(value, bool):
        return False
    if kind in _MORE and argument in MORE_ENTRIES.get(base, "").split():
        return kind != "no rows" or base.startswith(_WITHOUT_ROWS)
    if isinstance(value, int):
        is_number = base.startswith("attention.gram.") or (
            base.startswith("theory.") and argument in ONLY_NUMBERS
        )
        of_number = kind == "huge" and is_number
        return of_number or kind in INTEGERS.get(argument, "").split()
    if isinstance(value, float) and base.startswith("heads."):  # a scale of either sign
        return kind in ("negative", "zero", "huge")
    if isinstance(value, float):
        at_infinity = kind == "inf" and base in AT_INFINITY
        return at_infinity or kind in NUMBERS.get(argument, "").split()
    if not (isinstance(value, np.ndarray) or field or hasattr(value, "ndim")):
        return False
    if kind in VALUES and (base in PASS_NAN or name.startswith(ROOMS_THAT_PASS_NAN)):
        return True
    if kind in VALUES and base in DIVERGED:
        return kind != "minus inf"
    if kind == "huge":
        return name.startswith(OVERFLOW)
    if kind in BLOCKS_OF_ONE.get(argument, ()):
        return True
    return (kind == "negative" and read not in NOT_NEGATIVE) or (
        kind == "zero" and read not in NOT_ZERO
    )


def _default(call: Call, argument: str) -> object:
    """What the callable takes where the argument is left out."""
    function = call.function.__init__ if inspect.isclass(call.function) else call.function
    found = inspect.signature(function).parameters.get(argument)
    return inspect.Parameter.empty if found is None else found.default
