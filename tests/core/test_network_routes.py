"""Routes, attachments and what lies on premises, as AWS describes them and as far as it does."""

from __future__ import annotations

from typing import Any

import pytest

from tests.core.metadata_log import Log, at


@pytest.fixture
def log() -> Log:
    return Log()


def attachment(state: str = "available", **more: Any) -> dict[str, Any]:
    usual = {"TransitGatewayId": "tgw-1", "ResourceType": "vpc", "ResourceId": "vpc-1", "State": state}
    return {"TransitGatewayAttachmentId": "tgw-attach-1", **usual, **more}


@pytest.mark.parametrize(
    ("member", "target", "kind"),
    [
        ("GatewayId", "local", "local"),
        ("GatewayId", "igw-1", "internet_gateway"),
        ("GatewayId", "vgw-1", "vpn_gateway"),
        ("GatewayId", "vpce-1", "vpc_endpoint"),
        ("NatGatewayId", "nat-1", "nat_gateway"),
        ("TransitGatewayId", "tgw-1", "transit_gateway"),
        ("VpcPeeringConnectionId", "pcx-1", "vpc_peering_connection"),
        ("EgressOnlyInternetGatewayId", "eigw-1", "egress_only_internet_gateway"),
        ("NetworkInterfaceId", "eni-1", "network_interface"),
        ("CoreNetworkArn", "arn:aws:networkmanager::1:core-network/1", "core_network"),
        ("GatewayId", "new-1", None),
        ("GatewayId", None, None),
    ],
)
def test_a_route_names_its_target_and_the_kind_of_it(log: Log, member: str, target: str, kind: str | None) -> None:
    route = {"DestinationCidrBlock": "0.0.0.0/0", member: target, "State": "active"}
    log.see(0, "route_table", {"RouteTableId": "rtb-1", "VpcId": "vpc-1", "Routes": [route]})

    assert log.book("route").select("address", "gateway_id", "gateway_type", "forwarding_state").rows() == [
        ("0.0.0.0/0", target, kind, "active")
    ]


def test_route_tables_without_routes_or_associations_say_nothing(log: Log) -> None:
    log.see(
        0,
        "route_table",
        {"RouteTableId": "rtb-1"},
        {"RouteTableId": "rtb-2", "VpcId": "vpc-1", "Routes": [], "Associations": []},
        {"RouteTableId": "rtb-3", "VpcId": None, "Routes": [{}, None], "Associations": [{}, None]},
        {"RouteTableId": "rtb-4", "Associations": [{"Main": False, "GatewayId": "igw-1"}]},
        {
            "RouteTableId": "rtb-5",
            "Associations": [{"SubnetId": "s-1", "AssociationState": {"State": "disassociated"}}],
        },
    )

    assert log.book("route").is_empty()
    assert log.book("route_table").is_empty()


@pytest.mark.parametrize("state", ["deleted", "deleting", "failed", "rejected"])
def test_an_attachment_that_is_gone_is_none(log: Log, state: str) -> None:
    log.see(0, "transit_gateway_attachment", attachment())
    log.see(4, "transit_gateway_attachment", attachment(state))

    assert log.book("transit_gateway_attachment").select("vpc_id", "valid_from", "valid_to").rows() == [
        ("vpc-1", at(0), at(4))
    ]


def test_the_route_table_of_an_attachment_is_known_from_it_or_from_the_table(log: Log) -> None:
    said = {"TransitGatewayRouteTableId": "tgw-rtb-1", "State": "associated"}
    log.see(0, "transit_gateway_attachment", attachment(Association=said))
    assert log.book("transit_gateway_attachment")["route_table_id"].to_list() == ["tgw-rtb-1"]

    log.see(1, "transit_gateway_attachment", attachment())
    assert log.book("transit_gateway_attachment")["route_table_id"].to_list() == ["tgw-rtb-1", None]

    of_table = {"TransitGatewayAttachmentId": "tgw-attach-1", "TransitGatewayRouteTableId": "tgw-rtb-2"}
    log.see(1, "transit_gateway_route_table_association", of_table)
    assert log.book("transit_gateway_attachment")["route_table_id"].to_list() == ["tgw-rtb-1", "tgw-rtb-2"]


def test_an_attachment_is_known_from_the_vpcs_side_where_the_gateways_owner_shows_nothing(log: Log) -> None:
    by_vpc = {"TransitGatewayAttachmentId": "tgw-attach-2", "TransitGatewayId": "tgw-1", "VpcId": "vpc-2"}
    log.see(0, "transit_gateway_vpc_attachment", by_vpc, by_vpc | {"TransitGatewayAttachmentId": "tgw-attach-1"})
    log.see(0, "transit_gateway_attachment", attachment())

    assert log.book("transit_gateway_attachment").select("vpc_id", "gateway_id").rows() == [
        ("vpc-1", "tgw-1"),
        ("vpc-2", "tgw-1"),
    ]


def test_static_routes_of_a_vpn_lie_on_premises(log: Log) -> None:
    routes = [{"DestinationCidrBlock": "192.168.0.0/16"}, {"DestinationCidrBlock": "172.16.0.0/12", "State": "deleted"}]
    log.see(
        0,
        "vpn_connection",
        {"VpnConnectionId": "vpn-1", "VpnGatewayId": "vgw-1", "Routes": routes},
        {"VpnConnectionId": "vpn-2", "TransitGatewayId": "tgw-1", "Routes": []},
        {"VpnConnectionId": "vpn-3"},
    )

    assert log.book("on_premises").select("gateway_id", "address").rows() == [("vgw-1", "192.168.0.0/16")]


@pytest.mark.parametrize("kind", ["vpn", "direct-connect-gateway", "connect"])
def test_routes_of_a_transit_gateway_to_a_vpn_lie_on_premises_unless_they_are_blackholes(log: Log, kind: str) -> None:
    def route(block: str, state: str, **more: Any) -> dict[str, Any]:
        attachments = [{"ResourceType": kind, "ResourceId": "r-1"}]
        said = {"TransitGatewayRouteTableId": "tgw-rtb-1", "State": state, "TransitGatewayAttachments": attachments}
        return {"DestinationCidrBlock": block, **said, **more}

    log.see(0, "transit_gateway_route_table", {"TransitGatewayRouteTableId": "tgw-rtb-1", "TransitGatewayId": "tgw-1"})
    log.see(
        0,
        "transit_gateway_route",
        route("192.168.0.0/16", "active"),
        route("192.168.1.0/24", "blackhole"),
        route("192.168.2.0/24", "active", TransitGatewayAttachments=[]),
    )

    assert log.book("on_premises").select("gateway_id", "address").rows() == [("tgw-1", "192.168.0.0/16")]


def test_a_vpn_gateway_belongs_to_the_vpcs_to_which_it_is_attached(log: Log) -> None:
    attachments = [{"VpcId": "vpc-1", "State": "attached"}, {"VpcId": "vpc-2", "State": "detached"}, {}]
    log.see(0, "vpn_gateway", {"VpnGatewayId": "vgw-1", "VpcAttachments": attachments}, {"VpnGatewayId": "vgw-2"})

    assert log.book("vpn_gateway").select("vpc_id", "gateway_id").rows() == [("vpc-1", "vgw-1")]


def test_a_peering_of_gateways_goes_both_ways_while_it_is_available(log: Log) -> None:
    ends = {"RequesterTgwInfo": {"TransitGatewayId": "tgw-1"}, "AccepterTgwInfo": {"TransitGatewayId": "tgw-2"}}
    peering = {"TransitGatewayAttachmentId": "tgw-attach-9", **ends}
    log.see(0, "transit_gateway_peering_attachment", peering | {"State": "available"})
    log.see(2, "transit_gateway_peering_attachment", peering | {"State": "deleted"})

    assert log.book("transit_gateway_peering").select("gateway_id", "peer_gateway_id", "valid_to").rows() == [
        ("tgw-1", "tgw-2", at(2)),
        ("tgw-2", "tgw-1", at(2)),
    ]


def test_an_attachments_table_is_that_of_the_time_where_only_associations_tell_it(log: Log) -> None:
    def associated(table: str) -> dict[str, Any]:
        return {
            "TransitGatewayRouteTableId": table,
            "TransitGatewayAttachmentId": "tgw-attach-1",
            "State": "associated",
        }

    log.see(0, "transit_gateway_attachment", attachment())
    log.see(0, "transit_gateway_route_table_association", associated("tgw-rtb-1"))
    log.see(5, "transit_gateway_route_table_association", associated("tgw-rtb-2"))

    book = log.book("transit_gateway_attachment").sort("valid_from")

    assert book.select("route_table_id", "valid_from", "valid_to").rows() == [
        ("tgw-rtb-1", at(0), at(5)),
        ("tgw-rtb-2", at(5), None),
    ]
