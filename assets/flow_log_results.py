"""What a run that reads log objects tells of each hour, and its checks."""

from collections.abc import Iterator, Mapping
from typing import Any

import dagster as dg
import polars as pl

from kentik_dagster.catalog.tables import TABLES
from kentik_dagster.core.flow_log_keys import log_objects
from kentik_dagster.core.schemas import no_rows
from kentik_dagster.work.ingest import Ingested

OBJECTS_READABLE = "every_object_readable"
LINES_READABLE = "every_line_readable"
ROWS_THERE = "every_counted_row_is_there"
# Of a run for more hours than this, no hour has a table of its own.
MOST_TABLES = 24
_SOURCES_SHOWN = 20
_SOURCES = dg.TableSchema(
    [
        dg.TableColumn("account_id"),
        dg.TableColumn("region"),
        dg.TableColumn("family", description="vpcflowlogs or network-firewall"),
        *(dg.TableColumn(name, "int") for name in ("objects", "size_bytes", "rows", "rejected_lines")),
    ]
)
CHECKS = (
    dg.AssetCheckSpec(
        OBJECTS_READABLE,
        asset="flow_log_objects",
        description="Every log object could be read; one that could not stays in the bucket, and is tried again.",
    ),
    dg.AssetCheckSpec(
        LINES_READABLE,
        asset="rejected_records",
        description="Every line could be read; those that could not are in rejected_records.",
    ),
    dg.AssetCheckSpec(
        ROWS_THERE,
        asset="flow_logs",
        blocking=True,
        description="flow_logs and firewall_logs hold no fewer rows of these hours than flow_log_objects counted: "
        "nobody else removed any. While they do, no object of these hours is deleted.",
    ),
)


def hour_metadata(done: Ingested, held: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """What is said of one hour: what it has now, as `held_rows` tells it, and what this run did for it."""
    lag = {f"lag_seconds_{name}": held[f"lag_{name}"] for name in ("p50", "p95") if held[f"lag_{name}"] is not None}
    return {
        "flow_logs": {
            "dagster/partition_row_count": held["rows"],
            "objects": held["objects"],
            "object_bytes": held["size_bytes"],
            "rejected_lines": held["rejected_lines"],
            "rows_in_run": done.rows("vpc", "transit_gateway"),
            **lag,
        },
        "firewall_logs": {
            "dagster/partition_row_count": held["firewall_rows"],
            "rows_in_run": done.rows("network_firewall"),
        },
        "flow_log_objects": {
            "dagster/partition_row_count": held["objects"],
            "object_bytes": held["size_bytes"],
            "objects_listed": done.listed,
            "objects_in_run": done.objects.height,
            "bytes_in_run": done.size_bytes,
            "unreadable_in_run": done.count("unreadable"),
            "records_sampled_out_in_run": done.sampled_out,
            **lag,
        },
        "rejected_records": {
            "dagster/partition_row_count": held["rejected_lines"],
            "rejected_lines_in_run": done.rejected_lines,
        },
    }


def objects_by_source(objects: pl.DataFrame) -> dg.TableMetadataValue:
    """The accounts and regions whose objects had most bytes in this run."""
    numbers = ("size_bytes", "rows", "rejected_lines")
    named = log_objects(objects.select("bucket", "key", "etag", *numbers))
    rows = (
        named.group_by("account_id", "region", "family")
        .agg(objects=pl.len(), **{name: pl.col(name).sum() for name in numbers})
        .sort("size_bytes", "account_id", "region", "family", descending=[True, False, False, False])
        .head(_SOURCES_SHOWN)
    )
    return dg.MetadataValue.table([dg.TableRecord(row) for row in rows.to_dicts()], _SOURCES)


def object_checks(ingested: list[Ingested]) -> Iterator[dg.AssetCheckResult]:
    """Whether every object and every line of this run could be read."""
    objects = pl.concat([done.objects for done in ingested] or [no_rows(TABLES["flow_log_objects"])])
    unreadable = objects.filter(pl.col("outcome") == "unreadable")
    yield dg.AssetCheckResult(
        asset_key="flow_log_objects",
        check_name=OBJECTS_READABLE,
        passed=unreadable.is_empty(),
        severity=dg.AssetCheckSeverity.WARN,
        description=None
        if unreadable.is_empty()
        else f"{unreadable.height} of {objects.height} objects. "
        f"The first, {unreadable['key'][0]}: {unreadable['error'][0]}",
        metadata={"unreadable_objects": unreadable.height},
    )
    rejected = int(objects["rejected_lines"].sum())
    yield dg.AssetCheckResult(
        asset_key="rejected_records",
        check_name=LINES_READABLE,
        passed=rejected == 0,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"rejected_lines": rejected, "rows": int(objects["rows"].sum())},
    )


def rows_check(lost: list[pl.DataFrame]) -> dg.AssetCheckResult:
    """Whether the tables hold all that was counted; `lost` are rows of `held_rows.lacking`."""
    hours = pl.concat([pl.DataFrame(), *lost], how="diagonal")
    first = hours.row(0, named=True) if hours.height else None
    return dg.AssetCheckResult(
        asset_key="flow_logs",
        check_name=ROWS_THERE,
        passed=first is None,
        severity=dg.AssetCheckSeverity.ERROR,
        description=None
        if first is None
        else f"{hours.height} hours lack rows. The first, {first['export']} {first['hour']}, holds "
        f"{first['rows'] + first['firewall_rows']:,} of {first['counted'] + first['firewall_counted']:,}. No object of "
        "the hours of this run was deleted. Somebody else wrote to the lake: bring back the table's older version "
        "(Delta's RESTORE), and see who may write to it.",
        metadata={"hours_that_lack_rows": hours.height},
    )
