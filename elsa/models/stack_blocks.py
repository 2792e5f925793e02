"""A trained stack as a stack between named blocks, to be looked into, listed and exported."""

import jax
import jax.numpy as jnp
import numpy as np

from elsa.base import checks
from elsa.models.stack_model import StackModel
from elsa.nn.attention_heads import AttentionHeads
from elsa.nn.block_stack import BlockStack
from elsa.nn.role_layers import RoleELSA
from elsa.nn.stack import Stack
from elsa.prompts import packed
from elsa.prompts.layout import BlockLayout


def block_stack(model: StackModel, context_length: int | None = None) -> BlockStack:
    """The model for contexts of one length, its biases by position.

    Its inputs are the blocks that the prompt holds, as `prompts.packed` writes them: X and y
    divided by sqrt(n), lam by n. `stack.prompts`, `stack.scores`, `print(stack)` and `elsa.export`
    are those of every stack.

    Args:
      model: of which the weights are taken as they are.
      context_length: n; the model's own where None.

    Raises:
      ValueError: for a length that the model cannot be run on.
    """
    checks.instance("block_stack", StackModel, "an LSAModel or ELSAModel", model=model)
    n = model.context_length if context_length is None else context_length
    model.check_length(n)
    form, readout = model.prompt_format, model.readout(n)
    with jax.ensure_compile_time_eval():
        # no entry may be zero: an example of zeros counts as absent
        roles = np.asarray(
            packed(
                form, model.roles, jnp.ones((n, model.dim)), jnp.ones(n), jnp.ones(model.dim)
            ).roles
        )
    rows = np.eye(len(roles)) if model.biases == "position" else roles

    def layer(given: AttentionHeads) -> AttentionHeads:
        return given.at_positions(rows) if isinstance(given, RoleELSA) else given

    inner = model.stack
    stack = Stack(
        [layer(part) for part in inner.body],
        inner.depth,
        tied=inner.tied,
        prologue=[layer(part) for part in inner.prologue],
        epilogue=[layer(part) for part in inner.epilogue],
    )
    placed = form.layout(n)
    held = [name for name in placed if name in form.holds]
    given = BlockLayout(
        {name: placed.box(name) for name in held},
        placed.shape,
        [name for name in placed.transposed if name in held],
    )
    answers = [name for name in ("prediction", "w") if name in readout]
    return BlockStack(
        stack,
        given,
        readout,
        outputs={name: readout.shape_of(name) for name in answers},
        name=type(model).__name__,
    )
