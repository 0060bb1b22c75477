"""Where packets go from a VPC: route tables, transit gateways, and what lies on premises, with the time it stood."""

from __future__ import annotations

import polars as pl

from kentik_dagster.catalog.gateways import GATEWAY_TYPES, ON_PREMISES_ATTACHMENTS, ROUTE_TARGETS
from kentik_dagster.core.resource_states import of_type, split_by_name

_ROUTE_TABLE = pl.Struct({
    "VpcId": pl.String,
    "Associations": pl.List(pl.Struct({
        "Main": pl.Boolean, "SubnetId": pl.String, "AssociationState": pl.Struct({"State": pl.String}),
    })),
    "Routes": pl.List(pl.Struct({
        "DestinationCidrBlock": pl.String, "DestinationIpv6CidrBlock": pl.String, "DestinationPrefixListId": pl.String,
        "State": pl.String, **dict.fromkeys(ROUTE_TARGETS, pl.String),
    })),
})  # fmt: skip
_ATTACHMENT = pl.Struct({
    "TransitGatewayId": pl.String, "ResourceType": pl.String, "ResourceId": pl.String, "State": pl.String,
    "Association": pl.Struct({"TransitGatewayRouteTableId": pl.String, "State": pl.String}),
})  # fmt: skip
_VPC_ATTACHMENT = pl.Struct({"TransitGatewayId": pl.String, "VpcId": pl.String, "State": pl.String})
_ASSOCIATION = pl.Struct({
    "TransitGatewayAttachmentId": pl.String, "TransitGatewayRouteTableId": pl.String, "State": pl.String,
})  # fmt: skip
_GATEWAY = pl.Struct({"TransitGatewayId": pl.String})
_GATEWAY_PEERING = pl.Struct({
    "RequesterTgwInfo": _GATEWAY, "AccepterTgwInfo": _GATEWAY, "State": pl.String,
})  # fmt: skip
_GATEWAY_TABLE = pl.Struct({"TransitGatewayId": pl.String})
_GATEWAY_ROUTE = pl.Struct({
    "DestinationCidrBlock": pl.String, "PrefixListId": pl.String, "State": pl.String,
    "TransitGatewayRouteTableId": pl.String,
    "TransitGatewayAttachments": pl.List(pl.Struct({
        "ResourceId": pl.String, "ResourceType": pl.String, "TransitGatewayAttachmentId": pl.String,
    })),
})  # fmt: skip
_VPN_CONNECTION = pl.Struct({
    "VpnGatewayId": pl.String, "TransitGatewayId": pl.String,
    "Routes": pl.List(pl.Struct({"DestinationCidrBlock": pl.String, "State": pl.String})),
})  # fmt: skip
_VPN_GATEWAY = pl.Struct({"VpcAttachments": pl.List(pl.Struct({"VpcId": pl.String, "State": pl.String}))})
_TIMES = ("region", "observed_at", "valid_from", "valid_to", "since_first_snapshot")
_GONE = ("deleted", "deleting", "failed", "rejected", "rejecting", "disassociated", "disassociating", "detached")


def network_routes(states: pl.DataFrame) -> pl.DataFrame:
    """Routes of VPCs and transit gateways, and which of them concern whom.

    Args:
        states: rows of `resource_states`.

    Returns:
        Rows of `address_book`, `valid_to` NEVER where it still stands, of the kinds
        `route_table` (the route table of a subnet, or of all others of the VPC: `subnet_id` null),
        `route` (`address` is the destination, `gateway_id` and `gateway_type` the target, `forwarding_state`),
        `transit_gateway_attachment` (a VPC at a transit gateway, with its route table there, null: not known),
        `transit_gateway_peering` (one for each direction),
        `transit_gateway_route` (`gateway_type` is the kind of attachment, `peer_vpc_id` the VPC behind it),
        `on_premises` (a range behind a VPN), and `vpn_gateway` (a VPC's virtual private gateway).
    """
    return pl.concat(
        [
            _route_tables(states),
            _routes(states),
            _attachments(states),
            _gateway_peerings(states),
            _gateway_routes(states),
            _behind_vpns(states),
            _vpn_gateways(states),
        ],
        how="diagonal",
    )


def _stands(state: pl.Expr) -> pl.Expr:
    return ~state.is_in(_GONE).fill_null(False)


def _route_tables(states: pl.DataFrame) -> pl.DataFrame:
    table, association = pl.col("attributes").struct, pl.col("association").struct
    return (
        of_type(states, "route_table", _ROUTE_TABLE)
        .select(
            *_TIMES,
            kind=pl.lit("route_table"),
            vpc_id=table.field("VpcId"),
            route_table_id=pl.col("resource_id"),
            association=table.field("Associations"),
        )
        .explode("association")
        .filter(
            _stands(association.field("AssociationState").struct.field("State")),
            association.field("Main").fill_null(False) | association.field("SubnetId").is_not_null(),
        )
        .with_columns(subnet_id=association.field("SubnetId"))
        .drop("association")
    )


def _routes(states: pl.DataFrame) -> pl.DataFrame:
    table, route = pl.col("attributes").struct, pl.col("route").struct
    target = pl.coalesce(route.field(name) for name in ROUTE_TARGETS)
    return (
        of_type(states, "route_table", _ROUTE_TABLE)
        .select(
            *_TIMES,
            kind=pl.lit("route"),
            vpc_id=table.field("VpcId"),
            route_table_id=pl.col("resource_id"),
            route=table.field("Routes"),
        )
        .explode("route")
        .with_columns(
            address=pl.coalesce(
                route.field("DestinationCidrBlock"),
                route.field("DestinationIpv6CidrBlock"),
                route.field("DestinationPrefixListId"),
            ),
            gateway_id=target,
            gateway_type=_kind_of(target),
            forwarding_state=route.field("State"),
        )
        .drop("route")
        .drop_nulls("address")
    )


def _kind_of(gateway_id: pl.Expr) -> pl.Expr:
    words = [pl.when(gateway_id.str.starts_with(start)).then(pl.lit(kind)) for start, kind in GATEWAY_TYPES.items()]
    return pl.coalesce(words)


def _attachments(states: pl.DataFrame) -> pl.DataFrame:
    """VPCs at transit gateways: as the gateway's owner sees them, else as the VPC's owner does."""
    attachment = pl.col("attributes").struct
    association = attachment.field("Association").struct
    by_gateway = (
        of_type(states, "transit_gateway_attachment", _ATTACHMENT)
        .filter(attachment.field("ResourceType") == "vpc", _stands(attachment.field("State")))
        .select(
            *_TIMES,
            attachment_id=pl.col("resource_id"),
            vpc_id=attachment.field("ResourceId"),
            gateway_id=attachment.field("TransitGatewayId"),
            route_table_id=pl.when(_stands(association.field("State"))).then(
                association.field("TransitGatewayRouteTableId")
            ),
        )
    )
    by_vpc = (
        of_type(states, "transit_gateway_vpc_attachment", _VPC_ATTACHMENT)
        .filter(_stands(attachment.field("State")))
        .select(
            *_TIMES,
            attachment_id=pl.col("resource_id"),
            vpc_id=attachment.field("VpcId"),
            gateway_id=attachment.field("TransitGatewayId"),
        )
        .join(by_gateway, on="attachment_id", how="anti")
    )
    associations = of_type(states, "transit_gateway_route_table_association", _ASSOCIATION).filter(
        _stands(attachment.field("State"))
    )
    tables = associations.select(
        "valid_from",
        resource_type=pl.lit("attachment"),
        resource_id=attachment.field("TransitGatewayAttachmentId"),
        name=attachment.field("TransitGatewayRouteTableId"),
    )
    attachments = pl.concat([by_gateway, by_vpc], how="diagonal")
    return (
        split_by_name(attachments, tables, "attachment")
        .with_columns(
            kind=pl.lit("transit_gateway_attachment"), route_table_id=pl.coalesce("route_table_id", "attachment_name")
        )
        .drop("attachment_id", "attachment_name")
        .drop_nulls(["vpc_id", "gateway_id"])
    )


def _gateway_peerings(states: pl.DataFrame) -> pl.DataFrame:
    peering = pl.col("attributes").struct
    standing = of_type(states, "transit_gateway_peering_attachment", _GATEWAY_PEERING).filter(
        peering.field("State") == "available"
    )
    sides = [("RequesterTgwInfo", "AccepterTgwInfo"), ("AccepterTgwInfo", "RequesterTgwInfo")]
    rows = [
        standing.select(
            *_TIMES,
            kind=pl.lit("transit_gateway_peering"),
            gateway_id=peering.field(one).struct.field("TransitGatewayId"),
            peer_gateway_id=peering.field(other).struct.field("TransitGatewayId"),
        )
        for one, other in sides
    ]
    return pl.concat(rows).drop_nulls(["gateway_id", "peer_gateway_id"])


def _gateway_routes(states: pl.DataFrame) -> pl.DataFrame:
    route, attachment = pl.col("attributes").struct, pl.col("attachment").struct
    tables = of_type(states, "transit_gateway_route_table", _GATEWAY_TABLE).select(
        route_table_id="resource_id", gateway_id=pl.col("attributes").struct.field("TransitGatewayId")
    )
    kind = attachment.field("ResourceType")
    return (
        of_type(states, "transit_gateway_route", _GATEWAY_ROUTE)
        .select(
            *_TIMES,
            kind=pl.lit("transit_gateway_route"),
            address=pl.coalesce(route.field("DestinationCidrBlock"), route.field("PrefixListId")),
            route_table_id=route.field("TransitGatewayRouteTableId"),
            forwarding_state=route.field("State"),
            attachment=route.field("TransitGatewayAttachments"),
        )
        # A blackhole leads to no attachment, and outweighs wider routes all the same.
        .explode("attachment", empty_as_null=True, keep_nulls=True)
        .with_columns(
            gateway_type=kind,
            peer_vpc_id=pl.when(kind == "vpc").then(attachment.field("ResourceId")),
        )
        .drop("attachment")
        .join(tables.unique("route_table_id", keep="last", maintain_order=True), on="route_table_id", how="left")
        .drop_nulls("address")
    )


def _behind_vpns(states: pl.DataFrame) -> pl.DataFrame:
    """Ranges that lie behind VPNs: static routes of the connection, and routes of transit gateways."""
    connection, route = pl.col("attributes").struct, pl.col("route").struct
    static = (
        of_type(states, "vpn_connection", _VPN_CONNECTION)
        .select(
            *_TIMES,
            gateway_id=pl.coalesce(connection.field("VpnGatewayId"), connection.field("TransitGatewayId")),
            route=connection.field("Routes"),
        )
        .explode("route")
        .filter(_stands(route.field("State")))
        .with_columns(address=route.field("DestinationCidrBlock"))
        .drop("route")
    )
    routed = (
        _gateway_routes(states)
        .filter(pl.col("gateway_type").is_in(ON_PREMISES_ATTACHMENTS), pl.col("forwarding_state") != "blackhole")
        .select(*_TIMES, "gateway_id", "address")
    )
    return (
        pl.concat([static, routed.select(static.columns)])
        .drop_nulls(["gateway_id", "address"])
        .unique(["gateway_id", "address", "valid_from"], maintain_order=True)
        .with_columns(kind=pl.lit("on_premises"))
    )


def _vpn_gateways(states: pl.DataFrame) -> pl.DataFrame:
    gateway, attachment = pl.col("attributes").struct, pl.col("attachment").struct
    return (
        of_type(states, "vpn_gateway", _VPN_GATEWAY)
        .select(
            *_TIMES,
            kind=pl.lit("vpn_gateway"),
            gateway_id=pl.col("resource_id"),
            attachment=gateway.field("VpcAttachments"),
        )
        .explode("attachment")
        .filter(attachment.field("State").is_in(("attached", "attaching")).fill_null(True))
        .with_columns(vpc_id=attachment.field("VpcId"))
        .drop("attachment")
        .drop_nulls("vpc_id")
    )
