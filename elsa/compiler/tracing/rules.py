"""One rule for each JAX primitive that is linear algebra: equation and operands to values."""

from elsa.compiler.tracing import arithmetic, convolving, powers, rearranging, solving, updating
from elsa.compiler.tracing.parameters import parameters

RULES = {
    **arithmetic.RULES,
    **powers.RULES,
    **rearranging.RULES,
    **updating.RULES,
    **convolving.RULES,
    **solving.RULES,
}
CHOICES = {"select_n"}  # whose constants must be finite only where they are chosen
# Loops, branches and barriers, which the tracer follows; names of all versions of jax since 0.8.
CONTROL = {
    "scan": parameters(
        "jaxpr length reverse num_consts num_carry ft_in", "ft_out linear unroll _split_transpose"
    ),
    "while": parameters("cond_jaxpr cond_nconsts body_jaxpr body_nconsts"),
    "optimization_barrier": parameters(),
    "cond": parameters("branches", ignores="branches_platforms"),  # the index knows the platform
}
