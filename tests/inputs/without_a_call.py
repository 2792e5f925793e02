"""Public names that the table of calls leaves out, and why: the one place that says so."""

RESULT = "what a function returns, made by it alone"
BY_FUNCTIONS = "made by functions of its room, whose results' methods are in the table"
WITHOUT_A_CALL = {
    **dict.fromkeys(("CompileError", "TrainingError"), "an error"),
    **dict.fromkeys(("CompiledStack", "RidgeStack", "DesignedRidgeStack"), BY_FUNCTIONS),
    **dict.fromkeys(("StateRidgeStack", "PromptFormat"), BY_FUNCTIONS),
    "StackModel": "what LSAModel and ELSAModel share",
    "Primitive": "a line of the head table, which the library writes",
    "Fixed": "a kind of variable, made by the models",
    "Task": "a protocol",
    "Box": "four integers, which BlockLayout looks at",
    "Table": "what read_csv makes, looked at where it is used",
    **dict.fromkeys(("Prompt", "GramPrompt"), "arrays together, looked at where they are used"),
    **dict.fromkeys(("GdBeta", "DataShift", "LabelShift", "TrajectoryShift"), RESULT),
    **dict.fromkeys(("AlgorithmMatch", "Diagnosis"), RESULT),
    **dict.fromkeys(("WeightShift", "History", "Solution", "Loaded", "Trained"), RESULT),
    **dict.fromkeys(("Estimate", "GdBetaFlow", "HeavyBall", "Interval"), RESULT),
    **dict.fromkeys(("LinearAttentionOptimum", "PolynomialStep", "Rates", "RidgeModes"), RESULT),
    **dict.fromkeys(("ScaleMoments", "ScaledStep", "StartedStep", "StartedStepGradient"), RESULT),
    **dict.fromkeys(("Step", "WeightedStep", "ByLayer", "Evaluation", "PackedPrompt"), RESULT),
}
AS_A_CALL = "its prompt is looked at as that of a call, in the table for one of its kind"
BY_THE_LIBRARY = "called by the library on what it has looked at; what a user passes is not yet"
AS_ITS_KIN = "in the table for LSA or LSAModel only, though ELSA's or ELSAModel's is the same"
# Methods with arguments that the table does not try yet.
NOT_YET_HELD = {
    **dict.fromkeys(("GPT2.by_layer", "LinearTransformer.by_layer"), AS_A_CALL),
    "LinearTransformerBlock.by_layer": AS_A_CALL,
    **dict.fromkeys(
        ("BlockStack.require_weights", "CompiledStack.require_weights"), BY_THE_LIBRARY
    ),
    **dict.fromkeys(("LinearRegression.parts", "TableContexts.from_config"), BY_THE_LIBRARY),
    **dict.fromkeys(("Primitive.error", "Primitive.head", "Primitive.random"), BY_THE_LIBRARY),
    **dict.fromkeys(("Primitive.roundings", "Primitive.run"), BY_THE_LIBRARY),
    "Primitive.shapes": BY_THE_LIBRARY,
    **dict.fromkeys(("AttentionHeads.from_heads", "StackModel.hidden_states"), AS_ITS_KIN),
    "StackModel.by_layer": AS_ITS_KIN,
    "RowsOnly.sample_gram": "refuses every call",
}
