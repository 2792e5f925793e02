"""Mutations that have a right result for one callable: what the meanings by name do not say."""

# What no other place says, callable by callable.
OTHERWISE = {
    ("algorithms.matrix_polynomial", "coefficients"): "zero, huge",
    ("algorithms.preconditioned_gradient_descent", "preconditioner"): "huge",
    ("attention.gram.cost_of_rows", "key_size"): "zero",
    ("attention.gram.cost_of_rows", "num_heads"): "zero",
    ("attention.gram.cost_of_gram", "num_heads"): "zero",
    ("attention.gram.prefers_gram", "key_size"): "zero",
    ("attention.gram.prefers_gram", "num_heads"): "zero",
    ("metrics.rounding_floor", "condition_number"): "inf",
    ("metrics.fit_window", "errors"): "zero",
    ("metrics.fit_window", "exact"): "zero",
    (
        "metrics.fitted_decay",
        "first",
    ): "negative, huge",  # a range of no steps
    ("metrics.fitted_decay", "stop"): "negative, zero, huge",
    ("metrics.log_spaced", "also"): "empty, no entries, huge within, longer",
    ("prompts.BlockLayout", "shape"): "huge within",  # a layout is no array
    ("prompts.BlockLayout", "transposed"): "empty, no entries, longer",
    ("prompts.BlockLayout.extended", "blocks"): "no entries",
    ("prompts.BlockLayout.extended", "shape"): "none, huge within",
    ("prompts.custom_format", "shape"): "huge within",
    ("prompts.custom_format", "transposed"): "empty, no entries, longer",
    ("prompts.row_roles", "examples"): "empty, no entries, longer",
    ("prompts.role_indicator", "roles"): "empty, no entries, longer",  # as many rows
    ("prompts.edits.moved", "names"): "empty, no entries, longer",
    ("prompts.edits.edited", "changes"): "no entries",
    ("heads.constant", "value"): "huge",
    ("heads.times_constant", "matrix"): "huge",
    **dict.fromkeys(
        [
            (f"heads.table.Primitive.{name}", "sizes")
            for name in ("layout", "shapes", "random", "run", "roundings")
        ],
        "unknown entry",
    ),
    **dict.fromkeys(
        [(f"heads.table.Primitive.{name}", "constant") for name in ("head", "run", "error")],
        "huge",
    ),
    ("heads.table.Primitive.run", "scales"): "negative within, fraction within, huge within, "
    "longer",
    ("heads.table.Primitive.error", "scales"): "negative within, fraction within, huge within",
    ("heads.table.Primitive.error", "result"): "huge",
    **dict.fromkeys(
        [(model, "algorithm") for model in ("models.LSAModel", "models.ELSAModel")], "no text"
    ),
    **{
        (f"models.{name}", argument): "zero"  # the number of channels; weights of zero
        for name in ("LSAModel", "ELSAModel", "BlockLSA", "BlockELSA")
        for argument in ("key_size", "init_scale")
    },
    **dict.fromkeys(  # scikit-learn takes booleans, of dummies, as numbers
        [("estimators.AttentionRidge", "X"), ("estimators.AttentionRidge.fit", "X")],
        "column more, booleans",
    ),
    ("estimators.AttentionRidge", "y"): "booleans",
    ("estimators.AttentionRidge.fit_stream", "target"): "negative, zero",  # any column
    ("estimators.AttentionRidge.fit", "y"): "booleans",
    ("estimators.AttentionRidge.predict", "X"): "row more, booleans",
    ("tasks.read_csv", "drop"): "empty, no entries, longer",
    ("tasks.Scaling.of", "x"): "column more",
    ("tasks.Scaling.transform", "x"): "row more, no rows",  # any number of rows
    ("tasks.Scaling.transform_labels", "y"): "row more, column more, no rows, empty",
    ("nn.LSA", "init_scale"): "zero",
    ("nn.ELSA", "init_scale"): "zero",
    ("nn.Stack", "prologue"): "empty",
    ("nn.Stack", "epilogue"): "empty",
    ("readback.algorithm_match", "numbers"): "none, empty, no entries",  # all are fitted
    ("readback.diagnose", "step"): "none",  # the stack's own reference
    ("readback.diagnose", "X"): "huge",  # a diagnosis, too
    ("readback.gd_beta_block", "init"): "huge",  # are among the weights
    ("readback.gd_beta_block", "preconditioner"): "huge",
    ("predictors.gradient_descent", "step_size"): "negative, zero, vector",  # one for each step
    ("predictors.polynomial_step", "coefficients"): "zero",
    ("tasks.Alignment", "alignment"): "huge",  # any size from 0
    ("tasks.read_csv", "separator"): "no text",  # found out
    ("tasks.read_csv", "decimal"): "no text",
    ("tasks.task", "static"): "empty, no entries, longer, text within",  # asked with the class
    ("theory.ridge_loss", "lam"): "negative",
    ("theory.ridge_gradient", "lam"): "negative",
    ("theory.sign_flips", "flipped"): "empty, no entries",  # the identity alone
    ("theory.settled_at", "errors"): "zero",  # settled from the start on
    ("theory.designed_shift", "start"): "zero",
    ("theory.state_shift", "start"): "zero",
    ("theory.multi_step_risk", "coefficients"): "zero",
    ("theory.best_step_size", "smallest"): "zero",
    # settings are looked at when the run is made of them: `validate` and `fit`
    ("training.RunSettings", "task"): "mapping, no entries, unknown entry, none within, "
    "text within, nan within",
    ("training.RunSettings", "model"): "mapping, no entries, unknown entry, none within, "
    "text within, nan within",
    ("training.RunSettings", "sweep"): "no entries",
    ("training.RunSettings.from_config", "task"): "mapping, no entries, unknown entry, "
    "none within, text within, nan within",
    ("training.RunSettings.from_config", "model"): "mapping, no entries, unknown entry, "
    "none within, text within, nan within",
    ("training.RunSettings.from_config", "sweep"): "no entries",
    ("training.validate", "sweep"): "no entries",
    ("training.fit", "workdir"): "text, missing",
    ("training.branch", "source"): "text",  # the run of another row
    ("training.branch", "workdir"): "text",
    ("training.branch", "name"): "text, no text",
    ("training.branch", "given"): "no entries",
    ("exchange.export", "path"): "text, missing",
    ("exchange.load", "path"): "text",
    ("training.fit", "name"): "text, no text",
    ("training.fit", "target_name"): "text, no text",
    ("training.fit", "given"): "no entries",
}
# A result of NaN that the docstring promises: where no solution is the only one, no data can move,
# and one seed has no standard error.
DOCUMENTED_NAN = {
    ("predictors.least_squares", "prompt", "x: zero"),
    ("predictors.least_squares", "prompt", "x: integers"),
    ("softmax_regression.Problem.weight_shift", "x", "zero"),
    ("softmax_regression.Problem.weight_shift", "x", "integers"),
    ("training.across_seeds", "values", "axis more"),
    ("metrics.fitted_decay", "stop", "negative"),
    ("metrics.fitted_decay", "stop", "zero"),
}
