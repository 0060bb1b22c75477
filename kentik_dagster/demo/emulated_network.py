"""Builds a made-up organization's network in moto, in this process, with ordinary AWS calls.

moto invents identifiers; the organization that comes back carries moto's, so that flow records name what a
describe call returns. Every call of one organization must be made at one frozen time, after seeding moto's
random numbers, for moto stamps and names things as it makes them.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import polars as pl

from kentik_dagster.demo.emulated_aws import EmulatedAws
from kentik_dagster.demo.moto_corrections import place_nat_gateway, visit_all_regions
from kentik_dagster.demo.organization import Organization

_IMAGE = "ami-12c6146b"
_ANYWHERE = "0.0.0.0/0"


def build_network(aws: EmulatedAws, organization: Organization) -> Organization:
    """Makes every VPC, what is in it, and the peerings; the accounts exist already.

    Returns:
        The organization as moto reports it: with its identifiers, and the addresses that describe calls give.
    """
    for account_id in organization.accounts["account_id"]:
        for region in organization.vpcs["region"].unique(maintain_order=True):
            _remove_default_vpcs(aws.client("ec2", aws.identifiers[account_id], region))
    visit_all_regions(aws.client("ec2", aws.management_account_id), list(aws.identifiers.values()))
    for vpc in organization.vpcs.iter_rows(named=True):
        _vpc(aws, vpc, organization)
    _peerings(aws, organization)
    return _as_reported(aws, organization.renamed(aws.identifiers))


def _vpc(aws: EmulatedAws, vpc: dict[str, Any], organization: Organization) -> None:
    ec2 = aws.client("ec2", aws.identifiers[vpc["account_id"]], vpc["region"])
    vpc_id = ec2.create_vpc(CidrBlock=vpc["cidr_block"], TagSpecifications=_named("vpc", vpc["name"]))["Vpc"]["VpcId"]
    aws.identifiers[vpc["vpc_id"]] = vpc_id
    internet_gateway = ec2.create_internet_gateway(TagSpecifications=_named("internet-gateway", f"{vpc['name']}-igw"))[
        "InternetGateway"
    ]["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=internet_gateway, VpcId=vpc_id)
    public_routes = ec2.create_route_table(
        VpcId=vpc_id, TagSpecifications=_named("route-table", f"{vpc['name']}-public")
    )["RouteTable"]["RouteTableId"]
    ec2.create_route(RouteTableId=public_routes, DestinationCidrBlock=_ANYWHERE, GatewayId=internet_gateway)
    for subnet in organization.subnets.filter(vpc_id=vpc["vpc_id"]).iter_rows(named=True):
        answer = ec2.create_subnet(
            VpcId=vpc_id,
            CidrBlock=subnet["cidr_block"],
            AvailabilityZoneId=subnet["az_id"],
            TagSpecifications=_named("subnet", subnet["name"]),
        )
        aws.identifiers[subnet["subnet_id"]] = answer["Subnet"]["SubnetId"]
        # moto gives the first subnet of a zone public addresses, as if it were the default VPC's.
        ec2.modify_subnet_attribute(SubnetId=answer["Subnet"]["SubnetId"], MapPublicIpOnLaunch={"Value": False})
        if subnet["is_public"]:
            ec2.associate_route_table(RouteTableId=public_routes, SubnetId=answer["Subnet"]["SubnetId"])
    for gateway in organization.nat_gateways.filter(vpc_id=vpc["vpc_id"]).iter_rows(named=True):
        nat_gateway_id = _nat_gateway(aws, ec2, gateway)
        ec2.create_route(
            RouteTableId=_main_route_table(ec2, vpc_id),
            DestinationCidrBlock=_ANYWHERE,
            NatGatewayId=nat_gateway_id,
        )
    instances = organization.interfaces.filter(pl.col("instance_id").is_not_null(), vpc_id=vpc["vpc_id"])
    for interface in instances.iter_rows(named=True):
        _instance(aws, ec2, interface)


def _nat_gateway(aws: EmulatedAws, ec2: Any, gateway: dict[str, Any]) -> str:
    answer = ec2.create_nat_gateway(
        SubnetId=aws.identifiers[gateway["subnet_id"]],
        AllocationId=_elastic_ip(ec2, gateway["public_ip"], gateway["name"]),
        TagSpecifications=_named("natgateway", gateway["name"]),
    )
    nat_gateway_id = str(answer["NatGateway"]["NatGatewayId"])
    interface_id = answer["NatGateway"]["NatGatewayAddresses"][0]["NetworkInterfaceId"]
    aws.identifiers |= {gateway["nat_gateway_id"]: nat_gateway_id, gateway["interface_id"]: interface_id}
    place_nat_gateway(aws.identifiers[gateway["account_id"]], gateway["region"], nat_gateway_id, gateway["private_ip"])
    return nat_gateway_id


def _instance(aws: EmulatedAws, ec2: Any, interface: dict[str, Any]) -> None:
    subnet = {
        "SubnetId": aws.identifiers[interface["subnet_id"]],
        "PrivateIpAddress": interface["private_ip"],
    }
    instance = ec2.run_instances(
        ImageId=_IMAGE,
        InstanceType="t3.small",
        MinCount=1,
        MaxCount=1,
        ClientToken=interface["instance_id"],  # else botocore makes one up, and describe calls return it
        NetworkInterfaces=[{"DeviceIndex": 0, "DeleteOnTermination": True, **subnet}],
        TagSpecifications=_named("instance", interface["instance_name"]),
    )["Instances"][0]
    interface_id = instance["NetworkInterfaces"][0]["NetworkInterfaceId"]
    aws.identifiers |= {
        interface["instance_id"]: instance["InstanceId"],
        interface["interface_id"]: interface_id,
    }
    if interface["public_ip"]:
        ec2.associate_address(
            AllocationId=_elastic_ip(ec2, interface["public_ip"], interface["instance_name"]),
            NetworkInterfaceId=interface_id,
        )


def _peerings(aws: EmulatedAws, organization: Organization) -> None:
    vpcs = {vpc["vpc_id"]: vpc for vpc in organization.vpcs.iter_rows(named=True)}
    for peering in organization.peerings.iter_rows(named=True):
        requester, accepter = vpcs[peering["requester_vpc_id"]], vpcs[peering["accepter_vpc_id"]]
        ec2 = {side: aws.client("ec2", aws.identifiers[vpc["account_id"]], vpc["region"])
               for side, vpc in (("requester", requester), ("accepter", accepter))}  # fmt: skip
        peering_id = ec2["requester"].create_vpc_peering_connection(
            VpcId=aws.identifiers[requester["vpc_id"]],
            PeerVpcId=aws.identifiers[accepter["vpc_id"]],
            PeerOwnerId=aws.identifiers[accepter["account_id"]],
            PeerRegion=accepter["region"],
            TagSpecifications=_named("vpc-peering-connection", f"{requester['name']}-{accepter['name']}"),
        )["VpcPeeringConnection"]["VpcPeeringConnectionId"]
        aws.identifiers[peering["peering_id"]] = peering_id
        ec2["accepter"].accept_vpc_peering_connection(VpcPeeringConnectionId=peering_id)
        for side, here, there in (("requester", requester, accepter), ("accepter", accepter, requester)):
            for table in ec2[side].describe_route_tables(
                Filters=[{"Name": "vpc-id", "Values": [aws.identifiers[here["vpc_id"]]]}]
            )["RouteTables"]:
                ec2[side].create_route(
                    RouteTableId=table["RouteTableId"],
                    DestinationCidrBlock=there["cidr_block"],
                    VpcPeeringConnectionId=peering_id,
                )


def _as_reported(aws: EmulatedAws, organization: Organization) -> Organization:
    """With the addresses and zones that describe calls return, should moto have changed them."""
    reported = []
    for (account_id, region), _ in organization.interfaces.group_by("account_id", "region", maintain_order=True):
        pages = aws.client("ec2", str(account_id), str(region)).get_paginator("describe_network_interfaces")
        reported += [
            {
                "interface_id": interface["NetworkInterfaceId"],
                "private_ip": interface["PrivateIpAddress"],
                "public_ip": interface.get("Association", {}).get("PublicIp"),
            }
            for page in pages.paginate()
            for interface in page["NetworkInterfaces"]
        ]
    addresses = pl.DataFrame(
        reported, schema={"interface_id": pl.String, "private_ip": pl.String, "public_ip": pl.String}
    )

    def corrected(frame: pl.DataFrame) -> pl.DataFrame:
        joined = frame.drop("private_ip", "public_ip").join(
            addresses, on="interface_id", validate="1:1", maintain_order="left"
        )
        return joined.select(frame.columns)

    return dataclasses.replace(
        organization,
        interfaces=corrected(organization.interfaces),
        nat_gateways=corrected(organization.nat_gateways),
    )


def _remove_default_vpcs(ec2: Any) -> None:
    """moto, like AWS, gives a new account a VPC in each region; an organization often removes it."""
    for vpc in ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"]:
        of_vpc = [{"Name": "vpc-id", "Values": [vpc["VpcId"]]}]
        for subnet in ec2.describe_subnets(Filters=of_vpc)["Subnets"]:
            ec2.delete_subnet(SubnetId=subnet["SubnetId"])
        for gateway in ec2.describe_internet_gateways(
            Filters=[{"Name": "attachment.vpc-id", "Values": [vpc["VpcId"]]}]
        )["InternetGateways"]:
            ec2.detach_internet_gateway(InternetGatewayId=gateway["InternetGatewayId"], VpcId=vpc["VpcId"])
            ec2.delete_internet_gateway(InternetGatewayId=gateway["InternetGatewayId"])
        ec2.delete_vpc(VpcId=vpc["VpcId"])


def _elastic_ip(ec2: Any, address: str, name: str) -> str:
    answer = ec2.allocate_address(Domain="vpc", Address=address, TagSpecifications=_named("elastic-ip", name))
    return str(answer["AllocationId"])


def _main_route_table(ec2: Any, vpc_id: str) -> str:
    tables = ec2.describe_route_tables(
        Filters=[{"Name": "vpc-id", "Values": [vpc_id]}, {"Name": "association.main", "Values": ["true"]}]
    )["RouteTables"]
    return str(tables[0]["RouteTableId"])


def _named(resource_type: str, name: str) -> list[dict[str, Any]]:
    return [{"ResourceType": resource_type, "Tags": [{"Key": "Name", "Value": name}]}]
