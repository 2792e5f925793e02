"""Models and modules: how they are made and called; their readings."""

from typing import Any

from flax import nnx

from elsa import constructions, heads, models, nn, prompts, readback
from elsa.heads.head import stack_dense
from elsa.models import readout
from tests.inputs.calls import Call, Made, call
from tests.precision.data import (
    BLOCKS,
    DIM,
    GRAM,
    MATRIX,
    PRODUCTS,
    PROMPT,
    ROWS,
    VECTOR,
    X,
    normal,
)

_RNGS = {"rngs": Made(lambda: nnx.Rngs(0))}
_OPTIONS: dict[str, Any] = {"dtype": "float64", "precision": "highest", **_RNGS}
_SCALED = {"scale": 1.0, **_OPTIONS}
_GPT2 = {"width": 4, "depth": 1, "num_heads": 2, "mlp": True, "causal": True}
_STACK: dict[str, Any] = {
    "depth": 2,
    "boxes": None,
    "num_heads": 1,
    "key_size": 2,
    "tied": True,
    "biases": "role",
    "algorithm": "",
    "init_scale": 0.3,
    "noise": 0.0,
    "step_size": 0.5,
    "lam": 0.1,
}
_SHAPE = (ROWS, 3)


def _made() -> dict[str, Call]:
    return {
        "GPT2": call(models.GPT2, dim=DIM, context_length=ROWS, **_GPT2, **_OPTIONS),
        "H3": call(models.H3, dim=DIM, context_length=ROWS, state_size=2, shift=0, **_SCALED),
        "DiagonalFilter": call(models.DiagonalFilter, state_size=2, dtype="float64"),
        "LongFilter": call(models.LongFilter, length=3, dtype="float64"),
        "LSAModel": call(
            models.LSAModel,
            dim=DIM,
            context_length=ROWS,
            layout="stacked",
            init="random",
            **_STACK,
            **_OPTIONS,
        ),
        "ELSAModel": call(
            models.ELSAModel,
            dim=DIM,
            context_length=ROWS,
            layout="natural",
            init="construction",
            **_STACK,
            **_OPTIONS,
        ),
        **{
            kind.__name__: call(
                kind,
                blocks={"A": (ROWS, DIM), "B": (ROWS, 1)},
                target_shape=(ROWS, DIM),
                depth=2,
                num_heads=1,
                key_size=2,
                tied=True,
                init_scale=0.2,
                **_OPTIONS,
            )
            for kind in (models.BlockLSA, models.BlockELSA)
        },
        "LinearAttention": call(models.LinearAttention, dim=DIM, key_size=2, **_SCALED),
        "LinearTransformer": call(
            models.LinearTransformer,
            dim=DIM,
            depth=2,
            num_heads=1,
            init_scale=0.1,
            form="auto",
            **_SCALED,
        ),
        "LinearTransformerBlock": call(
            models.LinearTransformerBlock, dim=DIM, depth=1, hidden=4, init_scale=1.0, **_SCALED
        ),
        "LoraAttention": call(
            models.LoraAttention, base_weight=MATRIX, rank=1, max_rank=2, **_SCALED
        ),
        "LowRankAttention": call(models.LowRankAttention, dim=DIM, rank=1, max_rank=2, **_SCALED),
        "MergedAttention": call(models.MergedAttention, dim=DIM, **_SCALED),
        "MergedH3": call(models.MergedH3, dim=DIM, context_length=ROWS, **_SCALED),
        "SoftmaxAttention": call(models.SoftmaxAttention, dim=DIM, key_size=2, **_OPTIONS),
        "build": call(models.build, settings={"name": "linear_attention", "dim": DIM}, **_RNGS),
        "readout.from_attention": call(readout.from_attention, output=normal(2, 4)),
        "readout.from_residual_stream": call(readout.from_residual_stream, row=normal(2, 4)),
        "readout.from_block": call(readout.from_block, row=normal(2, 4)),
    }


def _called() -> dict[str, Call]:
    """One model of each kind on one prompt; those that can take its Gram matrix on that."""
    rngs = nnx.Rngs(0)
    linear = models.LinearTransformer(DIM, 2, rngs=rngs)
    block = models.LinearTransformerBlock(DIM, 2, rngs=rngs)
    gpt2 = models.GPT2(DIM, ROWS, width=4, depth=1, num_heads=2, rngs=rngs)
    softmax = models.SoftmaxAttention(DIM, rngs=rngs)
    h3 = models.H3(DIM, ROWS, rngs=rngs)
    merged = models.MergedH3(DIM, ROWS, rngs=rngs)
    lsa = models.LSAModel(DIM, ROWS, 2, rngs=rngs)
    elsa = models.ELSAModel(DIM, ROWS, 1, layout="natural", init="construction", rngs=rngs)
    blocks = models.BlockLSA(PRODUCTS.blocks, PRODUCTS.target_shape, 2, rngs=rngs)
    biased = models.BlockELSA(PRODUCTS.blocks, PRODUCTS.target_shape, 2, rngs=rngs)
    of = {"prompt": PROMPT}
    return {
        "GPT2.__call__": call(gpt2, **of),
        "GPT2.hidden_states": call(gpt2.hidden_states, **of),
        "GPT2.attention": call(gpt2.attention, **of),
        "GPT2.by_layer": call(gpt2.by_layer, **of),
        "LSAModel.__call__": call(lsa, **of),
        "LSAModel.hidden_states": call(lsa.hidden_states, **of),
        "LSAModel.by_layer": call(lsa.by_layer, **of),
        "LSAModel.check_length": call(lsa.check_length, context_length=ROWS),
        "LSAModel.readout": call(lsa.readout, context_length=ROWS),
        "ELSAModel.__call__": call(elsa, **of),
        "ELSAModel.hidden_states": call(elsa.hidden_states, **of),
        "ELSAModel.by_layer": call(elsa.by_layer, **of),
        "BlockLSA.__call__": call(blocks, prompt=BLOCKS),
        "BlockLSA.hidden_states": call(blocks.hidden_states, prompt=BLOCKS),
        "BlockLSA.by_layer": call(blocks.by_layer, prompt=BLOCKS),
        "BlockELSA.__call__": call(biased, prompt=BLOCKS),
        "BlockELSA.hidden_states": call(biased.hidden_states, prompt=BLOCKS),
        "BlockELSA.by_layer": call(biased.by_layer, prompt=BLOCKS),
        "ELSAModel.check_length": call(elsa.check_length, context_length=ROWS),
        "ELSAModel.readout": call(elsa.readout, context_length=ROWS),
        "block_stack": call(models.block_stack, model=Made(lambda: lsa), context_length=ROWS),
        "by_layer": call(models.by_layer, model=Made(lambda: linear), **of),
        "H3.__call__": call(h3, **of),
        "H3.sample_weights": call(h3.sample_weights, context_length=ROWS),
        "MergedH3.__call__": call(merged, **of),
        "MergedH3.sample_weights": call(merged.sample_weights, context_length=ROWS),
        "DiagonalFilter.__call__": call(models.DiagonalFilter(2), length=3),
        "LongFilter.__call__": call(models.LongFilter(3), length=3),
        "LinearAttention.__call__": call(models.LinearAttention(DIM, rngs=rngs), **of),
        "LinearTransformer.__call__": call(linear, **of),
        "LinearTransformer.__call__, gram": call(linear, prompt=GRAM),
        "LinearTransformer.hidden_states": call(linear.hidden_states, **of),
        "LinearTransformer.attention": call(linear.attention, **of),
        "LinearTransformer.by_layer": call(linear.by_layer, **of),
        "LinearTransformerBlock.__call__": call(block, **of),
        "LinearTransformerBlock.by_layer": call(block.by_layer, **of),
        "LoraAttention.__call__": call(models.LoraAttention(MATRIX, 1, rngs=rngs), **of),
        "LowRankAttention.__call__": call(models.LowRankAttention(DIM, 1, rngs=rngs), **of),
        "MergedAttention.__call__": call(models.MergedAttention(DIM), **of),
        "SoftmaxAttention.__call__": call(softmax, **of),
        "SoftmaxAttention.hidden_states": call(softmax.hidden_states, **of),
        "SoftmaxAttention.attention": call(softmax.attention, **of),
    }


def _modules() -> dict[str, Call]:
    rngs, options = nnx.Rngs(0), {"dtype": "float64", "precision": "highest"}
    head = heads.skip(_SHAPE)
    names = {name: (0, 2 * place, 3, 2) for place, name in enumerate(("A", "B", "C", "result"))}
    layout = prompts.BlockLayout(names)
    bias_free = heads.triple_product(layout, "A", "B", "C", "result")
    weights = Made(lambda: stack_dense([head], _SHAPE))
    lsa = nn.LSA(3, 2, rngs=rngs)
    elsa = nn.ELSA(ROWS, 3, 2, rngs=rngs)
    stack = nn.Stack([lsa], 2)
    sizes = {"channels": 3, "key_size": 2, "num_heads": 1}
    h = normal(2, ROWS, 3)
    return {
        "nn.LSA": call(nn.LSA, init_scale=0.1, **sizes, **_OPTIONS),
        "nn.ELSA": call(nn.ELSA, rows=ROWS, init_scale=0.1, **sizes, **_OPTIONS),
        "nn.LSA.from_heads": call(
            nn.LSA.from_heads, heads=Made(lambda: [bias_free]), shape=layout.shape, **options
        ),
        "nn.ELSA.from_heads": call(
            nn.ELSA.from_heads, heads=Made(lambda: [head]), shape=_SHAPE, **options
        ),
        "nn.LSA.from_weights": call(nn.LSA.from_weights, weights=weights, **options),
        "nn.ELSA.from_weights": call(nn.ELSA.from_weights, weights=weights, **options),
        "nn.LSA.__call__": call(lsa, h=h),
        "nn.ELSA.__call__": call(elsa, h=h),
        "nn.LSA.scores": call(lsa.scores, h=h[0]),
        "nn.ELSA.scores": call(elsa.scores, h=h[0]),
        "nn.Stack": call(
            nn.Stack,
            body=Made(lambda: [lsa]),
            depth=2,
            tied=True,
            prologue=Made(lambda: [lsa]),
            epilogue=Made(lambda: [lsa]),
            skip="residual",
        ),
        "nn.Stack.untied": call(
            nn.Stack.untied,
            make_layer=Made(lambda: lambda r: nn.LSA(3, 2, rngs=r)),
            depth=2,
            **_RNGS,
        ),
        "nn.Stack.__call__": call(stack, h=h[0], form="direct"),
        "nn.Stack.layer": call(stack.layer, index=1),
        "nn.Stack.ended": call(stack.ended, h=h[0]),
    }


def _readback() -> dict[str, Call]:
    linear = models.LinearTransformer(DIM, 1, rngs=nnx.Rngs(0))
    block = readback.gd_beta_block(VECTOR, MATRIX)
    by_hand = models.ELSAModel(
        DIM, ROWS, 1, layout="natural", init="construction", rngs=nnx.Rngs(0)
    )
    stack = readback.attention_stack(linear, ROWS)
    program = readback.formulas(stack)
    blocks = {"X": normal(ROWS, DIM), "y": normal(ROWS, 1), "query_x": normal(1, DIM)}
    h = stack.pack(**blocks)
    return {
        "readback.attention_stack": call(
            readback.attention_stack,
            model=Made(lambda: linear),
            context_length=ROWS,
            num_queries=1,
        ),
        "readback.gd_beta_block": call(
            readback.gd_beta_block,
            init=VECTOR,
            preconditioner=MATRIX,
            context_length=ROWS,
            dtype="float64",
        ),
        "readback.step_matrices": call(readback.step_matrices, model=Made(lambda: by_hand)),
        "readback.algorithm_match": call(
            lambda model, prompt, lam, algorithms, numbers: readback.algorithm_match(
                model, prompt, lam=lam, algorithms=algorithms, numbers=numbers
            ),
            model=Made(lambda: linear),
            prompt=PROMPT,
            lam=0.1,
            algorithms=("gradient descent",),
            numbers={"gradient descent": {"step_size": 0.1}},
        ),
        "readback.diagnose": call(
            lambda stack, step, X: readback.diagnose(stack, step, X=X),
            stack=Made(lambda: constructions.least_squares_lsa(ROWS, DIM, 1, 0.1)),
            step=Made(lambda: constructions.least_squares_lsa(ROWS, DIM, 1, 0.1)),
            X=X,
        ),
        "readback.read_gd_beta": call(readback.read_gd_beta, block=Made(lambda: block)),
        "readback.formulas": call(
            readback.formulas, stack=Made(lambda: stack), constants=True, least=0.01
        ),
        "readback.Formulas.__call__": call(program, **blocks),
        "readback.Formulas.run": call(program.run, h=h),
        "readback.Formulas.error": call(program.error, prompts=h[None]),
    }


def calls() -> dict[str, Call]:
    named = {f"models.{name}": one for name, one in {**_made(), **_called()}.items()}
    return {**named, **_modules(), **_readback()}
