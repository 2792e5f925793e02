"""What treescope shows of stacks and prompts in a notebook."""

import re

import numpy as np
import pytest
import treescope

import elsa
from elsa import constructions, report
from tests.exchange.cases import compiled, drawn, through_a_file
from tests.helpers import ridge_problem


@pytest.mark.parametrize("name", ["construction", "compiled", "from a file"])
def test_a_stack_shows_its_listing_its_blocks_and_its_weights_as_arrays(name, tmp_path):
    stack = constructions.ridge_elsa(5, 3, 4, 0.1) if name == "construction" else compiled("tied")
    stack = through_a_file(stack, tmp_path) if name == "from a file" else stack
    text = treescope.render_to_text(stack)
    lines = [line.strip() for line in text.splitlines()]
    title, *listing = str(stack).splitlines()
    assert lines[0].startswith(f"{type(stack).__name__} {title}")
    assert set(map(str.strip, listing)) <= set(lines)
    assert "layout=BlockLayout(" in text and "readout=BlockLayout(" in text
    for field in ("wq", "wk", "wv", "bq", "bk", "bv"):
        shape = re.escape(str(getattr(stack.weights[-1], field).shape))
        assert re.search(rf"'{field}': <?.*{shape}", text), field
    assert title in treescope.render_to_html(stack, compressed=False)


def test_a_stack_whose_dense_weights_are_not_made_says_so():
    def step(X, y, w):
        return {"w": w - 0.1 * (X.T @ (X @ w - y))}

    stack = elsa.compile(step, {"X": (3_000, 3), "y": (3_000, 1), "w": (3, 1)}, 2)
    stack.require_weights = lambda where: (_ for _ in ()).throw(ValueError(f"{where}: too large"))
    assert "weights='treescope: too large'" in treescope.render_to_text(stack)


def test_a_prompt_shows_every_layer_and_the_blocks_of_its_rows_and_channels():
    stack = constructions.ridge_elsa(5, 3, 4, 0.1)
    blocks, _ = ridge_problem(5, 3)
    blocks = {name: blocks[name] for name in stack.inputs}
    page = treescope.render_to_html(report.prompt_view(stack, **blocks), compressed=False)
    layers = stack.num_layers
    for label in ("input", f"after layer {layers} of {layers}", "row (token), 5", "X, y, w"):
        assert label in page


def test_other_things_than_stacks_are_refused():
    with pytest.raises(TypeError, match="prompt_view: stack must be a BlockStack, got ndarray"):
        report.prompt_view(np.zeros(3))
    with pytest.raises(ValueError, match="missing block"):
        report.prompt_view(compiled("tied"), X=drawn({"X": (5, 3)})["X"])
