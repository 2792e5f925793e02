"""The ground floor: attention, layouts and their edits, heads, distances."""

import numpy as np

from elsa import attention, heads, metrics, prompts
from elsa.attention import gram
from elsa.heads import table
from elsa.prompts import edits, layout
from elsa.prompts.layout import BlockLayout
from tests.inputs.calls import Call, Made, call
from tests.precision.data import DIM, ROWS, VECTOR, X, normal

_M, _P = 4, 2
_LSA = {"h": normal(ROWS, _M), "wq": normal(_M, _P), "wk": normal(_M, _P), "wv": normal(_M, _M)}
_BIASES = {"bq": normal(ROWS, _P), "bk": normal(ROWS, _P), "bv": normal(ROWS, _M)}
_GRAM = normal(_M, _M)
_LAYERS = {"query_key": normal(3, 2, _M, _M), "value": normal(3, 2, _M, _M)}
_LAYER = {name: layers[0] for name, layers in _LAYERS.items()}
_PRECISION = {"precision": "highest"}
_BLOCKS = {name: (0, 3 * place, 3, 3) for place, name in enumerate(("A", "B", "C", "result"))}
_LAYOUT = BlockLayout(_BLOCKS, (3, 13))
_OF = Made(lambda: _LAYOUT)
_PROMPT = normal(*_LAYOUT.shape)
_SIZES = {"n": 3, "d": 2, "k": 2}


def _attention() -> dict[str, Call]:
    return {
        "attention.lsa": call(attention.lsa, **_LSA, **_PRECISION),
        "attention.elsa": call(attention.elsa, **_LSA, **_BIASES, **_PRECISION),
        "attention.equivariance_error": call(
            attention.equivariance_error,
            run=lambda h: h @ (h.T @ h),
            h=_LSA["h"],
            rotation=-np.eye(ROWS),
        ),
        "attention.with_roles": call(attention.with_roles, h=_LSA["h"], roles=np.eye(ROWS)),
        "attention.without_biases": call(
            attention.without_biases, **{k: v for k, v in _LSA.items() if k != "h"}, **_BIASES
        ),
        "attention.mask_move": call(
            attention.mask_move, shape=(4, 4), rows=(0, 1), cols=(0, 1), shift=(1, 1)
        ),
        "attention.gram.context_gram": call(gram.context_gram, x=X, y=normal(ROWS), **_PRECISION),
        "attention.streamed_gram": call(attention.streamed_gram, rows=X),
        "attention.gram.tokens": call(gram.tokens, x=X, y=normal(ROWS)),
        "attention.gram.right_multiplier": call(
            gram.right_multiplier, gram=_GRAM, **_LAYER, **_PRECISION
        ),
        "attention.gram.run_layers": call(
            gram.run_layers, gram=_GRAM, row=normal(_M), **_LAYERS, **_PRECISION
        ),
        "attention.gram.cost_of_rows": call(
            gram.cost_of_rows, rows=5, channels=4, key_size=2, num_heads=1
        ),
        "attention.gram.cost_of_gram": call(
            gram.cost_of_gram, rows=5, channels=4, num_heads=1, depth=1
        ),
        "attention.gram.prefers_gram": call(
            gram.prefers_gram, rows=5, channels=4, key_size=2, num_heads=1, depth=1
        ),
    }


def _metrics() -> dict[str, Call]:
    curve = np.array([1.0, 0.5, 0.2])
    return {
        "metrics.relative_distance": call(
            metrics.relative_distance, estimate=VECTOR, reference=normal(DIM)
        ),
        "metrics.rounding_floor": call(
            metrics.rounding_floor, dtype="float32", condition_number=2.0
        ),
        "metrics.fit_window": call(
            metrics.fit_window, errors=curve, exact=curve, decay=1.0, floor=1.0
        ),
        "metrics.fitted_decay": call(
            metrics.fitted_decay, errors=0.5 ** np.arange(20.0), first=0, stop=20
        ),
        "metrics.log_spaced": call(metrics.log_spaced, last=100, points=5, also=(7,)),
    }


def _layouts() -> dict[str, Call]:
    blocks = {name: normal(3, 3) for name in _BLOCKS}
    more = {"more": (3, 0, 1, 1)}
    return {
        "prompts.BlockLayout": call(BlockLayout, blocks=_BLOCKS, shape=(3, 13), transposed=("A",)),
        "prompts.BlockLayout.box": call(_LAYOUT.box, name="A"),
        "prompts.BlockLayout.shape_of": call(_LAYOUT.shape_of, name="A"),
        "prompts.BlockLayout.row_basis": call(_LAYOUT.row_basis, name="A"),
        "prompts.BlockLayout.channel_basis": call(_LAYOUT.channel_basis, name="A"),
        "prompts.BlockLayout.pack": call(_LAYOUT.pack, **blocks),
        "prompts.BlockLayout.block": call(_LAYOUT.block, h=_PROMPT, name="A"),
        "prompts.BlockLayout.unpack": call(_LAYOUT.unpack, h=_PROMPT),
        "prompts.BlockLayout.extended": call(_LAYOUT.extended, blocks=more, shape=(4, 13)),
        "prompts.overlap": call(layout.overlap, first=range(2), second=range(3)),
        "prompts.edits.moved": call(edits.moved, layout=_OF, names=["result"], rows=0, channels=1),
        "prompts.edits.mirrored": call(edits.mirrored, layout=_OF),
        "prompts.edits.exchanged": call(edits.exchanged, layout=_OF, first="A", second="B"),
        "prompts.edits.turned": call(edits.turned, layout=_OF, name="A"),
        "prompts.edits.edited": call(
            edits.edited, h=_PROMPT, layout=_OF, changes={"A": lambda block: 2 * block}
        ),
        "prompts.edits.outside": call(edits.outside, layout=_OF),
    }


def _formats() -> dict[str, Call]:
    stacked = prompts.named_format("stacked", DIM)
    known = stacked.known_roles(DIM, ROWS)
    boxes = {"X": (0, 0, 3, 2), "y": (0, 2, 3, 1), "query_x": (3, 0, 1, 2)}
    return {
        "prompts.named_format": call(prompts.named_format, name="stacked", dim=DIM),
        "prompts.custom_format": call(
            prompts.custom_format,
            boxes={**boxes, "prediction": (3, 2, 1, 1), "w": (0, 3, 1, 2)},
            shape=(4, 5),
            transposed=("w",),
        ),
        "prompts.PromptFormat.roles": call(stacked.roles, context_length=ROWS),
        "prompts.PromptFormat.known_roles": call(stacked.known_roles, dim=DIM, context_length=ROWS),
        "prompts.row_roles": call(prompts.row_roles, layout=_OF, examples=("A", "B")),
        "prompts.role_indicator": call(
            prompts.role_indicator, roles=stacked.roles(ROWS), known=known
        ),
        "prompts.packed": call(
            prompts.packed,
            prompt_format=Made(lambda: stacked),
            known=known,
            x=X,
            y=normal(ROWS),
            query_x=VECTOR,
            lam=0.1,
            step_size=0.1,
        ),
    }


def _heads() -> dict[str, Call]:
    into = {"layout": _OF, "target": "result", "scale": 2.0}
    pair = {**into, "a": "A", "b": "B"}
    return {
        "heads.constant": call(heads.constant, layout=_OF, target="result", value=np.eye(3)),
        "heads.move": call(heads.move, source="A", **into),
        "heads.transpose": call(heads.transpose, source="A", **into),
        "heads.times_constant": call(heads.times_constant, a="A", matrix=np.eye(3), **into),
        "heads.transposed_product": call(heads.transposed_product, **pair),
        "heads.product": call(heads.product, **pair),
        "heads.product_transposed": call(heads.product_transposed, **pair),
        "heads.triple_product": call(heads.triple_product, **pair, c="C"),
        "heads.skip": call(heads.skip, shape=(3, 3)),
        **{f"heads.table.Primitive.{name}": one for name, one in _primitive().items()},
    }


def _primitive() -> dict[str, Call]:
    line = table.PRIMITIVES["s A M"]
    blocks, constant = {"A": normal(2, 3, 2)}, normal(2, 2)
    values = {"blocks": blocks, "constant": constant, "scales": [1.0, 2.0]}
    result, _ = line.run(_SIZES, **values, dtype="float64")
    return {
        "layout": call(line.layout, sizes=_SIZES),
        "shapes": call(line.shapes, sizes=_SIZES),
        "random": call(
            line.random, rng=Made(lambda: np.random.default_rng(0)), sizes=_SIZES, draws=2
        ),
        "head": call(
            line.head, layout=Made(lambda: line.layout(_SIZES)), constant=constant, scale=2.0
        ),
        "run": call(line.run, sizes=_SIZES, **values, dtype="float64"),
        "error": call(line.error, result=result, **values),
        "roundings": call(line.roundings, sizes=_SIZES),
    }


def calls() -> dict[str, Call]:
    return {**_attention(), **_metrics(), **_layouts(), **_formats(), **_heads()}
