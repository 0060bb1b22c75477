"""What AWS answers about a network with a history: rows as boto3 returns them, by resource type."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from kentik_dagster.demo.history_gateways import connections, gateways, peerings
from kentik_dagster.demo.history_network import LONG_AGO, Interface, Network, Vpc

Row = dict[str, Any]


def answers(network: Network, account_id: str, region: str, at: datetime) -> Mapping[str, list[Row]]:
    """What one account sees in one region at an instant, if it may look: rows by resource type, possibly none."""
    seen = {name: vpc for name, vpc in network.vpcs.items() if vpc.region == region and account_id in vpc.seen_from}
    own = {name: vpc for name, vpc in seen.items() if vpc.account_id == account_id}
    interfaces = [
        interface
        for interface in network.interfaces.values()
        if interface.account_id == account_id
        and interface.subnet.vpc.region == region
        and interface.since <= at < interface.until
    ]
    return {
        "vpc": [_vpc(vpc, account_id) for vpc in seen.values()],
        "subnet": [_subnet(network, name) for name, subnet in network.subnets.items() if subnet.vpc in seen.values()],
        "route_table": list(_route_tables(network, seen)),
        "network_interface": [_interface(network, interface) for interface in interfaces],
        "instance": [_instance(interface) for interface in interfaces if interface.instance_id is not None],
        "vpc_peering_connection": list(peerings(network, own)),
        **_together(gateways(network, own), connections(network, account_id, region, own)),
    }


def _together(*answers: Mapping[str, list[Row]]) -> dict[str, list[Row]]:
    """All rows of several parts of an answer: VPN connections are in two of them."""
    together: dict[str, list[Row]] = {}
    for part in answers:
        for resource_type, rows in part.items():
            together.setdefault(resource_type, []).extend(rows)
    return together


def _tags(name: str) -> list[Row]:
    return [{"Key": "Name", "Value": name}]


def _vpc(vpc: Vpc, account_id: str) -> Row:
    ipv6 = [
        {
            "AssociationId": f"vpc-cidr-assoc-{vpc.vpc_id[-16:]}6",
            "Ipv6CidrBlock": vpc.ipv6_cidr_block,
            "Ipv6CidrBlockState": {"State": "associated"},
            "NetworkBorderGroup": vpc.region,
            "Ipv6Pool": "Amazon",
        }
    ]
    ipv4 = {
        "AssociationId": f"vpc-cidr-assoc-{vpc.vpc_id[-16:]}4",
        "CidrBlock": vpc.cidr_block,
        "CidrBlockState": {"State": "associated"},
    }
    return {
        "VpcId": vpc.vpc_id,
        "OwnerId": vpc.account_id,
        "CidrBlock": vpc.cidr_block,
        "CidrBlockAssociationSet": [ipv4],
        "Ipv6CidrBlockAssociationSet": ipv6 if vpc.ipv6_cidr_block is not None else [],
        "InstanceTenancy": "default",
        "IsDefault": False,
        "State": "available",
        # Tags are not shared with participants.
        "Tags": _tags(vpc.name) if vpc.account_id == account_id else [],
    }


def _subnet(network: Network, name: str) -> Row:
    subnet = network.subnets[name]
    return {
        "SubnetId": subnet.subnet_id,
        "VpcId": subnet.vpc.vpc_id,
        "OwnerId": subnet.vpc.account_id,
        "CidrBlock": subnet.cidr_block,
        "AvailabilityZone": f"{subnet.vpc.region}{subnet.name[-1]}",
        "AvailabilityZoneId": subnet.az_id,
        "AvailableIpAddressCount": 200,
        "DefaultForAz": False,
        "State": "available",
        "Ipv6CidrBlockAssociationSet": [],
    }


def _route_tables(network: Network, seen: Mapping[str, Vpc]) -> Iterator[Row]:
    for table in network.route_tables:
        if table.vpc in seen.values():
            of_subnets: list[Row] = [{"Main": False, "SubnetId": subnet.subnet_id} for subnet in table.subnets]
            yield {
                "RouteTableId": table.route_table_id,
                "VpcId": table.vpc.vpc_id,
                "OwnerId": table.vpc.account_id,
                "Associations": [
                    {
                        "RouteTableAssociationId": f"rtbassoc-{table.route_table_id[-16:]}{place}",
                        "RouteTableId": table.route_table_id,
                        "AssociationState": {"State": "associated"},
                        **association,
                    }
                    for place, association in enumerate(of_subnets or [{"Main": True}])
                ],
                "PropagatingVgws": [
                    {"GatewayId": route["GatewayId"]}
                    for route in table.routes
                    if route["Origin"] == "EnableVgwRoutePropagation"
                ],
                "Routes": [*table.routes],
                "Tags": [],
            }


def _interface(network: Network, interface: Interface) -> Row:
    of_service = interface.instance_id is None
    subnet, name = interface.subnet, f"ip-{interface.address.replace('.', '-')}.ec2.internal"
    public = {"Association": {"PublicIp": interface.public_ip, "IpOwnerId": "amazon"}} if interface.public_ip else {}
    private = [{"Primary": True, "PrivateIpAddress": interface.address, "PrivateDnsName": name, **public}]
    private += [{"Primary": False, "PrivateIpAddress": address} for address in interface.secondary]
    by_whom: Row = {"InstanceOwnerId": "amazon-aws"} if of_service else {"InstanceId": interface.instance_id}
    return {
        "NetworkInterfaceId": interface.eni_id,
        "OwnerId": interface.account_id,
        "VpcId": subnet.vpc.vpc_id,
        "SubnetId": subnet.subnet_id,
        "AvailabilityZone": f"{subnet.vpc.region}{subnet.name[-1]}",
        "InterfaceType": interface.interface_type,
        "Description": interface.description,
        "Status": "in-use",
        "SourceDestCheck": not of_service,
        "RequesterManaged": of_service,
        **({"RequesterId": interface.requester_id} if interface.requester_id is not None else {}),
        "PrivateIpAddress": interface.address,
        "PrivateDnsName": name,
        "PrivateIpAddresses": private,
        **public,
        "Ipv6Addresses": [{"Ipv6Address": interface.ipv6}] if interface.ipv6 is not None else [],
        **({"Ipv4Prefixes": [{"Ipv4Prefix": interface.prefix}]} if interface.prefix is not None else {}),
        "Attachment": {
            "AttachmentId": network.id("eni-attach", interface.name),
            "AttachTime": interface.since,
            "DeleteOnTermination": not of_service,
            "DeviceIndex": 1 if of_service else 0,
            "Status": "attached",
            **({} if of_service else {"InstanceOwnerId": interface.account_id}),
            **by_whom,
        },
        "Groups": [{"GroupId": network.id("sg", subnet.vpc.name), "GroupName": subnet.vpc.name}],
        "TagSet": [],
    }


def _instance(interface: Interface) -> Row:
    return {
        "InstanceId": interface.instance_id,
        "InstanceType": "m7g.large",
        "LaunchTime": LONG_AGO if "move" in interface.name else interface.since,
        "State": {"Code": 16, "Name": "running"},
        "VpcId": interface.subnet.vpc.vpc_id,
        "SubnetId": interface.subnet.subnet_id,
        "PrivateIpAddress": interface.address,
        "Tags": _tags(interface.name),
    }
