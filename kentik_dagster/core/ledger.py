"""The ledger of S3 objects: which are pending, and which may be deleted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

import polars as pl

from kentik_dagster.core.schemas import require

# One batch is one commit; memory holds its text and its rows.
BATCH_OBJECTS = 500
BATCH_BYTES = 32 * 1024 * 1024
# An unreadable object is tried again when it has been unreadable as long again as it was at the last try.
_FIRST_RETRY = timedelta(minutes=10)
_LAST_RETRY = timedelta(days=1)


def pending_objects(listed: pl.DataFrame, audit: pl.DataFrame, now: datetime | None = None) -> pl.DataFrame:
    """The listed objects that the audit does not know, or knows as unreadable.

    Args:
        listed: one row per S3 object: `source_object`, and whatever else.
        audit: rows of `flow_log_objects`.
        now: unreadable objects are left out until it is time to try them again; None: all are pending.
    """
    require(listed, "source_object", by="pending_objects")
    require(audit, "source_object", "outcome", "posted_at", "ingested_at", by="pending_objects")
    settled = pl.col("outcome") != "unreadable"
    if now is not None:
        waited = pl.lit(now) - pl.col("ingested_at")
        unreadable_for = (pl.col("ingested_at") - pl.col("posted_at")).clip(_FIRST_RETRY, _LAST_RETRY)
        settled = settled | (waited < unreadable_for)
    return listed.join(audit.filter(settled), on="source_object", how="anti", maintain_order="left")


def unproven_objects(audit: pl.DataFrame, counts: Mapping[str, int]) -> pl.DataFrame:
    """The audit lines that say `ingested` of more or fewer rows than the table holds of that object."""
    committed = pl.DataFrame(
        {"source_object": list(counts), "committed": list(counts.values())},
        schema={"source_object": pl.String, "committed": pl.Int64},
    )
    joined = audit.filter(pl.col("outcome") == "ingested").join(committed, on="source_object", how="left")
    return joined.filter(pl.col("rows") != pl.col("committed").fill_null(0)).drop("committed")


def deletable_objects(audit: pl.DataFrame, counts: Mapping[str, int]) -> pl.DataFrame:
    """The audit lines of objects whose content the lake holds: `ingested` with all rows there, or `empty`."""
    read = audit.filter(pl.col("outcome").is_in(["ingested", "empty"]))
    return read.join(unproven_objects(read, counts), on="source_object", how="anti", maintain_order="left")


def batches(objects: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """The objects in order, cut so that a batch holds no more than BATCH_OBJECTS and about BATCH_BYTES.

    Args:
        objects: one row per S3 object: `size_bytes` (B), and whatever else.
    """
    require(objects, "size_bytes", by="batches")
    bytes_before = pl.col("size_bytes").cum_sum() - pl.col("size_bytes")
    cuts = {"_count": pl.int_range(pl.len()) // BATCH_OBJECTS, "_bytes": bytes_before // BATCH_BYTES}
    for _, batch in objects.with_columns(**cuts).group_by(*cuts, maintain_order=True):
        yield batch.drop(*cuts)
