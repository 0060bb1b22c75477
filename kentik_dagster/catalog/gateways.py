"""What a route leads to: the members in which AWS names its target, and the kinds of gateway by their ids."""

from __future__ import annotations

# Members of a VPC's route that name its target; the first that is there counts.
# https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_Route.html
ROUTE_TARGETS = (
    "GatewayId",
    "NatGatewayId",
    "TransitGatewayId",
    "VpcPeeringConnectionId",
    "EgressOnlyInternetGatewayId",
    "CarrierGatewayId",
    "LocalGatewayId",
    "CoreNetworkArn",
    "NetworkInterfaceId",
    "InstanceId",
)

LOCAL = "local"

# What the id of a target begins with, and the kind of resource that it is; `local` is the VPC itself.
GATEWAY_TYPES = {
    "igw-": "internet_gateway",
    "eigw-": "egress_only_internet_gateway",
    "nat-": "nat_gateway",
    "tgw-": "transit_gateway",
    "pcx-": "vpc_peering_connection",
    "vgw-": "vpn_gateway",
    "vpce-": "vpc_endpoint",
    "cagw-": "carrier_gateway",
    "lgw-": "local_gateway",
    "arn:": "core_network",
    "eni-": "network_interface",
    "i-": "instance",
    LOCAL: LOCAL,
}

# What a transit gateway's route leads to, as AWS names the kind of attachment: networks that are not AWS's.
ON_PREMISES_ATTACHMENTS = ("vpn", "direct-connect-gateway", "connect", "vpn-concentrator")

# By flow records themselves (`traffic-path`), where routes are not known.
# https://docs.aws.amazon.com/vpc/latest/userguide/flow-log-records.html
GATEWAY_OF_PATH = {
    3: "vpn_gateway",
    4: "vpc_peering_connection",
    5: "vpc_peering_connection",
    7: "vpc_endpoint",
    8: "internet_gateway",
}
