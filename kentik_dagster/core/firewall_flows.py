"""Flows that Network Firewalls log, as flow records: the netflow events among their logs."""

from __future__ import annotations

import polars as pl

from kentik_dagster.catalog.tables import TABLES
from kentik_dagster.core.schemas import polars_schema, require

LOG_TYPE = "network_firewall"
# One direction of a conversation; alert and TLS events say nothing of bytes.
_NETFLOW = "netflow"
_EVENTS = polars_schema(TABLES["firewall_logs"])


def firewall_flows(events: pl.DataFrame, firewalls: pl.DataFrame) -> pl.DataFrame:
    """The netflow events as rows of `flow_logs`, as far as they say the same.

    Args:
        events: rows of `firewall_logs`; columns that are missing count as null.
        firewalls: which VPC each firewall is in: `account_id`, `region`, `name`, `vpc_id`.

    Returns:
        One row per netflow event; `vpc_id` is the firewall's, null where metadata does not know it.
    """
    require(events, "export", "hour", "source_object", by="firewall_flows")
    absent = [pl.lit(None, dtype=dtype).alias(name) for name, dtype in _EVENTS.items() if name not in events.columns]
    places = firewalls.select("account_id", "region", pl.col("name").alias("firewall_name"), "vpc_id").unique(
        ["account_id", "region", "firewall_name"], keep="last", maintain_order=True
    )
    return (
        events.with_columns(absent)
        .filter(pl.col("event_type") == _NETFLOW)
        .join(places, on=["account_id", "region", "firewall_name"], how="left", maintain_order="left")
        .select(
            "export",
            "hour",
            "source_object",
            "account_id",
            "region",
            "vpc_id",
            "protocol",
            log_type=pl.lit(LOG_TYPE),
            log_status=pl.lit("OK"),
            srcaddr="src_ip",
            dstaddr="dest_ip",
            srcport="src_port",
            dstport="dest_port",
            packets="netflow_pkts",
            bytes="netflow_bytes",
            start="netflow_start",
            end="netflow_end",
        )
    )
