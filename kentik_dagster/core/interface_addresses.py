"""Which network interface had which address, from when until when: as AWS describes interfaces, and since when."""

from __future__ import annotations

import polars as pl

from kentik_dagster.core.entities import entities, named_entities
from kentik_dagster.core.resource_states import of_type, split_by_name

_ADDRESS = pl.Struct({"PrivateIpAddress": pl.String, "Association": pl.Struct({"PublicIp": pl.String})})
_INTERFACE = pl.Struct({
    "VpcId": pl.String,
    "SubnetId": pl.String,
    "InterfaceType": pl.String,
    "RequesterId": pl.String,
    "Description": pl.String,
    "PrivateIpAddress": pl.String,
    "Association": pl.Struct({"PublicIp": pl.String}),
    "PrivateIpAddresses": pl.List(_ADDRESS),
    "Ipv6Addresses": pl.List(pl.Struct({"Ipv6Address": pl.String})),
    "Ipv4Prefixes": pl.List(pl.Struct({"Ipv4Prefix": pl.String})),
    "Ipv6Prefixes": pl.List(pl.Struct({"Ipv6Prefix": pl.String})),
    "Attachment": pl.Struct({"InstanceId": pl.String, "AttachTime": pl.String}),
    "Groups": pl.List(pl.Struct({"GroupId": pl.String})),
})  # fmt: skip
_NAT_GATEWAY = pl.Struct({"NatGatewayAddresses": pl.List(pl.Struct({"NetworkInterfaceId": pl.String}))})
_ENDPOINT = pl.Struct({"ServiceName": pl.String, "NetworkInterfaceIds": pl.List(pl.String)})
_SUBNET = pl.Struct({"AvailabilityZoneId": pl.String})
_LISTED = pl.Struct({"address": pl.String, "is_public": pl.Boolean, "is_range": pl.Boolean, "is_primary": pl.Boolean})


def interface_addresses(states: pl.DataFrame, accounts: pl.DataFrame) -> pl.DataFrame:
    """Every address of every interface, with the time it stood.

    AWS says when it attached an interface (`Attachment.AttachTime`). That is better than the first snapshot that saw
    it so: its own private address, which never changes, is its own from then on, and no other interface of the VPC
    had that address after it.

    Args:
        states: rows of `resource_states`.
        accounts: rows of `org_accounts`.

    Returns:
        Rows of `address_book` of the kinds `interface_address` and `interface_range` (a prefix that is delegated
        to an interface), `valid_to` NEVER where it still stands.
    """
    interfaces = _attached(_interfaces(states)).join(_zones(states), on="subnet_id", how="left")
    for resource_type in ("vpc", "subnet"):
        interfaces = split_by_name(interfaces, states, resource_type)
    interfaces = split_by_name(interfaces, states, "instance", "tags")
    names = accounts.group_by("account_id").agg(pl.col("name").drop_nulls().first().alias("account_name"))
    behind = _behind(interfaces, states)
    return _each_address(
        pl.concat([interfaces, behind], how="horizontal")
        .join(names, on="account_id", how="left", maintain_order="left")
        .with_columns(
            eni_type=pl.when(pl.col("eni_entity_type") == "nat_gateway")
            .then("eni_entity_type")
            .otherwise(pl.col("eni_type").replace("natGateway", "nat_gateway")),
            tags=pl.coalesce("instance_tags", "tags"),
        )
        .drop("instance_tags")
    )


def without_overlaps(rows: pl.DataFrame) -> pl.DataFrame:
    """Rows whose address went to another interface of the VPC end when AWS attached that one.

    Args:
        rows: of `interface_addresses`.
    """
    place = ("kind", "vpc_id", "address")
    later = rows.filter(
        (pl.col("attached_at") == pl.col("valid_from")) & (pl.col("valid_from") < pl.col("observed_at"))
    ).select(*place, pl.col("eni_id").alias("next_eni_id"), pl.col("valid_from").alias("taken_at"))
    taken = (
        rows.with_row_index("row")
        .select("row", *place, "eni_id", "valid_from", "valid_to")
        .join(later, on=place, how="inner")
        .filter(
            pl.col("next_eni_id") != pl.col("eni_id"),
            pl.col("valid_from") < pl.col("taken_at"),
            pl.col("taken_at") < pl.col("valid_to"),
        )
        .group_by("row")
        .agg(pl.col("taken_at").min())
    )
    return (
        rows.with_row_index("row")
        .join(taken, on="row", how="left", maintain_order="left")
        .with_columns(valid_to=pl.min_horizontal("valid_to", "taken_at"))
        .drop("row", "taken_at")
    )


def _interfaces(states: pl.DataFrame) -> pl.DataFrame:
    """One row per state of an interface."""
    interface = pl.col("attributes").struct
    attachment = interface.field("Attachment").struct
    return of_type(states, "network_interface", _INTERFACE).select(
        pl.col("resource_id").alias("eni_id"),
        pl.col("owner_account_id").alias("account_id"),
        "region",
        "tags",
        "observed_at",
        "valid_from",
        "valid_to",
        "since_first_snapshot",
        interface.field("VpcId").alias("vpc_id"),
        interface.field("SubnetId").alias("subnet_id"),
        interface.field("InterfaceType").alias("eni_type"),
        interface.field("RequesterId").alias("requester_id"),
        interface.field("Description").alias("description"),
        attachment.field("InstanceId").alias("instance_id"),
        attachment.field("AttachTime")
        .str.to_datetime(time_unit="us", time_zone="UTC", strict=False)
        .alias("attached_at"),
        interface.field("Groups").list.eval(pl.element().struct.field("GroupId")).alias("security_group_ids"),
        _addresses(),
    )


def _attached(interfaces: pl.DataFrame) -> pl.DataFrame:
    """A state that AWS says began before a snapshot saw it begins then, and the one before it ends then."""
    before = pl.col("valid_from").shift(1).over("eni_id", order_by="valid_from")
    is_other = pl.col("attached_at").ne_missing(pl.col("attached_at").shift(1).over("eni_id", order_by="valid_from"))
    is_known = (
        ~pl.col("since_first_snapshot")
        & is_other
        & (pl.col("attached_at") < pl.col("valid_from"))
        & (before.is_null() | (pl.col("attached_at") > before))
    ).fill_null(False)
    begun = interfaces.with_columns(valid_from=pl.when(is_known).then("attached_at").otherwise("valid_from"))
    followed = pl.col("valid_from").shift(-1).over("eni_id", order_by="valid_from")
    return begun.with_columns(valid_to=pl.min_horizontal("valid_to", followed))


def _each_address(interfaces: pl.DataFrame) -> pl.DataFrame:
    """A row for each address; one that the interface did not have before is its from when it was seen there."""
    each = (
        interfaces.explode("addresses")
        .unnest("addresses")
        .filter(pl.col("address").is_not_null())
        .sort("is_primary", descending=True, maintain_order=True)
        .unique(["eni_id", "vpc_id", "address", "valid_from"], keep="first", maintain_order=True)
    )
    had_it = pl.col("valid_to").shift(1).over("eni_id", "address", order_by="valid_from") == pl.col("valid_from")
    begins = pl.when(pl.col("is_primary") | had_it.fill_null(False)).then("valid_from").otherwise(
        pl.max_horizontal("valid_from", "observed_at")
    )  # fmt: skip
    return (
        each.with_columns(valid_from=begins)
        .filter(pl.col("valid_from") < pl.col("valid_to"))
        .with_columns(
            kind=pl.when("is_range").then(pl.lit("interface_range")).otherwise(pl.lit("interface_address")),
        )
        .drop("is_range", "is_primary", "requester_id", "description")
    )


def _addresses() -> pl.Expr:
    """All addresses of an interface: private, IPv6 and public ones, and ranges that are delegated to it."""
    interface = pl.col("attributes").struct
    private = interface.field("PrivateIpAddresses")
    address = pl.element().struct
    lists = [
        _listed(pl.concat_list(interface.field("PrivateIpAddress")), is_primary=True),
        _listed(private.list.eval(address.field("PrivateIpAddress"))),
        _listed(interface.field("Ipv6Addresses").list.eval(address.field("Ipv6Address"))),
        _listed(pl.concat_list(interface.field("Association").struct.field("PublicIp")), is_public=True),
        _listed(private.list.eval(address.field("Association").struct.field("PublicIp")), is_public=True),
        _listed(interface.field("Ipv4Prefixes").list.eval(address.field("Ipv4Prefix")), is_range=True),
        _listed(interface.field("Ipv6Prefixes").list.eval(address.field("Ipv6Prefix")), is_range=True),
    ]
    return pl.concat_list(lists).alias("addresses")


def _listed(
    addresses: pl.Expr, *, is_public: bool = False, is_range: bool = False, is_primary: bool = False
) -> pl.Expr:
    label = pl.struct(
        pl.element().alias("address"),
        pl.lit(is_public).alias("is_public"),
        pl.lit(is_range).alias("is_range"),
        pl.lit(is_primary).alias("is_primary"),
    )
    return addresses.list.eval(label).fill_null(pl.lit([], dtype=pl.List(_LISTED)))


def _zones(states: pl.DataFrame) -> pl.DataFrame:
    return (
        of_type(states, "subnet", _SUBNET)
        .select(
            pl.col("resource_id").alias("subnet_id"),
            pl.col("attributes").struct.field("AvailabilityZoneId").alias("az_id"),
        )
        .unique("subnet_id", keep="last", maintain_order=True)
    )


def _behind(interfaces: pl.DataFrame, states: pl.DataFrame) -> pl.DataFrame:
    """What is behind each interface, as gateways say, else as it says itself: `eni_entity_type`, `eni_entity_name`."""
    asked = interfaces.select(
        "eni_id", pl.col("eni_type").alias("interface_type"), "requester_id", "description", "instance_id"
    )
    named = (
        pl.coalesce("of_type", "entity_type").alias("entity_type"),
        pl.coalesce("of_id", "entity_id").alias("entity_id"),
    )
    found = (
        entities(asked)
        .join(owned_interfaces(states), on="eni_id", how="left", maintain_order="left")
        .select("eni_id", *named, "entity_name")
    )
    services = of_type(states, "vpc_endpoint", _ENDPOINT).select(
        pl.lit("vpc_endpoint").alias("resource_type"),
        "resource_id",
        pl.coalesce("name", pl.col("attributes").struct.field("ServiceName")).alias("name"),
        "valid_from",
    )
    others = states.filter(pl.col("resource_type") != "vpc_endpoint")
    names = (
        pl.concat([others.select(services.columns), services])
        .sort("valid_from")
        .unique(["resource_type", "resource_id"], keep="last", maintain_order=True)
    )
    told = named_entities(found, names)
    # An instance's name is that of the time.
    name = pl.when(told["entity_type"] == "instance").then(interfaces["instance_name"]).otherwise(told["entity_name"])
    return told.select(
        pl.col("entity_type").alias("eni_entity_type"), pl.coalesce(name, "entity_name").alias("eni_entity_name")
    )


def instances_of(states: pl.DataFrame) -> pl.Series:
    """The instances to which interfaces were attached at any time."""
    attachment = pl.col("attributes").struct.field("Attachment").struct
    interfaces = of_type(states, "network_interface", _INTERFACE)
    return interfaces.select(attachment.field("InstanceId").unique()).to_series().drop_nulls()


def owned_interfaces(states: pl.DataFrame) -> pl.DataFrame:
    """Interfaces that gateways and endpoints name as their own: `eni_id`, `of_type`, `of_id`."""
    gateway, endpoint = pl.col("attributes").struct, pl.col("attributes").struct
    gateways = of_type(states, "nat_gateway", _NAT_GATEWAY).select(
        pl.lit("nat_gateway").alias("of_type"),
        pl.col("resource_id").alias("of_id"),
        gateway.field("NatGatewayAddresses").list.eval(pl.element().struct.field("NetworkInterfaceId")).alias("eni_id"),
    )
    endpoints = of_type(states, "vpc_endpoint", _ENDPOINT).select(
        pl.lit("vpc_endpoint").alias("of_type"),
        pl.col("resource_id").alias("of_id"),
        endpoint.field("NetworkInterfaceIds").alias("eni_id"),
    )
    return (
        pl.concat([gateways, endpoints])
        .explode("eni_id")
        .drop_nulls("eni_id")
        .unique("eni_id", keep="last", maintain_order=True)
    )
