"""Flow log records: every field AWS writes, and the default formats.

Sources: "Flow log records" and "Transit gateway flow log records" of the Amazon VPC user guides.
"""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

INSTANT = pa.timestamp("us", "UTC")


@dataclass(frozen=True, slots=True)
class FlowField:
    """One field of a VPC or transit gateway flow log.

    `vpc` and `tgw` are the versions that brought the field to each family; None: the family lacks it.
    """

    name: str
    vpc: int | None
    tgw: int | None
    type: pa.DataType
    meaning: str
    unit: str | None = None

    @property
    def column(self) -> str:
        """The name of its column: AWS's name in Parquet files."""
        return self.name.replace("-", "_")


# fmt: off
FLOW_FIELDS = (
    FlowField("version",                     vpc=2, tgw=2,        type=pa.int32(),   meaning="highest field version among the chosen fields; not a layout number"),
    FlowField("account-id",                  vpc=2, tgw=2,        type=pa.string(),  meaning="account of the recorded interface; 'unknown' for interfaces that an AWS service made"),
    FlowField("interface-id",                vpc=2, tgw=None,     type=pa.string(),  meaning="network interface that was recorded"),
    FlowField("srcaddr",                     vpc=2, tgw=2,        type=pa.string(),  meaning="source address as the recorded interface sees it"),
    FlowField("dstaddr",                     vpc=2, tgw=2,        type=pa.string(),  meaning="destination address as the recorded interface sees it"),
    FlowField("srcport",                     vpc=2, tgw=2,        type=pa.int32(),   meaning="source port; 0 for ICMP"),
    FlowField("dstport",                     vpc=2, tgw=2,        type=pa.int32(),   meaning="destination port; 0 for ICMP"),
    FlowField("protocol",                    vpc=2, tgw=2,        type=pa.int32(),   meaning="IANA protocol number: 6 TCP, 17 UDP, 1 ICMP, 58 ICMPv6"),
    FlowField("packets",                     vpc=2, tgw=2,        type=pa.int64(),   meaning="packets of the flow in the aggregation interval"),
    FlowField("bytes",                       vpc=2, tgw=2,        type=pa.int64(),   meaning="bytes of the flow in the aggregation interval", unit="B"),
    FlowField("start",                       vpc=2, tgw=2,        type=INSTANT,      meaning="first packet in the interval, up to 60 s after it passed"),
    FlowField("end",                         vpc=2, tgw=2,        type=INSTANT,      meaning="last packet in the interval, up to 60 s after it passed"),
    FlowField("action",                      vpc=2, tgw=None,     type=pa.string(),  meaning="ACCEPT or REJECT; REJECT also for late packets of a closed connection"),
    FlowField("log-status",                  vpc=2, tgw=2,        type=pa.string(),  meaning="OK, NODATA (no traffic in the interval) or SKIPDATA (records were lost)"),
    FlowField("vpc-id",                      vpc=3, tgw=None,     type=pa.string(),  meaning="VPC of the recorded interface"),
    FlowField("subnet-id",                   vpc=3, tgw=None,     type=pa.string(),  meaning="subnet of the recorded interface"),
    FlowField("instance-id",                 vpc=3, tgw=None,     type=pa.string(),  meaning="EC2 instance of the recorded interface"),
    FlowField("tcp-flags",                   vpc=3, tgw=3,        type=pa.int32(),   meaning="OR of FIN 1, SYN 2, RST 4, SYN-ACK 18 over the interval"),
    FlowField("type",                        vpc=3, tgw=3,        type=pa.string(),  meaning="IPv4, IPv6 or EFA"),
    FlowField("pkt-srcaddr",                 vpc=3, tgw=None,     type=pa.string(),  meaning="source address inside the packet"),
    FlowField("pkt-dstaddr",                 vpc=3, tgw=None,     type=pa.string(),  meaning="destination address inside the packet"),
    FlowField("region",                      vpc=4, tgw=4,        type=pa.string(),  meaning="AWS region"),
    FlowField("az-id",                       vpc=4, tgw=None,     type=pa.string(),  meaning="availability zone id, the same zone in every account"),
    FlowField("sublocation-type",            vpc=4, tgw=None,     type=pa.string(),  meaning="wavelength, outpost or localzone"),
    FlowField("sublocation-id",              vpc=4, tgw=None,     type=pa.string(),  meaning="id of that sublocation"),
    FlowField("pkt-src-aws-service",         vpc=5, tgw=5,        type=pa.string(),  meaning="AWS address range of pkt-srcaddr"),
    FlowField("pkt-dst-aws-service",         vpc=5, tgw=5,        type=pa.string(),  meaning="AWS address range of pkt-dstaddr"),
    FlowField("flow-direction",              vpc=5, tgw=5,        type=pa.string(),  meaning="ingress or egress, seen from the recorded interface"),
    FlowField("traffic-path",                vpc=5, tgw=None,     type=pa.int32(),   meaning="way out of egress traffic, codes 1 to 8"),
    FlowField("ecs-cluster-arn",             vpc=7, tgw=None,     type=pa.string(),  meaning="ECS cluster"),
    FlowField("ecs-cluster-name",            vpc=7, tgw=None,     type=pa.string(),  meaning="name of the ECS cluster"),
    FlowField("ecs-container-instance-arn",  vpc=7, tgw=None,     type=pa.string(),  meaning="ECS container instance"),
    FlowField("ecs-container-instance-id",   vpc=7, tgw=None,     type=pa.string(),  meaning="id of the container instance"),
    FlowField("ecs-container-id",            vpc=7, tgw=None,     type=pa.string(),  meaning="first container of the task"),
    FlowField("ecs-second-container-id",     vpc=7, tgw=None,     type=pa.string(),  meaning="second container of the task"),
    FlowField("ecs-service-name",            vpc=7, tgw=None,     type=pa.string(),  meaning="ECS service of the task"),
    FlowField("ecs-task-definition-arn",     vpc=7, tgw=None,     type=pa.string(),  meaning="task definition"),
    FlowField("ecs-task-arn",                vpc=7, tgw=None,     type=pa.string(),  meaning="ECS task"),
    FlowField("ecs-task-id",                 vpc=7, tgw=None,     type=pa.string(),  meaning="id of the ECS task"),
    FlowField("reject-reason",               vpc=8, tgw=None,     type=pa.string(),  meaning="BPA (VPC Block Public Access) or EC (encryption controls)"),
    FlowField("resource-id",                 vpc=9, tgw=None,     type=pa.string(),  meaning="regional NAT gateway"),
    FlowField("encryption-status",           vpc=10, tgw=None,    type=pa.int32(),   meaning="0 none, 1 Nitro, 2 application layer, 3 both"),
    FlowField("instance-tag",                vpc=11, tgw=None,    type=pa.string(),  meaning="value of the first chosen EC2 instance tag"),
    FlowField("instance-tag-2",              vpc=11, tgw=None,    type=pa.string(),  meaning="value of the second chosen EC2 instance tag"),
    FlowField("interface-tag",               vpc=11, tgw=None,    type=pa.string(),  meaning="value of the first chosen network interface tag"),
    FlowField("interface-tag-2",             vpc=11, tgw=None,    type=pa.string(),  meaning="value of the second chosen network interface tag"),
    FlowField("asg-tag",                     vpc=11, tgw=None,    type=pa.string(),  meaning="value of the first chosen Auto Scaling group tag"),
    FlowField("asg-tag-2",                   vpc=11, tgw=None,    type=pa.string(),  meaning="value of the second chosen Auto Scaling group tag"),
    FlowField("interface-type",              vpc=11, tgw=None,    type=pa.string(),  meaning="kind of the recorded interface"),
    FlowField("next-hop-interface-id",       vpc=11, tgw=None,    type=pa.string(),  meaning="interface of the next hop"),
    FlowField("next-hop-subnet-id",          vpc=11, tgw=None,    type=pa.string(),  meaning="subnet of the next hop"),
    FlowField("next-hop-az-id",              vpc=11, tgw=None,    type=pa.string(),  meaning="zone id of the next hop"),
    FlowField("next-hop-vpc-id",             vpc=11, tgw=None,    type=pa.string(),  meaning="VPC of the next hop"),
    FlowField("next-hop-interface-type",     vpc=11, tgw=None,    type=pa.string(),  meaning="kind of the next hop"),
    FlowField("resource-type",               vpc=None, tgw=6,     type=pa.string(),  meaning="TransitGateway"),
    FlowField("tgw-id",                      vpc=None, tgw=6,     type=pa.string(),  meaning="transit gateway that was recorded"),
    FlowField("tgw-attachment-id",           vpc=None, tgw=6,     type=pa.string(),  meaning="attachment that was recorded"),
    FlowField("tgw-src-vpc-account-id",      vpc=None, tgw=6,     type=pa.string(),  meaning="account of the source VPC"),
    FlowField("tgw-dst-vpc-account-id",      vpc=None, tgw=6,     type=pa.string(),  meaning="account of the destination VPC"),
    FlowField("tgw-src-vpc-id",              vpc=None, tgw=6,     type=pa.string(),  meaning="source VPC"),
    FlowField("tgw-dst-vpc-id",              vpc=None, tgw=6,     type=pa.string(),  meaning="destination VPC"),
    FlowField("tgw-src-subnet-id",           vpc=None, tgw=6,     type=pa.string(),  meaning="source subnet"),
    FlowField("tgw-dst-subnet-id",           vpc=None, tgw=6,     type=pa.string(),  meaning="destination subnet"),
    FlowField("tgw-src-eni",                 vpc=None, tgw=6,     type=pa.string(),  meaning="attachment interface on the source side"),
    FlowField("tgw-dst-eni",                 vpc=None, tgw=6,     type=pa.string(),  meaning="attachment interface on the destination side"),
    FlowField("tgw-src-az-id",               vpc=None, tgw=6,     type=pa.string(),  meaning="zone id on the source side"),
    FlowField("tgw-dst-az-id",               vpc=None, tgw=6,     type=pa.string(),  meaning="zone id on the destination side"),
    FlowField("tgw-pair-attachment-id",      vpc=None, tgw=6,     type=pa.string(),  meaning="the other attachment of the flow"),
    FlowField("packets-lost-no-route",       vpc=None, tgw=6,     type=pa.int64(),   meaning="packets dropped for want of a route"),
    FlowField("packets-lost-blackhole",      vpc=None, tgw=6,     type=pa.int64(),   meaning="packets dropped by a blackhole route"),
    FlowField("packets-lost-mtu-exceeded",   vpc=None, tgw=6,     type=pa.int64(),   meaning="packets dropped as larger than the MTU"),
    FlowField("packets-lost-ttl-expired",    vpc=None, tgw=6,     type=pa.int64(),   meaning="packets dropped with their time to live used up"),
)

# A header is the first line of every text file on S3; these serve where it is missing.
VPC_DEFAULT_FORMAT = (
    "version", "account-id", "interface-id", "srcaddr", "dstaddr", "srcport", "dstport", "protocol",
    "packets", "bytes", "start", "end", "action", "log-status",
)
TRANSIT_GATEWAY_DEFAULT_FORMAT = (
    "version", "resource-type", "account-id", "tgw-id", "tgw-attachment-id", "tgw-src-vpc-account-id",
    "tgw-dst-vpc-account-id", "tgw-src-vpc-id", "tgw-dst-vpc-id", "tgw-src-subnet-id", "tgw-dst-subnet-id",
    "tgw-src-eni", "tgw-dst-eni", "tgw-src-az-id", "tgw-dst-az-id", "tgw-pair-attachment-id", "srcaddr",
    "dstaddr", "srcport", "dstport", "protocol", "packets", "bytes", "start", "end", "log-status", "type",
    "packets-lost-no-route", "packets-lost-blackhole", "packets-lost-mtu-exceeded",
    "packets-lost-ttl-expired", "tcp-flags", "region", "flow-direction", "pkt-src-aws-service",
    "pkt-dst-aws-service",
)
# fmt: on

# The largest value that each number may have; less than 0 is never right.
LARGEST_VALUE = {
    "version": 1_000,
    "srcport": 65_535,
    "dstport": 65_535,
    "protocol": 255,
    "tcp_flags": 65_535,
    "traffic_path": 255,
    "encryption_status": 255,
}
