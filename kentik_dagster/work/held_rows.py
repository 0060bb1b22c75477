"""What the lake holds of an hour, beside what the ledger of objects counted when it was read."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from kentik_dagster.lake.snapshots import Snapshot
from kentik_dagster.lake.tables import Lake

_FIREWALL = "network_firewall"
_COUNTED: dict[str, type[pl.DataType]] = {
    "hour": pl.String, "counted": pl.Int64, "firewall_counted": pl.Int64, "objects": pl.Int64, "size_bytes": pl.Int64,
    "rejected_lines": pl.Int64, "lag_p50": pl.Float64, "lag_p95": pl.Float64,
}  # fmt: skip


def held_rows(lake: Lake, export: str, hours: Sequence[str]) -> pl.DataFrame:
    """How many rows the tables of rows have of some hours; only the ledger is read, the rest is in Delta's logs.

    The ledger is opened first: rows are committed before they are counted, so what others write meanwhile is never
    missed.

    Returns:
        One row per hour, as they are given: `export`, `hour`, `rows` (of `flow_logs`), `firewall_rows` (of
        `firewall_logs`), `counted` and `firewall_counted` (what `flow_log_objects` says that objects gave), and of
        all its objects so far: `objects`, `size_bytes` (B), `rejected_lines`, `lag_p50` and `lag_p95` (seconds from
        posting to rows; null where there are none).
    """
    ledger = lake["flow_log_objects"].open()
    of_hours = (pl.col("export") == export) & pl.col("hour").is_in(list(hours))
    wanted = pl.DataFrame({"export": export, "hour": list(hours)}, schema={"export": pl.String, "hour": pl.String})
    parts = (
        _rows(lake["flow_logs"].open(), export).rename({"num_records": "rows"}),
        _rows(lake["firewall_logs"].open(), export).rename({"num_records": "firewall_rows"}),
        _counted(ledger, of_hours),
    )
    for part in parts:
        wanted = wanted.join(part, on="hour", how="left", maintain_order="left")
    return wanted.with_columns(pl.exclude("export", "hour", "lag_p50", "lag_p95").fill_null(0).cast(pl.Int64))


def _counted(ledger: Snapshot, of_hours: pl.Expr) -> pl.DataFrame:
    """What the ledger says of the objects of some hours."""
    if ledger.files.is_empty():
        return pl.DataFrame(schema=_COUNTED)
    is_read = pl.col("outcome") == "ingested"
    is_firewall = (pl.col("log_type") == _FIREWALL).fill_null(False)
    lag = (pl.col("ingested_at") - pl.col("posted_at")).dt.total_microseconds().filter(is_read) / 1e6
    counted = (
        ledger.scan()
        .filter(of_hours)
        .group_by("hour")
        .agg(
            counted=pl.col("rows").filter(is_read & ~is_firewall).sum(),
            firewall_counted=pl.col("rows").filter(is_read & is_firewall).sum(),
            objects=pl.len(),
            size_bytes=pl.col("size_bytes").sum(),
            rejected_lines=pl.col("rejected_lines").sum(),
            lag_p50=lag.quantile(0.5),
            lag_p95=lag.quantile(0.95),
        )
    )
    return ledger.collected(counted)


def lacking(held: pl.DataFrame) -> pl.DataFrame:
    """Those rows of `held_rows` whose hour holds less than was counted."""
    return held.filter((pl.col("rows") < pl.col("counted")) | (pl.col("firewall_rows") < pl.col("firewall_counted")))


def _rows(snapshot: Snapshot, export: str) -> pl.DataFrame:
    files = snapshot.files_of({"export": export})
    if files.is_empty():
        return pl.DataFrame(schema={"hour": pl.String, "num_records": pl.Int64})
    return files.group_by(pl.col("partition.hour").alias("hour")).agg(pl.col("num_records").sum())
