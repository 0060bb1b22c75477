"""A frame has exactly the columns of its table, or the difference is said column by column."""

from __future__ import annotations

import polars as pl
import pytest

from kentik_dagster.catalog.columns import COLUMNS
from kentik_dagster.catalog.tables import TABLES, Table
from kentik_dagster.core.schemas import conformed, no_rows, polars_schema, require
from kentik_dagster.errors import MissingColumnsError, SchemaDifferenceError

TABLE = Table(
    name="counts",
    row="a count",
    columns=(COLUMNS["export"], COLUMNS["rows"], COLUMNS["tags"]),
    partition_by=("export",),
)


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_every_table_has_a_polars_schema_in_its_own_order(table: Table) -> None:
    empty = no_rows(table)

    assert empty.columns == [column.name for column in table.columns]
    assert empty.is_empty()
    assert conformed(empty, table).equals(empty)


def test_columns_are_put_in_the_tables_order_and_those_that_lack_stay_away() -> None:
    frame = pl.DataFrame({"rows": [1], "export": ["a"]})

    assert conformed(frame, TABLE).rows(named=True) == [{"export": "a", "rows": 1}]


def test_a_column_of_nulls_takes_the_tables_type() -> None:
    frame = pl.DataFrame({"export": ["a"], "rows": [None], "tags": [None]})

    assert conformed(frame, TABLE).schema == polars_schema(TABLE)


@pytest.mark.parametrize(
    ("frame", "difference"),
    [
        (pl.DataFrame({"export": ["a"], "rows": [1.5]}), "rows: Float64, the table has Int64"),
        (pl.DataFrame({"export": ["a"], "rows": pl.Series([1], dtype=pl.Int32)}), "rows: Int32, the table has Int64"),
        (pl.DataFrame({"export": ["a"], "row": [1]}), "row: the table has no such column"),
        (pl.DataFrame({"rows": [1]}), "export: missing, and the table is partitioned by it"),
    ],
)
def test_a_difference_is_named_and_nothing_is_cast(frame: pl.DataFrame, difference: str) -> None:
    with pytest.raises(SchemaDifferenceError) as raised:
        conformed(frame, TABLE)

    assert raised.value.differences == (difference,)
    assert raised.value.table == "counts"


def test_a_function_says_which_columns_it_lacks() -> None:
    with pytest.raises(MissingColumnsError) as raised:
        require(pl.LazyFrame({"a": [1], "b": [2]}), "a", "c", "d", by="counted")

    assert str(raised.value) == "counted needs the columns c, d, which the frame lacks. It has a, b."
    assert raised.value.missing == ("c", "d")
