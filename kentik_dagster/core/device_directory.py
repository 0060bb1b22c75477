"""What metadata knows of cloud devices: which thing belongs to which, what they are called, which should send logs."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from kentik_dagster.core.log_deliveries import READ, UNHEALTHY, Places, firewall_deliveries, flow_log_deliveries
from kentik_dagster.core.network import IDENTITY, current_state
from kentik_dagster.core.resource_states import of_type
from kentik_dagster.core.resource_views import each_once
from kentik_dagster.core.schemas import require

# Of `metadata_changes`: whose names and places a device may have, and which logs it should send.
CONCERNED = (
    "vpc", "subnet", "nat_gateway", "transit_gateway", "transit_gateway_attachment", "firewall", "firewall_metadata",
    "flow_log", "logging_configuration",
)  # fmt: skip
_DEVICE_TYPES = {
    "vpc-": "vpc",
    "subnet-": "subnet",
    "eni-": "network_interface",
    "tgw-": "transit_gateway",
    "arn:": "firewall",
}


@dataclass(frozen=True, slots=True)
class Directory:
    """What metadata knows of devices, of things that are gone as they were last.

    Attributes:
        parents: one row per `part` that belongs to a device, with its `device_id`: interfaces, subnets and NAT gateways
            of VPCs, attachments of transit gateways, and `<account>/<region>/<name>` of firewalls.
        devices: one row per VPC, transit gateway and firewall: `device_id`, `known_name`, `owner_account_id`,
            `known_region`.
    """

    parents: pl.DataFrame
    devices: pl.DataFrame

    def parent(self, part: pl.Expr) -> pl.Expr:
        """The device that a part belongs to; null where that is not known."""
        return part.replace_strict(
            self.parents["part"], self.parents["device_id"], default=None, return_dtype=pl.String
        )


def directory(changes: pl.DataFrame, book: pl.DataFrame) -> Directory:
    """What metadata says of devices.

    Args:
        changes: rows of `metadata_changes`; those of other types than CONCERNED say nothing here.
        book: rows of `address_book`.
    """
    require(changes, *IDENTITY, "name", "owner_account_id", "attributes", "observed_at", by="directory")
    require(book, "kind", "eni_id", "vpc_id", by="directory")
    last = (
        changes.filter(pl.col("resource_type").is_in(CONCERNED))
        .sort("observed_at", maintain_order=True)
        .group_by(IDENTITY, maintain_order=True)
        .last()
    )
    once = each_once(last)
    devices = (
        once.filter(pl.col("resource_type").is_in(["vpc", "transit_gateway", "firewall", "firewall_metadata"]))
        .sort("resource_type")
        .unique("resource_id", keep="first", maintain_order=True)
        .select(
            pl.col("resource_id").alias("device_id"),
            pl.col("name").alias("known_name"),
            pl.coalesce("owner_account_id", "account_id"),
            pl.col("region").alias("known_region"),
        )
    )
    firewall = pl.col("device_id").str.extract(r":firewall/(.+)$")
    interfaces = book.filter(pl.col("kind") == "interface_address").select(part="eni_id", device_id="vpc_id")
    parents = [
        interfaces,
        _members(once, "subnet", "VpcId"),
        _members(once, "nat_gateway", "VpcId"),
        # Of all that is seen: a peering is one attachment, of one transit gateway here and of another one there.
        _members(last, "transit_gateway_attachment", "TransitGatewayId"),
        devices.select(
            part=pl.concat_str("owner_account_id", "known_region", firewall, separator="/"), device_id="device_id"
        ),
    ]
    known = pl.concat(parents).drop_nulls().unique()
    return Directory(known.filter(pl.col("part").is_unique()), devices)


def _members(resources: pl.DataFrame, resource_type: str, member: str) -> pl.DataFrame:
    of_them = of_type(resources, resource_type, pl.Struct({member: pl.String}))
    return of_them.select(part="resource_id", device_id=pl.col("attributes").struct.field(member))


def expected_devices(
    changes: pl.DataFrame, known: Directory, export: str, flow_places: Places, firewall_places: Places
) -> pl.DataFrame:
    """The devices that AWS is told to log to an export.

    Args:
        changes: rows of `metadata_changes`, as `directory` takes them.
        flow_places, firewall_places: bucket and prefix (or "") of the export, where it reads these logs; else none.

    Returns:
        One row per device: `export`, `device_type`, `device_id`, `account_id`, `region`.
    """
    once = each_once(current_state(changes.filter(pl.col("resource_type").is_in(CONCERNED))))
    logs = pl.concat([flow_log_deliveries(once, flow_places), firewall_deliveries(once, firewall_places)])
    return (
        logs.filter(pl.col("level").is_in([READ, UNHEALTHY]))
        .select(
            pl.lit(export).alias("export"), pl.coalesce(known.parent(pl.col("part")), pl.col("part")).alias("device_id")
        )
        .filter(~pl.col("device_id").str.starts_with("tgw-attach-"))
        .with_columns(
            device_type=pl.col("device_id")
            .str.extract(r"^(vpc-|subnet-|eni-|tgw-|arn:)")
            .replace_strict(_DEVICE_TYPES, return_dtype=pl.String),
            account_id=pl.lit(None, dtype=pl.String),
            region=pl.lit(None, dtype=pl.String),
        )
        .drop_nulls("device_type")
        .unique()
    )


def firewall_part(name: str) -> pl.Expr:
    """A firewall by its place and name, as `Directory.parents` has it."""
    return pl.concat_str("account_id", "region", name, separator="/")
