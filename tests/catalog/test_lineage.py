"""Column lineage names columns that there are, of tables that the table is made from."""

from __future__ import annotations

import pytest

from kentik_dagster.catalog.lineage import LINEAGE
from kentik_dagster.catalog.tables import TABLES

WHOLLY_DERIVED = ("enriched_flows", "address_book", "cloud_devices")


@pytest.mark.parametrize("table", LINEAGE)
def test_every_column_and_every_source_is_in_the_catalog(table: str) -> None:
    columns = {name: {column.name for column in one.columns} for name, one in TABLES.items()}

    unknown = [name for name in LINEAGE[table] if name not in columns[table]]
    unknown += [f"{source}.{name}" for sources in LINEAGE[table].values() for source, name in sources
                if name not in columns[source]]  # fmt: skip

    assert unknown == []


@pytest.mark.parametrize("table", WHOLLY_DERIVED)
def test_a_derived_table_says_where_each_of_its_columns_comes_from(table: str) -> None:
    assert [column.name for column in TABLES[table].columns if not LINEAGE[table].get(column.name)] == []


def test_no_column_names_a_source_twice() -> None:
    for table, columns in LINEAGE.items():
        for name, sources in columns.items():
            assert len(set(sources)) == len(sources), f"{table}.{name}"
