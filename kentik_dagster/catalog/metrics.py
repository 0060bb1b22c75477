"""What is said of a CloudWatch metric: by which dimensions, as which statistics, where; and CloudWatch's limits.

`metric_list` has the metrics themselves.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType

# The service of metrics among the calls of `metadata_calls`.
METRICS_SERVICE = "cloudwatch"
# CloudWatch API reference, GetMetricData: queries of one request, and datapoints of its answer.
MOST_QUERIES = 500
MOST_DATAPOINTS = 100_800
# GetMetricStatistics: datapoints of one answer.
MOST_STATISTICS_DATAPOINTS = 1_440
DAY_SECONDS = 86_400
# ListMetrics shows a series for two weeks after its last datapoint. It is asked again after this time.
LISTINGS_LAST = timedelta(hours=1)

# How long CloudWatch keeps datapoints of a period, the finest first ("Metrics retention" of the user guide). It has
# no finer datapoints of an older time, and answers a question for them without any, and without an error.
RETENTION: tuple[tuple[timedelta, int], ...] = (
    (timedelta(days=15), 60),
    (timedelta(days=63), 300),
    (timedelta(days=455), 3_600),
)


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric of a namespace, asked for with exactly one set of dimensions.

    CloudWatch matches the exact set, and aggregates are published as series of their own, so more than one set
    would count twice (cloudwatch.md, "Discovery").

    Attributes:
        dimensions: names, in alphabetical order.
        statistics: as GetMetricData takes them: Sum, Average, Minimum, Maximum, SampleCount, p99.
        unit: of CloudWatch's units; GetMetricData does not say it.
        period_seconds: of the finest datapoints that are asked for.
    """

    namespace: str
    name: str
    dimensions: tuple[str, ...]
    statistics: tuple[str, ...]
    unit: str
    period_seconds: int


# Namespaces whose series of all regions are in one, by AWS partition. Absent: the partition does not have them.
HOME_REGIONS: Mapping[str, Mapping[str, str]] = MappingProxyType({
    "AWS/NetworkManager": {"aws": "us-west-2", "aws-us-gov": "us-gov-west-1"},
    "AWS/Route53": {"aws": "us-east-1", "aws-us-gov": "us-gov-west-1", "aws-cn": "cn-northwest-1"},
})  # fmt: skip

# AWS's own documents write this one in two ways; series are looked for under both (cloudwatch.md).
ALSO_CALLED: Mapping[str, tuple[str, ...]] = MappingProxyType({"AWS/NetworkManager": ("AWS/Network Manager",)})


@dataclass(frozen=True, slots=True)
class Measured:
    """Which resource a series measures: the dimension that names it, and how metadata calls it.

    Attributes:
        pattern: the part of the metadata's `said_by` that the dimension says, as a group.
        said_by: column of `metadata_changes`.
    """

    dimension: str
    resource_type: str
    pattern: str = r"^(.+)$"
    said_by: str = "resource_id"


_LOAD_BALANCER = Measured("LoadBalancer", "load_balancer", r":loadbalancer/(.+)$")

# The first whose dimension a series has is the resource.
MEASURED: Mapping[str, tuple[Measured, ...]] = MappingProxyType({
    "AWS/DX": (
        Measured("VirtualInterfaceId", "virtual_interface"),
        Measured("ConnectionId", "connection"),
    ),
    "AWS/EC2": (Measured("InstanceId", "instance"), Measured("Per-VPC Metrics", "vpc")),
    "AWS/ELB": (Measured("LoadBalancerName", "classic_load_balancer", said_by="name"),),
    "AWS/NATGateway": (Measured("NatGatewayId", "nat_gateway"),),
    "AWS/NetworkELB": (_LOAD_BALANCER,),
    "AWS/ApplicationELB": (_LOAD_BALANCER,),
    "AWS/GatewayELB": (_LOAD_BALANCER,),
    "AWS/NetworkFirewall": (Measured("FirewallName", "firewall", r":firewall/(.+)$"),),
    "AWS/NetworkManager": (Measured("Attachment", "attachment"), Measured("CoreNetwork", "core_network_summary")),
    "AWS/PrivateLinkEndpoints": (Measured("VPC Endpoint Id", "vpc_endpoint"),),
    "AWS/TransitGateway": (
        Measured("TransitGatewayAttachment", "transit_gateway_attachment"),
        Measured("TransitGateway", "transit_gateway"),
    ),
    "AWS/VPN": (Measured("VpnId", "vpn_connection"),),
})  # fmt: skip
