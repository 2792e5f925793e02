"""Layers and heads of a step that is written out grow with what it repeats."""

import sys

import numpy as np
import pytest

import elsa

SHAPES = {"X": (6, 3), "y": (6, 1), "w": (3, 1)}


def unrolled(repeats):
    """Gradient steps, one after the other."""

    def step(X, y, w):
        for _ in range(repeats):
            w = w - 0.1 * X.T @ (X @ w - y)
        return {"w": w}

    return step


@pytest.mark.parametrize("depth", [1, 2])
def test_an_unrolled_loop_takes_as_many_layers_a_turn_however_long_it_is(depth):
    counts = {}
    for repeats in (3, 10, 30):
        stack = elsa.compile(unrolled(repeats), SHAPES, depth, dtype=np.float32)
        counts[repeats] = (stack.num_layers / repeats, len(stack.layers) / repeats)
    assert len(set(counts.values())) == 1, counts


def test_planning_an_unrolled_loop_takes_work_in_proportion_to_it():
    calls = {}
    for repeats in (10, 40):
        calls[repeats] = 0

        def count(frame, event, _, repeats=repeats):
            calls[repeats] += event == "call" and "planning" in frame.f_code.co_filename

        sys.setprofile(count)
        try:
            elsa.compile(unrolled(repeats), SHAPES, 2)
        finally:
            sys.setprofile(None)
    assert calls[40] <= 2 * 4 * calls[10], calls
