"""The deletion sweep: objects whose content the lake holds are deleted, or said to be deletable.

Before an object is deleted, its rows are counted in the committed tables, those tables are made durable, and the
deletion is announced in `deletion_sweep`; what S3 answered replaces the announcement. Killed anywhere, the next
sweep finds the object there and deletes it, or finds it gone and the announcement, and says so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

import polars as pl

from kentik_dagster.aws.deletion import delete_objects
from kentik_dagster.aws.sessions import ExportAccess
from kentik_dagster.catalog.tables import TABLES
from kentik_dagster.configuration import Export
from kentik_dagster.core.deletion import (
    CONTENT,
    DELETION_BEGUN,
    SweepOutcome,
    held_back,
    held_objects,
    merged_sweep,
    vanished_objects,
)
from kentik_dagster.core.schemas import polars_schema
from kentik_dagster.lake.durability import make_durable
from kentik_dagster.lake.tables import Lake
from kentik_dagster.lake.writes import merge_partition

_SWEEP = polars_schema(TABLES["deletion_sweep"])
# What the content of an object became.
_KEPT_IN = ("flow_logs", "firewall_logs", "rejected_records")


def sweep_hour(
    access: ExportAccess,
    lake: Lake,
    hour: str,
    listed: pl.DataFrame,
    *,
    run_id: str,
    clock: Callable[[], datetime],
    listed_at: datetime | None = None,
) -> pl.DataFrame:
    """Delete the objects of one hour that have been read, or with `delete_after_read: false` only say which.

    Args:
        listed: the hour's objects in the bucket: `bucket`, `key`, `etag`.
        listed_at: when the listing began. An object that was ingested since is not said to be gone or changed,
            for the listing may be older than the object. None: the listing is newer than everything ingested.

    Returns:
        The hour's rows of `deletion_sweep`, in order of key and ETag, plus `held_back` (bool): a dry run had kept
        the object until now.

    Raises:
        LakeError: a table cannot be read or written. What S3 refuses is an outcome, and not raised.
    """
    export = access.export
    partition = {"export": export.name, "hour": hour}
    listed = listed.select(CONTENT)
    # The tables are counted after the audit was read: what it says was committed before.
    audit = lake["flow_log_objects"].read(partition)
    counts: Mapping[str, Mapping[str, int]] = {table: lake[table].open().object_counts(partition) for table in _KEPT_IN}
    held = _within_reach(held_objects(audit, counts), export).select(*CONTENT, "posted_at", "ingested_at")
    known = lake["deletion_sweep"].read(partition)

    def said(lines: pl.DataFrame) -> pl.DataFrame:
        rows = lines.with_columns(
            **{name: pl.lit(value) for name, value in partition.items()},
            swept_at=pl.lit(clock(), _SWEEP["swept_at"]),
            run_id=pl.lit(run_id),
        ).select(_SWEEP.names())
        return merge_partition(lake["deletion_sweep"], partition, lambda there: merged_sweep(there, rows))

    here = held.join(listed, on=CONTENT, how="semi", maintain_order="left")
    swept = here.with_columns(outcome=pl.lit(str(SweepOutcome.WOULD_DELETE)), error=pl.lit(None, pl.String))
    if here.height and export.delete_after_read:
        _make_durable(lake, partition)
        said(here.with_columns(outcome=pl.lit(str(SweepOutcome.WOULD_DELETE)), error=pl.lit(DELETION_BEGUN)))
        swept = here.join(delete_objects(access, export.log_bucket, here), on=("key", "etag"))
    older = held if listed_at is None else held.filter(pl.col("ingested_at") <= listed_at)
    rows = said(pl.concat([swept, vanished_objects(older, listed, known)]))
    was_held_back = held_back(known).with_columns(held_back=pl.lit(True))
    return rows.join(was_held_back, on=CONTENT, how="left", maintain_order="left").with_columns(
        pl.col("held_back").fill_null(False)
    )


def first_read_at(lake: Lake, export: str, since: str) -> datetime | None:
    """When the first object of an export was read, of the hours from `since` on; None: none was.

    What was posted before is a backlog: how long it lay there says nothing about how this system keeps up.
    """
    audit = lake["flow_log_objects"].open()
    of_export = audit.scan().filter(pl.col("export") == export, pl.col("hour") >= since)
    first: datetime | None = audit.collected(of_export.select(pl.col("ingested_at").min())).item()
    return first


def _within_reach(held: pl.DataFrame, export: Export) -> pl.DataFrame:
    """Objects that a listing finds, by prefix and kind: that others are not listed does not mean that they are gone."""
    is_firewall = pl.col("key").str.contains("_network-firewall_", literal=True)
    collected = pl.when(is_firewall).then(export.collect_firewall_logs).otherwise(export.collect_flow_logs)
    return held.filter(
        pl.col("bucket") == export.log_bucket, pl.col("key").str.starts_with(export.log_folder), collected
    )


def _make_durable(lake: Lake, partition: Mapping[str, str]) -> None:
    for table in (*_KEPT_IN, "flow_log_objects"):
        make_durable(lake[table], partition)
