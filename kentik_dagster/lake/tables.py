"""The lake: one folder, one Delta table for each row of the catalog."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from urllib.parse import unquote

import polars as pl
import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, Schema
from deltalake.exceptions import DeltaError, TableNotFoundError

from kentik_dagster.catalog.tables import TABLES, Table
from kentik_dagster.core.schemas import no_rows
from kentik_dagster.errors import LakeError, SchemaDifferenceError
from kentik_dagster.lake.tries import tried

# Locks (application transactions) and log entries need no more than this; the longest batch is minutes.
_CONFIGURATION = {
    "delta.logRetentionDuration": "interval 30 days",
    "delta.setTransactionRetentionDuration": "interval 30 days",
}


def _configuration(table: Table) -> dict[str, str]:
    # Else readers look at the statistics of the first 32 columns alone.
    indexed = {"delta.dataSkippingStatsColumns": ",".join(table.statistics)} if table.statistics else {}
    return _CONFIGURATION | indexed


# With retries, one that lost the race would add its own creation to the winner's table, as a second commit.
_ONLY_AS_FIRST = CommitProperties(max_commit_retries=0)


class _Handle(DeltaTable):
    """A Delta table whose files Polars finds: delta-rs URL-encodes the lake's folder, Polars takes it as it is."""

    @property
    def folder(self) -> str:
        """The table's folder as file systems know it, without a slash at the end."""
        return unquote(self.table_uri.removeprefix("file://").rstrip("/"))

    def file_uris(
        self,
        partition_filters: Any = None,
        *,
        file_pruning_predicate: Any = None,
    ) -> list[str]:
        """Where the table's files lie."""
        encoded = self.table_uri.removeprefix("file://").rstrip("/")
        uris = super().file_uris(partition_filters, file_pruning_predicate=file_pruning_predicate)
        return [uri.replace(encoded, self.folder, 1) for uri in uris]


@dataclass(frozen=True)
class Snapshot:
    """A table as it was when it was opened; a write through it is refused if its lock was taken since."""

    handle: _Handle
    table: Table
    storage_options: Mapping[str, str]

    @property
    def version(self) -> int:
        """The Delta version of the table."""
        return self.handle.version()

    @cached_property
    def files(self) -> pl.DataFrame:
        """One row per file: `path` (below the table's folder), `size_bytes`, `num_records`, `partition.<column>`."""
        frame = pl.from_arrow(pa.table(self.handle.get_add_actions(flatten=True)))
        assert isinstance(frame, pl.DataFrame)
        # The log holds paths URL-encoded; delta-rs encodes what it is given, and a path encoded twice removes nothing.
        if frame["path"].str.contains("%", literal=True).any():
            frame = frame.with_columns(pl.col("path").map_elements(unquote, return_dtype=pl.String))
        return frame

    def files_of(self, partition: Mapping[str, str]) -> pl.DataFrame:
        """The rows of `files` that are of one partition; all of them for an empty mapping."""
        return self.files.filter(*(pl.col(f"partition.{name}") == value for name, value in partition.items()))

    def files_holding(self, partition: Mapping[str, str], column: str, values: Collection[str]) -> pl.DataFrame:
        """The rows of `files_of` that may hold one of some values of a column, as far as Delta's statistics say."""
        files = self.files_of(partition)
        return files.filter(_may_hold(files, column, values)) if values else files.clear()

    def scan(self, partition: Mapping[str, str] | None = None) -> pl.LazyFrame:
        """The rows of one partition, or of the whole table."""
        frame = pl.scan_delta(self.handle, storage_options=dict(self.storage_options) or None)
        return frame.filter(*(pl.col(name) == value for name, value in (partition or {}).items()))

    def scan_file(self, path: str) -> pl.LazyFrame:
        """The rows of one of the table's files, partition columns too."""
        (row,) = self.files.filter(pl.col("path") == path).to_dicts()
        return self._as_written(path).with_columns(
            pl.selectors.categorical().cast(pl.String),
            *(pl.lit(row[f"partition.{name}"]).alias(name) for name in self.table.partition_by),
        )

    def _as_written(self, path: str) -> pl.LazyFrame:
        """The rows of a file without partition columns; text that was written as categories is read as such."""
        return pl.scan_parquet(
            f"{self.handle.folder}/{path}",
            storage_options=dict(self.storage_options) or None,
            hive_partitioning=False,
            glob=False,
        )

    def read(self, partition: Mapping[str, str] | None = None) -> pl.DataFrame:
        """Like `scan`, but read at once.

        Raises:
            LakeError: a file of the table is lost or damaged, or the storage does not answer.
        """
        if self.files_of(partition or {}).is_empty():
            return no_rows(self.table)
        return self.collected(self.scan(partition))

    def read_each(self, partitions: Sequence[Mapping[str, str]]) -> list[pl.DataFrame]:
        """The rows of each of several partitions, read at once where one column divides the table; errors as `read`."""
        if len(partitions) == 1 or len(self.table.partition_by) != 1:
            return [self.read(partition) for partition in partitions]
        (column,) = self.table.partition_by
        wanted = [partition[column] for partition in partitions]
        if self.files.filter(pl.col(f"partition.{column}").is_in(wanted)).is_empty():
            return [no_rows(self.table) for _ in partitions]
        rows = self.collected(self.scan().filter(pl.col(column).is_in(wanted)))
        return [rows.filter(pl.col(column) == value) for value in wanted]

    def read_file(self, path: str, columns: Collection[str] | None = None) -> pl.DataFrame:
        """Like `scan_file`, but read at once, only those of `columns` that the file has; errors as `read`."""
        rows = self.scan_file(path)
        return self.collected(
            rows if columns is None else rows.select(pl.selectors.by_name(*columns, require_all=False))
        )

    def collected(self, rows: pl.LazyFrame) -> pl.DataFrame:
        """What a scan of this table gives; errors as `read`."""
        try:
            return tried(self.handle.table_uri, rows.collect, OSError, pl.exceptions.PolarsError)
        except (OSError, pl.exceptions.PolarsError) as error:
            raise LakeError(self.handle.folder, "read", error) from error

    def object_counts(self, partition: Mapping[str, str], objects: Collection[str] | None = None) -> dict[str, int]:
        """How many rows of each source object the partition holds: the ledger that exactly-once rests on.

        Args:
            objects: the names to count; None: all. Files whose statistics show none of them are not read.
        """
        files = self.files_of(partition)
        if objects is not None:
            files = files.filter(_may_hold(files, "source_object", objects)) if objects else files.clear()
        if files.is_empty():
            return {}
        # Of each file by itself: categories are counted as numbers, and each file has its own.
        of_files = (self._as_written(path).group_by("source_object").len() for path in files["path"])
        counts = pl.concat(counts.with_columns(pl.col("source_object").cast(pl.String)) for counts in of_files)
        if objects is not None:
            counts = counts.filter(pl.col("source_object").is_in(list(objects)))
        together = self.collected(counts.group_by("source_object").agg(pl.col("len").sum()))
        return {str(name): int(rows) for name, rows in together.iter_rows()}


def _may_hold(files: pl.DataFrame, column: str, values: Collection[str]) -> pl.Series:
    """Which files may hold one of some values, as far as their statistics in Delta's log say."""
    lowest, highest = min(values), max(values)
    if f"min.{column}" not in files.columns:
        return pl.repeat(True, files.height, eager=True)
    return (files[f"max.{column}"].fill_null(highest) >= lowest) & (files[f"min.{column}"].fill_null(lowest) <= highest)


@dataclass(frozen=True)
class LakeTable:
    """One table of the lake; made on first use."""

    table: Table
    uri: str
    storage_options: Mapping[str, str] = field(default_factory=dict)

    def open(self) -> Snapshot:
        """The table as it is now.

        Raises:
            LakeError: the storage does not answer, or refuses.
            SchemaDifferenceError: another release made the table with other columns.
        """
        for folder in self.uri.split("/"):
            if "=" in folder:
                raise LakeError(self.uri, "open", f"{folder!r} looks like a partition to readers: name another folder")
        try:
            handle = tried(self.uri, lambda: self._handle() or self._created(), OSError, DeltaError)
        except (OSError, DeltaError) as error:
            raise LakeError(self.uri, "open", error) from error
        self._check(handle)
        return Snapshot(handle, self.table, self.storage_options)

    def scan(self, partition: Mapping[str, str] | None = None) -> pl.LazyFrame:
        """The rows of one partition, or of the whole table, as they are now."""
        return self.open().scan(partition)

    def read(self, partition: Mapping[str, str] | None = None) -> pl.DataFrame:
        """Like `scan`, but read at once; errors as `Snapshot.read`."""
        return self.open().read(partition)

    def _handle(self) -> _Handle | None:
        try:
            return _Handle(self.uri, storage_options=dict(self.storage_options))
        except TableNotFoundError:
            return None

    def _created(self) -> _Handle:
        try:
            DeltaTable.create(
                self.uri,
                schema=Schema.from_arrow(self.table.schema),
                mode="error",
                partition_by=list(self.table.partition_by),
                name=self.table.name,
                description=f"One row is {self.table.row}.",
                configuration=_configuration(self.table),
                storage_options=dict(self.storage_options),
                commit_properties=_ONLY_AS_FIRST,
            )
        except (DeltaError, OSError):
            # Somebody else made it at the same moment, or it was made and the reply was lost. If not, this is why.
            handle = self._handle()
            if handle is None:
                raise
            return handle
        return _Handle(self.uri, storage_options=dict(self.storage_options))

    def _check(self, handle: DeltaTable) -> None:
        there = {field.name: str(field.type) for field in handle.schema().fields}
        wanted = {field.name: str(field.type) for field in Schema.from_arrow(self.table.schema).fields}
        absent = "no such column"
        differences = [
            f"{name}: the table has {there.get(name, absent)}, this release {wanted.get(name, absent)}"
            for name in sorted(there.keys() | wanted.keys())
            if there.get(name) != wanted.get(name)
        ]
        layout, own_layout = handle.metadata().partition_columns, list(self.table.partition_by)
        if layout != own_layout:
            differences.append(f"partitions: the table is partitioned by {layout}, this release by {own_layout}")
        if differences:
            raise SchemaDifferenceError(self.table.name, differences)


def lake_at(root: str, endpoint_url: str | None) -> Lake:
    """The lake at a place.

    Args:
        endpoint_url: of another S3 than AWS's; None: AWS's. A local lake needs none.
    """
    if "://" not in root or not endpoint_url:
        return Lake(root)
    is_plain = endpoint_url.startswith("http://")
    return Lake(root, {"AWS_ENDPOINT_URL": endpoint_url, "AWS_ALLOW_HTTP": str(is_plain).lower()})


@dataclass(frozen=True)
class Lake:
    """All tables below one root: a local folder or s3://bucket/prefix."""

    root: str
    storage_options: Mapping[str, str] = field(default_factory=dict)

    def __getitem__(self, name: str) -> LakeTable:
        return LakeTable(TABLES[name], f"{self.root.rstrip('/')}/{name}", self.storage_options)

    @property
    def tables(self) -> Sequence[LakeTable]:
        """Every table of the catalog."""
        return [self[name] for name in TABLES]
