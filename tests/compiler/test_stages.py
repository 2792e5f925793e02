"""What the stages hand on, in words."""

import re

import jax
import numpy as np
import pytest

import elsa

SHAPES = {"A": (3, 3), "w": (3,)}


def step(A, w, t):
    return {"w": (1.0 + t) * (A @ (A @ w) - np.arange(3.0))}


def test_every_stage_prints_what_it_has_decided():
    layout = elsa.BlockLayout({"A": (0, 0, 3, 3), "w": (3, 0, 1, 3)}, transposed=["w"])
    options = {"tied": False, "layout": layout, "skip": "head", "dtype": "float32"}
    stack = elsa.compile(step, SHAPES, 3, **options)
    traced, plan, placed, heads, weights = map(str, stack.stages)
    assert (
        traced.splitlines()
        == [
            "step: A 3 x 3, w 3 x 1",
            "  %1 = A w",
            "  %2 = A %1",
            "  %3 = %2 + C[3x1]",
            "  %4 = %3",  # times 1 + t, at t = 0
            "  w' = %4",
        ]
        or traced.splitlines()[3] == "  %3 = %2 + C[3x1]"
    )
    assert plan.splitlines() == [
        "plan: products as the step forms them",
        "  prologue",
        "    A^T = A^T",
        "  step, 3 times, numbers of t = 0",
        "    w = A (A^T)^T w + C[3x1]",
    ]
    assert placed.splitlines() == [
        "prompt 4 x 10",
        "  A: rows 0:3, channels 3:6, from rows 0:3, channels 0:3",
        "  w: rows 0:3, channels 6:7, from rows 3:4, channels 0:3",
        "  A^T: rows 0:3, channels 7:10",
    ]
    assert heads in str(stack) and heads.startswith("  load\n    A += given A    (p = 3)\n")
    assert weights.startswith(
        f"float32: {stack.num_parameters} parameters stored, {stack.num_nonzeros} not"
    )
    sizes = [tuple(map(int, found.split(", "))) for found in re.findall(r"\[([\d, ]+)\]", weights)]
    names = ("wq", "wv", "bq", "bv")
    shapes = [getattr(layer, name).shape[-3:] for layer in stack.weights for name in names]
    assert sizes == shapes


def test_the_counts_of_the_layers_add_up():
    """Of a tied step, whose layers are stored once."""
    stack = elsa.compile(lambda A, w: {"w": A @ (A @ (A @ w))}, {"A": (2, 2), "w": (2, 1)}, 3)
    whole, *layers = str(stack.stages.weights).splitlines()
    assert len(layers) == len(stack.layers)
    assert sum(int(line.split()[-3]) for line in layers) == stack.num_nonzeros
    assert f"{stack.num_nonzeros} not zero" in whole


@pytest.mark.parametrize("skip", ["residual", "head"])
def test_the_bytes_counted_are_those_of_the_weights_made(skip):
    stack = elsa.compile(lambda w: {"w": 0.5 * w}, {"w": (2, 1)}, 3, skip=skip)
    made = sum(leaf.nbytes for leaf in jax.tree.leaves(stack))
    assert stack.stages.weights.num_bytes == made


def test_a_value_that_cancels_and_a_step_that_never_runs_print_too():
    def cancels(A, B, C):
        return {"A": (A + B) @ C - A @ C - B @ C, "B": A.T @ C.T}

    shapes = dict.fromkeys("ABC", (2, 2))
    stages = elsa.compile(cancels, shapes, 2, reassociate="gram").stages
    assert "A = 0" in str(stages.plan) and "  B' = %" in str(stages.traced)
    idle = elsa.compile(cancels, shapes, 0).stages
    assert str(idle.plan) == "plan: products as the step forms them" and str(idle.heads) == ""


def test_layers_of_one_part_are_listed_under_one_title():
    shapes = {"A": (2, 2), "w": (2, 1)}
    stack = elsa.compile(lambda A, w: {"w": A @ (A @ (A @ w)) + 1.0}, shapes, 3)
    for lines in (str(stack).splitlines(), str(stack.stages.plan).splitlines()):
        assert [line for line in lines if line.startswith("  step")] == ["  step, 3 times"]
        numbered = [line for line in lines if line.startswith("    layer")]
        assert numbered == ["    layer 1 of 2", "    layer 2 of 2"]
        title = lines.index("    layer 2 of 2")
        assert lines[title + 1].startswith("      w ") and lines[title - 1].startswith(
            "      A A w"
        )


def test_constants_that_differ_have_names_that_differ():
    C, D = np.arange(4.0).reshape(2, 2), np.ones((2, 1))
    stack = elsa.compile(lambda A, w: {"w": C @ (A @ w) + D}, {"A": (2, 2), "w": (2, 1)})
    for text in map(str, (stack, stack.stages.traced, stack.stages.plan)):
        assert set(re.findall(r"\bC\w*\[\w+\]", text)) == {"C1[2x2]", "C2[2x1]"}, text
    unit = elsa.compile(lambda A, s: {"A": A + s * A}, {"A": (3, 2), "s": ()})
    assert "A C1[2x1] s C1[2x1]^T" in str(unit) and "A C2[2x1] s C2[2x1]^T" in str(unit)
