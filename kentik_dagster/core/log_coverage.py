"""Which VPCs, transit gateways and firewalls are dark: no healthy flow log of theirs is read by this deployment."""

from __future__ import annotations

import polars as pl

from kentik_dagster.core.log_deliveries import (
    ELSEWHERE,
    LEVELS,
    NONE,
    READ,
    UNHEALTHY,
    Places,
    firewall_deliveries,
    flow_log_deliveries,
    named,
)
from kentik_dagster.core.network import IDENTITY
from kentik_dagster.core.resource_states import of_type
from kentik_dagster.core.resource_views import each_once
from kentik_dagster.core.schemas import require

_VPC = pl.Struct({"IsDefault": pl.Boolean})
_IN_VPC = pl.Struct({"VpcId": pl.String})
_TRANSIT_GATEWAY = pl.Struct({"State": pl.String})
_ATTACHMENT = pl.Struct({"TransitGatewayId": pl.String, "State": pl.String})

# AWS shows things that are gone for hours; nothing flows through them, and they can have no flow log.
_GONE = ("deleted", "deleting", "failed", "failing", "rejected", "rejecting")
# Until this operation has answered, a thing without a flow log may have one.
_OPERATIONS = {
    "vpc": ("ec2", "describe_flow_logs", "ec2:DescribeFlowLogs"),
    "transit_gateway": ("ec2", "describe_flow_logs", "ec2:DescribeFlowLogs"),
    "firewall": ("network-firewall", "describe_logging_configuration", "network-firewall:DescribeLoggingConfiguration"),
}
_CONCERNED = (
    *_OPERATIONS, "subnet", "network_interface", "transit_gateway_attachment", "flow_log", "logging_configuration",
)  # fmt: skip
_THING = ("resource_type", "resource_id")
_COLUMNS = (*IDENTITY, "name", "coverage", "is_idle", "flow_log_ids", "reason")


def log_coverage(
    state: pl.DataFrame, calls: pl.DataFrame, read_places: Places, firewall_places: Places | None = None
) -> pl.DataFrame:
    """How well each VPC, transit gateway and firewall is covered by flow logs that this deployment reads.

    A VPC is covered by a flow log of its own, by one on each of its subnets, or by one on each of its network
    interfaces; a transit gateway by its own or by one on each of its attachments; a firewall by an S3 destination of
    type FLOW. The best way of covering a thing counts, and of a way its worst part. A flow log serves in whichever
    account it stands; one that fails and would deliver elsewhere counts as elsewhere.

    Args:
        state: what each account and region sees, as `current_state` returns it.
        calls: rows of `metadata_calls`.
        read_places: bucket and prefix (or "") of each export that reads flow logs; what lies in a folder below the
            prefix is read too.
        firewall_places: the same of the exports that read firewall logs; None: the same exports.

    Returns:
        One row per VPC, transit gateway and firewall, as its owner's account shows it, sorted by the first four
        columns: `account_id`, `region`, `resource_type`, `resource_id`, `name`; `coverage`: `read`, `unhealthy` (it
        would be read, but AWS cannot deliver), `elsewhere` (delivered to where no export reads), `none`, or `unknown`
        (nothing is read, and the owner's flow logs were never observed); `is_idle` (a default VPC that is known to
        have no network interface: no reason to worry); `flow_log_ids` (sorted; of its parts too; a firewall's log
        destinations have none); `reason` (what is the matter, and what to do).

    Raises:
        MissingColumnsError: `state` or `calls` lacks a column that is needed.
    """
    require(state, *IDENTITY, "name", "owner_account_id", "attributes", by="log_coverage")
    require(
        calls, "account_id", "region", "service", "operation", "outcome", "error_code", "last_observed_at",
        by="log_coverage",
    )  # fmt: skip
    firewall_places = read_places if firewall_places is None else firewall_places
    state = state.filter(pl.col("resource_type").is_in(_CONCERNED))
    once = each_once(state)
    things = _things(once, calls).with_columns(
        better=pl.when(pl.col("resource_type") == "firewall")
        .then(pl.lit(f"add a destination of type FLOW in {named(firewall_places)} to its logging configuration"))
        .otherwise(pl.lit(f"create one to {named(read_places)}"))
    )
    logs = pl.concat([flow_log_deliveries(once, read_places), firewall_deliveries(once, firewall_places)])
    parts = _parts(once, state).join(things.select(_THING), on=list(_THING), how="semi")
    covered = things.join(_covered(parts, logs), on=list(_THING), how="left").join(
        _asked(calls), on=["resource_type", "owner_account_id", "region"], how="left"
    )
    is_unknown = (pl.col("level") < READ) & pl.col("last_observed_at").is_null()
    return (
        covered.with_columns(
            coverage=pl.when(is_unknown)
            .then(pl.lit("unknown"))
            .otherwise(pl.col("level").replace_strict(range(len(LEVELS)), LEVELS, return_dtype=pl.String)),
            reason=pl.when(is_unknown).then(_why_unknown()).otherwise(_why()),
        )
        .select(_COLUMNS)
        .sort(IDENTITY)
    )


def _things(once: pl.DataFrame, calls: pl.DataFrame) -> pl.DataFrame:
    """The VPCs, transit gateways and firewalls that are not gone, with `is_idle`."""
    kind, resource_id, attributes = pl.col("resource_type"), pl.col("resource_id"), pl.col("attributes").struct
    gateways = of_type(once, "transit_gateway", _TRANSIT_GATEWAY)
    gone = gateways.filter(attributes.field("State").is_in(_GONE))["resource_id"]
    default = of_type(once, "vpc", _VPC).filter(attributes.field("IsDefault"))["resource_id"]
    used = of_type(once, "network_interface", _IN_VPC).select(attributes.field("VpcId")).to_series()
    unseen = calls.filter(
        pl.col("operation") == "describe_network_interfaces", pl.col("last_observed_at").is_null()
    ).select(pl.col("account_id").alias("owner_account_id"), "region", interfaces_unseen=pl.lit(True))
    return (
        once.filter(kind.is_in(list(_OPERATIONS)), ~resource_id.is_in(gone.implode()))
        .select(*IDENTITY, "name", pl.coalesce("owner_account_id", "account_id").alias("owner_account_id"))
        .join(unseen.unique(), on=["owner_account_id", "region"], how="left")
        .with_columns(
            is_idle=resource_id.is_in(default.implode())
            & ~resource_id.is_in(used.drop_nulls().implode())
            & pl.col("interfaces_unseen").is_null()
        )
        .drop("interfaces_unseen")
    )


def _parts(once: pl.DataFrame, state: pl.DataFrame) -> pl.DataFrame:
    """What a thing may be covered by: `resource_type`, `resource_id`, `way`, and the id of each `part` of that way."""
    itself = once.filter(pl.col("resource_type").is_in(list(_OPERATIONS))).select(
        *_THING, way=pl.lit("itself"), part=pl.col("resource_id")
    )
    # Of all that is seen: a peering is one attachment, of one transit gateway here and of another one there.
    attachments = of_type(state, "transit_gateway_attachment", _ATTACHMENT).filter(
        ~pl.col("attributes").struct.field("State").fill_null("").is_in(_GONE)
    )
    return pl.concat(
        [
            itself,
            *(
                parts.select(
                    resource_type=pl.lit(whole),
                    resource_id=pl.col("attributes").struct.field(member),
                    way=pl.lit(way),
                    part=pl.col("resource_id"),
                ).drop_nulls("resource_id")
                for whole, member, way, parts in (
                    ("vpc", "VpcId", "subnets", of_type(once, "subnet", _IN_VPC)),
                    ("vpc", "VpcId", "interfaces", of_type(once, "network_interface", _IN_VPC)),
                    ("transit_gateway", "TransitGatewayId", "attachments", attachments),
                )
            ),
        ]
    ).unique()


def _covered(parts: pl.DataFrame, logs: pl.DataFrame) -> pl.DataFrame:
    """Of each thing: `level`, `flow_log_ids`, `faults` of that level, and `only` where one action alone is logged."""
    concerning = parts.join(logs, on="part", how="left").with_columns(pl.col("level").fill_null(NONE))
    levels = (
        concerning.group_by(*_THING, "way", "part")
        .agg(pl.col("level").max())
        .group_by(*_THING, "way")
        .agg(pl.col("level").min())
        .group_by(_THING)
        .agg(pl.col("level").max())
    )
    log = (
        pl.when(pl.col("flow_log_id").is_null())
        .then(pl.lit("it"))
        .when(pl.col("part") == pl.col("resource_id"))
        .then(pl.format("its flow log {}", "flow_log_id"))
        .otherwise(pl.format("flow log {} of {}", "flow_log_id", "part"))
    )
    elsewhere = pl.format("{} delivers to {}", log, "fault")
    fault = pl.when(pl.col("level") == ELSEWHERE).then(elsewhere).otherwise("fault")
    counts = pl.col("level") == pl.col("level_of_thing")
    actions = pl.col("traffic_type").filter(counts).fill_null("ALL").unique().sort()
    return (
        concerning.join(levels.rename({"level": "level_of_thing"}), on=list(_THING))
        .with_columns(fault=fault)
        .group_by(_THING)
        .agg(
            pl.col("level_of_thing").first().alias("level"),
            pl.col("flow_log_id").drop_nulls().unique().sort().alias("flow_log_ids"),
            pl.col("fault").filter(counts).drop_nulls().unique().sort().str.join("; ").alias("faults"),
            pl.when(actions.len() == 1).then(actions.first()).alias("only"),
        )
    )


def _asked(calls: pl.DataFrame) -> pl.DataFrame:
    """Of each kind of thing, account and region: whether its flow logs were ever seen, and what became of the call."""
    return pl.concat(
        calls.filter(pl.col("service") == service, pl.col("operation") == operation)
        .sort("last_observed_at", nulls_last=False)
        .unique(["account_id", "region"], keep="last", maintain_order=True)
        .select(
            pl.lit(resource_type).alias("resource_type"),
            pl.col("account_id").alias("owner_account_id"),
            "region",
            "last_observed_at",
            pl.concat_str("outcome", "error_code", separator=", ", ignore_nulls=True).alias("answer"),
        )
        for resource_type, (service, operation, _) in _OPERATIONS.items()
    )


def _why_unknown() -> pl.Expr:
    kind = pl.col("resource_type")
    operation = kind.replace_strict({name: operation for name, (_, operation, _) in _OPERATIONS.items()})
    action = kind.replace_strict({name: action for name, (_, _, action) in _OPERATIONS.items()})
    place = ("owner_account_id", "region")
    return (
        pl.when(pl.col("answer").is_null())
        .then(
            pl.format(
                "{} was never asked in account {} and region {}: let an export collect their metadata",
                operation,
                *place,
            )
        )
        .otherwise(
            pl.format(
                "{} never answered in account {} and region {} ({}): let the role there do {}",
                operation,
                *place,
                "answer",
                action,
            )
        )
    )


def _why() -> pl.Expr:
    level, only = pl.col("level"), pl.col("only")
    no_log = (
        pl.when(pl.col("resource_type") == "firewall").then(pl.lit("it logs no flows")).otherwise(pl.lit("no flow log"))
    )
    return (
        pl.when((level == READ) & (only.fill_null("ALL") != "ALL"))
        .then(pl.format("it is read, but {} traffic only: create a flow log of ALL traffic instead", "only"))
        .when(level == READ)
        .then(pl.lit("it is read"))
        .when(level == UNHEALTHY)
        .then("faults")
        .when((level == ELSEWHERE) & pl.col("faults").str.contains("s3://", literal=True))
        .then(pl.format("{}, which no export reads: add an export for it, or {}", "faults", "better"))
        .when(level == ELSEWHERE)
        .then(pl.format("{}, which no export can read: {}", "faults", "better"))
        .when("is_idle")
        .then(pl.lit("a default VPC without network interfaces: nothing to do until something is put there"))
        .when(pl.col("flow_log_ids").list.len() > 0)
        .then(pl.format("only parts of it are logged, by {}: {}", pl.col("flow_log_ids").list.join(", "), "better"))
        .otherwise(pl.format("{}: {}", no_log, "better"))
    )
