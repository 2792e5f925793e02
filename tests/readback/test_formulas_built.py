"""Compiled steps and constructions read as the lines they were built from, other weights or not."""

import numpy as np
import pytest

import elsa
from elsa import algorithms, constructions
from elsa.readback.formulas_lines import KINDS
from tests.helpers import RIDGE_FORMS, RIDGE_SIZES, ridge_problem
from tests.readback.rewriting import read

N, D, K = 4, 3, 2
GAMMA = np.array([[0.5, 0.1, 0.0], [0.0, 0.3, 0.2], [0.1, 0.0, 0.4]])
_X, _Y, _LAM, _W = (N, D), (N, 1), (1, 1), (D, 1)
_RIDGE = {"X": _X, "y": _Y, "lam": _LAM, "w": _W}
_IN_CONTEXT = {"X": _X, "y": _Y, "query_x": (K, D), "prediction": (K, 1)}
_SQUARE = {"A": (D, D), "P": (D, K)}
# name -> step, its blocks; all sizes differ where they may, so that no line can be another
STEPS = {
    "gradient_descent": (algorithms.gradient_descent(0.1), _RIDGE),
    "multi_output_ridge": (
        algorithms.multi_output_ridge(0.1),
        {"X": _X, "Y": (N, K), "W": (D, K), "lam": _LAM},
    ),
    "heavy_ball": (algorithms.heavy_ball(step_size=0.1, momentum=0.3), {**_RIDGE, "v": _W}),
    "chebyshev": (algorithms.chebyshev(smallest=0.5, largest=2.0), {**_RIDGE, "p": _W}),
    "preconditioned_gradient_descent": (
        algorithms.preconditioned_gradient_descent(GAMMA),
        _IN_CONTEXT,
    ),
    "gd_plus_plus": (algorithms.gd_plus_plus(step_size=0.1, curvature=0.2), _IN_CONTEXT),
    "newton_schulz_inverse": (
        algorithms.newton_schulz_inverse(),
        {"A": (D, D), "Z": (D, D)},
    ),
    "newton_schulz_ridge": (algorithms.newton_schulz_ridge(), {**_RIDGE, "Z": (D, D)}),
    "matrix_power": (algorithms.matrix_power(3), _SQUARE),
    "matrix_polynomial": (algorithms.matrix_polynomial([1.0, 0.5, -0.2]), _SQUARE),
    "power_iteration": (algorithms.power_iteration(0.7), {"A": (D, D), "v": (D, K)}),
    "oja_flow": (algorithms.oja_flow(0.1), {"C": (D, D), "W": (D, K)}),
    "sylvester": (
        algorithms.sylvester(0.1),
        {"A": (N, N), "B": (K, K), "C": (N, K), "X": (N, K)},
    ),
    "lyapunov": (algorithms.lyapunov(0.1), {"A": (D, D), "Q": (D, D), "X": (D, D)}),
    "matrix_factorisation": (
        algorithms.matrix_factorisation(0.1),
        {"M": (N, K), "U": (N, 2), "V": (K, 2)},
    ),
    "polar": (algorithms.polar(), {"Y": _X}),
}


def compiled(name, depth=3):
    step, blocks = STEPS[name]
    return elsa.compile(step, blocks, depth, tied=name != "chebyshev", execution="dense")


def product_of(operands, *, with_number):
    """Blocks and their transposes; with a number among them their order says nothing."""
    return tuple(sorted(operands)) if with_number else tuple(operands)


def lines_of(layer):
    """(target, blocks) -> (coefficient, constants)."""
    said = {}
    for line in layer.lines:
        turned = [factor for factor in KINDS[line.kind] if factor[0].isdigit()]
        operands = [(line.operands[int(f[0])], f.endswith("^T")) for f in turned]
        key = line.target, product_of(operands, with_number="lam" in line.operands)
        assert key not in said
        said[key] = line.coefficient, (line.left, line.right)
    return said


def planned(stack):
    """The same for each layer, as the compiler planned it; constants of products with lam say only
    that a head takes one column, or one entry, at a time."""
    plan, placed = stack.stages.plan, stack.stages.placed
    schedule, names = plan.schedule, plan.names
    before, after = len(schedule.prologue), len(schedule.layers) - len(schedule.epilogue)
    each = [(index, t) for t in range(plan.variants) for index in range(before, after)]
    order = [*((k, 0) for k in range(before)), *each]
    order += [(k, plan.variants - 1) for k in range(after, len(schedule.layers))]
    for index, variant in order:
        said = {}
        for assign in schedule.layers[index]:
            target = names[assign.target]
            for product in assign.products:
                operands = [(names[chain], flipped) for chain, flipped in product.operands]
                number = any(name == "lam" for name, _ in operands)
                key = target, product_of(operands, with_number=number)
                said[key] = product.coefficient[variant]
            if assign.target in placed.over[index]:
                own = target, ((target, False),)
                said[own] = said.get(own, 0.0) - 1.0
        for chain in placed.clears[index]:
            own = names[chain], ((names[chain], False),)
            said[own] = said.get(own, 0.0) - 1.0
        yield {key: number for key, number in said.items() if number}


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(
            name,
            marks=[]
            if name in ("chebyshev", "newton_schulz_ridge", "preconditioned_gradient_descent")
            else pytest.mark.slow,
        )
        for name in STEPS
    ],
)
def test_compiled_steps_are_read_as_they_were_planned(name):
    stack = compiled(name)
    found = read(stack)
    for layer, expected in zip(found.layers, planned(stack), strict=True):
        ours = lines_of(layer)
        targets = {target for target, _ in ours}  # the last of several steps writes what is read
        assert ours.keys() == {key for key in expected if key[0] in targets}
        for key, (coefficient, constants) in ours.items():
            if all(constant is None for constant in constants):
                assert coefficient == pytest.approx(expected[key], rel=1e-10)
            else:
                sign = expected[key]
                np.testing.assert_allclose(constants[0], sign * GAMMA, rtol=1e-10, atol=1e-12)
    written = {line.target for layer in found.layers for line in layer.lines}
    assert written >= set(stack.outputs)


@pytest.mark.slow
@pytest.mark.parametrize("name", STEPS)
def test_the_program_of_a_compiled_step_computes_it(name):
    stack, rng = compiled(name), np.random.default_rng(2)
    blocks = {block: 0.3 * rng.normal(size=shape) for block, shape in stack.inputs.items()}
    ours, expected = read(stack)(**blocks), stack(**blocks)
    for block, value in expected.items():
        np.testing.assert_allclose(ours[block], value, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(
    "make", [constructions.ridge_elsa, constructions.ridge_lsa], ids=lambda make: make.__name__
)
def test_constructions_are_read_as_their_docstrings_say(make):
    found = read(make(N, D, 5, 0.1, num_queries=K))
    said = [line.formula for layer in found.layers for line in layer.lines]
    assert (
        said
        == {
            "ridge_elsa": [
                "residual += y",
                "residual += -residual",
                "residual += -X w",
                "w += 0.1 X^T residual",
                "w += -0.1 lam w",
                "prediction += query_x w",
            ],
            "ridge_lsa": [
                *(
                    f"fit += {part}"
                    for part in ("0.1 X X^T y", "-0.1 X X^T fit", "-0.1 X ridge^T w")
                ),
                *("w += 0.1 ridge X^T y", "w += -0.1 ridge X^T fit", "w += -0.1 ridge ridge^T w"),
                *("prediction += 0.1 query_x X^T y", "prediction += -0.1 query_x X^T fit"),
                "prediction += -0.1 query_x ridge^T w",
            ],
        }[make.__name__]
    )


@pytest.mark.slow
@pytest.mark.parametrize("make", RIDGE_FORMS.values(), ids=RIDGE_FORMS)
@pytest.mark.parametrize("n, d, num_queries", RIDGE_SIZES)
def test_the_program_of_a_construction_computes_it_at_every_size(make, n, d, num_queries):
    blocks, step_size = ridge_problem(n, d, num_queries)
    stack = make(n, d, 2, step_size, num_queries=num_queries)
    h = stack.layout.pack(**stack.encode(**blocks))
    prompt = stack.padded(h)
    ours, expected = read(stack).run(prompt), stack.run(prompt)
    for name in stack.outputs:
        np.testing.assert_allclose(
            *(stack.readout.block(last, name) for last in (ours, expected)), rtol=1e-10, atol=1e-12
        )
