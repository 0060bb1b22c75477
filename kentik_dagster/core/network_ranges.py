"""Ranges, routes and connections of the network, each with the time it stood: the map on which addresses are found."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from kentik_dagster.core.resource_states import of_type

_STATE = pl.Struct({"State": pl.String})
_VPC = pl.Struct({
    "CidrBlock": pl.String,
    "CidrBlockAssociationSet": pl.List(pl.Struct({"CidrBlock": pl.String, "CidrBlockState": _STATE})),
    "Ipv6CidrBlockAssociationSet": pl.List(pl.Struct({"Ipv6CidrBlock": pl.String, "Ipv6CidrBlockState": _STATE})),
})  # fmt: skip
_SUBNET = pl.Struct({
    "VpcId": pl.String,
    "AvailabilityZoneId": pl.String,
    "CidrBlock": pl.String,
    "Ipv6CidrBlockAssociationSet": pl.List(pl.Struct({"Ipv6CidrBlock": pl.String, "Ipv6CidrBlockState": _STATE})),
})  # fmt: skip
_PEERED = pl.Struct({
    "VpcId": pl.String, "OwnerId": pl.String, "CidrBlock": pl.String,
    "CidrBlockSet": pl.List(pl.Struct({"CidrBlock": pl.String})),
    "Ipv6CidrBlockSet": pl.List(pl.Struct({"Ipv6CidrBlock": pl.String})),
})  # fmt: skip
_PEERING = pl.Struct({
    "RequesterVpcInfo": _PEERED,
    "AccepterVpcInfo": _PEERED,
    "Status": pl.Struct({"Code": pl.String}),
})  # fmt: skip
_PREFIX_LIST = pl.Struct({"PrefixListName": pl.String})
_PREFIX_LIST_ENTRY = pl.Struct({"Cidr": pl.String, "PrefixListId": pl.String})
_FIREWALL = pl.Struct({"Firewall": pl.Struct({"FirewallName": pl.String, "VpcId": pl.String})})
_TIMES = ("region", "observed_at", "valid_from", "valid_to", "since_first_snapshot")
_STANDING = ("associated", "associating")


def network_ranges(states: pl.DataFrame) -> pl.DataFrame:
    """VPCs' and subnets' ranges, peerings of VPCs, entries of prefix lists, and in which VPC firewalls are.

    Args:
        states: rows of `resource_states`.

    Returns:
        Rows of `address_book` of the kinds `vpc_cidr`, `subnet_cidr`, `peering` (one for each direction; both VPCs
        see an active peering; `account_id` owns the peer), `prefix_list_entry` and `firewall`, `valid_to` NEVER
        where it still stands.
    """
    own = _vpcs(states)
    # Whoever may see a peering sees the ranges of both VPCs, also of one whose account shows nothing.
    peers = _peers(states).join(own, on="vpc_id", how="anti")
    return pl.concat(
        [own, peers, _subnets(states), _peerings(states), _prefix_list_entries(states), _firewalls(states)],
        how="diagonal",
    )


def _associated(attributes: pl.Expr, member: str, block: str) -> pl.Expr:
    """The blocks of an association set that stand."""
    element = pl.element().struct
    stands = element.field(f"{block}State").struct.field("State").fill_null("associated").is_in(_STANDING)
    blocks = attributes.struct.field(member).list.eval(pl.when(stands).then(element.field(block)))
    return blocks.fill_null(pl.lit([], dtype=pl.List(pl.String)))


def _vpcs(states: pl.DataFrame) -> pl.DataFrame:
    vpc = pl.col("attributes")
    return _each_block(
        of_type(states, "vpc", _VPC).select(
            *_TIMES,
            pl.lit("vpc_cidr").alias("kind"),
            pl.col("resource_id").alias("vpc_id"),
            pl.col("name").alias("vpc_name"),
            pl.col("owner_account_id").alias("account_id"),
            pl.concat_list(
                pl.concat_list(vpc.struct.field("CidrBlock")),
                _associated(vpc, "CidrBlockAssociationSet", "CidrBlock"),
                _associated(vpc, "Ipv6CidrBlockAssociationSet", "Ipv6CidrBlock"),
            ).alias("address"),
        ),
        "vpc_id",
    )


def _subnets(states: pl.DataFrame) -> pl.DataFrame:
    subnet = pl.col("attributes")
    return _each_block(
        of_type(states, "subnet", _SUBNET).select(
            *_TIMES,
            pl.lit("subnet_cidr").alias("kind"),
            pl.col("resource_id").alias("subnet_id"),
            pl.col("name").alias("subnet_name"),
            pl.col("owner_account_id").alias("account_id"),
            subnet.struct.field("VpcId").alias("vpc_id"),
            subnet.struct.field("AvailabilityZoneId").alias("az_id"),
            pl.concat_list(
                pl.concat_list(subnet.struct.field("CidrBlock")),
                _associated(subnet, "Ipv6CidrBlockAssociationSet", "Ipv6CidrBlock"),
            ).alias("address"),
        ),
        "subnet_id",
    )


def _each_block(rows: pl.DataFrame, owner: str) -> pl.DataFrame:
    return (
        rows.explode("address")
        .filter(pl.col("address").is_not_null())
        .unique([owner, "address", "valid_from"], maintain_order=True)
    )


def _active_peerings(states: pl.DataFrame) -> pl.DataFrame:
    code = pl.col("attributes").struct.field("Status").struct.field("Code")
    return of_type(states, "vpc_peering_connection", _PEERING).filter(code == "active")


def _peers(states: pl.DataFrame) -> pl.DataFrame:
    """Ranges of VPCs as their peerings show them."""
    peering = pl.col("attributes").struct
    active = _active_peerings(states)
    no_blocks = pl.lit([], dtype=pl.List(pl.String))

    def side(member: str) -> pl.DataFrame:
        vpc = peering.field(member).struct
        return active.select(
            *_TIMES,
            kind=pl.lit("vpc_cidr"),
            vpc_id=vpc.field("VpcId"),
            account_id=vpc.field("OwnerId"),
            address=pl.concat_list(
                pl.concat_list(vpc.field("CidrBlock")),
                vpc.field("CidrBlockSet").list.eval(pl.element().struct.field("CidrBlock")).fill_null(no_blocks),
                vpc.field("Ipv6CidrBlockSet")
                .list.eval(pl.element().struct.field("Ipv6CidrBlock"))
                .fill_null(no_blocks),
            ),
        )

    both = pl.concat([side("RequesterVpcInfo"), side("AccepterVpcInfo")]).drop_nulls("vpc_id")
    return _each_block(both, "vpc_id")


def _peerings(states: pl.DataFrame) -> pl.DataFrame:
    peering = pl.col("attributes").struct

    def between(vpc: str, peer: str) -> Mapping[str, pl.Expr]:
        return {
            "vpc_id": peering.field(vpc).struct.field("VpcId"),
            "peer_vpc_id": peering.field(peer).struct.field("VpcId"),
            "account_id": peering.field(peer).struct.field("OwnerId"),
        }

    active = _active_peerings(states)
    both = [("RequesterVpcInfo", "AccepterVpcInfo"), ("AccepterVpcInfo", "RequesterVpcInfo")]
    rows = [
        active.select(
            *_TIMES, kind=pl.lit("peering"), gateway_id=pl.col("resource_id"), **between(vpc, peer)
        )
        for vpc, peer in both
    ]  # fmt: skip
    return pl.concat(rows).drop_nulls(["vpc_id", "peer_vpc_id"])


def _prefix_list_entries(states: pl.DataFrame) -> pl.DataFrame:
    """Entries, with the name of their list: AWS's own are named by the service, `com.amazonaws.eu-west-1.s3`."""
    lists = of_type(states, "managed_prefix_list", _PREFIX_LIST).select(
        pl.col("resource_id").alias("prefix_list_id"),
        pl.coalesce(pl.col("attributes").struct.field("PrefixListName"), "name").alias("name"),
    )
    entry = pl.col("attributes").struct
    return (
        of_type(states, "managed_prefix_list_entry", _PREFIX_LIST_ENTRY)
        .select(
            *_TIMES,
            kind=pl.lit("prefix_list_entry"),
            address=entry.field("Cidr"),
            prefix_list_id=entry.field("PrefixListId"),
        )
        .join(lists.unique("prefix_list_id", keep="last", maintain_order=True), on="prefix_list_id", how="left")
        .drop_nulls(["address", "prefix_list_id"])
    )


def _firewalls(states: pl.DataFrame) -> pl.DataFrame:
    firewall = pl.col("attributes").struct.field("Firewall").struct
    return (
        of_type(states, "firewall", _FIREWALL)
        .select(
            *_TIMES,
            kind=pl.lit("firewall"),
            account_id="owner_account_id",
            name=firewall.field("FirewallName"),
            vpc_id=firewall.field("VpcId"),
        )
        .drop_nulls("name")
    )
