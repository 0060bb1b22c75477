"""Frames that have exactly the columns of a table, and clear words where they have not."""

from __future__ import annotations

import functools

import polars as pl

from kentik_dagster.catalog.tables import Table
from kentik_dagster.errors import MissingColumnsError, SchemaDifferenceError


def polars_schema(table: Table) -> pl.Schema:
    """The table's columns as Polars types, in the table's order."""
    return _empty(table).schema


def no_rows(table: Table) -> pl.DataFrame:
    """A frame with all columns of the table and no rows."""
    return _empty(table).clone()


@functools.cache
def _empty(table: Table) -> pl.DataFrame:
    frame = pl.from_arrow(table.schema.empty_table())
    assert isinstance(frame, pl.DataFrame)
    return frame


def require(frame: pl.DataFrame | pl.LazyFrame, *columns: str, by: str) -> None:
    """Raise MissingColumnsError, naming the function `by`, unless the frame has the columns."""
    present = frame.collect_schema().names()
    missing = [column for column in columns if column not in present]
    if missing:
        raise MissingColumnsError(by, missing, present)


def conformed(frame: pl.DataFrame, table: Table) -> pl.DataFrame:
    """The frame with the table's columns in the table's order, types compared exactly.

    Delta casts silently (1.5 becomes 1), so nothing is cast here but columns of type Null. Columns that
    the frame lacks stay away: a reader of the table sees them as null, and they cost nothing.

    Raises:
        SchemaDifferenceError: a column has another type, is not the table's, or is a partition column
            that is missing. Categorical text is text: readers cannot tell, and it is written faster.
    """
    expected, there = polars_schema(table), frame.schema
    differences = [f"{name}: the table has no such column" for name in there if name not in expected]
    differences += [
        f"{name}: {there[name]}, the table has {dtype}"
        for name, dtype in expected.items()
        if name in there and not _is(there[name], dtype)
    ]
    differences += [
        f"{name}: missing, and the table is partitioned by it" for name in table.partition_by if name not in there
    ]
    if differences:
        raise SchemaDifferenceError(table.name, differences)
    wanted = {name: dtype for name, dtype in expected.items() if name in there}
    if list(wanted) == there.names() and pl.Null not in there.dtypes():
        return frame
    return frame.select(
        pl.col(name).cast(dtype) if there[name] == pl.Null else pl.col(name) for name, dtype in wanted.items()
    )


def _is(dtype: pl.DataType, expected: pl.DataType) -> bool:
    return dtype in (expected, pl.Null) or (isinstance(dtype, pl.Categorical) and expected == pl.String)
