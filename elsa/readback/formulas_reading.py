"""What each layer of a stack adds, read from its weights as lines of the head table."""

import dataclasses
from collections.abc import Mapping

import numpy as np

from elsa.base import checks
from elsa.models import StackModel, block_stack
from elsa.nn.block_stack import BlockStack
from elsa.prompts.layout import Box
from elsa.readback.formulas_blocks import named_boxes
from elsa.readback.formulas_fit import Fitted, fit
from elsa.readback.formulas_flow import Flow, flows
from elsa.readback.formulas_groups import groups
from elsa.readback.formulas_lines import Line, words
from elsa.readback.formulas_program import Formulas, LayerFormulas, by
from elsa.readback.polynomial import Mask, Polynomial, layer_polynomials


def formulas(
    stack: BlockStack | StackModel, *, constants: bool = True, least: float | None = None
) -> Formulas:
    """What each layer of a stack adds to its prompt, as lines of the head table on its blocks.

    Weights of any origin are read alike: built, compiled, edited, trained, loaded. Read is the
    layer's polynomial (`polynomial.layer_polynomial`), in which other keys, scales, and heads split
    or merged do not show, on the entries that can be filled and the results that an output depends
    on. It falls apart into groups of monomials with the same blocks; in each of them lines

        A    A^T    b A    A^T B    A B    A B^T    A B^T C        b a number, 1 x 1

    with a number in front are tried first, and, where they do not do and `constants` says so, as
    few lines as will do with constant matrices L and R (heads.factors has the table). What remains
    is what no head writes from block to block: writes to other rows than those of A, sums over
    other rows than those of B and C, and what is below `least`.

    Args:
      stack: of LSA and ELSA layers; a trained model is read for contexts of its own length.
      constants: whether lines may hold matrices. Without, a layer is described by numbers alone.
      least: lines that add less than this share of what the layer adds are left out; by default
        256 eps of the stack's dtype.

    Returns:
      The program, with the share of every layer that it leaves unexplained.

    Raises:
      TypeError: for what is no such stack.
      ValueError: for weights that are not there or not finite, a `least` outside [0, 1), or layers
        with more than 2^24 coefficients, (m (n + m))^2 for n rows and m channels.
    """
    where = "formulas"
    checks.instance(where, BlockStack | StackModel, "a stack with named blocks", stack=stack)
    checks.boolean(where, constants=constants)
    given = block_stack(stack) if isinstance(stack, StackModel) else stack
    share = 256.0 * float(np.finfo(given.dtype).eps) if least is None else least
    checks.number(where, least=share)
    if not 0.0 <= share < 1.0:
        raise ValueError(f"{where}: least must be in [0, 1), a share of a layer, got {least}")
    read = layer_polynomials(given)
    masks = flows(given, read)
    boxes, names = named_boxes(given, masks), _Constants({})
    layers = [
        _layer(polynomial, flow, boxes, names, title, share, constants=constants)
        for polynomial, flow, title in zip(read, masks, _titles(given), strict=True)
    ]
    return Formulas(tuple(layers), boxes, names.known, given)


@dataclasses.dataclass(frozen=True)
class _Constants:
    """Names for constant matrices, C1, C2, ..., equal ones under one name."""

    known: dict[str, np.ndarray]

    def name(self, matrix: np.ndarray) -> str:
        """With its size, as a compiled stack shows its constants."""
        for name, other in self.known.items():
            if other.shape == matrix.shape and np.array_equal(other, matrix):
                return f"{name}[{by(matrix)}]"
        name = f"C{len(self.known) + 1}"
        self.known[name] = matrix
        return f"{name}[{by(matrix)}]"


def _layer(
    polynomial: Polynomial,
    flow: Flow,
    boxes: Mapping[str, Box],
    names: _Constants,
    title: str,
    share: float,
    *,
    constants: bool,
) -> LayerFormulas:
    live, read = ([name for name, box in boxes.items() if _any(mask, box)] for mask in flow)
    found = list(groups(polynomial, boxes, live, read))
    size = float(np.sqrt(sum(np.sum(group.vector**2) for group in found)))
    lines: list[Line] = []
    left = 0.0
    for group in found:
        fitted, rest = fit(group, share * size, constants=constants)
        left += rest**2
        lines += [_line(group.target, one, names, size) for one in fitted]
    return LayerFormulas(title, tuple(lines), float(np.sqrt(left)) / size if size else 0.0, size)


def _line(target: str, fitted: Fitted, names: _Constants, size: float) -> Line:
    form, coefficient, left, right, own = fitted
    said = target, form.kind, form.operands, coefficient, left, right
    return Line(*said, formula=words(*said, names.name), share=own / size)


def _titles(stack: BlockStack) -> list[str]:
    inner = stack.stack
    size = len(inner.body)
    steps = [f"step, {inner.depth} times"] * size
    if not inner.tied:
        steps = [f"step {step}" for step in range(inner.depth) for _ in range(size)]
    titles = ["prologue"] * len(inner.prologue) + steps + ["epilogue"] * len(inner.epilogue)
    return ["load", *titles[1:]] if stack.loads else titles


def _any(mask: Mask, box: Box) -> bool:
    return bool(mask[box.row : box.rows.stop, box.col : box.channels.stop].any())
