"""Findings about who sends logs: the coverage of each network, and the fields and interval of each flow log."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import polars as pl

from kentik_dagster.catalog.flow_logs import VPC_DEFAULT_FORMAT
from kentik_dagster.core.resource_states import of_type
from kentik_dagster.core.verification import Finding, Status

_FORMAT = pl.Struct(
    {
        "LogFormat": pl.String,
        "MaxAggregationInterval": pl.Int64,
        "ResourceId": pl.String,
        "DestinationOptions": pl.Struct({"FileFormat": pl.String}),
    }
)
# Without these, an end is looked up in less than the record could say (docs/enrichment.md).
WANTED = {
    "vpc": (
        *VPC_DEFAULT_FORMAT, "vpc-id", "subnet-id", "instance-id", "tcp-flags", "pkt-srcaddr", "pkt-dstaddr", "region",
        "az-id", "pkt-src-aws-service", "pkt-dst-aws-service", "flow-direction", "traffic-path",
    ),
}  # fmt: skip
_STATUS = {"read": Status.OK, "unknown": Status.WARNING}


def coverage_findings(coverage: pl.DataFrame, export: str) -> Iterator[Finding]:
    """A finding for each row of `log_coverage`."""
    for row in coverage.iter_rows(named=True):
        level, reason = str(row["coverage"]), str(row["reason"])
        status = Status.SKIPPED if row["is_idle"] and level == "none" else _STATUS.get(level, Status.FAILED)
        what, _, way_out = reason.partition(": ")
        yield Finding(
            check="flow_logs",
            subject=f"{row['resource_type'].replace('_', ' ')} {row['resource_id']}",
            status=status,
            says=reason if status is Status.OK else what,
            to_do="" if status is Status.OK else way_out,
            export=export,
            account_id=row["account_id"],
            region=row["region"],
            details=({"coverage": level, "flow_log_ids": row["flow_log_ids"] or []},),
        )


def format_findings(state: pl.DataFrame, read: frozenset[str], export: str) -> Iterator[Finding]:
    """A finding for each flow log of VPCs, subnets and interfaces that the export reads.

    Args:
        state: what each account and region sees, as `current_state` returns it.
        read: the ids of the flow logs that cover something.
    """
    logs = of_type(state, "flow_log", _FORMAT).filter(pl.col("resource_id").is_in(list(read)))
    rows = logs.select("account_id", "region", "resource_id", "attributes").unique("resource_id", maintain_order=True)
    for row in rows.iter_rows(named=True):
        attributes: Mapping[str, Any] = row["attributes"] or {}
        if str(attributes.get("ResourceId")).startswith("tgw"):
            continue
        fields = set((attributes.get("LogFormat") or "").replace("${", "").replace("}", "").split())
        missing = [name for name in WANTED["vpc"] if name not in fields] if fields else []
        seconds = attributes.get("MaxAggregationInterval") or 600
        kind = (attributes.get("DestinationOptions") or {}).get("FileFormat") or "plain-text"
        every = "minute" if seconds == 60 else f"{seconds // 60} minutes"
        says = f"{len(fields)} fields, {kind}, records of at most one {every}".replace("one 10", "10")
        yield Finding(
            check="flow_log_format",
            subject=f"flow log {row['resource_id']}",
            status=Status.WARNING if missing else Status.OK,
            says=f"{says}; it lacks {', '.join(missing)}" if missing else says,
            to_do=(
                "a flow log cannot be changed: create one with all fields (`kentik-dagster setup` writes it), then "
                "delete "
                "this one"
                if missing
                else ""
            ),
            export=export,
            account_id=row["account_id"],
            region=row["region"],
        )
