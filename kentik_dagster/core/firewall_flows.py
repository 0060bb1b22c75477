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
        firewalls: which VPC each firewall was in since when: `account_id`, `region`, `name`, `vpc_id`, `valid_from`.

    Returns:
        One row per netflow event; `vpc_id` is the firewall's, null where metadata does not know it.
    """
    require(events, "export", "hour", "source_object", by="firewall_flows")
    absent = [pl.lit(None, dtype=dtype).alias(name) for name, dtype in _EVENTS.items() if name not in events.columns]
    flows = events.with_columns(absent).filter(pl.col("event_type") == _NETFLOW)
    return flows.with_columns(_vpcs(flows, firewalls)).select(
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


def _vpcs(flows: pl.DataFrame, firewalls: pl.DataFrame) -> pl.Series:
    """The VPC of each flow's firewall: that of the time, or the first that is known."""
    place = ["account_id", "region", "firewall_name"]
    known = firewalls.rename({"name": "firewall_name"}).sort("valid_from")
    first = known.group_by(place, maintain_order=True).first().select(*place, first_vpc_id="vpc_id")
    at = pl.coalesce("netflow_end", "netflow_start", "event_timestamp").alias("at")
    asked = flows.select(*place, at).with_row_index("row")
    then = (
        asked.drop_nulls("at")
        .sort("at")
        .join_asof(known, left_on="at", right_on="valid_from", by=place, strategy="backward", check_sortedness=False)
        .select("row", "vpc_id")
    )
    return (
        asked.join(then, on="row", how="left", maintain_order="left")
        .join(first, on=place, how="left", maintain_order="left")
        .select(pl.coalesce("vpc_id", "first_vpc_id").alias("vpc_id"))
        .to_series()
    )
