"""How long XLA works on a program before it runs."""

# What jax's own switch for all programs of a process asks of XLA, for some programs alone.
_QUICKLY = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}


def options(optimise: bool) -> dict[str, bool | int] | None:
    """`compiler_options` of `jax.jit`: False compiles in a quarter to half the time, to slower
    programs."""
    return None if optimise else dict(_QUICKLY)
