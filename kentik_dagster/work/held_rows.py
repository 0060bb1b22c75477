"""What the lake holds of an hour, beside what the ledger of objects counted when it was read."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from kentik_dagster.lake.tables import Lake, Snapshot

_FIREWALL = "network_firewall"


def held_rows(lake: Lake, export: str, hours: Sequence[str]) -> pl.DataFrame:
    """How many rows the tables of rows have of some hours; only the ledger is read, the rest is in Delta's logs.

    The ledger is opened first: rows are committed before they are counted, so what others write meanwhile is never
    missed.

    Returns:
        One row per hour, as they are given: `export`, `hour`, `rows` (of `flow_logs`), `firewall_rows` (of
        `firewall_logs`), `counted` and `firewall_counted` (what `flow_log_objects` says that objects gave).
    """
    ledger = lake["flow_log_objects"].open()
    of_hours = (pl.col("export") == export) & pl.col("hour").is_in(list(hours))
    counted = (
        ledger.collected(
            ledger.scan()
            .filter(of_hours, pl.col("outcome") == "ingested")
            .group_by("hour", is_firewall=(pl.col("log_type") == _FIREWALL).fill_null(False))
            .agg(pl.col("rows").sum())
        )
        if ledger.files.height
        else pl.DataFrame(schema={"hour": pl.String, "is_firewall": pl.Boolean, "rows": pl.Int64})
    )
    wanted = pl.DataFrame({"export": export, "hour": list(hours)}, schema={"export": pl.String, "hour": pl.String})
    parts = (
        _rows(lake["flow_logs"].open(), export).rename({"num_records": "rows"}),
        _rows(lake["firewall_logs"].open(), export).rename({"num_records": "firewall_rows"}),
        counted.filter(~pl.col("is_firewall")).select("hour", counted="rows"),
        counted.filter("is_firewall").select("hour", firewall_counted="rows"),
    )
    for part in parts:
        wanted = wanted.join(part, on="hour", how="left", maintain_order="left")
    return wanted.with_columns(pl.exclude("export", "hour").fill_null(0).cast(pl.Int64))


def lacking(held: pl.DataFrame) -> pl.DataFrame:
    """Those rows of `held_rows` whose hour holds less than was counted."""
    return held.filter((pl.col("rows") < pl.col("counted")) | (pl.col("firewall_rows") < pl.col("firewall_counted")))


def _rows(snapshot: Snapshot, export: str) -> pl.DataFrame:
    files = snapshot.files_of({"export": export})
    if files.is_empty():
        return pl.DataFrame(schema={"hour": pl.String, "num_records": pl.Int64})
    return files.group_by(pl.col("partition.hour").alias("hour")).agg(pl.col("num_records").sum())
