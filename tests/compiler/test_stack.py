"""Compiled stacks: what runs, whatever the schedule leaves out."""

import jax

import elsa


def test_an_untied_step_without_layers_of_its_own_has_weights():
    """The numbers of t differ, but all that is returned follows from inputs that never change."""

    def step(B, C, E, t):
        return {"B": C, "E": (1.0 + t) * E}

    def idle(B, C, t):
        return {"B": C + 0.0 * t}

    for function, shapes in (
        (step, {"B": (2, 3), "C": (2, 3), "E": (1,)}),
        (idle, {"B": (2, 3), "C": (2, 3)}),
    ):
        stack = elsa.compile(function, shapes, 3, tied=False, execution="dense")
        assert stack.verify(jax.random.key(0)) <= 1e-14
        assert len(stack.weights) >= 1
