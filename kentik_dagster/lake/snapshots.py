"""A Delta table as it was when it was opened: its files as the log knows them, and their rows."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar
from urllib.parse import unquote

import polars as pl
import pyarrow as pa
from deltalake import DeltaTable
from deltalake._internal import DeltaFileSystemHandler
from deltalake.exceptions import DeltaError

from kentik_dagster.catalog.tables import Table
from kentik_dagster.core.schemas import no_rows
from kentik_dagster.errors import LakeError
from kentik_dagster.lake.tries import tried

_Read = TypeVar("_Read")


class Handle(DeltaTable):
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

    handle: Handle
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

    def files_of_each(self, partitions: Sequence[Mapping[str, str]]) -> list[pl.DataFrame]:
        """The rows of `files` that are of each of several partitions."""
        if not self.table.partition_by:
            return [self.files for _ in partitions]
        return self._of_each(self.files, _partition(self.table.partition_by), partitions)

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

    def read_all(self, partitions: Sequence[Mapping[str, str]]) -> pl.DataFrame:
        """The rows of several partitions, at once; errors as `read`."""
        columns = list(self.table.partition_by)
        wanted = pl.DataFrame(list(partitions), schema=dict.fromkeys(columns, pl.String))
        there = self.files.select(pl.col(f"partition.{name}").alias(name) for name in columns)
        wanted = wanted.join(there, on=columns, how="semi")
        if wanted.is_empty():
            return no_rows(self.table)
        rows = self.scan().filter(pl.col(name).is_in(wanted[name].unique().to_list()) for name in columns)
        return self.collected(rows).join(wanted, on=columns, how="semi", maintain_order="left")

    def read_each(self, partitions: Sequence[Mapping[str, str]]) -> list[pl.DataFrame]:
        """The rows of each of several partitions, read at once; errors as `read`."""
        if not self.table.partition_by:
            return [self.read() for _ in partitions]
        return self._of_each(self.read_all(partitions), self.table.partition_by, partitions)

    def _of_each(
        self, rows: pl.DataFrame, columns: Sequence[str], partitions: Sequence[Mapping[str, str]]
    ) -> list[pl.DataFrame]:
        """The rows of each partition, which is named in these columns."""
        parts = rows.partition_by(columns, as_dict=True)
        keys = (tuple(partition[name] for name in self.table.partition_by) for partition in partitions)
        return [parts.get(key, rows.clear()) for key in keys]

    def read_file(self, path: str, columns: Collection[str] | None = None) -> pl.DataFrame:
        """Like `scan_file`, but read at once, only those of `columns` that the file has; errors as `read`."""
        rows = self.scan_file(path)
        return self.collected(
            rows if columns is None else rows.select(pl.selectors.by_name(*columns, require_all=False))
        )

    def collected(self, rows: pl.LazyFrame) -> pl.DataFrame:
        """What a scan of this table gives; errors as `read`."""
        return self._tried(rows.collect)

    def _tried(self, work: Callable[[], _Read]) -> _Read:
        try:
            return tried(self.handle.table_uri, work, OSError, DeltaError, pl.exceptions.PolarsError)
        except (OSError, DeltaError, pl.exceptions.PolarsError) as error:
            raise LakeError(self.handle.folder, "read", error) from error

    def object_counts(self, partition: Mapping[str, str], objects: Collection[str] | None = None) -> dict[str, int]:
        """How many rows of each source object the partition holds: the ledger that exactly-once rests on.

        Args:
            objects: the names to count, see `counts_of`; None: all, for which every file is read.
        """
        if objects is None:
            counted = self._counted(self.files_of(partition))
        else:
            names = pl.DataFrame({"source_object": pl.Series(list(objects), dtype=pl.String)})
            counted = self.counts_of(names.with_columns(pl.lit(value).alias(name) for name, value in partition.items()))
        return dict(counted.select("source_object", "rows").iter_rows())

    def counts_of(self, objects: pl.DataFrame) -> pl.DataFrame:
        """How many rows of some source objects their partitions hold.

        Files whose statistics in the log show none of them are not read, nor are those that hold one object alone,
        whose rows the statistics count; these have to be there with the size that the log says.

        Args:
            objects: one row per object: `source_object`, and the columns by which the table is partitioned.

        Returns:
            Those that have rows, each once: the same columns, `source_object` as the last of them, and `rows`.

        Raises:
            LakeError: a file of these objects is lost or damaged, or the storage does not answer.
        """
        keys, name = self.table.partition_by, pl.col("source_object")
        ranges = objects.group_by(keys).agg(lowest=name.min(), highest=name.max())
        files = self.files.join(ranges, left_on=_partition(keys), right_on=keys, maintain_order="left")
        files = files.filter(_overlaps(files, "source_object", pl.col("lowest"), pl.col("highest")))
        of_one = self._whole(_of_one_object(files))
        others = self._counted(files.join(of_one, on="path", how="anti", maintain_order="left"))
        told = of_one.select(*(pl.col(f"partition.{key}").alias(key) for key in keys), "source_object", "rows")
        counts = pl.concat([told, others]).group_by(*keys, "source_object").agg(pl.col("rows").sum())
        return counts.join(objects, on=[*keys, "source_object"], how="semi")

    def _counted(self, files: pl.DataFrame) -> pl.DataFrame:
        """The rows of each object in some of the files, read: the partition columns, `source_object`, `rows`."""
        keys = self.table.partition_by
        schema = pl.Schema(dict.fromkeys([*keys, "source_object"], pl.String()) | {"rows": pl.Int64()})
        counted = [pl.DataFrame(schema=schema)]
        for path, *values in files.select("path", *_partition(keys)).iter_rows():
            # Of each file by itself: categories are counted as numbers, and each file has its own.
            counts = self.collected(self._as_written(path).group_by("source_object").len("rows")).drop_nulls()
            partition = (pl.lit(value).alias(key) for key, value in zip(keys, values, strict=True))
            counted.append(counts.with_columns(partition).select(schema.names()).cast(schema))
        return pl.concat(counted).group_by(*keys, "source_object").agg(pl.col("rows").sum())

    def _whole(self, files: pl.DataFrame) -> pl.DataFrame:
        """Those of some files that lie there with the size that the log says."""
        if files.is_empty():
            return files
        store = DeltaFileSystemHandler(self.handle.table_uri, dict(self.storage_options))
        found = self._tried(lambda: store.get_file_info(files["path"].to_list()))
        return files.filter(pl.Series([file.size for file in found], dtype=pl.Int64) == files["size_bytes"])


def _partition(columns: Iterable[str]) -> list[str]:
    """The columns of `Snapshot.files` that say in which partition a file is."""
    return [f"partition.{column}" for column in columns]


def _of_one_object(files: pl.DataFrame) -> pl.DataFrame:
    """The files all of whose rows are of one object, as their statistics say; with `source_object` and `rows`."""
    lowest, highest, nulls = (f"{of}.source_object" for of in ("min", "max", "null_count"))
    if not {lowest, highest, nulls} <= set(files.columns):
        return files.clear().with_columns(source_object=pl.lit(None, pl.String), rows=pl.lit(None, pl.Int64))
    is_one = (pl.col(lowest) == pl.col(highest)) & (pl.col(nulls) == 0) & pl.col("num_records").is_not_null()
    return files.filter(is_one).with_columns(source_object=lowest, rows="num_records")


def _may_hold(files: pl.DataFrame, column: str, values: Collection[str]) -> pl.Expr:
    """Which files may hold one of some values, as far as their statistics in Delta's log say."""
    return _overlaps(files, column, pl.lit(min(values)), pl.lit(max(values)))


def _overlaps(files: pl.DataFrame, column: str, lowest: pl.Expr, highest: pl.Expr) -> pl.Expr:
    if f"min.{column}" not in files.columns:
        return pl.lit(value=True)
    return ~(pl.col(f"max.{column}") < lowest).fill_null(False) & ~(pl.col(f"min.{column}") > highest).fill_null(False)
