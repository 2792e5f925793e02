"""What every stack with named blocks can do with rows that come in blocks."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from elsa.base import checks
from elsa.nn.streamed_layers import LayerProgram
from elsa.nn.streaming import Program, Streamed, require_streamable

if TYPE_CHECKING:
    from rich.console import Console

    from elsa.nn.block_stack import BlockStack


class Streamable:
    """Base class of `BlockStack`: calls whose rows are read from a source."""

    def streamed(
        self,
        /,
        *names: str,
        form: str = "gram",
        any_length: bool = False,
        screen: "Console | None" = None,
    ) -> Streamed:
        """The stack with these blocks read from a source of rows, in memory that does not grow.

        It computes what a call with all rows in memory computes, in float64, to rounding.

        Args:
          *names: inputs that have a row for each row of the source, in the order of its columns.
          form: "gram" reads the source once, for the sum of z z^T over its rows z, which is all
            that the layers need at any depth; its condition number is the square of the rows'.
            "rows" never forms it, and takes a pass for each layer that sums over rows.
          any_length: whether the source may have another number of rows than the stack was made
            for: True where the layers' numbers do not depend on it, as they do in a mean.
          screen: where a long pass shows how far it is; silent where None.

        Raises:
          TypeError, KeyError: for what is no input. ValueError: for no names or blocks with
            different rows, an unknown form, and a stack that does not treat rows alike, naming what
            stands in the way.
        """
        stack = cast("BlockStack", self)
        require_streamable(stack, names, form)
        checks.boolean(f"{stack._where}, streamed", any_length=any_length)
        program = self._program(names, any_length)
        return Streamed(
            stack, names, program, form=form, any_length=bool(any_length), screen=screen
        )

    def _program(self, names: Sequence[str], any_length: bool) -> Program:
        return LayerProgram(cast("BlockStack", self), names, any_length=any_length)
