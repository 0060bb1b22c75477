"""Rows for the tables of the lake, small enough to be counted in the head, and what a stranger reads of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.fs as arrow_fs
from deltalake import DeltaTable, QueryBuilder

from kentik_dagster.catalog.tables import TABLES
from kentik_dagster.core.schemas import polars_schema
from kentik_dagster.lake.tables import LakeTable

FLOW_LOGS = polars_schema(TABLES["flow_logs"])
NINE = {"export": "acme", "hour": "2026-11-23T09"}
TEN = {"export": "acme", "hour": "2026-11-23T10"}
START = datetime(2026, 11, 23, 9, tzinfo=UTC)


def flows(partition: Mapping[str, str] = NINE, /, **objects: int) -> pl.DataFrame:
    """Flow records: `flows(a=2, b=1)` are two of object a, with 1 and 2 bytes, and one of object b, with 1 byte."""
    return pl.DataFrame(
        [
            (*partition.values(), name, number, START + timedelta(seconds=number))
            for name, records in objects.items()
            for number in range(1, records + 1)
        ],
        schema={name: FLOW_LOGS[name] for name in (*partition, "source_object", "bytes", "start")},
        orient="row",
    )


def lacking(**objects: int) -> Callable[[pl.DataFrame], pl.DataFrame]:
    """The rows of the objects of which there are none."""
    return lambda there: flows(**objects).filter(~pl.col("source_object").is_in(there["source_object"].implode()))


def with_objects(**objects: int) -> Callable[[pl.DataFrame], pl.DataFrame]:
    """What is there, and the objects that are lacking."""
    return lambda there: pl.concat([there.select(flows().columns), lacking(**objects)(there)])


def objects_in(table: LakeTable, partition: Mapping[str, str] = NINE) -> dict[str, int]:
    """How many rows each object has in a partition, as a reader without our code counts them."""
    rows = pa.table(DeltaTable(table.uri, storage_options=dict(table.storage_options)).scan()).to_pylist()
    return dict(
        Counter(row["source_object"] for row in rows if all(row[name] == value for name, value in partition.items()))
    )


def version_of(table: LakeTable) -> int:
    """The number of commits since the table was created."""
    return DeltaTable(table.uri, storage_options=dict(table.storage_options)).version()


def files_lying(table: LakeTable) -> int:
    """Files that were written for nine o'clock, named by a commit or not."""
    return len(list(Path(table.uri).glob("export=acme/hour=2026-11-23T09/*")))


def _frame(stream: object) -> pl.DataFrame:
    frame = pl.from_arrow(pa.table(stream))
    assert isinstance(frame, pl.DataFrame)
    return frame


def _by_pyarrow(uri: str) -> pl.DataFrame:
    # With deltalake's own file system, the interpreter sometimes aborts at its end.
    files = arrow_fs.SubTreeFileSystem(uri, arrow_fs.LocalFileSystem())
    return _frame(DeltaTable(uri).to_pyarrow_dataset(filesystem=files).to_table())


# Everything with which analysts read a local table.
READERS: Mapping[str, Callable[[str], pl.DataFrame]] = {
    "polars": lambda uri: pl.scan_delta(uri).collect(),
    "deltalake": lambda uri: _frame(DeltaTable(uri).scan()),
    "sql": lambda uri: _frame(QueryBuilder().register("rows", DeltaTable(uri)).execute("select * from rows")),
    "pyarrow": _by_pyarrow,
}
