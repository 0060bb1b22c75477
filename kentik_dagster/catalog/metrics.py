"""CloudWatch metrics: which are collected, by which dimension, as which statistics."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric of a namespace, asked for with exactly one dimension.

    GetMetricData matches the exact set of dimensions, and aggregates are published as series of their own,
    so more than one set would count twice (cloudwatch.md, "Discovery").
    """

    namespace: str
    name: str
    dimension: str
    statistics: tuple[str, ...]
    unit: str
    period_seconds: int


# fmt: off
METRICS = (
    Metric("AWS/EC2",        "NetworkIn",                  "InstanceId",   ("Sum",),                "Bytes",   300),
    Metric("AWS/EC2",        "NetworkOut",                 "InstanceId",   ("Sum",),                "Bytes",   300),
    Metric("AWS/EC2",        "NetworkPacketsIn",           "InstanceId",   ("Sum",),                "Count",   300),
    Metric("AWS/EC2",        "NetworkPacketsOut",          "InstanceId",   ("Sum",),                "Count",   300),
    Metric("AWS/EC2",        "CPUUtilization",             "InstanceId",   ("Average", "Maximum"),  "Percent", 300),
    Metric("AWS/EC2",        "StatusCheckFailed",          "InstanceId",   ("Maximum",),            "Count",   300),
    Metric("AWS/NATGateway", "BytesInFromDestination",     "NatGatewayId", ("Sum",),                "Bytes",   60),
    Metric("AWS/NATGateway", "BytesInFromSource",          "NatGatewayId", ("Sum",),                "Bytes",   60),
    Metric("AWS/NATGateway", "BytesOutToDestination",      "NatGatewayId", ("Sum",),                "Bytes",   60),
    Metric("AWS/NATGateway", "BytesOutToSource",           "NatGatewayId", ("Sum",),                "Bytes",   60),
    Metric("AWS/NATGateway", "PacketsInFromDestination",   "NatGatewayId", ("Sum",),                "Count",   60),
    Metric("AWS/NATGateway", "PacketsInFromSource",        "NatGatewayId", ("Sum",),                "Count",   60),
    Metric("AWS/NATGateway", "PacketsOutToDestination",    "NatGatewayId", ("Sum",),                "Count",   60),
    Metric("AWS/NATGateway", "PacketsOutToSource",         "NatGatewayId", ("Sum",),                "Count",   60),
    Metric("AWS/NATGateway", "PacketsDropCount",           "NatGatewayId", ("Sum",),                "Count",   60),
    Metric("AWS/NATGateway", "ActiveConnectionCount",      "NatGatewayId", ("Maximum",),            "Count",   60),
    Metric("AWS/NATGateway", "ConnectionAttemptCount",     "NatGatewayId", ("Sum",),                "Count",   60),
    Metric("AWS/NATGateway", "ConnectionEstablishedCount", "NatGatewayId", ("Sum",),                "Count",   60),
    Metric("AWS/NATGateway", "IdleTimeoutCount",           "NatGatewayId", ("Sum",),                "Count",   60),
    Metric("AWS/NATGateway", "ErrorPortAllocation",        "NatGatewayId", ("Sum",),                "Count",   60),
)
# fmt: on
