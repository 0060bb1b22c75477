"""Who had which address in which VPC, from when until when: built from the log of metadata changes."""

from __future__ import annotations

import polars as pl

from kentik_dagster.catalog.tables import TABLES
from kentik_dagster.core.network import IDENTITY
from kentik_dagster.core.resource_states import NEVER, of_type, resource_states, split_by_name
from kentik_dagster.core.schemas import polars_schema, require

_BOOK = polars_schema(TABLES["address_book"])

_ADDRESS = pl.Struct({"PrivateIpAddress": pl.String, "Association": pl.Struct({"PublicIp": pl.String})})
_INTERFACE = pl.Struct(
    {
        "VpcId": pl.String,
        "SubnetId": pl.String,
        "InterfaceType": pl.String,
        "Description": pl.String,
        "PrivateIpAddress": pl.String,
        "Association": pl.Struct({"PublicIp": pl.String}),
        "PrivateIpAddresses": pl.List(_ADDRESS),
        "Ipv6Addresses": pl.List(pl.Struct({"Ipv6Address": pl.String})),
        "Attachment": pl.Struct({"InstanceId": pl.String}),
        "Groups": pl.List(pl.Struct({"GroupId": pl.String})),
    }
)
_NAT_GATEWAY = pl.Struct({"NatGatewayAddresses": pl.List(pl.Struct({"NetworkInterfaceId": pl.String}))})
_VPC = pl.Struct(
    {
        "CidrBlock": pl.String,
        "CidrBlockAssociationSet": pl.List(
            pl.Struct({"CidrBlock": pl.String, "CidrBlockState": pl.Struct({"State": pl.String})})
        ),
        "Ipv6CidrBlockAssociationSet": pl.List(
            pl.Struct({"Ipv6CidrBlock": pl.String, "Ipv6CidrBlockState": pl.Struct({"State": pl.String})})
        ),
    }
)
_PEERING = pl.Struct(
    {
        "RequesterVpcInfo": pl.Struct({"VpcId": pl.String}),
        "AccepterVpcInfo": pl.Struct({"VpcId": pl.String}),
        "Status": pl.Struct({"Code": pl.String}),
    }
)
_SUBNET = pl.Struct({"AvailabilityZoneId": pl.String})


def address_book(changes: pl.DataFrame, accounts: pl.DataFrame) -> pl.DataFrame:
    """The address book: interface addresses, VPC ranges and peerings, each with the time it stood.

    Args:
        changes: rows of `metadata_changes`.
        accounts: rows of `org_accounts`.

    Returns:
        Rows of `address_book`, sorted. `valid_from` is the first snapshot that saw it so, `valid_to` the first
        that saw it otherwise. A thing that several accounts see (a shared subnet's interface, both ends of a
        peering) is there once, as its owner sees it.
    """
    require(changes, *IDENTITY, "observed_at", "change", "attributes", by="address_book")
    require(accounts, "account_id", "name", by="address_book")
    states = resource_states(changes)
    book = pl.concat([_interface_addresses(states, accounts), _vpc_ranges(states), _peerings(states)], how="diagonal")
    missing = [pl.lit(None, dtype=dtype).alias(name) for name, dtype in _BOOK.items() if name not in book.columns]
    return (
        book.with_columns(
            *missing,
            valid_to=pl.when(pl.col("valid_to") < NEVER).then("valid_to"),
        )
        .select(_BOOK.names())
        .sort("kind", "vpc_id", "address", "peer_vpc_id", "eni_id", "valid_from", nulls_last=True)
    )


def _interface_addresses(states: pl.DataFrame, accounts: pl.DataFrame) -> pl.DataFrame:
    interface = pl.col("attributes").struct
    interfaces = of_type(states, "network_interface", _INTERFACE).select(
        pl.col("resource_id").alias("eni_id"),
        pl.col("owner_account_id").alias("account_id"),
        "region",
        "valid_from",
        "valid_to",
        "since_first_snapshot",
        interface.field("VpcId").alias("vpc_id"),
        interface.field("SubnetId").alias("subnet_id"),
        interface.field("InterfaceType").alias("eni_type"),
        interface.field("Attachment").struct.field("InstanceId").alias("instance_id"),
        interface.field("Groups").list.eval(pl.element().struct.field("GroupId")).alias("security_group_ids"),
        _addresses(),
    )
    gateways = of_type(states, "nat_gateway", _NAT_GATEWAY)
    named = interfaces.join(_zones(states), on="subnet_id", how="left")
    for resource_type in ("vpc", "subnet", "instance"):
        named = split_by_name(named, states, resource_type)
    behind = (
        gateways.select(
            pl.coalesce("name", "resource_id").alias("gateway_name"),
            pl.col("attributes").struct.field("NatGatewayAddresses").alias("gateway_addresses"),
        )
        .explode("gateway_addresses")
        .with_columns(eni_id=pl.col("gateway_addresses").struct.field("NetworkInterfaceId"))
        .filter(pl.col("eni_id").is_not_null())
        .unique("eni_id", keep="last", maintain_order=True)
        .select("eni_id", "gateway_name")
    )
    names = accounts.group_by("account_id").agg(pl.col("name").drop_nulls().first().alias("account_name"))
    return (
        named.join(behind, on="eni_id", how="left")
        .join(names, on="account_id", how="left")
        .with_columns(
            kind=pl.lit("interface_address"),
            eni_type=pl.when(pl.col("gateway_name").is_not_null()).then(pl.lit("nat_gateway")).otherwise("eni_type"),
            eni_entity_name=pl.coalesce("gateway_name", "instance_name", "instance_id"),
        )
        .drop("gateway_name")
        .explode("addresses")
        .unnest("addresses")
        .filter(pl.col("address").is_not_null())
        .unique(["eni_id", "vpc_id", "address", "valid_from"], maintain_order=True)
    )


def _addresses() -> pl.Expr:
    """All addresses of an interface: private, IPv6 and public ones."""
    interface = pl.col("attributes").struct
    private = interface.field("PrivateIpAddresses")
    address = pl.element().struct
    lists = [
        _labelled(pl.concat_list(interface.field("PrivateIpAddress")), public=False),
        _labelled(private.list.eval(address.field("PrivateIpAddress")), public=False),
        _labelled(interface.field("Ipv6Addresses").list.eval(address.field("Ipv6Address")), public=False),
        _labelled(pl.concat_list(interface.field("Association").struct.field("PublicIp")), public=True),
        _labelled(private.list.eval(address.field("Association").struct.field("PublicIp")), public=True),
    ]
    return pl.concat_list(lists).alias("addresses")


def _labelled(addresses: pl.Expr, *, public: bool) -> pl.Expr:
    label = pl.struct(pl.element().alias("address"), pl.lit(public).alias("is_public"))
    empty = pl.lit([], dtype=pl.List(pl.Struct({"address": pl.String, "is_public": pl.Boolean})))
    return addresses.list.eval(label).fill_null(empty)


def _zones(states: pl.DataFrame) -> pl.DataFrame:
    return (
        of_type(states, "subnet", _SUBNET)
        .select(
            pl.col("resource_id").alias("subnet_id"),
            pl.col("attributes").struct.field("AvailabilityZoneId").alias("az_id"),
        )
        .unique("subnet_id", keep="last", maintain_order=True)
    )


def _vpc_ranges(states: pl.DataFrame) -> pl.DataFrame:
    vpc = pl.col("attributes").struct
    associated = ("associated", "associating")

    def blocks(member: str, block: str) -> pl.Expr:
        element = pl.element().struct
        standing = element.field(f"{block}State").struct.field("State").fill_null("associated").is_in(associated)
        return (
            vpc.field(member)
            .list.eval(pl.when(standing).then(element.field(block)))
            .fill_null(pl.lit([], dtype=pl.List(pl.String)))
        )

    return (
        of_type(states, "vpc", _VPC)
        .select(
            pl.lit("vpc_cidr").alias("kind"),
            pl.col("resource_id").alias("vpc_id"),
            pl.col("name").alias("vpc_name"),
            pl.col("owner_account_id").alias("account_id"),
            "region",
            "valid_from",
            "valid_to",
            "since_first_snapshot",
            pl.concat_list(
                pl.concat_list(vpc.field("CidrBlock")),
                blocks("CidrBlockAssociationSet", "CidrBlock"),
                blocks("Ipv6CidrBlockAssociationSet", "Ipv6CidrBlock"),
            ).alias("address"),
        )
        .explode("address")
        .filter(pl.col("address").is_not_null())
        .unique(["vpc_id", "address", "valid_from"], maintain_order=True)
    )


def _peerings(states: pl.DataFrame) -> pl.DataFrame:
    peering = pl.col("attributes").struct
    active = (
        of_type(states, "vpc_peering_connection", _PEERING)
        .filter(peering.field("Status").struct.field("Code") == "active")
        .select(
            pl.lit("peering").alias("kind"),
            peering.field("RequesterVpcInfo").struct.field("VpcId").alias("vpc_id"),
            peering.field("AccepterVpcInfo").struct.field("VpcId").alias("peer_vpc_id"),
            "valid_from",
            "valid_to",
            "since_first_snapshot",
        )
    )
    other_way = active.rename({"vpc_id": "peer_vpc_id", "peer_vpc_id": "vpc_id"})
    return pl.concat([active, other_way.select(active.columns)]).filter(
        pl.col("vpc_id").is_not_null() & pl.col("peer_vpc_id").is_not_null()
    )
