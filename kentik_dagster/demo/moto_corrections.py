"""Where moto differs from AWS in a way that matters here, corrected inside moto."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch


def moto_default_account() -> str:
    """The account that moto takes any credentials for that it did not give out itself."""
    from moto.core import DEFAULT_ACCOUNT_ID

    return str(DEFAULT_ACCOUNT_ID)


def name_management_account(account_id: str, name: str) -> None:
    """moto calls the management account `master`."""
    from moto.organizations.models import organizations_backends

    backend = organizations_backends[account_id]["aws"]
    account = backend.get_account_by_id(account_id)
    account.name, account.email = name, f"{name}@example.com"


@contextmanager
def next_account_id(account_id: str) -> Iterator[None]:
    """AWS draws account numbers at random; an organization of ours must have one with a leading zero."""
    with patch("moto.organizations.utils.make_random_account_id", return_value=account_id):
        yield


def place_nat_gateway(account_id: str, region: str, nat_gateway_id: str, private_ip: str) -> None:
    """moto gives a NAT gateway an address outside its subnet, and an interface like an instance's."""
    from moto.ec2.models import ec2_backends

    gateway = ec2_backends[account_id][region].nat_gateways[nat_gateway_id]
    interface = gateway._eni
    gateway.private_ip = interface.private_ip_address = private_ip
    interface.private_ip_addresses[0]["PrivateIpAddress"] = private_ip
    for address in gateway.address_set:
        address["privateIp"] = private_ip
    interface.interface_type, interface.requester_managed = "nat_gateway", True
    interface.description, interface.status = f"Interface for NAT Gateway {nat_gateway_id}", "in-use"


def deliver_to_folder(account_id: str, region: str, flow_log_id: str, destination: str) -> None:
    """moto takes a bucket for the destination of a flow log, and no folder in it."""
    from moto.ec2.models import ec2_backends

    ec2_backends[account_id][region].flow_logs[flow_log_id].log_destination = destination


def visit_all_regions(ec2: Any, account_ids: list[str]) -> None:
    """moto makes a default VPC when a region is first visited; now, so that its identifiers never differ."""
    from moto.ec2.models import ec2_backends

    for account_id in account_ids:
        for region in ec2.describe_regions()["Regions"]:
            assert ec2_backends[account_id][region["RegionName"]] is not None


def answer_what_moto_lacks() -> None:
    """moto fails where it does not know an operation; the made-up organization has none of what these list."""
    from moto.core.responses import ActionResult
    from moto.directconnect.responses import DirectConnectResponse
    from moto.ec2.responses import EC2Response
    from moto.networkfirewall.responses import NetworkFirewallResponse
    from moto.networkmanager import urls
    from moto.networkmanager.responses import NetworkManagerResponse

    for response, method, member in (
        (EC2Response, "describe_transit_gateway_connects", "TransitGatewayConnects"),
        (EC2Response, "describe_transit_gateway_connect_peers", "TransitGatewayConnectPeers"),
        (EC2Response, "get_transit_gateway_prefix_list_references", "TransitGatewayPrefixListReferences"),
        (DirectConnectResponse, "describe_direct_connect_gateways", "directConnectGateways"),
        (DirectConnectResponse, "describe_virtual_interfaces", "virtualInterfaces"),
        (NetworkFirewallResponse, "list_firewall_policies", "FirewallPolicies"),
        (NetworkManagerResponse, "list_attachments", "Attachments"),
    ):
        assert not hasattr(response, method), f"moto has {method} now: take it out here"
        setattr(response, method, lambda self, member=member: ActionResult({member: []}))
    urls.url_paths["{0}/attachments$"] = NetworkManagerResponse.dispatch
