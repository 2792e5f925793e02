"""The ground floor, the Gram form, layouts, the heads' table, and what reads and measures."""

import numpy as np

from elsa import attention, heads, metrics
from elsa.attention import gram
from elsa.heads import table
from elsa.models import readout
from elsa.prompts import edits, layout
from elsa.prompts.layout import BlockLayout
from tests.precision.data import DIM, ROWS, VECTOR, X, normal
from tests.precision.products import Case, Run, traced, without

M, P = 4, 2
_H, _WQ, _WK, _WV = normal(ROWS, M), normal(M, P), normal(M, P), normal(M, M)
_BIASES = normal(ROWS, P), normal(ROWS, P), normal(ROWS, M)
_LAYERS = normal(3, 2, M, M), normal(3, 2, M, M)
_ROW, _GRAM = normal(M), normal(M, M)
_LAYOUT = BlockLayout(
    {name: (0, 3 * place, 3, 3) for place, name in enumerate(("A", "B", "C", "result"))}, (3, 13)
)
_PROMPT = normal(*_LAYOUT.shape)
_SIZES = {"n": 3, "d": 2, "k": 2}
_TRIPLE = table.PRIMITIVES["s A B^T C"]
_MOVE = table.PRIMITIVES["MskMov(A)"]


def _head(primitive: table.Primitive) -> None:
    blocks, constant = primitive.random(np.random.default_rng(0), _SIZES, 1)
    primitive.run(_SIZES, blocks, constant, [1.0], np.float64)


def _error() -> None:
    blocks, constant = _MOVE.random(np.random.default_rng(0), _SIZES, 1)
    _MOVE.error(blocks["A"][None], blocks, constant, [1.0])


def cases() -> dict[str, Case]:
    return {
        "attention.lsa": traced(attention.lsa, _H, _WQ, _WK, _WV),
        "attention.elsa": traced(attention.elsa, _H, _WQ, _WK, _WV, *_BIASES),
        "attention.equivariance_error": Run(
            lambda: attention.equivariance_error(
                lambda h: attention.lsa(h, _WQ, _WK, _WV), _H, -np.eye(ROWS)
            ),
            products=True,
        ),
        "attention.with_roles": without(attention.with_roles, _H, np.eye(ROWS)),
        "attention.without_biases": without(attention.without_biases, _WQ, _WK, _WV, *_BIASES),
        "attention.mask_move": Run(lambda: attention.mask_move((4, 4), (0, 1), (0, 1), (1, 1))),
        "attention.context_gram": traced(gram.context_gram, X, normal(ROWS)),
        "attention.streamed_gram": Run(lambda: attention.streamed_gram(X)),
        "attention.tokens": without(gram.tokens, X, normal(ROWS)),
        "attention.right_multiplier": traced(
            gram.right_multiplier, _GRAM, _LAYERS[0][0], _LAYERS[1][0]
        ),
        "attention.run_layers": traced(gram.run_layers, _GRAM, _ROW, *_LAYERS),
        "attention.cost_of_rows": Run(lambda: gram.cost_of_rows(5, 4, 2, 1)),
        "attention.cost_of_gram": Run(lambda: gram.cost_of_gram(5, 4, 1, 1)),
        "attention.prefers_gram": Run(lambda: gram.prefers_gram(5, 4, 2, 1, 1)),
        "models.from_attention": without(readout.from_attention, _H),
        "models.from_residual_stream": without(readout.from_residual_stream, _H),
        "models.from_block": without(readout.from_block, _H),
        "metrics.relative_distance": without(metrics.relative_distance, VECTOR, normal(DIM)),
        "metrics.rounding_floor": Run(lambda: metrics.rounding_floor(np.float32, 2.0)),
        "metrics.fit_window": Run(
            lambda: metrics.fit_window([1.0, 0.5, 0.2], [1.0, 0.5, 0.2], decay=1.0, floor=1.0)
        ),
        "metrics.fitted_decay": Run(lambda: metrics.fitted_decay(0.5 ** np.arange(20.0), 0, 20)),
        "metrics.log_spaced": Run(lambda: metrics.log_spaced(100, 5)),
        "prompts.Box.rows": Run(lambda: _LAYOUT.box("A").rows),
        "prompts.Box.channels": Run(lambda: _LAYOUT.box("A").channels),
        "prompts.overlap": Run(lambda: layout.overlap(range(2), range(3))),
        "prompts.BlockLayout.box": Run(lambda: _LAYOUT.box("A")),
        "prompts.BlockLayout.shape_of": Run(lambda: _LAYOUT.shape_of("A")),
        "prompts.BlockLayout.row_basis": Run(lambda: _LAYOUT.row_basis("A")),
        "prompts.BlockLayout.channel_basis": Run(lambda: _LAYOUT.channel_basis("A")),
        "prompts.BlockLayout.pack": without(
            lambda A: _LAYOUT.pack(A=A, B=A, C=A, result=A), normal(3, 3)
        ),
        "prompts.BlockLayout.block": without(lambda h: _LAYOUT.block(h, "A"), _PROMPT),
        "prompts.BlockLayout.unpack": without(_LAYOUT.unpack, _PROMPT),
        "prompts.BlockLayout.extended": Run(lambda: _LAYOUT.extended({}, (4, 13))),
        "prompts.moved": Run(lambda: edits.moved(_LAYOUT, ["result"], channels=1)),
        "prompts.mirrored": Run(lambda: edits.mirrored(_LAYOUT)),
        "prompts.exchanged": Run(lambda: edits.exchanged(_LAYOUT, "A", "B")),
        "prompts.turned": Run(lambda: edits.turned(_LAYOUT, "A")),
        "prompts.edited": without(
            lambda h: edits.edited(h, _LAYOUT, {"A": lambda block: 2 * block}),
            _PROMPT,
        ),
        "prompts.outside": Run(lambda: edits.outside(_LAYOUT)),
        "heads.constant": Run(lambda: heads.constant(_LAYOUT, "result", np.eye(3))),
        "heads.move": Run(lambda: heads.move(_LAYOUT, "A", "result")),
        "heads.transpose": Run(lambda: heads.transpose(_LAYOUT, "A", "result")),
        "heads.times_constant": Run(
            lambda: heads.times_constant(_LAYOUT, "A", np.eye(3), "result")
        ),
        "heads.transposed_product": Run(
            lambda: heads.transposed_product(_LAYOUT, "A", "B", "result")
        ),
        "heads.product": Run(lambda: heads.product(_LAYOUT, "A", "B", "result")),
        "heads.product_transposed": Run(
            lambda: heads.product_transposed(_LAYOUT, "A", "B", "result")
        ),
        "heads.triple_product": Run(lambda: heads.triple_product(_LAYOUT, "A", "B", "C", "result")),
        "heads.skip": Run(lambda: heads.skip((3, 3))),
        "heads.Primitive.shapes": Run(lambda: _TRIPLE.shapes(_SIZES)),
        "heads.Primitive.head": Run(
            lambda: _TRIPLE.head(_TRIPLE.layout(_SIZES), np.zeros((1, 1)), 1.0)
        ),
        "heads.Primitive.layout": Run(lambda: _TRIPLE.layout(_SIZES)),
        "heads.Primitive.random": Run(lambda: _TRIPLE.random(np.random.default_rng(0), _SIZES, 1)),
        "heads.Primitive.run": Run(lambda: (_head(_TRIPLE), _head(_MOVE)), products=True),
        "heads.Primitive.error": Run(_error),
        "heads.Primitive.roundings": Run(lambda: _TRIPLE.roundings(_SIZES)),
    }
