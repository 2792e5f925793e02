"""Stacks over rows that come in blocks: the numbers of a call, passes, and what is refused."""

import functools

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from elsa import constructions, exchange, nn
from elsa.attention import streamed_gram
from elsa.heads.head import HeadWeights
from elsa.nn.masked_layers import MaskedLSA
from elsa.nn.tall import FORMS
from elsa.prompts import BlockLayout
from tests.helpers import (
    RIDGE_FORMS,
    descend,
    relative_error,
    ridge_problem,
    stack_reference,
    table,
)


def blocks_of(rows, sizes):
    """The rows in blocks of these sizes, again and again, empty ones among them."""
    left, number = rows, 0
    while len(left):
        size = sizes[number % len(sizes)] if any(sizes) else 1
        yield left[:size]
        left, number = left[size:], number + 1


def split(problem):
    rows = np.hstack([problem["X"], problem["y"]])
    return rows, {name: b for name, b in problem.items() if name not in ("X", "y")}


SIZES = [(1, 4, 3), (4, 4, 0), (9, 3, 2)]  # one row, as many rows as columns, more rows


@functools.cache
def ridge(form, n, d, queries, depth=4):
    """A construction, its problem, and what plain NumPy makes of it."""
    problem, step_size = ridge_problem(n, d, queries, seed=n + d)
    stack = RIDGE_FORMS[form](n, d, depth, step_size, num_queries=queries)
    expected = {"w": descend(problem, step_size, depth)[-1]}
    if queries:
        expected["prediction"] = problem["query_x"] @ expected["w"]
    return stack, problem, expected


@pytest.mark.parametrize("form", RIDGE_FORMS)
def test_every_ridge_construction_gives_what_a_call_gives(form):
    for size in SIZES:
        stack, problem, expected = ridge(form, *size)
        rows, small = split(problem)
        for way in FORMS:
            streamed = stack.streamed("X", "y", form=way)
            out = streamed(lambda rows=rows: blocks_of(rows, [2, 0, 3]), **small)
            assert out.keys() == expected.keys()
            for name, value in expected.items():
                assert out[name].dtype == stack.dtype
                error = relative_error(out[name], value)
                assert error < 1e-12, (size, way, name, error)
            assert streamed.passes == 1 or way == "rows"


@given(
    size=st.sampled_from(SIZES),
    form=st.sampled_from(list(RIDGE_FORMS)),
    way=st.sampled_from(FORMS),
    sizes=st.lists(st.integers(0, 5), min_size=1, max_size=4),
)
def test_the_result_does_not_depend_on_how_rows_are_cut(size, form, way, sizes):
    stack, problem, expected = ridge(form, *size)
    rows, small = split(problem)
    out = stack.streamed("X", "y", form=way)(lambda: blocks_of(rows, sizes), **small)
    for name, value in expected.items():
        assert relative_error(out[name], value) < 1e-12


def layer_of(kind, n, *lead, channels=5, scale=0.3):
    """Two heads of random weights; `lead` is a leading axis for untied ones."""
    rng = np.random.default_rng(n)

    def drawn(*shape):
        return scale / n**0.5 * rng.normal(size=(*lead, 2, *shape))

    square = drawn(channels, 2), drawn(channels, 2), drawn(channels, channels)
    biases = drawn(n + 1, 2), drawn(n + 1, 2), drawn(n + 1, channels)
    return kind.from_weights(HeadWeights(*square, *biases))


def random_stack(kinds, n, *, depth=2, tied=True, skip="residual"):
    """Random weights between blocks that share rows, a query in a row of its own below them."""
    layout = BlockLayout({"X": (0, 0, n, 3), "y": (0, 3, n, 1), "q": (n, 0, 1, 4)}, (n + 1, 5))
    lead = () if tied else (depth,)
    first, *rest = (layer_of(kind, n, *lead) for kind in kinds)
    inner = nn.Stack([first], depth, tied=tied, epilogue=rest, skip=skip)
    return nn.BlockStack(inner, layout, layout)


@pytest.mark.parametrize(
    "kinds, options",
    [
        ([nn.LSA, nn.LSA], {}),
        ([nn.ELSA, nn.LSA], {}),
        ([nn.ELSA], {"skip": "head"}),
        ([nn.ELSA], {"tied": False}),
    ],
)
def test_layers_with_any_weights_give_every_row(kinds, options):
    """Biases that differ from row to row stand beside the rows; outputs have a row for each."""
    n, rng = 7, np.random.default_rng(0)
    stack = random_stack(kinds, n, **options)
    rows, q = rng.normal(size=(n, 4)), rng.normal(size=(1, 4))
    prompt = np.zeros((n + 1, 5))
    prompt[:n, :4], prompt[n:, :4] = rows, q
    h = stack_reference(stack.stack, prompt)
    expected = {"X": h[:n, :3], "y": h[:n, 3:4], "q": h[n:, :4]}
    for way in FORMS:
        streamed = stack.streamed("X", "y", form=way)
        assert streamed.passes == (1 if way == "gram" else stack.num_layers)
        out = streamed([rows[:4], rows[4:]], q=q)
        assert relative_error(out["q"], expected["q"]) < 1e-12
        for name in ("X", "y"):
            for _ in range(2):  # as often as asked
                assert relative_error(np.concatenate(list(out[name])), expected[name]) < 1e-12


def test_what_comes_out_is_a_source_of_rows():
    rows = np.random.default_rng(0).normal(size=(7, 4))
    out = random_stack([nn.LSA], 7).streamed("X", "y")([rows[:3], rows[3:]], q=np.ones((1, 4)))
    x = np.concatenate(list(out["X"]))
    np.testing.assert_allclose(streamed_gram(out["X"]), x.T @ x, rtol=1e-13)


def test_rows_that_hold_parts_of_other_blocks_are_kept_as_they_are():
    """ridge_elsa has w and lam in the first rows of X; one pass gives those and G."""
    stack, problem, expected = ridge("ridge_elsa", 9, 3, 2)
    rows, small = split(problem)
    out = stack.streamed("X", "y")(blocks_of(rows, [1]), **small)  # an iterator, read once
    assert relative_error(out["w"], expected["w"]) < 1e-12


def test_a_stack_from_a_file_streams_as_the_one_it_was(tmp_path):
    stack = random_stack([nn.LSA], 7)
    exchange.export(stack, tmp_path / "stack.safetensors")
    rows, q = np.random.default_rng(0).normal(size=(7, 4)), np.ones((1, 4))
    got, expected = (
        s.streamed("X", "y")([rows], q=q)["q"]
        for s in (exchange.load(tmp_path / "stack.safetensors"), stack)
    )
    np.testing.assert_array_equal(got, expected)


def test_a_stack_for_few_rows_takes_many_where_its_numbers_allow_it():
    problem, step_size = ridge_problem(40, 3)
    rows, small = split(problem)
    expected = descend(problem, step_size, 4)[-1]
    for form in RIDGE_FORMS:
        short = RIDGE_FORMS[form](4, 3, 4, step_size)
        out = short.streamed("X", "y", any_length=True)(rows, **small)
        assert relative_error(out["w"], expected) < 1e-12
        with pytest.raises(ValueError, match=f"{form}, streamed: rows must give the 4 rows .* 40;"):
            short.streamed("X", "y")(rows, **small)
    with pytest.raises(ValueError, match="any_length must be False, as the layers' biases differ"):
        random_stack([nn.ELSA], 7).streamed("X", "y", any_length=True)
    with pytest.raises(ValueError, match="rows must give at least 3 rows, beside which"):
        RIDGE_FORMS["ridge_elsa"](4, 3, 4, step_size).streamed("X", "y", any_length=True)(
            rows[:2], **small
        )


def test_float32_stacks_sum_in_float64():
    """Far more rows than float32 adds up: 1 + 2^-25 again and again."""
    n = 2**15
    problem, _ = ridge_problem(n, 2, start=False)
    rows, small = split(problem)
    rows = np.float32(rows + 1.0)
    A = rows[:, :2].astype(float).T @ rows[:, :2] + small["lam"] * np.eye(2)
    b = rows[:, :2].astype(float).T @ rows[:, 2:]
    step_size = 1.0 / np.linalg.eigvalsh(A)[-1]
    w = np.zeros((2, 1))
    for _ in range(3):
        w = w - step_size * (A @ w - b)
    with jax.enable_x64(False):
        stack = constructions.ridge_lsa_state(n, 2, 3, step_size, dtype="float32")
        out = stack.streamed("X", "y")(blocks_of(rows, [1000]), **small)["w"]
    assert out.dtype == np.float32
    assert relative_error(out, w) < 1e-6


def test_passes_are_said_beforehand_and_a_source_that_is_read_once_is_refused():
    stack, problem, expected = ridge("ridge_lsa_state", 9, 3, 2)
    rows, small = split(problem)
    once = stack.streamed("X", "y")
    assert once.passes == 1 and "through G" in once.why
    assert relative_error(once(iter([rows]), **small)["w"], expected["w"]) < 1e-12
    by_row = stack.streamed("X", "y", form="rows")
    assert by_row.passes == 4 and by_row.why == "4 of 6 layers sum over rows"
    assert repr(by_row).startswith("ridge_lsa_state, streamed over X, y: form 'rows', 4 passes")
    reads = []

    def source():
        reads.append(1)
        return [rows]

    by_row(source, **small)
    assert len(reads) == 4
    with pytest.raises(ValueError, match="can be read once, and form='rows' takes 4 passes"):
        by_row(iter([rows]), **small)
    out = random_stack([nn.LSA], 7).streamed("X", "y")(iter([rows[:7]]), q=np.ones((1, 4)))
    with pytest.raises(ValueError, match=r"output 'X' of .*: it has a row for each row of the sou"):
        list(out["X"])


def test_the_step_size_is_looked_at_as_by_a_call():
    problem, step_size = ridge_problem(9, 3, start=False)
    rows, small = split(problem)
    stack = constructions.ridge_lsa(9, 3, 2, 3.0 * step_size)
    for form in FORMS:
        with pytest.raises(ValueError, match=r"step_size must lie in .0, 1.33333., got 2"):
            stack.streamed("X", "y", form=form)(rows, **small)


@table(
    "names, options, error, message",
    [
        ((), {}, ValueError, r"names must name blocks, each once, got \[\]"),
        (("X", "X"), {}, ValueError, "names must name blocks, each once"),
        (("X", "z"), {}, KeyError, "block.*'z'"),
        (("X", 1), {}, TypeError, "names must be names of blocks"),
        (("X", "w"), {}, ValueError, r"names must be of blocks with the same rows.*'X': 9, 'w': 3"),
        (("X", "y"), {"form": "sums"}, ValueError, "form must be one of"),
        (("X", "y"), {"any_length": 1}, TypeError, "any_length must be True or False"),
    ],
)
def test_what_can_be_streamed(names, options, error, message):
    stack, _, _ = ridge("ridge_lsa", 9, 3, 2)
    with pytest.raises(error, match=message):
        stack.streamed(*names, **options)


def test_layers_and_layouts_that_do_not_treat_rows_alike_are_refused():
    layout = BlockLayout({"X": (0, 0, 4, 3)}, (4, 3))
    masked = nn.Stack([layer_of(MaskedLSA, 4, channels=3)], 1)
    with pytest.raises(ValueError, match="the layers must be LSA or ELSA, got MaskedLSA"):
        nn.BlockStack(masked, layout, layout).streamed("X")
    inner = nn.Stack([layer_of(nn.LSA, 8, channels=9)], 1)
    turned = BlockLayout({"X": (0, 0, 3, 4)}, (9, 9), transposed=("X",))
    with pytest.raises(ValueError, match="layout must not store streamed blocks transposed"):
        nn.BlockStack(inner, turned, turned).streamed("X")
    apart = BlockLayout({"X": (0, 0, 4, 3), "y": (4, 3, 4, 1)}, (9, 9))
    with pytest.raises(ValueError, match="names must be of blocks in the same rows of the prompt"):
        nn.BlockStack(inner, apart, apart).streamed("X", "y")


def test_bad_blocks_of_a_call_are_refused_by_name():
    stack, problem, _ = ridge("ridge_lsa", 9, 3, 2)
    rows, small = split(problem)
    streamed = stack.streamed("X", "y")
    with pytest.raises(KeyError, match="'X'"):
        streamed(rows, X=problem["X"], **small)
    with pytest.raises(ValueError, match="lam"):
        streamed(rows, **{**small, "lam": np.nan})
    with pytest.raises(
        ValueError, match=r"must have 4 columns \(3 of X, 1 of y\), got shape \(9, 3"
    ):
        streamed(rows[:, :3], **small)
    with pytest.raises(
        ValueError, match="ridge_lsa, streamed: rows must be finite, got nan in col"
    ):
        streamed(np.where(rows == rows[2, 1], np.nan, rows), **small)
