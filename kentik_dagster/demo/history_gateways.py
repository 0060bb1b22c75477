"""What AWS answers about what stands at the edge of a VPC, and between VPCs: gateways, endpoints, peerings, VPN."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from kentik_dagster.demo.history_network import LONG_AGO, Network, Vpc
from kentik_dagster.demo.history_topology import S3_RANGES

Row = dict[str, Any]
_TRANSIT_OWNER = "network"
_PREFIX_LIST = {"PrefixListId": "pl-63a5400a"}


def gateways(network: Network, own: Mapping[str, Vpc]) -> dict[str, list[Row]]:
    """What stands in single VPCs: NAT and internet gateways, endpoints, load balancers, VPN."""
    shop, plant = own.get("shop"), own.get("plant")
    found: dict[str, list[Row]] = {"managed_prefix_list": [], "managed_prefix_list_entry": []}
    if shop is not None:
        attached = {"Attachments": [{"State": "available", "VpcId": shop.vpc_id}], "Tags": []}
        nat, queue = network.interfaces["shop-nat"], network.interfaces["shop-endpoint"]
        address = {
            "NetworkInterfaceId": nat.eni_id,
            "PrivateIp": nat.address,
            "PublicIp": nat.public_ip,
            "IsPrimary": True,
        }
        endpoint = {"VpcId": shop.vpc_id, "OwnerId": shop.account_id, "State": "available", "RequesterManaged": False}
        service = f"com.amazonaws.{shop.region}"
        arn = f"arn:aws:elasticloadbalancing:{shop.region}:{shop.account_id}:loadbalancer/net/front/50dc6c495c0c9188"
        table = next(table for table in network.route_tables if [one.name for one in table.subnets] == ["shop-a"])
        found = {
            "nat_gateway": [{
                "NatGatewayId": network.id("nat", "shop"), "VpcId": shop.vpc_id, "SubnetId": nat.subnet.subnet_id,
                "State": "available", "ConnectivityType": "public", "CreateTime": LONG_AGO,
                "NatGatewayAddresses": [address], "Tags": _named("shop-nat"),
            }],
            "internet_gateway": [
                {"InternetGatewayId": network.id("igw", "shop"), "OwnerId": shop.account_id, **attached}
            ],
            "egress_only_internet_gateway": [{"EgressOnlyInternetGatewayId": network.id("eigw", "shop"), **attached}],
            "vpc_endpoint": [
                {**endpoint, "VpcEndpointId": network.id("vpce", "shop-queue"), "VpcEndpointType": "Interface",
                 "ServiceName": f"{service}.sqs", "SubnetIds": [queue.subnet.subnet_id], "RouteTableIds": [],
                 "NetworkInterfaceIds": [queue.eni_id], "PrivateDnsEnabled": True, "Tags": _named("shop-queue")},
                {**endpoint, "VpcEndpointId": network.id("vpce", "shop-s3"), "VpcEndpointType": "Gateway",
                 "ServiceName": f"{service}.s3", "SubnetIds": [], "RouteTableIds": [table.route_table_id],
                 "NetworkInterfaceIds": [], "PrivateDnsEnabled": False, "Tags": []},
            ],
            "load_balancer": [{
                "LoadBalancerArn": arn, "LoadBalancerName": "front", "Type": "network", "Scheme": "internet-facing",
                "VpcId": shop.vpc_id, "State": {"Code": "active"}, "IpAddressType": "ipv4", "CreatedTime": LONG_AGO,
                "AvailabilityZones": [{"SubnetId": network.subnets["shop-b"].subnet_id, "LoadBalancerAddresses": []}],
            }],
            "managed_prefix_list": [{
                **_PREFIX_LIST, "PrefixListName": f"{service}.s3", "OwnerId": "AWS", "AddressFamily": "IPv4",
                "PrefixListArn": f"arn:aws:ec2:{shop.region}:aws:prefix-list/pl-63a5400a", "State": "create-complete",
                "Tags": [],
            }],
            "managed_prefix_list_entry": [{**_PREFIX_LIST, "Cidr": cidr_block} for cidr_block in S3_RANGES],
        }  # fmt: skip
    if plant is not None:
        gateway = {"VpnGatewayId": network.id("vgw", "plant")}
        attachment = {"State": "attached", "VpcId": plant.vpc_id}
        found["vpn_gateway"] = [{**gateway, "State": "available", "Type": "ipsec.1", "VpcAttachments": [attachment]}]
        found["vpn_connection"] = [_vpn_connection(network, "plant", gateway)]
    return found


def peerings(network: Network, own: Mapping[str, Vpc]) -> Iterator[Row]:
    """Peerings, which both sides see."""
    for peering in network.peerings.values():
        if peering.requester in own.values() or peering.accepter in own.values():
            yield {
                "VpcPeeringConnectionId": peering.peering_id,
                "RequesterVpcInfo": _side(peering.requester),
                "AccepterVpcInfo": _side(peering.accepter),
                "Status": {"Code": "active", "Message": "Active"},
                "Tags": [],
            }


def _side(vpc: Vpc) -> Row:
    return {
        "VpcId": vpc.vpc_id, "OwnerId": vpc.account_id, "Region": vpc.region, "CidrBlock": vpc.cidr_block,
        "CidrBlockSet": [{"CidrBlock": vpc.cidr_block}],
        "Ipv6CidrBlockSet": [{"Ipv6CidrBlock": vpc.ipv6_cidr_block}] if vpc.ipv6_cidr_block is not None else [],
    }  # fmt: skip


def _vpn_connection(network: Network, name: str, side: Mapping[str, str]) -> Row:
    routes = [
        {"DestinationCidrBlock": block, "Source": "Static", "State": "available"} for block in network.vpn_routes[name]
    ]
    return {
        "VpnConnectionId": network.id("vpn", name), "CustomerGatewayId": network.id("cgw", name), **side,
        "State": "available", "Type": "ipsec.1", "Category": "VPN", "Options": {"StaticRoutesOnly": True},
        "Routes": routes, "VgwTelemetry": [], "Tags": _named(name),
    }  # fmt: skip


def connections(network: Network, account_id: str, region: str, own: Mapping[str, Vpc]) -> dict[str, list[Row]]:
    """The transit gateway: its owner sees all of it, the others their attachments."""
    tgw, owner = {"TransitGatewayId": network.id("tgw", "main")}, network.account_ids[_TRANSIT_OWNER]
    is_owner = account_id == owner and region == network.vpcs["hub"].region
    table = {"TransitGatewayRouteTableId": network.id("tgw-rtb", "main")}
    described: dict[str, Row] = {
        name: {
            "TransitGatewayAttachmentId": one.attachment_id, "ResourceId": one.resource_id,
            "ResourceType": one.resource_type,
        }
        for name, one in network.attachments.items()
    }  # fmt: skip
    seen = [name for name in described if is_owner or name in own]
    associated = {"Association": {**table, "State": "associated"}} if is_owner else {}
    answer: dict[str, list[Row]] = {
        "transit_gateway": [{**tgw, "OwnerId": owner, "State": "available", "Tags": []}] if seen else [],
        "transit_gateway_attachment": [
            {**described[name], **tgw, "TransitGatewayOwnerId": owner,
             "ResourceOwnerId": network.attachments[name].account_id, "State": "available",
             "CreationTime": LONG_AGO, **associated, "Tags": _named(name)}
            for name in seen
        ],
        "transit_gateway_vpc_attachment": [
            {"TransitGatewayAttachmentId": one.attachment_id, **tgw, "VpcId": one.vpc.vpc_id,
             "VpcOwnerId": one.account_id, "State": "available", "CreationTime": LONG_AGO, "Tags": [],
             "SubnetIds": [network.subnets[f"{name}-b"].subnet_id]}
            for name, one in network.attachments.items()
            if name in seen and one.vpc is not None
        ],
    }  # fmt: skip
    if not is_owner:
        return answer
    propagated = {name for _, name, kind in network.transit_routes if name is not None and kind == "propagated"}
    return answer | {
        "transit_gateway_route_table": [
            {**table, **tgw, "State": "available", "DefaultAssociationRouteTable": True, "Tags": []}
        ],
        "transit_gateway_route_table_association": [
            {**table, **row, "State": "associated"} for row in described.values()
        ],
        "transit_gateway_route_table_propagation": [
            {**table, **described[name], "State": "enabled"} for name in sorted(propagated)
        ],
        "transit_gateway_route": [
            {**table, "DestinationCidrBlock": block, "Type": kind,
             "State": "blackhole" if name is None else "active",
             **({} if name is None else {"TransitGatewayAttachments": [described[name]]})}
            for block, name, kind in network.transit_routes
        ],
        "vpn_connection": [_vpn_connection(network, name, tgw) for name in ("data-center", "branch")],
    }  # fmt: skip


def _named(name: str) -> list[Row]:
    return [{"Key": "Name", "Value": name}]
