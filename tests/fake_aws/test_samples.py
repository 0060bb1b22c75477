"""Every recorded account can be loaded, and boto3 reads back what is in it."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from botocore import xform_name

from tests.fake_aws import FakeAws
from tests.fake_aws.samples import load_batfish, load_custodian, load_examples
from tests.fake_aws.test_fake_aws import client

_FOLDERS = (
    "hybrid-cloud-aws",
    "test-direct-connect-gateway",
    "test-load-balancer",
    "test-public-subnet",
    "test-subnet",
    "test-transit-gateway",
    "test-transit-gateway-multi-account",
    "test-transit-gateway-multi-table",
    "test-vpc-endpoint-interface",
    "test-vpc-peering",
)
# What is counted, and how boto3 asks for it; other counts are of `describe_<count>` of ec2.
_ASKED: Mapping[str, tuple[str, str, str]] = {
    "Reservations": ("ec2", "describe_instances", "Reservations"),
    "Instances": ("ec2", "describe_instances", "Reservations[].Instances[]"),
    "ServiceNames": ("ec2", "describe_vpc_endpoint_services", "ServiceNames"),
    "ServiceDetails": ("ec2", "describe_vpc_endpoint_services", "ServiceDetails"),
    "LoadBalancers": ("elbv2", "describe_load_balancers", "LoadBalancers"),
    "TargetGroups": ("elbv2", "describe_target_groups", "TargetGroups"),
    "DirectConnectGateways": ("directconnect", "describe_direct_connect_gateways", "directConnectGateways"),
    "DirectConnectGatewayAssociations": (
        "directconnect",
        "describe_direct_connect_gateway_associations",
        "directConnectGatewayAssociations",
    ),
    "VirtualInterfaces": ("directconnect", "describe_virtual_interfaces", "virtualInterfaces"),
}
# One answer for each load balancer or route table, and services that the fake does not have.
_NOT_LISTED = {
    "LoadBalancerListeners",
    "LoadBalancerTargetHealth",
    "LoadBalancerAttributes",
    "TransitGatewayPropagations",
    "TransitGatewayStaticRoutes",
    "DBInstances",
    "DomainStatusList",
}


@pytest.mark.parametrize("folder", _FOLDERS)
def test_an_account_of_batfish_is_read_back_as_it_was_counted(samples: Path, folder: str) -> None:
    counts = json.loads((samples / "metadata" / "facts.json").read_text())["batfish"][folder]["counts"]
    with FakeAws() as fake:
        fake.page_size = 3
        loaded = load_batfish(fake, samples / "metadata" / "batfish" / folder)

        for place, expected in counts.items():
            account_id, region = _place(place, next(iter(loaded.accounts)))
            asked = [counted for counted in expected if counted not in _NOT_LISTED]
            read = {counted: len(_read(fake, account_id, region, counted)) for counted in asked}

            assert read == {counted: expected[counted] for counted in asked}


def test_what_is_asked_per_parent_answers_for_that_parent(samples: Path) -> None:
    batfish = samples / "metadata" / "batfish"
    with FakeAws() as fake:
        load_batfish(fake, batfish / "test-load-balancer", "111122223333", "us-east-2")
        load_batfish(fake, batfish / "test-transit-gateway-multi-table", "444455556666")
        balancing = client(fake, "elbv2", "us-east-2", account_id="111122223333")
        gateways = client(fake, "ec2", "us-east-1", account_id="444455556666")

        balancer = balancing.describe_load_balancers()["LoadBalancers"][0]["LoadBalancerArn"]
        listeners = balancing.describe_listeners(LoadBalancerArn=balancer)["Listeners"]
        group = listeners[0]["DefaultActions"][0]["TargetGroupArn"]
        health = balancing.describe_target_health(TargetGroupArn=group)["TargetHealthDescriptions"]
        tables = [row["TransitGatewayRouteTableId"] for row in _read(fake, "444455556666", "us-east-1", _TABLES)]
        propagated = {
            row["ResourceId"]
            for table in tables
            for row in gateways.get_transit_gateway_route_table_propagations(TransitGatewayRouteTableId=table)[
                "TransitGatewayRouteTablePropagations"
            ]
        }
        associated = gateways.get_transit_gateway_route_table_associations(TransitGatewayRouteTableId=tables[0])

        assert [listener["Port"] for listener in listeners] == [80]
        assert [target["TargetHealth"]["State"] for target in health] == ["healthy", "healthy"]
        assert propagated == {"vpc-0404e08ceddf7f650", "vpc-00a31ce9d0c06675c"}
        assert len(associated["Associations"]) == 1


def test_direct_connect_associations_are_those_of_the_gateway(samples: Path) -> None:
    with FakeAws() as fake:
        load_batfish(fake, samples / "metadata" / "batfish" / "test-direct-connect-gateway", "111122223333")
        direct_connect = client(fake, "directconnect", "eu-west-1", account_id="111122223333")

        gateway = direct_connect.describe_direct_connect_gateways()["directConnectGateways"][0][
            "directConnectGatewayId"
        ]
        own = direct_connect.describe_direct_connect_gateway_associations(directConnectGatewayId=gateway)
        other = direct_connect.describe_direct_connect_gateway_associations(directConnectGatewayId="another")

        assert [row["associationId"] for row in own["directConnectGatewayAssociations"]] == ["dxgw-assoc-dx01"]
        assert other["directConnectGatewayAssociations"] == []


def test_files_that_no_operation_answers_with_are_named(samples: Path) -> None:
    with FakeAws() as fake:
        loaded = load_batfish(fake, samples / "metadata" / "batfish" / "hybrid-cloud-aws")

        assert "us-west-2/RdsInstances.json" in loaded.ignored
        assert loaded.accounts == {"118292266645": ["us-west-2"]}


def test_recordings_of_cloud_custodian_answer(samples: Path) -> None:
    with FakeAws() as fake:
        loaded = load_custodian(fake, samples / "metadata" / "cloud-custodian", "111122223333", "us-east-1")

        flow_logs = client(fake, "ec2", account_id="111122223333").describe_flow_logs()["FlowLogs"]
        firewalls = client(fake, "network-firewall", account_id="111122223333").list_firewalls()["Firewalls"]
        networks = client(fake, "networkmanager", "us-west-2", account_id="111122223333").list_core_networks()
        classic = client(fake, "elb", account_id="111122223333").describe_load_balancers()

        assert flow_logs[0]["CreationTime"].year == 2020
        assert firewalls
        assert networks["CoreNetworks"]
        assert classic["LoadBalancerDescriptions"]
        assert "organizations.DescribeOrganization/test_account_org_no_org_1.json" in loaded.ignored


@pytest.mark.parametrize("folder", ["aws-cli", "botocore-examples"])
def test_every_answer_that_is_loaded_can_be_sent(samples: Path, folder: str) -> None:
    with FakeAws() as fake:
        loaded = load_examples(fake, samples / "metadata" / folder, "111122223333", "us-east-1")
        account = client(fake, "organizations", account_id="111122223333").list_accounts()["Accounts"]
        vpcs = client(fake, "ec2", account_id="111122223333").describe_vpcs()["Vpcs"]

        assert ("ec2", "DescribeVpcs") in loaded.operations
        assert vpcs[0]["VpcId"].startswith("vpc-")
        assert bool(account) == (("organizations", "ListAccounts") in loaded.operations)


_TABLES = "TransitGatewayRouteTables"


def _place(place: str, account_id: str) -> tuple[str, str]:
    """`single`, a region, or account and region."""
    if "/" in place:
        owner, _, region = place.partition("/")
        return owner, region
    return account_id, "us-east-1" if place == "single" else place


@functools.cache  # making one costs more than all its calls
def _client(fake: FakeAws, service: str, region: str, account_id: str) -> Any:
    return client(fake, service, region, account_id=account_id)


def _read(fake: FakeAws, account_id: str, region: str, counted: str) -> list[Any]:
    """All rows of what is counted, over all pages."""
    service, method, rows = _ASKED.get(counted, ("ec2", f"describe_{xform_name(counted)}", counted))
    boto = _client(fake, service, region, account_id)
    if boto.can_paginate(method):
        return list(boto.get_paginator(method).paginate().search(f"{rows}[]"))
    found: list[Any] = []
    token: dict[str, str] = {}
    while True:
        page = getattr(boto, method)(**token)
        found += page[rows]
        if "nextToken" not in page:
            return found
        token = {"nextToken": page["nextToken"]}
