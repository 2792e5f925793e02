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
from elsa.tasks.scaling import moments
from elsa.tasks.table import Table, diabetes, split, standardised
from elsa.tasks.table_files import read_csv


@task(static=("context_length",))
@dataclasses.dataclass(frozen=True, eq=False)
class TableContexts(RowsOnly):
    """Prompts of n + 1 distinct rows of a table in random order, the last the query.

    Rows are drawn uniformly without replacement within a prompt, independently between prompts.
    Labels are the table's own. With `query_x` and `query_y` the contexts are n of the table's rows,
    and the query is one of these others, which no model that was trained on the table has seen.

    Attributes:
      x: covariates, [rows, d].
      y: labels, [rows].
      context_length: n, below the number of rows.
      query_x: covariates of rows that only queries are drawn from, [others, d].
      query_y: their labels, [others].
    """

    x: Real[ArrayLike, "rows d"]
    y: Real[ArrayLike, " rows"]
    context_length: int
    query_x: Real[ArrayLike, "others d"] | None = None
    query_y: Real[ArrayLike, " others"] | None = None

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
        if (self.query_x is None) != (self.query_y is None):
            raise ValueError(f"{where}: query_x and query_y go together, got only one of them")
        if self.query_x is not None:
            others = {"query_x": (self.query_x, "others d"), "query_y": (self.query_y, "others")}
            own = checks.shapes(where, x=(self.x, "rows d"), **others)
            checks.finite(where, query_x=self.query_x, query_y=self.query_y)
            checks.size(where, **{"rows of query_x": (own["others"], 1)})

    @classmethod
    def from_table(cls, table: Table, context_length: int) -> Self:
        """Contexts of a table, as it is; `standardised` scales one."""
        checks.instance("TableContexts.from_table", Table, "a Table", table=table)
        return cls(table.x, table.y, context_length)

    @classmethod
    def from_config(cls, where: str, given: Mapping[str, Any]) -> Self:
        """Of a config, which gives the fields or "path", a CSV file, and "target", a column,
        with "drop", "separator" and "decimal" as in `read_csv`.

        Without any of them it is scikit-learn's diabetes data. A file's data, and these, are
        standardised, their labels to variance 1. With "held_out", a share of the rows, as many of
        them, always the same, are left out of that and of the contexts; "queries" says whether
        queries are of the rows that were "kept", as by default, or of those "held_out".

        Raises:
          KeyError, ValueError, TypeError: as `fields.of_config` and `read_csv`.
          OSError: for a file that cannot be read.
        """
        checks.mapping(where, "a mapping of fields to values", given=given)
        fields_given = dict(given)
        if "x" not in fields_given:
            path, target = fields_given.pop("path", None), fields_given.pop("target", "")
            written = {k: fields_given.pop(k, "") for k in ("separator", "decimal")}
            drop = fields_given.pop("drop", ())
            of_a_file = {"target": target, "drop": drop, **written}
            said = next((f"{k}={v!r}" for k, v in of_a_file.items() if v), None)
            if path is None and said:
                raise ValueError(
                    f"{where}: {said} is of a CSV file, which path must name; got none"
                )
            share = fields_given.pop("held_out", 0.0)
            queries = fields_given.pop("queries", "kept")
            checks.one_of(where, "queries", queries, ("kept", "held_out"))
            table = diabetes() if path is None else read_csv(path, target, drop=drop, **written)
            kept, others = split(where, table, share)
            length, rows = fields_given.get("context_length"), len(kept.y)
            if share and isinstance(length, int) and length >= rows:
                raise ValueError(
                    f"{where}: context_length must be below the {rows} rows that held_out={share} "
                    f"leaves of {rows + len(others.y)}, got {length}; hold out fewer, or none by 0"
                )
            data = standardised(kept)
            exponent, _, spread = moments(data.y)
            if spread == 0.0:
                raise ValueError(
                    f"{where}: the labels {kept.target!r} of {kept.name} are constant and cannot "
                    "be scaled to variance 1"
                )
            fields_given |= {"x": data.x, "y": np.ldexp(data.y, -exponent) / spread}
            if queries == "held_out":
                for name, own, theirs in (
                    ("query_x", kept.x, others.x),
                    ("query_y", kept.y, others.y),
                ):
                    exponents, mean, spreads = moments(own)
                    fields_given[name] = (np.ldexp(theirs, -exponents) - mean) / spreads
        return fields.of_config(cls, where, fields_given)

    @property
    def dim(self) -> int:
        """d."""
        return jnp.shape(self.x)[-1]

    def sample(self, key: Array, batch: int) -> Prompt:
        """A batch of prompts; the n + 1 largest of uniform numbers, a number a row, pick them."""
        fields.draw(self, key, batch)
        if self.query_x is not None:
            return self._beside(key, batch)
        chances = jax.random.uniform(key, (batch, jnp.shape(self.y)[-1]))
        _, rows_BxS = jax.lax.top_k(chances, self.context_length + 1)
        x_BxSxD, y_BxS = jnp.asarray(self.x)[rows_BxS], jnp.asarray(self.y)[rows_BxS]
        return Prompt(x_BxSxD[:, :-1], y_BxS[:, :-1], x_BxSxD[:, -1], y_BxS[:, -1])

    def _beside(self, key: Array, batch: int) -> Prompt:
        """Contexts of the table, queries of the other rows."""
        context_key, query_key = jax.random.split(key)
        chances = jax.random.uniform(context_key, (batch, jnp.shape(self.y)[-1]))
        _, rows_BxN = jax.lax.top_k(chances, self.context_length)
        x, y, query_x, query_y = map(jnp.asarray, (self.x, self.y, self.query_x, self.query_y))
        queries_B = jax.random.randint(query_key, (batch,), 0, len(query_y))
        return Prompt(x[rows_BxN], y[rows_BxN], query_x[queries_B], query_y[queries_B])
