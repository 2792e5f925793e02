"""The plan of a compiled step on blocks whose rows come from a stream: what `structured` computes.

Every value with a row for each row of the stream is Z M (`elsa.nn.tall`), so that the products of a
layer are small ones, and sums over the rows.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from elsa.compiler.emitting.works import Work, works
from elsa.compiler.planning.chains import Chain
from elsa.compiler.planning.layers import Assign, Layer, Plan
from elsa.compiler.tracing.constants import Constant, matrix_of
from elsa.nn.streaming import Answer
from elsa.nn.tall import Pair, RowsMeetError, Size, Sums, Tall, added, multiplied

Values = Mapping[Chain, Any]
Contract = Callable[[Pair], np.ndarray]


class PlanProgram:
    """Runs a plan; `Streamed` says on what.

    Args:
      plan: of the step.
      names: the blocks that are streamed, with the same rows.
      shapes: of all inputs.
      where: messages start with it.
    """

    kept: int = 0
    beside: np.ndarray | None = None

    def __init__(
        self, plan: Plan, names: Sequence[str], shapes: Mapping[str, tuple[int, int]], where: str
    ) -> None:
        self._plan, self._names, self._where = plan, tuple(names), where
        self._widths = [shapes[name][1] for name in names]
        self.width = sum(self._widths) + 1
        self._size = Size(shapes[self._names[0]][0], self.width)

    def run(self, sums: Sums, given: Mapping[str, np.ndarray]) -> Answer:
        """The outputs after all layers.

        Raises:
          ValueError: for a product about pairs of rows, or a constant with a number of its own for
            each, naming the value.
        """
        schedule, inputs = self._plan.schedule, self._plan.inputs
        values: dict[Chain, Any] = {}
        selected = np.split(np.eye(self.width)[:, :-1], np.cumsum(self._widths)[:-1], axis=1)
        for name, chain in inputs.items():
            values[chain] = given.get(name)
        for name, matrix in zip(self._names, selected, strict=True):
            values[inputs[name]] = Tall(matrix)
        self._layers(sums, schedule.prologue, 0, values)
        varies = self._plan.variants > 1
        for step in range(schedule.depth):
            self._layers(sums, schedule.direct, step if varies else 0, values)
            self._layers(sums, schedule.refresh, 0, values)
        if schedule.depth:
            self._layers(sums, schedule.epilogue, -1, values)
        small, tall = {}, {}
        for name, chain in self._plan.outputs.items():
            value = values[chain]
            if isinstance(value, Tall):
                tall[name] = value.matrix, np.zeros((0, value.matrix.shape[1]))
            else:
                small[name] = value
        return Answer(small, tall)

    def _layers(
        self, sums: Sums, layers: Sequence[Layer], variant: int, values: dict[Chain, Any]
    ) -> None:
        """Layer by layer; the sums over rows of a layer are one pass."""
        for layer in layers:
            pairs: list[Pair] = []

            def note(pair: Pair, pairs: list[Pair] = pairs) -> np.ndarray:
                pairs.append(pair)
                return np.zeros((pair[0].shape[1], pair[1].shape[1]))

            self._layer(layer, variant, values, note)
            found = iter(sums.of(pairs))

            def take(_: Pair, found: Iterator[np.ndarray] = found) -> np.ndarray:
                return next(found)

            values.update(self._layer(layer, variant, values, take))

    def _layer(
        self, layer: Layer, variant: int, values: Values, contract: Contract
    ) -> dict[Chain, Any]:
        """What a layer writes; all that it reads is read before."""
        return {
            assign.target: self._assigned(assign, variant, values, contract) for assign in layer
        }

    def _assigned(self, assign: Assign, variant: int, values: Values, contract: Contract) -> Any:
        try:
            terms = [self._term(work, variant, values, contract) for work in works(assign)]
            return added(terms, self.width) if terms else np.zeros(assign.target.shape)
        except RowsMeetError:
            name = self._plan.names.get(assign.target, "a value")
            raise ValueError(
                f"{self._where}: the step must treat the rows of {self._names[0]!r} alike, one by "
                f"one or in sums over all of them; {name} multiplies them with one another, or "
                "with a constant that has numbers of its own for each row (str(stack) lists the "
                "products); call the stack with all rows in memory, or give such numbers as one "
                "more streamed block"
            ) from None

    def _term(self, work: Work, variant: int, values: Values, contract: Contract) -> Any:
        like = work.like
        operands = []
        for chain, flip in like.operands:
            value = values[chain]
            operands.append(value.T if flip else value)
        if work.kind == "product":
            number, *constants = work.numbers
            left, middle, right = (_constant(c, variant) for c in constants)
            factors = [left, *operands[:1], middle, *operands[1:], right]
            small = not any(isinstance(value, Tall) for value in operands)
            if small and like.first == "right":
                factors = [left, operands[0], middle, self._times(operands[1:], contract), right]
            assert number is not None
            return _scaled(float(np.asarray(number)[variant]), self._times(factors, contract))
        if any(isinstance(value, Tall) for value in operands):
            return self._of_many(work, variant, operands, contract)
        numbers = [_constant(constant, variant) for constant in work.numbers]
        if work.kind == "mask":
            return np.asarray(numbers[0]) * self._times(operands, contract)
        if work.kind == "multiple":
            block = operands[0] if numbers[0] is None else operands[0] @ numbers[0]
            return block * operands[1]
        left, right = numbers
        return np.sum((left @ operands[0]) * (operands[1] @ right).T).reshape(1, 1)

    def _times(self, factors: Sequence[Any], contract: Contract) -> Any:
        return multiplied(factors, contract, self._size)

    def _of_many(
        self, work: Work, variant: int, operands: Sequence[Any], contract: Contract
    ) -> Any:
        """Many products alike, of tall values."""
        if work.kind == "multiple" and isinstance(operands[0], Tall):
            matrix = _constant(work.numbers[0], variant)
            block = self._times([operands[0], matrix], contract)
            return _scaled(float(np.asarray(operands[1]).item()), block)
        if work.kind == "inner" and all(isinstance(value, Tall) for value in operands):
            left, right = (_constant(constant, variant) for constant in work.numbers)
            a = self._times([left, operands[0]], contract)
            b = self._times([operands[1], right], contract)
            if a.flipped and not b.flipped:
                return np.trace(contract((a.matrix, b.matrix))).reshape(1, 1)
        raise RowsMeetError


def _constant(constant: Constant | None, variant: int) -> Any:
    return None if constant is None else matrix_of(constant, variant)


def _scaled(number: float, value: Any) -> Any:
    return Tall(number * value.matrix, value.flipped) if isinstance(value, Tall) else number * value
