"""The operation catalog: every AWS operation from which network metadata is made.

The collector, the permissions, the tests and the documents are made from these rows. Limits, required parameters
and what answers hold: the API references of Amazon EC2, Direct Connect, Elastic Load Balancing, IAM, Network Manager
and Network Firewall; `metadata_endpoints.csv` has them beside each other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kentik_dagster.catalog.network import ForEach, Operation, Reach


def _ec2(name: str, resource_type: str, rows: str, *key: str, **more: Any) -> Operation:
    return Operation(service="ec2", name=name, resource_type=resource_type, rows=rows, key=key, **more)


def _transit_gateway_table(name: str, resource_type: str, rows: str, *key: str, **more: Any) -> Operation:
    """What is asked of each transit gateway route table; only its owner sees any."""
    table = "parent.TransitGatewayRouteTableId"
    name_of = {"TransitGatewayRouteTableId": table}
    each = ForEach(operation="describe_transit_gateway_route_tables", parameters=name_of, key=name_of)
    return _ec2(name, resource_type, rows, *key, tags=None, for_each=each, **more)


def _direct_connect(name: str, resource_type: str, rows: str, *key: str, **more: Any) -> Operation:
    values: dict[str, Any] = {"tags": "tags", "page_size": 100} | more
    return Operation(service="directconnect", name=name, resource_type=resource_type, rows=rows, key=key, **values)


def _of_gateway(name: str, resource_type: str, rows: str, key: str, **more: Any) -> Operation:
    """What is asked of each Direct Connect gateway."""
    name_of = {"directConnectGatewayId": "parent.directConnectGatewayId"}
    each = ForEach(operation="describe_direct_connect_gateways", parameters=name_of, key=name_of)
    return _direct_connect(name, resource_type, rows, key, tags=None, reach=Reach.EXPORT_REGION, for_each=each, **more)


def _load_balancing(name: str, resource_type: str, rows: str, *key: str, **more: Any) -> Operation:
    values: dict[str, Any] = {"tags": None, "page_size": 400} | more
    return Operation(service="elbv2", name=name, resource_type=resource_type, rows=rows, key=key, **values)


def _network_manager(name: str, resource_type: str, rows: str, *key: str, **more: Any) -> Operation:
    values: dict[str, Any] = {"page_size": 500, "reach": Reach.SERVICE_HOME} | more
    return Operation(service="networkmanager", name=name, resource_type=resource_type, rows=rows, key=key, **values)


def _firewall(name: str, resource_type: str, rows: str, *key: str, **more: Any) -> Operation:
    values: dict[str, Any] = {"tags": None, "page_size": 100} | more
    return Operation(service="network-firewall", name=name, resource_type=resource_type, rows=rows, key=key, **values)


_CORE_NETWORK = {"CoreNetworkId": "parent.CoreNetworkId"}
_FIREWALL = {"FirewallArn": "parent.FirewallArn"}
_POLICY = {"FirewallPolicyArn": "parent.Arn"}
_LOAD_BALANCER = {"LoadBalancerArn": "parent.LoadBalancerArn"}
_PREFIX_LIST = {"PrefixListId": "parent.PrefixListId"}
_TARGET_GROUP = {"TargetGroupArn": "parent.TargetGroupArn"}

# fmt: off
OPERATIONS = (
    _ec2("describe_regions",                 "region",                 "Regions",                  "RegionName", tags=None, page_size=None, reach=Reach.EXPORT_REGION, volatile=("Endpoint",)),
    _ec2("describe_availability_zones",      "availability_zone",      "AvailabilityZones",        "ZoneId", tags=None, name_field="ZoneName", page_size=None, volatile=("Messages",)),
    _ec2("describe_vpcs",                    "vpc",                    "Vpcs",                     "VpcId", owner="OwnerId"),
    _ec2("describe_subnets",                 "subnet",                 "Subnets",                  "SubnetId", owner="OwnerId", volatile=("AvailableIpAddressCount",)),
    _ec2("describe_network_interfaces",      "network_interface",      "NetworkInterfaces",        "NetworkInterfaceId", tags="TagSet", owner="OwnerId"),
    _ec2("describe_instances",               "instance",               "Reservations[].Instances[]", "InstanceId", volatile=("UsageOperationUpdateTime",)),
    _ec2("describe_addresses",               "address",                "Addresses",                "AllocationId || PublicIp", page_size=None),
    _ec2("describe_nat_gateways",            "nat_gateway",            "NatGateways",              "NatGatewayId"),
    _ec2("describe_internet_gateways",       "internet_gateway",       "InternetGateways",         "InternetGatewayId", owner="OwnerId"),
    _ec2("describe_egress_only_internet_gateways", "egress_only_internet_gateway", "EgressOnlyInternetGateways", "EgressOnlyInternetGatewayId", page_size=255),
    _ec2("describe_route_tables",            "route_table",            "RouteTables",              "RouteTableId", owner="OwnerId", page_size=100),
    _ec2("describe_network_acls",            "network_acl",            "NetworkAcls",              "NetworkAclId", owner="OwnerId"),
    _ec2("describe_security_groups",         "security_group",         "SecurityGroups",           "GroupId", owner="OwnerId", name_field="GroupName"),
    _ec2("describe_vpc_endpoints",           "vpc_endpoint",           "VpcEndpoints",             "VpcEndpointId", owner="OwnerId"),
    _ec2("describe_vpc_peering_connections", "vpc_peering_connection", "VpcPeeringConnections",    "VpcPeeringConnectionId", owner="RequesterVpcInfo.OwnerId"),
    _ec2("describe_managed_prefix_lists",    "managed_prefix_list",    "PrefixLists",              "PrefixListId", owner="OwnerId", name_field="PrefixListName", page_size=100),
    _ec2("get_managed_prefix_list_entries",  "managed_prefix_list_entry", "Entries",               "Cidr", tags=None, name_field="Description", page_size=100,
         for_each=ForEach(operation="describe_managed_prefix_lists", parameters=_PREFIX_LIST, key=_PREFIX_LIST)),
    _ec2("describe_prefix_lists",            "prefix_list",            "PrefixLists",              "PrefixListId", tags=None, name_field="PrefixListName"),
    _ec2("describe_flow_logs",               "flow_log",               "FlowLogs",                 "FlowLogId"),
    _ec2("describe_customer_gateways",       "customer_gateway",       "CustomerGateways",         "CustomerGatewayId", name_field="DeviceName", page_size=None),
    _ec2("describe_vpn_connections",         "vpn_connection",         "VpnConnections",           "VpnConnectionId", page_size=None),
    _ec2("describe_vpn_gateways",            "vpn_gateway",            "VpnGateways",              "VpnGatewayId", page_size=None),
    _ec2("describe_transit_gateways",        "transit_gateway",        "TransitGateways",          "TransitGatewayId", owner="OwnerId"),
    # Only the transit gateway's owner gets Association: its record is the one to prefer.
    _ec2("describe_transit_gateway_attachments",         "transit_gateway_attachment",         "TransitGatewayAttachments",                         "TransitGatewayAttachmentId", owner="TransitGatewayOwnerId"),
    _ec2("describe_transit_gateway_vpc_attachments",     "transit_gateway_vpc_attachment",     "TransitGatewayVpcAttachments[?VpcId]",              "TransitGatewayAttachmentId", owner="VpcOwnerId"),
    _ec2("describe_transit_gateway_peering_attachments", "transit_gateway_peering_attachment", "TransitGatewayPeeringAttachments[?RequesterTgwInfo]", "TransitGatewayAttachmentId", owner="RequesterTgwInfo.OwnerId"),
    _ec2("describe_transit_gateway_connects",            "transit_gateway_connect",            "TransitGatewayConnects",                            "TransitGatewayAttachmentId"),
    _ec2("describe_transit_gateway_connect_peers",       "transit_gateway_connect_peer",       "TransitGatewayConnectPeers",                        "TransitGatewayConnectPeerId"),
    _ec2("describe_transit_gateway_route_tables",        "transit_gateway_route_table",        "TransitGatewayRouteTables",                         "TransitGatewayRouteTableId"),
    _transit_gateway_table("get_transit_gateway_route_table_associations",  "transit_gateway_route_table_association", "Associations",                         "TransitGatewayAttachmentId"),
    _transit_gateway_table("get_transit_gateway_route_table_propagations",  "transit_gateway_route_table_propagation", "TransitGatewayRouteTablePropagations", "TransitGatewayAttachmentId"),
    _transit_gateway_table("get_transit_gateway_prefix_list_references",    "transit_gateway_prefix_list_reference",   "TransitGatewayPrefixListReferences",   "PrefixListId", owner="PrefixListOwnerId"),
    _transit_gateway_table("search_transit_gateway_routes",                 "transit_gateway_route",                   "Routes",                               "DestinationCidrBlock || PrefixListId",
         parameters={"Filters": [{"Name": "state", "Values": ["active", "blackhole"]}]}, withheld="AdditionalRoutesAvailable"),

    _direct_connect("describe_direct_connect_gateways", "direct_connect_gateway", "directConnectGateways", "directConnectGatewayId", owner="ownerAccount", name_field="directConnectGatewayName", reach=Reach.EXPORT_REGION),
    _of_gateway("describe_direct_connect_gateway_associations", "direct_connect_gateway_association", "directConnectGatewayAssociations", "associationId"),
    _of_gateway("describe_direct_connect_gateway_attachments",  "direct_connect_gateway_attachment",  "directConnectGatewayAttachments",  "virtualInterfaceId", owner="virtualInterfaceOwnerAccount"),
    _direct_connect("describe_virtual_interfaces", "virtual_interface", "virtualInterfaces", "virtualInterfaceId", owner="ownerAccount", name_field="virtualInterfaceName"),
    _direct_connect("describe_lags",               "lag",               "lags",              "lagId",              owner="ownerAccount", name_field="lagName"),
    _direct_connect("describe_connections",        "connection",        "connections",       "connectionId",       owner="ownerAccount", name_field="connectionName", volatile=("loaIssueTime",)),

    # A name is unique in one account and region only; there is no ARN.
    Operation(service="elb", name="describe_load_balancers", resource_type="classic_load_balancer", rows="LoadBalancerDescriptions", key=("DNSName",), tags=None, name_field="LoadBalancerName", page_size=400),
    _load_balancing("describe_load_balancers", "load_balancer", "LoadBalancers",            "LoadBalancerArn", name_field="LoadBalancerName"),
    _load_balancing("describe_target_groups",  "target_group",  "TargetGroups",             "TargetGroupArn",  name_field="TargetGroupName"),
    _load_balancing("describe_listeners",      "listener",      "Listeners",                "ListenerArn",
         for_each=ForEach(operation="describe_load_balancers", parameters=_LOAD_BALANCER, key=_LOAD_BALANCER)),
    _load_balancing("describe_target_health",  "target_health", "TargetHealthDescriptions", "Target.Id", "Target.Port", page_size=None,
         for_each=ForEach(operation="describe_target_groups", parameters=_TARGET_GROUP, key=_TARGET_GROUP)),

    Operation(service="iam", name="list_account_aliases", resource_type="account_alias", rows="AccountAliases[].{AccountAlias: @}", key=("AccountAlias",), tags=None, name_field="AccountAlias", reach=Reach.SERVICE_HOME),

    _network_manager("describe_global_networks", "global_network",       "GlobalNetworks", "GlobalNetworkId"),
    _network_manager("list_core_networks",       "core_network_summary", "CoreNetworks",   "CoreNetworkId", owner="OwnerAccountId"),
    _network_manager("get_core_network",         "core_network",         "[CoreNetwork]", page_size=None,
         for_each=ForEach(operation="list_core_networks", parameters=_CORE_NETWORK, key=_CORE_NETWORK)),
    _network_manager("get_core_network_policy",  "core_network_policy",  "[CoreNetworkPolicy]", tags=None, page_size=None, in_order=True, parameters={"Alias": "LIVE"},
         for_each=ForEach(operation="list_core_networks", parameters=_CORE_NETWORK, key=_CORE_NETWORK)),
    _network_manager("list_attachments",         "attachment",           "Attachments",    "AttachmentId", owner="OwnerAccountId"),
    _network_manager("get_network_routes",       "network_route",        "NetworkRoutes",  "DestinationCidrBlock || PrefixListId", tags=None,
         for_each=ForEach(
             operation="get_core_network",
             parameters={
                 "GlobalNetworkId": "parent.GlobalNetworkId",
                 "RouteTableIdentifier": "{CoreNetworkSegmentEdge: {CoreNetworkId: parent.CoreNetworkId, SegmentName: segment.Name, EdgeLocation: edge}}",
             },
             key={"CoreNetworkId": "parent.CoreNetworkId", "SegmentName": "segment.Name", "EdgeLocation": "edge"},
             within=(("segment", "parent.Segments[]"), ("edge", "segment.EdgeLocations[]")),
             where="contains(parent.CoreNetworkArn, account)",  # only the owner may read them
         )),

    _firewall("list_firewalls",                 "firewall_metadata",        "Firewalls",        "FirewallArn", name_field="FirewallName"),
    _firewall("describe_firewall",              "firewall",                 "[{Firewall: Firewall, FirewallStatus: FirewallStatus}]", tags="Firewall.Tags", name_field="Firewall.FirewallName", page_size=None, volatile=("FirewallStatus.CapacityUsageSummary",),
         for_each=ForEach(operation="list_firewalls", parameters=_FIREWALL, key=_FIREWALL)),
    _firewall("describe_logging_configuration", "logging_configuration",    "[{LoggingConfiguration: LoggingConfiguration}]", page_size=None,
         for_each=ForEach(operation="list_firewalls", parameters=_FIREWALL, key=_FIREWALL)),
    _firewall("list_firewall_policies",         "firewall_policy_metadata", "FirewallPolicies", "Arn", name_field="Name"),
    _firewall("describe_firewall_policy",       "firewall_policy",          "[{FirewallPolicy: FirewallPolicy, FirewallPolicyResponse: FirewallPolicyResponse}]", tags="FirewallPolicyResponse.Tags", name_field="FirewallPolicyResponse.FirewallPolicyName", page_size=None, in_order=True, volatile=("FirewallPolicyResponse.ConsumedStatelessRuleCapacity", "FirewallPolicyResponse.ConsumedStatefulRuleCapacity"),
         for_each=ForEach(operation="list_firewall_policies", parameters=_POLICY, key=_POLICY)),
    # Of the groups that policies refer to. AWS refuses to describe those that it manages itself.
    _firewall("describe_rule_group",            "rule_group",               "[{RuleGroup: RuleGroup, RuleGroupResponse: RuleGroupResponse}]", tags="RuleGroupResponse.Tags", name_field="RuleGroupResponse.RuleGroupName", page_size=None, in_order=True, digested=("RuleGroup.RulesSource.RulesString",), volatile=("RuleGroupResponse.ConsumedCapacity", "RuleGroupResponse.NumberOfAssociations"),
         for_each=ForEach(
             operation="describe_firewall_policy", parameters={"RuleGroupArn": "group.ResourceArn"}, key={"RuleGroupArn": "group.ResourceArn"},
             within=(("group", "[parent.FirewallPolicy.StatefulRuleGroupReferences, parent.FirewallPolicy.StatelessRuleGroupReferences][][]"),),
             where="!contains(group.ResourceArn, ':aws-managed:')",
         )),
)
# fmt: on


@dataclass(frozen=True, slots=True)
class Call:
    """An AWS operation that is called for something else than network metadata.

    Attributes:
        service: boto3 client.
        api_name: AWS's name.
        asked_for: what.
    """

    service: str
    api_name: str
    asked_for: str

    @property
    def action(self) -> str:
        """The IAM action that permits it."""
        return f"{self.service}:{self.api_name}"


OTHER_CALLS = (
    Call("sts", "AssumeRole", "the role chain"),
    Call("organizations", "ListAccounts", "the accounts of the organization"),
    Call("cloudwatch", "ListMetrics", "which metrics there are"),
    Call("cloudwatch", "GetMetricData", "datapoints of metrics"),
    Call("cloudwatch", "GetMetricStatistics", "datapoints where GetMetricData is denied"),
)
