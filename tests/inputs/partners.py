"""Where an error may name another argument than the spoilt one, as either may be the wrong one."""

PARTNERS = {
    # a dimension, and the first array that has another
    ("theory.Setting", "dim"): {"cov_x"},
    # without queries it is a single problem, whose labels have one axis
    ("softmax_regression.Problem", "a1"): {"b"},
    # which the line of the table hands on as its matrix
    ("heads.table.Primitive.head", "constant"): {"matrix"},
    ("heads.table.Primitive.run", "constant"): {"matrix"},
    # blocks on which the step itself overflows: the error names the block where that shows
    ("compiler.CompiledStack.verify", "X"): {"w"},
    ("compiler.CompiledStack.verify", "lam"): {"w"},
    # a start so far away that every model diverges
    ("training.fit", "init_noise"): {"learning_rate"},
}


def partners(name: str, argument: str) -> set[str]:
    """Names of other arguments that a refusal of this one may name."""
    return PARTNERS.get((name.partition(",")[0], argument), set())
