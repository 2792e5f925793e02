"""Contexts cut from a table of real data."""

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Real

from elsa.base import checks
from elsa.tasks import fields
from elsa.tasks.prompt import Prompt, RowsOnly
from elsa.tasks.registration import task
from elsa.tasks.table import Table, diabetes, read_csv, standardised


@task(static=("context_length",))
@dataclasses.dataclass(frozen=True, eq=False)
class TableContexts(RowsOnly):
    """Prompts of n + 1 distinct rows of a table in random order, the last the query.

    Rows are drawn uniformly without replacement within a prompt, independently between prompts.
    Labels are the table's own.

    Attributes:
      x: covariates, [rows, d].
      y: labels, [rows].
      context_length: n, below the number of rows.
    """

    x: Real[ArrayLike, "rows d"]
    y: Real[ArrayLike, " rows"]
    context_length: int

    cuts: ClassVar[bool] = True

    def __post_init__(self) -> None:
        where = "TableContexts"
        checks.size(where, context_length=(self.context_length, 1))
        sizes = checks.shapes(where, x=(self.x, "rows d"), y=(self.y, "rows"))
        checks.finite(where, x=self.x, y=self.y)
        if self.context_length >= sizes["rows"]:
            raise ValueError(
                f"{where}: context_length must be below the number of rows {sizes['rows']}, "
                f"got {self.context_length}"
            )

    @classmethod
    def from_table(cls, table: Table, context_length: int) -> Self:
        """Contexts of a table, as it is; `standardised` scales one."""
        checks.instance("TableContexts.from_table", Table, "a Table", table=table)
        return cls(table.x, table.y, context_length)

    @classmethod
    def from_config(cls, where: str, given: Mapping[str, Any]) -> Self:
        """Of a config, which gives the fields or "path", a CSV file, and "target", a column.

        Without any of them it is scikit-learn's diabetes data. A file's data, and these, are
        standardised, their labels to variance 1.

        Raises:
          KeyError, ValueError, TypeError: as `fields.of_config` and `read_csv`.
          OSError: for a file that cannot be read.
        """
        checks.mapping(where, "a mapping of fields to values", given=given)
        fields_given = dict(given)
        if "x" not in fields_given:
            path, target = fields_given.pop("path", ""), fields_given.pop("target", "")
            data = standardised(read_csv(path, target) if path else diabetes())
            fields_given |= {"x": data.x, "y": data.y / np.std(data.y)}
        return fields.of_config(cls, where, fields_given)

    @property
    def dim(self) -> int:
        """d."""
        return jnp.shape(self.x)[-1]

    def sample(self, key: Array, batch: int) -> Prompt:
        """A batch of prompts; the n + 1 largest of uniform numbers, a number a row, pick them."""
        fields.draw(self, key, batch)
        chances = jax.random.uniform(key, (batch, jnp.shape(self.y)[-1]))
        _, rows_BxS = jax.lax.top_k(chances, self.context_length + 1)
        x_BxSxD, y_BxS = jnp.asarray(self.x)[rows_BxS], jnp.asarray(self.y)[rows_BxS]
        return Prompt(x_BxSxD[:, :-1], y_BxS[:, :-1], x_BxSxD[:, -1], y_BxS[:, -1])
