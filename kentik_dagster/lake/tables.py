"""The lake: one folder, one Delta table for each row of the catalog."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import polars as pl
from deltalake import CommitProperties, DeltaTable, Schema
from deltalake.exceptions import DeltaError, TableNotFoundError

from kentik_dagster.catalog.tables import TABLES, Table
from kentik_dagster.errors import LakeError, SchemaDifferenceError
from kentik_dagster.lake.snapshots import Handle, Snapshot
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

    def _handle(self) -> Handle | None:
        try:
            return Handle(self.uri, storage_options=dict(self.storage_options))
        except TableNotFoundError:
            return None

    def _created(self) -> Handle:
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
        return Handle(self.uri, storage_options=dict(self.storage_options))

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
