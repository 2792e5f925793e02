"""What is read from any weights: invariance, what is left, names, files, listings, refusals."""

import numpy as np
import pytest
from flax import nnx

import elsa
from elsa import BlockLayout, algorithms, readback
from elsa.heads.head import HeadWeights
from elsa.nn import ELSA, BlockStack, Stack
from elsa.readback.formulas_blocks import named_boxes
from elsa.readback.formulas_flow import flows
from elsa.readback.formulas_groups import groups
from elsa.readback.polynomial import layer_polynomials
from tests.helpers import table
from tests.readback.rewriting import read, stack_with

N, D = 4, 3
GAMMA = np.array([[0.5, 0.1, 0.0], [0.0, 0.3, 0.2], [0.1, 0.0, 0.4]])


def in_context():
    step = algorithms.preconditioned_gradient_descent(GAMMA)
    blocks = {"X": (N, D), "y": (N, 1), "query_x": (2, D), "prediction": (2, 1)}
    return elsa.compile(step, blocks, 3, execution="dense")


def inverse():
    blocks = {"X": (N, D), "y": (N, 1), "lam": (1, 1), "Z": (D, D), "w": (D, 1)}
    return elsa.compile(algorithms.newton_schulz_ridge(), blocks, 3, execution="dense")


def started_step(gamma, start, *, asker):
    """One head that predicts <b0 - Gamma X^T (X b0 - y), x> on a stacked prompt.

    asker: whether the start is read through the bias of the keys, or of the queries.
    """
    layout = BlockLayout({"X": (0, 0, N, D), "query_x": (N, D, 1, D), "y": (0, 2 * D, N, 1)})
    shape = (N + 1, 2 * D + 2)
    answer = BlockLayout({**layout.blocks, "prediction": (N, 2 * D + 1, 1, 1)}, shape)
    wq, wk = np.zeros((2, shape[1], D))
    wv, bv = np.zeros((shape[1], shape[1])), np.zeros(shape)
    bq, bk = np.zeros((2, shape[0], D))
    wq[D : 2 * D], wk[:D] = np.eye(D), gamma.T
    wv[:D, -1], wv[2 * D, -1], bv[N, -1] = -start, 1.0, 1.0
    if asker == "keys":
        bk[N] = start
        heads = [(wq, wk, wv, bq, bk, bv)]
    else:  # the query asks by a row of its own and is read by its own key
        first = (wq, wk, wv, bq, bk, np.zeros_like(bv))
        own_key = np.zeros_like(wk)
        own_key[D : 2 * D], bq[N] = np.eye(D), start
        second = (np.zeros_like(wq), own_key, np.zeros_like(wv), bq, bk, bv)
        heads = [(*first[:3], np.zeros_like(bq), *first[4:]), second]
    weights = HeadWeights(*map(np.stack, zip(*heads, strict=True)))
    given = BlockLayout(layout.blocks, shape)
    outputs = {"prediction": (1, 1)}
    return BlockStack(Stack([ELSA.from_weights(weights)], 1), given, answer, outputs=outputs)


@pytest.mark.parametrize("asker", ["keys", "queries"])
def test_a_start_and_a_preconditioner_are_read_whoever_asks(asker):
    start = np.array([1.0, -0.5, 0.25])
    (layer,) = read(started_step(GAMMA, start, asker=asker)).layers
    skip, pull, push = sorted(layer.lines, key=lambda line: (line.kind, line.operands))
    assert [line.kind for line in (skip, pull, push)] == ["A", "A B^T C", "A B^T C"]
    assert (pull.operands, push.operands) == (("query_x", "X", "X"), ("query_x", "X", "y"))
    np.testing.assert_allclose(skip.right[:, 0], start, rtol=1e-10)
    np.testing.assert_allclose(push.left, GAMMA, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(pull.left, -GAMMA * start[0], rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(pull.right[:, 0], start / start[0], rtol=1e-10)


def drawn_stack(seed, *, blocks, shape, heads=2):
    """A stack with normal weights on a layout."""
    rng = np.random.default_rng(seed)
    n, m = shape
    sizes = {"wq": (m, 2), "wk": (m, 2), "wv": (m, m), "bq": (n, 2), "bk": (n, 2), "bv": (n, m)}
    weights = HeadWeights(*(0.4 * rng.normal(size=(heads, *own)) for own in sizes.values()))
    layout = BlockLayout(blocks, shape)
    return BlockStack(Stack([ELSA.from_weights(weights)], 1), layout, layout)


BESIDE = {"A": (0, 0, 3, 1), "B": (0, 1, 3, 2)}
BELOW = {"A": (0, 0, 2, 2), "B": (2, 0, 1, 2), "C": (0, 2, 3, 1)}


def test_blocks_in_the_same_rows_leave_nothing_unexplained_and_others_do():
    rng = np.random.default_rng(3)
    shape = (3, 3)
    stack = drawn_stack(4, blocks=BESIDE, shape=shape, heads=1)
    found = read(stack)
    prompts = 0.3 * rng.normal(size=(4, *shape))
    assert found.error(prompts) <= 1e-12
    by_numbers = readback.formulas(stack, constants=False)
    assert 0.01 < by_numbers.error(prompts) < 10.0
    apart = readback.formulas(drawn_stack(4, blocks=BELOW, shape=shape))
    for layer in (*apart.layers, *by_numbers.layers):
        assert 0.1 < layer.unexplained < 1.0


@pytest.mark.parametrize("blocks", [BESIDE, BELOW], ids=["beside", "below"])
def test_the_groups_hold_the_whole_polynomial(blocks):
    stack = drawn_stack(5, blocks=blocks, shape=(3, 3))
    (polynomial,) = layer_polynomials(stack)
    (flow,) = masks = flows(stack, [polynomial])
    boxes = named_boxes(stack, masks)
    every = list(boxes)
    total = sum(np.sum(group.vector**2) for group in groups(polynomial, boxes, every, every))
    assert np.sqrt(total) == pytest.approx(polynomial.norm(*flow), rel=1e-12)


def test_a_program_leaves_out_what_is_small():
    stack = drawn_stack(6, blocks=BESIDE, shape=(3, 3))
    (every,), (large,) = (readback.formulas(stack, least=x).layers for x in (1e-12, 0.2))
    assert len(large.lines) < len(every.lines)
    assert all(line.share > 0.2 for line in large.lines)
    assert large.unexplained > every.unexplained


def test_a_file_has_its_blocks_and_names_for_the_rest(tmp_path):
    stack = in_context()
    elsa.export(stack, tmp_path / "stack.safetensors")
    loaded = readback.formulas(elsa.load(tmp_path / "stack.safetensors"))
    ours = readback.formulas(stack)
    for theirs, own in zip(loaded.layers, ours.layers, strict=True):
        assert [line.formula for line in theirs.lines] == [line.formula for line in own.lines]


def test_the_listing_says_what_is_left_and_what_constants_are():
    text = str(readback.formulas(in_context()))
    assert "step, 3 times: unexplained" in text
    assert "y += X C1[3x3] X^T y    (8" in text
    assert "C1 =\n    [[-0.5 -0.1" in text
    text = str(readback.formulas(inverse()))
    assert "v1 += lam I" in text and "  v1: rows 0:3, channels 9:12" in text


@table(
    "options, error, message",
    [
        ({"least": 1.0}, ValueError, r"formulas: least must be in \[0, 1\), a share .* got 1.0"),
        ({"least": -0.1}, ValueError, r"formulas: least must be in \[0, 1\)"),
        ({"constants": 1}, TypeError, "formulas: constants must be"),
    ],
)
def test_it_refuses_bad_options(options, error, message):
    stack = drawn_stack(7, blocks=BESIDE, shape=(3, 3))
    with pytest.raises(error, match=message):
        readback.formulas(stack, **options)


def test_it_refuses_what_is_no_stack_and_prompts_of_other_shapes():
    with pytest.raises(TypeError, match="formulas: stack must be a stack with named blocks"):
        readback.formulas(Stack([ELSA(2, 2, 1, rngs=nnx.Rngs(0))], 1))
    found = readback.formulas(drawn_stack(7, blocks=BESIDE, shape=(3, 3)))
    with pytest.raises(
        ValueError, match=r"run: h must be a prompt of shape \(3, 3\), got \(3, 2\)"
    ):
        found.run(np.ones((3, 2)))
    for prompts, message in [
        (np.ones((2, 3, 2)), r"must be at least one of shape \(3, 3\), got \(2, 3, 2\)"),
        (np.ones((0, 3, 3)), "must be at least one"),
        (np.full((1, 3, 3), np.nan), "prompts must be finite"),
    ]:
        with pytest.raises(ValueError, match=f"error: .*{message}"):
            found.error(prompts)
    nothing = stack_with(found.stack, lambda weights: HeadWeights(*(0.0 * a for a in weights)))
    silent = readback.formulas(nothing)
    assert silent.layers[0].lines == () and silent.layers[0].unexplained == 0.0
    with pytest.raises(ValueError, match="error: the stack's outputs must not be 0"):
        silent.error(np.zeros((1, 3, 3)))
