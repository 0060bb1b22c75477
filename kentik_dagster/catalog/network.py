"""Network metadata: the AWS operations that are asked in every account and region, and what they list."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One AWS read operation and the kind of resource that it lists.

    Attributes:
        service: boto3 client.
        name: boto3 method.
        resource_type: AWS's singular in snake case, as `metadata_changes` says it.
        rows: JMESPath of the resources in one answer.
        key: response field that identifies a resource.
        tags: response field with the tags, where the resource has any.
        owner: JMESPath of the owning account, where the answer names one.
        name_field: response field that serves as the name where there is no Name tag.
        page_size: asked for explicitly: without it boto3 sends no MaxResults and AWS treats the call as
            unpaginated (metadata.md §5). None: the operation has no paging.
        volatile: response fields that change without anybody changing the resource; not stored.
        action: the IAM action that permits it.
    """

    service: str
    name: str
    resource_type: str
    rows: str
    key: str
    action: str
    tags: str | None = "Tags"
    owner: str | None = None
    name_field: str | None = None
    page_size: int | None = 1000
    volatile: tuple[str, ...] = field(default=())


# fmt: off
OPERATIONS = (
    Operation(service="ec2", name="describe_regions",                 resource_type="region",                 rows="Regions",                  key="RegionName",             action="ec2:DescribeRegions", tags=None, page_size=None, volatile=("Endpoint",)),
    Operation(service="ec2", name="describe_vpcs",                    resource_type="vpc",                    rows="Vpcs",                     key="VpcId",                  action="ec2:DescribeVpcs", owner="OwnerId"),
    Operation(service="ec2", name="describe_subnets",                 resource_type="subnet",                 rows="Subnets",                  key="SubnetId",               action="ec2:DescribeSubnets", owner="OwnerId", volatile=("AvailableIpAddressCount",)),
    Operation(service="ec2", name="describe_network_interfaces",      resource_type="network_interface",      rows="NetworkInterfaces",        key="NetworkInterfaceId",     action="ec2:DescribeNetworkInterfaces", tags="TagSet", owner="OwnerId"),
    Operation(service="ec2", name="describe_instances",               resource_type="instance",               rows="Reservations[].Instances[]", key="InstanceId",           action="ec2:DescribeInstances", volatile=("UsageOperationUpdateTime",)),
    Operation(service="ec2", name="describe_nat_gateways",            resource_type="nat_gateway",            rows="NatGateways",              key="NatGatewayId",           action="ec2:DescribeNatGateways"),
    Operation(service="ec2", name="describe_vpc_peering_connections", resource_type="vpc_peering_connection", rows="VpcPeeringConnections",    key="VpcPeeringConnectionId", action="ec2:DescribeVpcPeeringConnections", owner="RequesterVpcInfo.OwnerId"),
)
# fmt: on
