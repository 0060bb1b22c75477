"""Where an address is found follows from routes, peerings and transit gateways, and from nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl
import pytest

from kentik_dagster.core.address_index import AddressIndex
from kentik_dagster.core.distinct import NONE
from tests.core.metadata_log import Log, at, interface


@pytest.fixture
def log() -> Log:
    """Two VPCs, an interface in each."""
    log = Log()
    log.see(0, "vpc", {"VpcId": "vpc-1", "CidrBlock": "10.1.0.0/16"}, {"VpcId": "vpc-2", "CidrBlock": "10.2.0.0/16"})
    log.see(0, "network_interface", interface("eni-1", "10.1.0.1"), interface("eni-2", "10.2.0.1", VpcId="vpc-2"))
    return log


def routes(log: Log, targets: Mapping[str, Mapping[str, str]], minute: int = 0) -> None:
    """The routes of rtb-1, the main route table of vpc-1."""
    listed = [
        {("DestinationPrefixListId" if to.startswith("pl-") else "DestinationCidrBlock"): to, **target}
        for to, target in targets.items()
    ]
    main = [{"Main": True}]
    log.see(minute, "route_table", {"RouteTableId": "rtb-1", "VpcId": "vpc-1", "Associations": main, "Routes": listed})


def hub(log: Log, *vpcs: str, gateway: str = "tgw-1", table: str | None = "tgw-rtb-1") -> list[dict[str, Any]]:
    """Attachments of VPCs to a transit gateway."""
    association = {"TransitGatewayRouteTableId": table, "State": "associated"} if table else None
    return [
        {
            "TransitGatewayAttachmentId": f"attach-{gateway}-{vpc}",
            "TransitGatewayId": gateway,
            "ResourceType": "vpc",
            "ResourceId": vpc,
            "State": "available",
            "Association": association,
        }
        for vpc in vpcs
    ]


def hub_route(block: str, kind: str, resource: str, state: str = "active") -> dict[str, Any]:
    attachments = [{"ResourceType": kind, "ResourceId": resource}] if state == "active" else []
    said = {"DestinationCidrBlock": block, "State": state, "TransitGatewayAttachments": attachments}
    return {"TransitGatewayRouteTableId": "tgw-rtb-1", **said}


def gateway(log: Log, address: str) -> tuple[str | None, str | None, str | None]:
    found = log.asked(address, via="rtb-1")
    return found["gateway_id"], found["gateway_type"], found["forwarding_state"]


# --- the most specific route --------------------------------------------------------------------------------------


def test_the_most_specific_route_counts_also_where_a_prefix_list_names_it(log: Log) -> None:
    log.see(0, "managed_prefix_list_entry", {"PrefixListId": "pl-1", "Cidr": "192.0.2.0/24"})
    routes(
        log,
        {
            "0.0.0.0/0": {"GatewayId": "igw-1"},
            "192.0.0.0/16": {"NatGatewayId": "nat-1"},
            "pl-1": {"TransitGatewayId": "tgw-1"},
            "pl-empty": {"TransitGatewayId": "tgw-9"},
            "10.1.0.0/16": {"GatewayId": "local"},
        },
    )

    assert gateway(log, "192.0.2.1")[:2] == ("tgw-1", "transit_gateway")
    assert gateway(log, "192.0.3.1")[:2] == ("nat-1", "nat_gateway")
    assert gateway(log, "203.0.113.1")[:2] == ("igw-1", "internet_gateway")
    assert gateway(log, "10.1.0.1") == (None, None, None)
    assert gateway(log, "2001:db8::1") == (None, None, None)


def test_a_blackhole_is_named_and_leads_nowhere(log: Log) -> None:
    routes(log, {"192.168.0.0/16": {"GatewayId": "vgw-1", "State": "blackhole"}})

    assert gateway(log, "192.168.0.1") == ("vgw-1", "vpn_gateway", "blackhole")
    assert log.who("192.168.0.1", via="rtb-1") == ("unknown", None)


def test_a_subnet_has_its_own_route_table_else_the_main_one(log: Log) -> None:
    own = {"RouteTableId": "rtb-2", "VpcId": "vpc-1", "Associations": [{"Main": False, "SubnetId": "subnet-2"}]}
    main = {"RouteTableId": "rtb-1", "VpcId": "vpc-1", "Associations": [{"Main": True}]}
    log.see(0, "route_table", own, main)
    places = [("vpc-1", "subnet-2"), ("vpc-1", "subnet-1"), ("vpc-2", "subnet-3"), ("vpc-1", None), (None, None)]
    index = AddressIndex(log.whole_book())
    vpcs, subnets = (index.codes.of(pl.Series(ids, dtype=pl.String)) for ids in zip(*places, strict=True))

    tables = index.topology(at(5)).route_tables(vpcs, subnets)

    of_two, of_one = index.codes.of(pl.Series(["rtb-2", "rtb-1"])).tolist()
    assert tables.tolist() == [of_two, of_one, NONE, NONE, NONE]


def test_routes_are_those_of_the_moment(log: Log) -> None:
    routes(log, {"0.0.0.0/0": {"GatewayId": "igw-1"}})
    routes(log, {"0.0.0.0/0": {"NatGatewayId": "nat-1"}}, minute=3)

    assert log.asked("203.0.113.1", via="rtb-1", minute=2)["gateway_id"] == "igw-1"
    assert log.asked("203.0.113.1", via="rtb-1", minute=3)["gateway_id"] == "nat-1"


# --- transit gateways ---------------------------------------------------------------------------------------------


def twins(log: Log) -> None:
    """A third VPC with the range of the second one."""
    log.see(
        1,
        "vpc",
        {"VpcId": "vpc-1", "CidrBlock": "10.1.0.0/16"},
        *({"VpcId": vpc_id, "CidrBlock": "10.2.0.0/16"} for vpc_id in ("vpc-2", "vpc-3")),
    )


def test_a_transit_gateways_route_tells_twins_apart(log: Log) -> None:
    twins(log)
    routes(log, {"10.0.0.0/8": {"TransitGatewayId": "tgw-1"}})
    log.see(0, "transit_gateway_attachment", *hub(log, "vpc-1", "vpc-2", "vpc-3"))
    log.see(0, "transit_gateway_route", hub_route("10.2.0.0/16", "vpc", "vpc-2"))

    assert log.who("10.2.0.1", via="rtb-1") == ("exact", "eni-2")
    assert log.who("10.2.0.9", via="rtb-1") == ("unknown", None)


def test_twins_at_a_transit_gateway_whose_routes_are_not_known_are_ambiguous(log: Log) -> None:
    twins(log)
    routes(log, {"10.0.0.0/8": {"TransitGatewayId": "tgw-1"}})
    log.see(0, "transit_gateway_attachment", *hub(log, "vpc-1", "vpc-2", "vpc-3", table=None))

    assert log.who("10.2.0.1", via="rtb-1") == ("ambiguous", None)


def test_gateways_that_are_peered_are_one_hub_also_over_several(log: Log) -> None:
    twins(log)
    log.see(0, "transit_gateway_attachment", *hub(log, "vpc-1"), *hub(log, "vpc-2", gateway="tgw-4"))
    assert log.who("10.2.0.1") == ("ambiguous", None)

    pairs = [("tgw-1", "tgw-2"), ("tgw-3", "tgw-4"), ("tgw-2", "tgw-3")]
    log.see(
        0,
        "transit_gateway_peering_attachment",
        *(
            {
                "TransitGatewayAttachmentId": f"attach-{one}-{other}",
                "RequesterTgwInfo": {"TransitGatewayId": one},
                "AccepterTgwInfo": {"TransitGatewayId": other},
                "State": "available",
            }
            for one, other in pairs
        ),
    )

    assert log.who("10.2.0.1") == ("exact", "eni-2")


def test_a_vpc_at_two_gateways_reaches_the_vpcs_of_both(log: Log) -> None:
    twins(log)
    first, second = hub(log, "vpc-1", "vpc-9"), hub(log, "vpc-1", "vpc-2", gateway="tgw-2")
    log.see(0, "transit_gateway_attachment", *first, *second)

    assert log.who("10.2.0.1") == ("exact", "eni-2")


def test_twins_at_two_gateways_are_ambiguous(log: Log) -> None:
    twins(log)
    first, second = hub(log, "vpc-1", "vpc-3"), hub(log, "vpc-1", "vpc-2", gateway="tgw-2")
    log.see(0, "transit_gateway_attachment", *first, *second)

    assert log.who("10.2.0.1") == ("ambiguous", None)


@pytest.mark.parametrize("kind", ["vpn", "direct-connect-gateway", "connect"])
def test_what_a_transit_gateway_sends_to_a_vpn_is_on_premises(log: Log, kind: str) -> None:
    routes(log, {"192.168.0.0/16": {"TransitGatewayId": "tgw-1"}})
    log.see(0, "transit_gateway_attachment", *hub(log, "vpc-1"))
    log.see(0, "transit_gateway_route", hub_route("192.168.0.0/16", kind, "r-1"))

    answer = log.asked("192.168.0.1", via="rtb-1")

    assert (answer["resolution"], answer["is_on_premises"], answer["gateway_type"]) == (
        "external",
        True,
        "transit_gateway",
    )


def test_a_blackhole_of_the_transit_gateway_leads_nowhere(log: Log) -> None:
    routes(log, {"192.168.0.0/16": {"TransitGatewayId": "tgw-1"}})
    log.see(0, "transit_gateway_attachment", *hub(log, "vpc-1"))
    log.see(
        0,
        "transit_gateway_route",
        hub_route("192.168.0.0/16", "vpn", "r-1"),
        hub_route("192.168.7.0/24", "vpn", "r-1", state="blackhole"),
    )

    assert gateway(log, "192.168.7.1")[2] == "blackhole"
    assert log.who("192.168.1.1", via="rtb-1")[0] == "external"


# --- virtual private gateways, services ---------------------------------------------------------------------------


def test_behind_a_vpn_gateway_is_on_premises_by_its_route_or_by_its_connection(log: Log) -> None:
    log.see(0, "vpn_gateway", {"VpnGatewayId": "vgw-1", "VpcAttachments": [{"VpcId": "vpc-1", "State": "attached"}]})
    behind = [{"DestinationCidrBlock": "172.20.0.0/16", "State": "available"}]
    log.see(0, "vpn_connection", {"VpnConnectionId": "vpn-1", "VpnGatewayId": "vgw-1", "Routes": behind})
    routes(log, {"192.168.0.0/16": {"GatewayId": "vgw-1"}})

    by_route, by_connection = log.asked("192.168.0.1", via="rtb-1"), log.asked("172.20.0.1", via="rtb-1")

    assert (by_route["resolution"], by_route["is_on_premises"]) == ("external", True)
    assert (by_connection["resolution"], by_connection["is_on_premises"]) == ("external", True)
    assert log.who("172.20.0.1", vpc="vpc-2") == ("unknown", None)


@pytest.mark.parametrize(
    ("name", "service"),
    [
        ("com.amazonaws.eu-west-1.s3", "S3"),
        ("com.amazonaws.us-gov-west-1.dynamodb", "DYNAMODB"),
        ("com.amazonaws.global.cloudfront.origin-facing", "CLOUDFRONT_ORIGIN_FACING"),
        ("offices.s3", None),
    ],
)
def test_aws_own_prefix_lists_name_services(log: Log, name: str, service: str | None) -> None:
    log.see(0, "managed_prefix_list", {"PrefixListId": "pl-1", "PrefixListName": name, "OwnerId": "AWS"})
    log.see(0, "managed_prefix_list_entry", {"PrefixListId": "pl-1", "Cidr": "3.5.0.0/16"})
    routes(log, {"pl-1": {"GatewayId": "vpce-1"}})

    answer = log.asked("3.5.0.1", via="rtb-1")

    assert (answer["aws_service"], answer["resolution"], answer["gateway_type"]) == (
        service,
        "external",
        "vpc_endpoint",
    )


def test_peerings_to_foreign_accounts_name_nobody(log: Log) -> None:
    peering = {
        "VpcPeeringConnectionId": "pcx-1",
        "Status": {"Code": "active"},
        "RequesterVpcInfo": {"VpcId": "vpc-1"},
        "AccepterVpcInfo": {"VpcId": "vpc-f", "OwnerId": "999999999999", "CidrBlock": "10.2.0.0/16"},
    }
    log.see(0, "vpc_peering_connection", peering)
    routes(log, {"10.2.0.0/16": {"VpcPeeringConnectionId": "pcx-1"}})

    answer = log.asked("10.2.0.1", via="rtb-1")

    assert (answer["resolution"], answer["eni_id"], answer["is_in_vpc"]) == ("unknown", None, False)
