"""Cloud devices: what is seen sending logs to an export, and what should send and has not been heard of.

A device is the most general thing that a record names, or that metadata knows of what it names: a VPC record is its
VPC's, else its subnet's, else its interface's; a transit gateway record its gateway's; a firewall event its firewall's.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import polars as pl

from kentik_dagster.catalog.tables import TABLES
from kentik_dagster.core.device_directory import Directory, firewall_part
from kentik_dagster.core.schemas import conformed, polars_schema, require

# What is read of `flow_logs` and of `firewall_logs`; a record need not have the fields.
RECORD_COLUMNS = {
    **{name: pl.String() for name in (
        "export", "hour", "source_object", "log_type", "account_id", "region", "interface_id", "resource_id", "vpc_id",
        "subnet_id", "tgw_id", "tgw_attachment_id", "log_status", "firewall_name", "firewall_log_type",
    )},
    **{name: pl.Datetime("us", "UTC") for name in ("start", "end", "timestamp", "event_timestamp")},
    "sample_rate": pl.Float64(),
}  # fmt: skip
# A record ends up to ten minutes before its file's time is over, files come ten minutes later and in any order, and an
# interface without traffic still sends NODATA every ten minutes: who is silent for an hour has stopped.
SILENT_AFTER = timedelta(hours=1)
# AWS writes files of five minutes, and partitions are hours.
_SHORTEST, _LONGEST = 300, 3600

_DEVICE = ("export", "device_type", "device_id", "place")
_DEVICES = polars_schema(TABLES["cloud_devices"])
_SENDER = (
    "export", "hour", "log_type", "account_id", "region", "interface_id", "resource_id", "vpc_id", "subnet_id",
    "tgw_id", "tgw_attachment_id", "firewall_name",
)  # fmt: skip
_SEEN = (
    "export", "device_type", "device_id", "account_id", "region", "first_seen_at", "last_seen_at", "flows_per_second",
    "stored_flows_per_second",
)  # fmt: skip


def device_counts(records: pl.DataFrame, known: Directory) -> pl.DataFrame:
    """What some records say of devices, so that it can be added up with what others say.

    Args:
        records: rows of `flow_logs` or of `firewall_logs`; of RECORD_COLUMNS, what their file has.

    Returns:
        One row per export, hour and sender: `export`, `hour`, `device_type` and `device_id` (null where a record
        names nothing that could be a device), `account_id`, `region`, `rows`, `flows` (float64, before sampling),
        `stored_flows`, `begins_at` (oldest start), `first_seen_at` and `last_seen_at` (ends, else starts, else the
        times of the files). NODATA, SKIPDATA, and alerts and TLS inspections of firewalls are rows, not flows.
    """
    require(records, "export", "hour", "source_object", by="device_counts")
    records = records.with_columns(
        pl.lit(None, dtype=dtype).alias(name) for name, dtype in RECORD_COLUMNS.items() if name not in records.columns
    )
    # A name of an object begins with its file's time.
    posted = pl.col("source_object").str.head(14).str.to_datetime("%Y%m%dT%H%MZ", time_unit="us", time_zone="UTC")
    is_flow = (pl.col("log_status").fill_null("OK") == "OK") & (pl.col("firewall_log_type").fill_null("flow") == "flow")
    senders = (
        records.with_columns(seen_at=pl.coalesce("end", "start", "timestamp", "event_timestamp", posted))
        .group_by(_SENDER)
        .agg(
            pl.len().cast(pl.Int64).alias("rows"),
            pl.col("sample_rate").fill_null(1.0).filter(is_flow).sum().alias("flows"),
            is_flow.sum().cast(pl.Int64).alias("stored_flows"),
            pl.coalesce("start", "seen_at").min().alias("begins_at"),
            pl.col("seen_at").min().alias("first_seen_at"),
            pl.col("seen_at").max().alias("last_seen_at"),
        )
    )
    return _of_devices(senders, known).select(
        "export", "hour", "device_type", "device_id",
        # An account "unknown" is that of an interface which an AWS service made.
        pl.when(pl.col("account_id") != "unknown").then("account_id"),
        "region", "rows", "flows", "stored_flows", "begins_at", "first_seen_at", "last_seen_at",
    )  # fmt: skip


def _of_devices(senders: pl.DataFrame, known: Directory) -> pl.DataFrame:
    """Senders with the device of each: `device_type`, `device_id`."""
    vpc = pl.coalesce("vpc_id", *(known.parent(pl.col(name)) for name in ("interface_id", "subnet_id", "resource_id")))
    gateway = pl.coalesce("tgw_id", known.parent(pl.col("tgw_attachment_id")))
    firewall = pl.coalesce(known.parent(firewall_part("firewall_name")), "firewall_name")
    is_gateway = pl.col("log_type") == "transit_gateway"
    return senders.with_columns(
        vpc=pl.when(~is_gateway.fill_null(False)).then(vpc),
        transit_gateway=pl.when(is_gateway).then(gateway),
        firewall=firewall,
    ).with_columns(
        device_id=pl.coalesce("firewall", "transit_gateway", "vpc", "subnet_id", "interface_id"),
        device_type=pl.coalesce(
            pl.when(pl.col(name).is_not_null()).then(pl.lit(device_type))
            for device_type, name in (
                ("firewall", "firewall"),
                ("transit_gateway", "transit_gateway"),
                ("vpc", "vpc"),
                ("subnet", "subnet_id"),
                ("network_interface", "interface_id"),
            )
        ),
    )


def seen_devices(counts: pl.DataFrame) -> pl.DataFrame:
    """The devices that were seen in some hours.

    Args:
        counts: what all records of these hours say: frames of `device_counts` below each other, in any order.

    Returns:
        One row per device (a firewall that metadata does not know: per account and region), in no order: the columns of
        `cloud_devices` but name and status. The rates are those of the hour of its newest record; the length of an
        hour is the time that the export's records of it cover, five minutes at least.
    """
    hour = ("export", "hour")
    covered = (pl.col("last_seen_at").max() - pl.col("begins_at").min()).over(hour).dt.total_seconds()
    return (
        counts.with_columns(seconds=covered.clip(_SHORTEST, _LONGEST))
        .drop_nulls("device_id")
        .with_columns(_place())
        .group_by(*_DEVICE, "hour", "seconds")
        .agg(
            pl.col("account_id", "region", "first_seen_at").min(),
            pl.col("last_seen_at").max(),
            pl.col("flows", "stored_flows").sum(),
        )
        .with_columns(
            flows_per_second=pl.col("flows") / pl.col("seconds"),
            stored_flows_per_second=pl.col("stored_flows") / pl.col("seconds"),
        )
        .group_by(_DEVICE)
        .agg(*_together("last_seen_at", "hour"))
        .select(_SEEN)
    )


def merged_devices(before: pl.DataFrame, seen: pl.DataFrame) -> pl.DataFrame:
    """Two frames of `seen_devices` as one: first and last seen of both, rates of the hour with the newest record.

    An hour that is read again, with more of its objects, replaces its rates: with the same newest record `seen` wins.
    """
    both = pl.concat([before.select(*_SEEN, turn=pl.lit(0)), seen.select(*_SEEN, turn=pl.lit(1))])
    return both.with_columns(_place()).group_by(_DEVICE).agg(*_together("last_seen_at", "turn")).select(_SEEN)


def _together(*order: str) -> list[pl.Expr]:
    rates = pl.col("flows_per_second", "stored_flows_per_second").sort_by(order).last()
    return [pl.col("account_id", "region", "first_seen_at").min(), pl.col("last_seen_at").max(), rates]


def _place() -> pl.Expr:
    """What tells devices apart besides their id: names of firewalls are unique in an account and region only."""
    is_name = (pl.col("device_type") == "firewall") & ~pl.col("device_id").str.starts_with("arn:")
    return pl.when(is_name).then(pl.concat_str("account_id", "region", separator="/", ignore_nulls=True)).alias("place")


def cloud_devices(
    before: pl.DataFrame, seen: pl.DataFrame, expected: Sequence[pl.DataFrame], known: Directory, newest: pl.DataFrame
) -> pl.DataFrame:
    """The devices of all exports, after some hours were read.

    A device is never forgotten. One that was an interface, a subnet or a firewall's name becomes part of its VPC, or
    gets its ARN, once metadata knows them.

    Args:
        before: rows of `cloud_devices`.
        seen: frame of `seen_devices`.
        expected: frames of `expected_devices`.
        newest: one row per export: `export`, `newest_hour_at` (start of the newest hour with records).

    Returns:
        Rows of `cloud_devices`, sorted. A device that was never seen has no times and no rates.
    """
    sent = merged_devices(_known_by_now(before.drop_nulls("last_seen_at"), known), seen)
    # Hours may have been removed since; then what was seen last is the measure.
    newest_at = pl.coalesce("newest_hour_at", pl.col("last_seen_at").max().over("export").dt.truncate("1h"))
    is_heard = pl.col("last_seen_at") >= newest_at - SILENT_AFTER
    sent = sent.join(newest, on="export", how="left").with_columns(
        status=pl.when(is_heard).then(pl.lit("OK")).otherwise(pl.lit("Error"))
    )
    waiting = [
        frame.join(sent, on=["export", "device_type", "device_id"], how="anti").with_columns(status=pl.lit("Pending"))
        for frame in expected
    ]
    rows = pl.concat([sent.drop("newest_hour_at"), *waiting], how="diagonal").join(
        known.devices, on="device_id", how="left"
    )
    return conformed(
        rows.with_columns(
            device_name=pl.coalesce("known_name", "device_id"),
            account_id=pl.coalesce("owner_account_id", "account_id"),
            region=pl.coalesce("known_region", "region"),
        ).select(_DEVICES.names()),
        TABLES["cloud_devices"],
    ).sort("export", "device_type", "device_id", "account_id", "region")


def _known_by_now(before: pl.DataFrame, known: Directory) -> pl.DataFrame:
    """Devices of earlier as the metadata of now names them; what became one has the rates of its parts together."""
    part = pl.when(pl.col("device_type") == "firewall").then(firewall_part("device_id")).otherwise("device_id")
    is_part = pl.col("device_type").is_in(["subnet", "network_interface"]) & pl.col("parent").is_not_null()
    in_newest_hour = pl.col("last_seen_at").dt.truncate("1h") == pl.col("last_seen_at").max().dt.truncate("1h")
    return (
        before.with_columns(parent=known.parent(part))
        .with_columns(
            device_type=pl.when(is_part).then(pl.lit("vpc")).otherwise("device_type"),
            device_id=pl.coalesce("parent", "device_id"),
        )
        .with_columns(_place())
        .group_by(_DEVICE)
        .agg(
            pl.col("account_id", "region", "first_seen_at").min(),
            pl.col("last_seen_at").max(),
            pl.col("flows_per_second", "stored_flows_per_second").filter(in_newest_hour).sum(),
        )
        .select(_SEEN)
    )
