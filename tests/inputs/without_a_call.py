"""Public names that the table of calls leaves out, and why: the one place that says so."""

RESULT = "what a function returns, made by it alone"
ARRAYS = "arrays together, looked at where they are used"
BY_FUNCTIONS = "made by functions of its room, whose results' methods are in the table"
WITHOUT_A_CALL = {
    **dict.fromkeys(("CompileError", "DivergedError", "TrainingError"), "an error"),
    **dict.fromkeys(("CompiledStack", "RidgeStack", "DesignedRidgeStack"), BY_FUNCTIONS),
    **dict.fromkeys(("StateRidgeStack", "PromptFormat"), BY_FUNCTIONS),
    "StackModel": "what LSAModel and ELSAModel share",
    "BlockModel": "what BlockLSA and BlockELSA share",
    "Primitive": "a line of the head table, which the library writes",
    "Fixed": "a kind of variable, made by the models",
    **dict.fromkeys(("BlockTask", "Task", "Tracker"), "a protocol"),
    "TrackedRun": "what a tracker is told, made by the library",
    "Box": "four integers, which BlockLayout looks at",
    "Table": "what read_csv makes, looked at where it is used",
    **dict.fromkeys(("BlockPrompt", "CountedPrompt", "GramPrompt"), ARRAYS),
    **dict.fromkeys(("PairPrompt", "Prompt"), ARRAYS),
    **dict.fromkeys(("Diagnosis", "GdBeta", "DataShift", "LabelShift", "TrajectoryShift"), RESULT),
    **dict.fromkeys(("AlgorithmMatch", "Linear"), RESULT),
    "Scaling": "made by Scaling.of",
    **dict.fromkeys(("WeightShift", "History", "Solution", "Loaded", "Trained"), RESULT),
    **dict.fromkeys(("Estimate", "GdBetaFlow", "HeavyBall", "Interval"), RESULT),
    **dict.fromkeys(("LinearAttentionOptimum", "PolynomialStep", "Rates", "RidgeModes"), RESULT),
    **dict.fromkeys(("ScaleMoments", "ScaledStep", "StartedStep", "StartedStepGradient"), RESULT),
    **dict.fromkeys(("AffineStep", "MultiHeadOptimum"), RESULT),
    **dict.fromkeys(("Step", "WeightedStep", "ByLayer", "Evaluation", "PackedPrompt"), RESULT),
}
# Methods with arguments that the table does not try.
WITHOUT_A_ROW = {
    **dict.fromkeys(
        ("BlockStack.require_weights", "CompiledStack.require_weights"),
        "takes only the name that its message starts with",
    ),
    "RowsOnly.sample_gram": "refuses every call",
}
