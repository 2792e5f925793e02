"""Every form of the table compiles and agrees with the step, or is refused with a way out."""

import re
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import elsa
from elsa.compiler.evaluating import evaluated
from elsa.compiler.tracing.steps import traced
from tests.compiler import forms
from tests.compiler.forms import ALL, SHAPES
from tests.compiler.helpers import by_hand, draw, shapes_of
from tests.helpers import table, wide

COMPILES = [form for form in ALL if form.refused is None]
REFUSED = [form for form in ALL if form.refused is not None]
ROUNDING = 1e-12
DEPTH = 2


def value_of(form, blocks, t=0):
    return eval(form.text, forms.names(**blocks, t=t))


def is_by_t(form):
    return "t" in re.findall(r"\w+", form.text)


def step_of(form):
    """R' = R / 2 + the form."""

    def step(R, **blocks):
        return {**blocks, "R": 0.5 * R + value_of(form, blocks)}

    def step_at(R, *, t, **blocks):
        return {**blocks, "R": 0.5 * R + value_of(form, blocks, t)}

    return step_at if is_by_t(form) else step


@pytest.mark.parametrize("n, d", wide(SHAPES, keep=[(5, 3), (1, 1)]))
def test_every_form_agrees_with_plain_evaluation(n, d):
    """The weights by hand for X of 5 x 3, the graph of values for other sides."""
    blocks = draw(forms.blocks(n, d), seed=n + d)

    @jax.jit
    def values(given):
        return [[value_of(form, given, t) for t in range(DEPTH)] for form in COMPILES]

    for form, (first, second) in zip(COMPILES, values(blocks), strict=True):
        start = np.ones(first.shape)
        expected = 0.25 * start + 0.5 * np.asarray(first) + np.asarray(second)
        given, by_t = {**blocks, "R": start}, is_by_t(form)
        if (n, d) == SHAPES[0]:
            stack = elsa.compile(step_of(form), shapes_of(given), DEPTH, tied=not by_t)
            out = by_hand(stack, given)
        else:
            graph = traced(step_of(form), shapes_of(given), DEPTH, tied=not by_t)
            out = {name: np.reshape(given[name], shape) for name, shape in graph.shapes.items()}
            for t in range(DEPTH):
                out |= evaluated(graph.outputs, out, t if by_t else 0)
        error = np.abs(out["R"].reshape(start.shape) - expected).max(initial=0.0)
        assert error <= ROUNDING * max(1.0, np.abs(expected).max(initial=0.0)), form.text


@table("form", REFUSED)
def test_a_form_is_refused_with_what_to_write_instead(form):
    given = forms.blocks(*SHAPES[0])

    def step(**blocks):
        total = jnp.sum(jnp.cumsum(value_of(form, blocks), axis=0))
        return {**blocks, "s": 0.5 * blocks["s"] + total}

    with pytest.raises(elsa.CompileError, match=form.refused) as error:
        elsa.compile(step, given)
    assert "line " in str(error.value)


@table("form", forms.CALLS)
def test_a_call_is_refused_with_what_to_write_instead(form):
    with pytest.raises((elsa.CompileError, TypeError), match=form.refused):
        eval(form.text, {"elsa": elsa, "jnp": jnp, "A": np.ones((3, 3))})


def test_a_step_of_t_and_any_blocks_gets_t():
    def step(t, **blocks):
        return {"A": (1.0 + t) * blocks["A"]}

    stack = elsa.compile(step, {"A": (2, 2)}, 3, tied=False)
    np.testing.assert_allclose(by_hand(stack, {"A": np.eye(2)})["A"], 6.0 * np.eye(2), rtol=1e-14)


def test_the_docs_list_every_form():
    page = (Path(elsa.__file__).parents[1] / "docs/compiler.md").read_text(encoding="utf-8")
    section = page.split("## What can be written")[1].split("\n## ")[0]
    rows = re.findall(r"^\| `(.*?)` \| (.*) \|$", section, re.MULTILINE)
    compiling, refused = [*forms.SUMS, *forms.CONSTANTS], [*ALL, *forms.CALLS]
    wanted = [f for f in compiling if f.refused is None] + [f for f in refused if f.refused]
    assert rows == [(form.text, form.becomes) for form in wanted]
