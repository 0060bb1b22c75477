"""The deletion sweep: objects whose content the lake holds are deleted, or said to be deletable.

Before an object is deleted, its rows are counted in the committed table, and that table is made durable.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import polars as pl

from kentik_dagster.aws.deletion import SweepOutcome, delete_objects
from kentik_dagster.aws.sessions import ExportAccess
from kentik_dagster.catalog.tables import TABLES
from kentik_dagster.core.ledger import deletable_objects
from kentik_dagster.core.schemas import polars_schema
from kentik_dagster.lake.durability import make_durable
from kentik_dagster.lake.tables import Lake
from kentik_dagster.lake.writes import merge_partition

_SWEEP = polars_schema(TABLES["deletion_sweep"])
_CONTENT = ("bucket", "key", "etag")


def sweep_hour(
    access: ExportAccess,
    lake: Lake,
    hour: str,
    listed: pl.DataFrame,
    *,
    run_id: str,
    clock: Callable[[], datetime],
) -> pl.DataFrame:
    """Delete the objects of one hour that have been read, or with `delete_after_read: false` only say which.

    Args:
        listed: the hour's objects in the bucket, listed after the audit was written: `bucket`, `key`, `etag`.

    Returns:
        The hour's rows of `deletion_sweep`.
    """
    export = access.export
    partition = {"export": export.name, "hour": hour}
    audit = lake["flow_log_objects"].read(partition)
    counts = lake["flow_logs"].open().object_counts(partition)
    deletable = deletable_objects(audit, counts).select(*_CONTENT, "posted_at")
    known = lake["deletion_sweep"].read(partition)

    here = deletable.join(listed, on=list(_CONTENT), how="semi")
    elsewhere = deletable.join(listed, on=list(_CONTENT), how="anti").join(
        known.filter(pl.col("outcome") == SweepOutcome.DELETED), on=list(_CONTENT), how="anti"
    )
    if here.height and export.delete_after_read:
        for table in ("flow_logs", "rejected_records", "flow_log_objects"):
            make_durable(lake[table], partition)
        results = delete_objects(access, export.log_bucket, here)
        swept = here.join(results, on=["key", "etag"])
    else:
        swept = here.with_columns(outcome=pl.lit(str(SweepOutcome.WOULD_DELETE)), error=pl.lit(None, pl.String))
    overwritten = pl.col("key").is_in(listed["key"].to_list())
    gone = elsewhere.with_columns(
        outcome=pl.when(overwritten).then(pl.lit("changed")).otherwise(pl.lit("already_gone")),
        error=pl.when(overwritten)
        .then(pl.lit("the object was overwritten after it was read"))
        .otherwise(pl.lit("the object was not there any more when the sweep looked")),
    )
    lines = pl.concat([swept, gone]).with_columns(
        **{name: pl.lit(value) for name, value in partition.items()},
        swept_at=pl.lit(clock(), _SWEEP["swept_at"]),
        run_id=pl.lit(run_id),
    )
    lines = lines.select(_SWEEP.names())
    return merge_partition(lake["deletion_sweep"], partition, lambda there: _with_lines(there, lines))


def _with_lines(there: pl.DataFrame, lines: pl.DataFrame) -> pl.DataFrame:
    """One row for each object; a row that would say the same again stays as it was."""
    new = lines.join(there, on=[*_CONTENT, "outcome"], how="anti")
    kept = there.join(new, on=list(_CONTENT), how="anti")
    return pl.concat([kept, new]).sort("key", "etag")
