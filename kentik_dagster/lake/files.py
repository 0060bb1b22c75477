"""Parquet files of the lake: written by us, durable before any commit names them.

A file that no commit names is invisible to every reader; vacuum takes it. Rules and measurements:
delta.md §5.3 of the project's references: own files cost half the CPU of `write_deltalake` and keep memory flat.
"""

from __future__ import annotations

import io
import json
import math
import os
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from urllib.parse import quote

import polars as pl
from deltalake._internal import DeltaFileSystemHandler
from deltalake.exceptions import DeltaError
from deltalake.transaction import AddAction

from kentik_dagster.catalog.tables import Table
from kentik_dagster.core.schemas import conformed
from kentik_dagster.errors import LakeError
from kentik_dagster.lake.durability import fsync, is_local
from kentik_dagster.lake.tries import tried

# Partition values that readers take for null: such rows would be in the table, and in none of its partitions.
_READ_AS_NULL = (None, "", "__HIVE_DEFAULT_PARTITION__")


@dataclass(frozen=True, slots=True)
class StagedFile:
    """A Parquet file that lies in the table's folder and that no commit names yet.

    Attributes:
        path: relative to the table's folder, as it lies there; delta-rs URL-encodes it for the log.
        partition: value of each partition column.
        statistics: Delta's JSON text: rows, and extremes of the catalog's statistics columns.
    """

    path: str
    size_bytes: int
    rows: int
    partition: Mapping[str, str]
    statistics: str
    written_at_ms: int

    def add_action(self, *, data_change: bool = True) -> AddAction:
        """The action that makes the file part of the table."""
        return AddAction(self.path, self.size_bytes, self.partition, self.written_at_ms, data_change, self.statistics)


def stage(
    rows: pl.DataFrame,
    table: Table,
    uri: str,
    storage_options: Mapping[str, str],
    *,
    written_at_ms: int,
) -> StagedFile:
    """Write the rows of one partition as one Parquet file, durably.

    Args:
        rows: at least one row, all of one partition.
        uri: of the table's folder.

    Raises:
        SchemaDifferenceError: the rows do not have the table's columns.
        ValueError: there are no rows, or they are of several partitions.
        LakeError: the file could not be written.
    """
    rows = conformed(rows, table)
    partition = _partition_of(rows, table)
    buffer = io.BytesIO()
    # Delta's log has the statistics by which files are skipped; a file's own, of every column, would cost a fifth more.
    _told(rows.drop(table.partition_by)).write_parquet(
        buffer, compression="zstd", compression_level=1, statistics=False
    )
    folder = "/".join(f"{name}={quote(value, safe='')}" for name, value in partition.items())

    def written() -> str:
        # A name of its own for every attempt: adding a path again after a compaction would resurrect its rows.
        path = f"{folder}/{uuid.uuid4().hex}.parquet".lstrip("/")
        _write(uri, path, buffer.getbuffer(), storage_options)
        return path

    try:
        path = tried(uri, written, OSError, DeltaError)
    except (OSError, DeltaError) as error:
        raise LakeError(uri, "write a file to", error) from error
    return StagedFile(
        path=path,
        size_bytes=buffer.getbuffer().nbytes,
        rows=rows.height,
        partition=partition,
        statistics=_statistics(rows, table),
        written_at_ms=written_at_ms,
    )


def _told(rows: pl.DataFrame) -> pl.DataFrame:
    """The columns that say anything: a reader sees those that a file lacks as null, and they cost nothing."""
    said = [column.name for column in rows if column.null_count() < rows.height]
    return rows.select(said) if said else rows


def _partition_of(rows: pl.DataFrame, table: Table) -> dict[str, str]:
    if rows.is_empty():
        raise ValueError(f"no rows to write to {table.name}")
    if not table.partition_by:
        return {}
    first = rows.select(table.partition_by).row(0, named=True)
    if any(value in _READ_AS_NULL for value in first.values()):
        raise ValueError(f"rows of {table.name} name no partition: {first}")
    if not rows.select(
        pl.all_horizontal(pl.col(name).eq_missing(pl.lit(value)) for name, value in first.items()).all()
    ).item():
        values = rows.select(table.partition_by).unique()
        raise ValueError(f"a file of {table.name} holds one partition, and these rows are of {values.to_dicts()}")
    return {name: str(value) for name, value in first.items()}


def _write(uri: str, path: str, content: memoryview, storage_options: Mapping[str, str]) -> None:
    if is_local(uri):
        _write_through(Path(uri), path, content)
        return
    # delta-rs's own store: the same credentials and endpoint as for the commit that will name the file.
    upload = DeltaFileSystemHandler(uri, dict(storage_options)).open_output_stream(path)
    upload.write(bytes(content))
    upload.close()  # type: ignore[attr-defined]  # missing from deltalake's stubs


def _write_through(root: Path, path: str, content: memoryview) -> None:
    target = root / path
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("xb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    for folder in (target.parent, *target.parent.parents):
        fsync(folder)
        if folder == root:
            break


def _statistics(rows: pl.DataFrame, table: Table) -> str:
    names = [name for name in table.statistics if name in rows.columns]
    lowest: dict[str, object] = {}
    highest: dict[str, object] = {}
    nulls: dict[str, int] = {}
    for name in names:
        column = rows[name]
        nulls[name] = column.null_count()
        if nulls[name] < rows.height:
            lowest[name] = _as_json(column.min(), up=False)
            highest[name] = _as_json(column.max(), up=True)
    return json.dumps({"numRecords": rows.height, "minValues": lowest, "maxValues": highest, "nullCount": nulls})


def _as_json(value: object, *, up: bool) -> object:
    """Delta keeps instants to the millisecond; a largest value is rounded up, so that nothing is skipped."""
    if not isinstance(value, datetime):
        return value
    milliseconds = value.microsecond / 1000
    whole = math.ceil(milliseconds) if up else math.floor(milliseconds)
    seconds = value.replace(microsecond=0).timestamp() + whole // 1000
    return f"{datetime.fromtimestamp(seconds, value.tzinfo):%Y-%m-%dT%H:%M:%S}.{whole % 1000:03d}Z"
