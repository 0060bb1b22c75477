"""The CloudWatch metrics that are collected: sixteen namespaces. kentik.yaml adds, drops and changes some.

Sources: each service's page "CloudWatch metrics"; cloudwatch_metrics.csv has them beside each other, with the sets of
dimensions that were not chosen. Of several sets, the one of the resource itself is asked for: zones and stages are
parts of it, groups and types are sums of many. Percentiles cost as much as any other statistic.
"""

from __future__ import annotations

from collections.abc import Iterator

from kentik_dagster.catalog.metrics import DAY_SECONDS, Metric


def _metrics(
    namespace: str, dimensions: str, statistics: str, unit: str, period_seconds: int, names: str
) -> Iterator[Metric]:
    """Metrics that differ by their names only."""
    sets = tuple(dimensions.split(", "))
    for name in names.split():
        yield Metric(namespace, name, sets, tuple(statistics.split()), unit, period_seconds)


_ENDPOINT = "Endpoint Type, Service Name, VPC Endpoint Id, VPC Id"
_ATTACHMENT = "TransitGateway, TransitGatewayAttachment"
_TARGETS = "LoadBalancer, TargetGroup"
_FIREWALL = "AvailabilityZone, Engine, FirewallName"
_VIF_FAMILY = "ConnectionId, IpAddressFamily, VirtualInterfaceId"
_REPLICATION = "DestinationBucket, RuleId, SourceBucket"

# fmt: off
METRICS = (
    *_metrics("AWS/DX", "ConnectionId", "Minimum", "None", 300, "ConnectionState ConnectionEncryptionState"),
    *_metrics("AWS/DX", "ConnectionId", "Average Maximum", "Bits/Second", 300, "ConnectionBpsEgress ConnectionBpsIngress"),
    *_metrics("AWS/DX", "ConnectionId", "Average Maximum", "Count/Second", 300, "ConnectionPpsEgress ConnectionPpsIngress"),
    *_metrics("AWS/DX", "ConnectionId", "Sum", "Count", 300, "ConnectionErrorCount"),
    *_metrics("AWS/DX", "ConnectionId, OpticalLaneNumber", "Average Minimum", "None", 300, "ConnectionLightLevelTx ConnectionLightLevelRx"),
    *_metrics("AWS/DX", "ConnectionId, VirtualInterfaceId", "Average Maximum", "Bits/Second", 300, "VirtualInterfaceBpsEgress VirtualInterfaceBpsIngress"),
    *_metrics("AWS/DX", "ConnectionId, VirtualInterfaceId", "Average Maximum", "Count/Second", 300, "VirtualInterfacePpsEgress VirtualInterfacePpsIngress"),
    *_metrics("AWS/DX", _VIF_FAMILY, "Minimum", "None", 300, "VirtualInterfaceBgpStatus"),
    *_metrics("AWS/DX", _VIF_FAMILY, "Average Maximum", "Count", 300, "VirtualInterfaceBgpPrefixesAccepted VirtualInterfaceBgpPrefixesAdvertised"),
    *_metrics("AWS/EC2", "InstanceId", "Sum", "Bytes", 300, "NetworkIn NetworkOut"),
    *_metrics("AWS/EC2", "InstanceId", "Sum", "Count", 300, "NetworkPacketsIn NetworkPacketsOut"),
    *_metrics("AWS/EC2", "InstanceId", "Average Maximum", "Percent", 300, "CPUUtilization"),
    *_metrics("AWS/EC2", "InstanceId", "Maximum", "Count", 300, "StatusCheckFailed StatusCheckFailed_Instance StatusCheckFailed_System StatusCheckFailed_AttachedEBS"),
    *_metrics("AWS/EC2", "InstanceId", "Average", "Count", 300, "CPUCreditBalance"),
    *_metrics("AWS/EC2", "Per-VPC Metrics", "Maximum", "Count", DAY_SECONDS, "NetworkAddressUsage NetworkAddressUsagePeered"),
    *_metrics("AWS/ELB", "LoadBalancerName", "Sum", "Count", 60, "RequestCount HTTPCode_Backend_2XX HTTPCode_Backend_3XX HTTPCode_Backend_4XX HTTPCode_Backend_5XX HTTPCode_ELB_4XX HTTPCode_ELB_5XX BackendConnectionErrors SpilloverCount"),
    *_metrics("AWS/ELB", "LoadBalancerName", "Average p99", "Seconds", 60, "Latency"),
    *_metrics("AWS/ELB", "LoadBalancerName", "Minimum Maximum", "Count", 60, "HealthyHostCount UnHealthyHostCount"),
    *_metrics("AWS/ELB", "LoadBalancerName", "Maximum", "Count", 60, "SurgeQueueLength"),
    *_metrics("AWS/ELB", "LoadBalancerName", "Sum", "Bytes", 60, "EstimatedProcessedBytes"),
    *_metrics("AWS/NATGateway", "NatGatewayId", "Sum", "Bytes", 60, "BytesInFromDestination BytesInFromSource BytesOutToDestination BytesOutToSource"),
    *_metrics("AWS/NATGateway", "NatGatewayId", "Sum", "Count", 60, "PacketsInFromDestination PacketsInFromSource PacketsOutToDestination PacketsOutToSource PacketsDropCount ConnectionAttemptCount ConnectionEstablishedCount IdleTimeoutCount ErrorPortAllocation"),
    *_metrics("AWS/NATGateway", "NatGatewayId", "Maximum", "Count", 60, "ActiveConnectionCount"),
    *_metrics("AWS/NATGateway", "NatGatewayId", "Maximum", "None", 60, "PeakBytesPerSecond PeakPacketsPerSecond"),
    *_metrics("AWS/NetworkELB", "LoadBalancer", "Average Maximum", "Count", 60, "ActiveFlowCount ActiveFlowCount_TCP ActiveFlowCount_TLS ActiveFlowCount_UDP"),
    *_metrics("AWS/NetworkELB", "LoadBalancer", "Sum", "Count", 60, "NewFlowCount NewFlowCount_TCP NewFlowCount_TLS NewFlowCount_UDP RejectedFlowCount TCP_Client_Reset_Count TCP_ELB_Reset_Count TCP_Target_Reset_Count PortAllocationErrorCount UnhealthyRoutingFlowCount ClientTLSNegotiationErrorCount TargetTLSNegotiationErrorCount SecurityGroupBlockedFlowCount_Inbound_TCP SecurityGroupBlockedFlowCount_Outbound_TCP ProcessedPackets"),
    *_metrics("AWS/NetworkELB", "LoadBalancer", "Sum", "Bytes", 60, "ProcessedBytes ProcessedBytes_TCP ProcessedBytes_TLS ProcessedBytes_UDP"),
    *_metrics("AWS/NetworkELB", "LoadBalancer", "Maximum", "None", 60, "PeakPacketsPerSecond PeakBytesPerSecond"),
    *_metrics("AWS/NetworkELB", "LoadBalancer", "Average", "Count", 60, "ConsumedLCUs"),
    *_metrics("AWS/NetworkELB", _TARGETS, "Minimum Maximum", "Count", 60, "HealthyHostCount UnHealthyHostCount"),
    *_metrics("AWS/PrivateLinkEndpoints", _ENDPOINT, "Average Maximum", "Count", 60, "ActiveConnections"),
    *_metrics("AWS/PrivateLinkEndpoints", _ENDPOINT, "Sum", "Bytes", 60, "BytesProcessed"),
    *_metrics("AWS/PrivateLinkEndpoints", _ENDPOINT, "Sum", "Count", 60, "NewConnections PacketsDropped RstPacketsReceived"),
    *_metrics("AWS/PrivateLinkServices", "Service Id", "Average Maximum", "Count", 60, "ActiveConnections"),
    *_metrics("AWS/PrivateLinkServices", "Service Id", "Sum", "Bytes", 60, "BytesProcessed"),
    *_metrics("AWS/PrivateLinkServices", "Service Id", "Sum", "Count", 60, "NewConnections RstPacketsSent"),
    *_metrics("AWS/PrivateLinkServices", "Service Id", "Average Maximum", "Count", 300, "EndpointsCount"),
    *_metrics("AWS/TransitGateway", _ATTACHMENT, "Sum", "Bytes", 60, "BytesIn BytesOut BytesDropCountBlackhole BytesDropCountNoRoute BytesDropCountNoPolicy BytesDropCountInternalError"),
    *_metrics("AWS/TransitGateway", _ATTACHMENT, "Sum", "Count", 60, "PacketsIn PacketsOut PacketDropCountBlackhole PacketDropCountNoRoute PacketDropCountNoPolicy PacketDropCountTTLExpired PacketDropCountInternalError"),
    *_metrics("AWS/ApiGateway", "ApiName", "Sum", "Count", 60, "Count 4XXError 5XXError CacheHitCount CacheMissCount"),
    *_metrics("AWS/ApiGateway", "ApiName", "Average p99", "Milliseconds", 60, "Latency IntegrationLatency"),
    *_metrics("AWS/ApiGateway", "ApiId", "Sum", "Count", 60, "4xx 5xx ConnectCount MessageCount IntegrationError ClientError ExecutionError"),
    *_metrics("AWS/ApiGateway", "ApiId", "Sum", "Bytes", 60, "DataProcessed"),
    *_metrics("AWS/ApplicationELB", "LoadBalancer", "Sum", "Count", 60, "RequestCount ActiveConnectionCount NewConnectionCount RejectedConnectionCount HTTPCode_ELB_3XX_Count HTTPCode_ELB_4XX_Count HTTPCode_ELB_5XX_Count HTTPCode_ELB_500_Count HTTPCode_ELB_502_Count HTTPCode_ELB_503_Count HTTPCode_ELB_504_Count ClientTLSNegotiationErrorCount HTTPCode_Target_2XX_Count HTTPCode_Target_3XX_Count HTTPCode_Target_4XX_Count HTTPCode_Target_5XX_Count TargetConnectionErrorCount"),
    *_metrics("AWS/ApplicationELB", "LoadBalancer", "Sum", "Bytes", 60, "ProcessedBytes IPv6ProcessedBytes"),
    *_metrics("AWS/ApplicationELB", "LoadBalancer", "Average Sum", "Count", 60, "ConsumedLCUs"),
    *_metrics("AWS/ApplicationELB", "LoadBalancer", "Average p99", "Seconds", 60, "TargetResponseTime"),
    *_metrics("AWS/ApplicationELB", _TARGETS, "Sum", "Count", 60, "RequestCountPerTarget"),
    *_metrics("AWS/ApplicationELB", _TARGETS, "Minimum Maximum", "Count", 60, "HealthyHostCount UnHealthyHostCount"),
    *_metrics("AWS/GatewayELB", "LoadBalancer", "Average Maximum", "Count", 60, "ActiveFlowCount"),
    *_metrics("AWS/GatewayELB", "LoadBalancer", "Sum", "Count", 60, "NewFlowCount"),
    *_metrics("AWS/GatewayELB", "LoadBalancer", "Sum", "Bytes", 60, "ProcessedBytes"),
    *_metrics("AWS/GatewayELB", "LoadBalancer", "Average", "Count", 60, "ConsumedLCUs"),
    *_metrics("AWS/GatewayELB", _TARGETS, "Minimum Maximum", "Count", 60, "HealthyHostCount UnHealthyHostCount"),
    *_metrics("AWS/NetworkFirewall", _FIREWALL, "Sum", "Count", 60, "ReceivedPackets PassedPackets DroppedPackets RejectedPackets InvalidDroppedPackets OtherDroppedPackets StreamExceptionPolicyPackets TLSReceivedPackets TLSPassedPackets TLSDroppedPackets TLSRejectedPackets TLSErrors TLSTimedOutConnections"),
    *_metrics("AWS/NetworkFirewall", "AvailabilityZone, CustomAction, Engine, FirewallName", "Sum", "Count", 60, "Packets"),
    *_metrics("AWS/NetworkManager", "Attachment, CoreNetwork", "Sum", "Bytes", 60, "BytesIn BytesOut BytesDropCountBlackhole BytesDropCountNoRoute"),
    *_metrics("AWS/NetworkManager", "Attachment, CoreNetwork", "Sum", "Count", 60, "PacketsIn PacketsOut PacketDropCountBlackhole PacketDropCountNoRoute PacketDropTTLExpired"),
    *_metrics("AWS/NetworkManager", "device", "Maximum", "Count", 60, "VpnTunnelsDown"),
    *_metrics("AWS/Route53", "HealthCheckId", "Minimum", "None", 60, "HealthCheckStatus"),
    *_metrics("AWS/Route53", "HealthCheckId", "Average Minimum", "Percent", 60, "HealthCheckPercentageHealthy"),
    *_metrics("AWS/Route53", "HealthCheckId", "Average Minimum", "Count", 60, "ChildHealthCheckHealthyCount"),
    *_metrics("AWS/Route53", "HealthCheckId", "Average", "Milliseconds", 60, "ConnectionTime TimeToFirstByte SSLHandshakeTime"),
    *_metrics("AWS/Route53", "HostedZoneId", "Sum", "Count", 60, "DNSQueries"),
    *_metrics("AWS/S3", "BucketName, StorageType", "Average", "Bytes", DAY_SECONDS, "BucketSizeBytes"),
    *_metrics("AWS/S3", "BucketName, StorageType", "Average", "Count", DAY_SECONDS, "NumberOfObjects"),
    *_metrics("AWS/S3", "BucketName, FilterId", "Sum", "Count", 60, "AllRequests GetRequests PutRequests ListRequests HeadRequests DeleteRequests 4xxErrors 5xxErrors"),
    *_metrics("AWS/S3", "BucketName, FilterId", "Sum", "Bytes", 60, "BytesDownloaded BytesUploaded"),
    *_metrics("AWS/S3", "BucketName, FilterId", "Average p99", "Milliseconds", 60, "FirstByteLatency TotalRequestLatency"),
    *_metrics("AWS/S3", _REPLICATION, "Maximum", "Bytes", 60, "BytesPendingReplication"),
    *_metrics("AWS/S3", _REPLICATION, "Maximum", "Seconds", 60, "ReplicationLatency"),
    *_metrics("AWS/S3", _REPLICATION, "Maximum", "Count", 60, "OperationsPendingReplication OperationsFailedReplication"),
    *_metrics("AWS/VPN", "VpnId", "Minimum Maximum", "None", 300, "TunnelState"),
    *_metrics("AWS/VPN", "VpnId", "Sum", "Bytes", 300, "TunnelDataIn TunnelDataOut"),
)
# fmt: on
NAMESPACES = tuple(dict.fromkeys(metric.namespace for metric in METRICS))
