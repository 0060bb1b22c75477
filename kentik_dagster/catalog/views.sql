-- Ready views for analysts, over the Delta tables of the lake. kentik-dagster sql has them built in; DuckDB runs this
-- file as it stands once the tables are registered; Polars takes a statement at a time (docs/analysts.md shows both).
--
-- Of every view: what one row is, then its columns with units. The columns that most views share:
--   export     cloud export of the configuration
--   hour       UTC hour in the log object's file name, such as 2026-11-23T03. A condition on it skips the files of
--              every other hour, also through a view; without one, all hours are read
--   records    flow records as they are stored, whatever was sampled away
--   bytes      B, multiplied by sample_rate: what the whole of the traffic was, as far as samples tell
--   packets    packets, multiplied likewise
-- Sizes that a record lacks count as nothing. What is empty stays a row of its own: an end without an owner is not
-- left out. No view is in any order.

-- primary_records: one row is a flow record that counts when traffic is to be counted once (is_primary_record)
--   all columns of enriched_flows, as they are
--   estimated_bytes    B, bytes multiplied by sample_rate
--   estimated_packets  packets, multiplied likewise
CREATE VIEW primary_records AS
SELECT *,
  COALESCE(bytes, 0) * COALESCE(sample_rate, 1.0) AS estimated_bytes,
  COALESCE(packets, 0) * COALESCE(sample_rate, 1.0) AS estimated_packets
FROM enriched_flows
WHERE is_primary_record;

-- traffic_between_vpcs: one row is an hour of accepted traffic from one VPC to another, counted once
--   export, hour
--   src_account_name, src_region, src_vpc_id, src_vpc_name  the VPC that sent
--   dst_account_name, dst_region, dst_vpc_id, dst_vpc_name  the VPC that received
--   gateway_type            what leads there: vpc_peering_connection, transit_gateway, ...
--   records, packets, bytes
CREATE VIEW traffic_between_vpcs AS
SELECT export, hour,
  src_account_name, src_region, src_vpc_id, src_vpc_name,
  dst_account_name, dst_region, dst_vpc_id, dst_vpc_name, gateway_type,
  COUNT(*) AS records,
  CAST(FLOOR(SUM(estimated_packets) + 0.5) AS BIGINT) AS packets,
  CAST(FLOOR(SUM(estimated_bytes) + 0.5) AS BIGINT) AS bytes
FROM primary_records
WHERE src_vpc_id <> dst_vpc_id AND COALESCE(action, 'ACCEPT') <> 'REJECT'
GROUP BY export, hour, src_account_name, src_region, src_vpc_id, src_vpc_name,
  dst_account_name, dst_region, dst_vpc_id, dst_vpc_name, gateway_type;

-- rejects_by_rule_candidate: one row is an hour of rejected packets that one rule would have let through
--   export, hour
--   flow_direction          ingress: the destination's rules refused; egress: the source's
--   account_id, account_name, vpc_id, subnet_id  of the end that refused
--   security_group_ids      of that end, separated by commas; the subnet's network ACL may be the one that refused
--   protocol                IANA protocol number: 6 TCP, 17 UDP, 1 ICMP
--   port                    destination port
--   traffic_profile         from where to where; outside to cloud are scans, mostly
--   peers                   addresses at the other end
--   records, packets, bytes
-- A packet is refused at one interface and goes no further, so every REJECT record counts, also where
-- is_primary_record is false (the sender had recorded the same packet as accepted). AWS also records late packets of
-- closed connections as REJECT.
CREATE VIEW rejects_by_rule_candidate AS
SELECT export, hour, flow_direction, account_id, account_name, vpc_id, subnet_id, security_group_ids,
  protocol, port, traffic_profile,
  COUNT(DISTINCT peer) AS peers,
  COUNT(*) AS records,
  CAST(FLOOR(SUM(estimated_packets) + 0.5) AS BIGINT) AS packets,
  CAST(FLOOR(SUM(estimated_bytes) + 0.5) AS BIGINT) AS bytes
FROM (
  SELECT export, hour, flow_direction, protocol, dst_port AS port, traffic_profile,
    CASE WHEN flow_direction = 'egress' THEN src_account_id ELSE dst_account_id END AS account_id,
    CASE WHEN flow_direction = 'egress' THEN src_account_name ELSE dst_account_name END AS account_name,
    CASE WHEN flow_direction = 'egress' THEN src_vpc_id ELSE dst_vpc_id END AS vpc_id,
    CASE WHEN flow_direction = 'egress' THEN src_subnet_id ELSE dst_subnet_id END AS subnet_id,
    CASE WHEN flow_direction = 'egress' THEN ARRAY_TO_STRING(src_security_group_ids, ',')
      ELSE ARRAY_TO_STRING(dst_security_group_ids, ',') END AS security_group_ids,
    CASE WHEN flow_direction = 'egress' THEN COALESCE(dst_pkt_addr, dst_addr)
      ELSE COALESCE(src_pkt_addr, src_addr) END AS peer,
    COALESCE(bytes, 0) * COALESCE(sample_rate, 1.0) AS estimated_bytes,
    COALESCE(packets, 0) * COALESCE(sample_rate, 1.0) AS estimated_packets
  FROM enriched_flows
  WHERE action = 'REJECT'
) AS rejected
GROUP BY export, hour, flow_direction, account_id, account_name, vpc_id, subnet_id, security_group_ids,
  protocol, port, traffic_profile;

-- top_talkers: one row is an hour of accepted traffic from one source to one destination, counted once
--   export, hour
--   src_account_name, source            account, and name of what is behind the interface; else AWS service,
--                                       autonomous system or address
--   dst_account_name, destination       the same of the other end
--   application                         of the serving port
--   records, packets, bytes
CREATE VIEW top_talkers AS
SELECT export, hour, src_account_name, source, dst_account_name, destination, application,
  COUNT(*) AS records,
  CAST(FLOOR(SUM(estimated_packets) + 0.5) AS BIGINT) AS packets,
  CAST(FLOOR(SUM(estimated_bytes) + 0.5) AS BIGINT) AS bytes
FROM (
  SELECT export, hour, src_account_name, dst_account_name, application, estimated_packets, estimated_bytes,
    COALESCE(src_eni_entity_name, src_eni_id, src_aws_service, src_as_name, src_pkt_addr, src_addr) AS source,
    COALESCE(dst_eni_entity_name, dst_eni_id, dst_aws_service, dst_as_name, dst_pkt_addr, dst_addr) AS destination
  FROM primary_records
  WHERE COALESCE(action, 'ACCEPT') <> 'REJECT'
) AS named
GROUP BY export, hour, src_account_name, source, dst_account_name, destination, application;

-- internet_egress_by_subnet: one row is an hour of accepted traffic from one subnet to the internet, counted once
--   export, hour
--   account_name, region, vpc_id, vpc_name, subnet_id, subnet_name  the subnet that sent
--   gateway_type            how it left: internet_gateway, nat_gateway, ...; what goes to a vpc_endpoint is not here
--   aws_service             the AWS service that it went to: S3, EC2, ...; empty: none of AWS
--   records, packets, bytes
CREATE VIEW internet_egress_by_subnet AS
SELECT export, hour,
  src_account_name AS account_name, src_region AS region, src_vpc_id AS vpc_id, src_vpc_name AS vpc_name,
  src_subnet_id AS subnet_id, src_subnet_name AS subnet_name, gateway_type, dst_aws_service AS aws_service,
  COUNT(*) AS records,
  CAST(FLOOR(SUM(estimated_packets) + 0.5) AS BIGINT) AS packets,
  CAST(FLOOR(SUM(estimated_bytes) + 0.5) AS BIGINT) AS bytes
FROM primary_records
WHERE traffic_profile = 'cloud to outside' AND COALESCE(action, 'ACCEPT') <> 'REJECT'
  AND COALESCE(gateway_type, '') <> 'vpc_endpoint'
GROUP BY export, hour, src_account_name, src_region, src_vpc_id, src_vpc_name, src_subnet_id, src_subnet_name,
  gateway_type, dst_aws_service;

-- opened_from_internet: one row is an hour of TCP connections that the internet opened to one port of one interface
--   export, hour
--   account_name, vpc_id, subnet_id, eni_id, eni_entity_name  the interface that accepted
--   security_group_ids      of it, separated by commas
--   port, application       that was opened
--   sources                 addresses that opened it
--   connections             multiplied by sample_rate; a connection counts once, in the record of its first packet
CREATE VIEW opened_from_internet AS
SELECT export, hour, account_name, vpc_id, subnet_id, eni_id, eni_entity_name, security_group_ids, port, application,
  COUNT(DISTINCT source) AS sources,
  CAST(FLOOR(SUM(connections) + 0.5) AS BIGINT) AS connections
FROM (
  SELECT export, hour, application, dst_port AS port, dst_account_name AS account_name, dst_vpc_id AS vpc_id,
    dst_subnet_id AS subnet_id, dst_eni_id AS eni_id, dst_eni_entity_name AS eni_entity_name,
    ARRAY_TO_STRING(dst_security_group_ids, ',') AS security_group_ids,
    COALESCE(src_pkt_addr, src_addr) AS source,
    COALESCE(sample_rate, 1.0) AS connections
  FROM primary_records
  -- SYN without ACK, alone or with FIN and RST of the same connection.
  WHERE traffic_profile = 'outside to cloud' AND action = 'ACCEPT' AND protocol = 6 AND tcp_flags IN (2, 3, 6, 7)
) AS opened
GROUP BY export, hour, account_name, vpc_id, subnet_id, eni_id, eni_entity_name, security_group_ids, port, application;

-- nat_gateway_traffic: one row is an hour of traffic of one subnet through one NAT gateway with one service, counted once
--   export, hour
--   account_name, region, vpc_id, vpc_name, subnet_id, subnet_name  the subnet that uses the gateway
--   nat_gateway_id
--   aws_service                   the AWS service at the other end: S3, DYNAMODB, ...; empty: none of AWS
--   gateway_endpoint_would_do     S3 and DynamoDB of the same region need no NAT gateway, which charges for every GB
--                                 both ways: a gateway endpoint costs nothing. (Records do not tell the region.)
--   records
--   bytes_sent, bytes_received    B, multiplied by sample_rate, as the subnet sees it
CREATE VIEW nat_gateway_traffic AS
SELECT export, hour, account_name, region, vpc_id, vpc_name, subnet_id, subnet_name, nat_gateway_id, aws_service,
  COALESCE(aws_service, '') IN ('S3', 'DYNAMODB') AS gateway_endpoint_would_do,
  COUNT(*) AS records,
  CAST(FLOOR(SUM(sent) + 0.5) AS BIGINT) AS bytes_sent,
  CAST(FLOOR(SUM(received) + 0.5) AS BIGINT) AS bytes_received
FROM (
  SELECT export, hour, src_account_name AS account_name, src_region AS region, src_vpc_id AS vpc_id,
    src_vpc_name AS vpc_name, src_subnet_id AS subnet_id, src_subnet_name AS subnet_name,
    gateway_id AS nat_gateway_id, dst_aws_service AS aws_service, estimated_bytes AS sent, 0.0 AS received
  FROM primary_records
  WHERE gateway_type = 'nat_gateway' AND traffic_profile = 'cloud to outside'
    AND COALESCE(action, 'ACCEPT') <> 'REJECT'
  UNION ALL
  SELECT export, hour, dst_account_name AS account_name, dst_region AS region, dst_vpc_id AS vpc_id,
    dst_vpc_name AS vpc_name, dst_subnet_id AS subnet_id, dst_subnet_name AS subnet_name,
    gateway_id AS nat_gateway_id, src_aws_service AS aws_service, 0.0 AS sent, estimated_bytes AS received
  FROM primary_records
  WHERE gateway_type = 'nat_gateway' AND traffic_profile = 'outside to cloud'
    AND COALESCE(action, 'ACCEPT') <> 'REJECT'
) AS both_ways
GROUP BY export, hour, account_name, region, vpc_id, vpc_name, subnet_id, subnet_name, nat_gateway_id, aws_service;

-- cross_zone_traffic: one row is an hour of accepted traffic between two zones of a region, counted once
--   export, hour, region
--   src_account_name, src_vpc_name, src_az_id, source            account, VPC, zone, and what sent
--   dst_account_name, dst_vpc_name, dst_az_id, destination       the same of what received
--   application
--   records, packets, bytes   AWS charges both ends for each GB
CREATE VIEW cross_zone_traffic AS
SELECT export, hour, region, src_account_name, src_vpc_name, src_az_id, source,
  dst_account_name, dst_vpc_name, dst_az_id, destination, application,
  COUNT(*) AS records,
  CAST(FLOOR(SUM(estimated_packets) + 0.5) AS BIGINT) AS packets,
  CAST(FLOOR(SUM(estimated_bytes) + 0.5) AS BIGINT) AS bytes
FROM (
  SELECT export, hour, src_region AS region, src_account_name, src_vpc_name, src_az_id,
    dst_account_name, dst_vpc_name, dst_az_id, application, estimated_packets, estimated_bytes,
    COALESCE(src_eni_entity_name, src_eni_id) AS source,
    COALESCE(dst_eni_entity_name, dst_eni_id) AS destination
  FROM primary_records
  WHERE src_region = dst_region AND src_az_id <> dst_az_id AND COALESCE(action, 'ACCEPT') <> 'REJECT'
) AS named
GROUP BY export, hour, region, src_account_name, src_vpc_name, src_az_id, source,
  dst_account_name, dst_vpc_name, dst_az_id, destination, application;

-- transit_gateway_drops: one row is an hour of packets that one transit gateway dropped between two attachments
--   export, hour, region
--   tgw_id, tgw_attachment_id, tgw_pair_attachment_id
--   tgw_src_vpc_id, tgw_dst_vpc_id
--   flow_direction          ingress: the record of what came into the gateway; egress: of what left it. AWS does not
--                           say whether both count the same loss: compare them, do not add them
--   records                 that report a loss
--   packets_lost_no_route, packets_lost_blackhole, packets_lost_mtu_exceeded, packets_lost_ttl_expired
--                           packets, multiplied by sample_rate
CREATE VIEW transit_gateway_drops AS
SELECT export, hour, region, tgw_id, tgw_attachment_id, tgw_pair_attachment_id, tgw_src_vpc_id, tgw_dst_vpc_id,
  flow_direction,
  COUNT(*) AS records,
  CAST(FLOOR(SUM(COALESCE(packets_lost_no_route, 0) * COALESCE(sample_rate, 1.0)) + 0.5) AS BIGINT)
    AS packets_lost_no_route,
  CAST(FLOOR(SUM(COALESCE(packets_lost_blackhole, 0) * COALESCE(sample_rate, 1.0)) + 0.5) AS BIGINT)
    AS packets_lost_blackhole,
  CAST(FLOOR(SUM(COALESCE(packets_lost_mtu_exceeded, 0) * COALESCE(sample_rate, 1.0)) + 0.5) AS BIGINT)
    AS packets_lost_mtu_exceeded,
  CAST(FLOOR(SUM(COALESCE(packets_lost_ttl_expired, 0) * COALESCE(sample_rate, 1.0)) + 0.5) AS BIGINT)
    AS packets_lost_ttl_expired
FROM flow_logs
WHERE log_type = 'transit_gateway'
  AND (packets_lost_no_route > 0 OR packets_lost_blackhole > 0
    OR packets_lost_mtu_exceeded > 0 OR packets_lost_ttl_expired > 0)
GROUP BY export, hour, region, tgw_id, tgw_attachment_id, tgw_pair_attachment_id, tgw_src_vpc_id, tgw_dst_vpc_id,
  flow_direction;

-- unresolved_ends_by_vpc: one row is an hour of the ends of flows that one VPC recorded
--   export, hour
--   account_id, region, vpc_id   that recorded; empty: a log without them, or a transit gateway's or firewall's
--   ends                    two of each flow record, of every record
--   ambiguous               ends for which several owners were found, and none is named
--   unknown                 ends at addresses of nobody that is known
--   unresolved_addresses    different addresses among those two
--   unresolved_share        of the ends, 0 to 1
CREATE VIEW unresolved_ends_by_vpc AS
SELECT export, hour, account_id, region, vpc_id,
  COUNT(*) AS ends,
  CAST(SUM(CASE WHEN resolution = 'ambiguous' THEN 1 ELSE 0 END) AS BIGINT) AS ambiguous,
  CAST(SUM(CASE WHEN resolution = 'unknown' THEN 1 ELSE 0 END) AS BIGINT) AS unknown,
  COUNT(DISTINCT CASE WHEN resolution IN ('ambiguous', 'unknown') THEN address END) AS unresolved_addresses,
  CAST(SUM(CASE WHEN resolution IN ('ambiguous', 'unknown') THEN 1 ELSE 0 END) AS DOUBLE) / COUNT(*)
    AS unresolved_share
FROM (
  SELECT export, hour, observing_account_id AS account_id, observing_region AS region, observing_vpc_id AS vpc_id,
    src_resolution AS resolution, COALESCE(src_pkt_addr, src_addr) AS address
  FROM enriched_flows WHERE src_resolution IS NOT NULL
  UNION ALL
  SELECT export, hour, observing_account_id AS account_id, observing_region AS region, observing_vpc_id AS vpc_id,
    dst_resolution AS resolution, COALESCE(dst_pkt_addr, dst_addr) AS address
  FROM enriched_flows WHERE dst_resolution IS NOT NULL
) AS both_ends
GROUP BY export, hour, account_id, region, vpc_id;

-- lost_records_by_interface: one row is an hour in which AWS lost records of one interface (SKIPDATA)
--   export, hour
--   account_id, region, vpc_id, subnet_id, eni_id   of the interface
--   intervals               aggregation intervals with lost records; how many records, AWS does not say
CREATE VIEW lost_records_by_interface AS
SELECT export, hour, observing_account_id AS account_id, observing_region AS region, observing_vpc_id AS vpc_id,
  observing_subnet_id AS subnet_id, observing_eni_id AS eni_id,
  COUNT(*) AS intervals
FROM enriched_flows
WHERE log_status = 'SKIPDATA'
GROUP BY export, hour, observing_account_id, observing_region, observing_vpc_id, observing_subnet_id, observing_eni_id;

-- objects_by_outcome: one row is an hour of the log objects of one kind that came to one end
--   export, hour
--   log_type                vpc, transit_gateway or network_firewall
--   outcome                 ingested, empty or unreadable
--   objects                 S3 objects
--   size_bytes              B, as they are stored in S3
--   stored_rows, rejected_lines, sampled_out   what became of their lines
CREATE VIEW objects_by_outcome AS
SELECT export, hour, log_type, outcome,
  COUNT(*) AS objects,
  CAST(SUM(COALESCE(size_bytes, 0)) AS BIGINT) AS size_bytes,
  CAST(SUM(COALESCE("rows", 0)) AS BIGINT) AS stored_rows,
  CAST(SUM(COALESCE(rejected_lines, 0)) AS BIGINT) AS rejected_lines,
  CAST(SUM(COALESCE(sampled_out, 0)) AS BIGINT) AS sampled_out
FROM flow_log_objects
GROUP BY export, hour, log_type, outcome;

-- metrics_by_resource: one row is a CloudWatch datapoint with the name that its resource had at the time, and as a rate
--   account_id, region, namespace, metric_name, dimensions, statistic, period_seconds, timestamp, value, unit, hour
--   resource_type, resource_id   as current_resources has them; empty where network metadata has no such resource
--   resource_name, resource_tags of the resource as of the timestamp; empty before the first snapshot that saw it
--   per_second                   of sums: value / period_seconds
--   bits_per_second              of sums of bytes: 8 * value / period_seconds
CREATE VIEW metrics_by_resource AS
SELECT m.account_id, m.region, m.namespace, m.metric_name, m.dimensions, m.statistic, m.period_seconds, m.timestamp,
  m.value, m.unit, m.hour, m.resource_type, m.resource_id, named.resource_name, named.resource_tags,
  CASE WHEN m.statistic = 'Sum' THEN m.value / m.period_seconds END AS per_second,
  CASE WHEN m.statistic = 'Sum' AND m.unit = 'Bytes' THEN 8.0 * m.value / m.period_seconds END AS bits_per_second
FROM metric_series AS m LEFT JOIN (
  SELECT measured.account_id AS of_account, measured.region AS of_region, measured.resource_type AS of_type,
    measured.resource_id AS of_id, measured.timestamp AS measured_at, states.name AS resource_name,
    states.tags AS resource_tags
  FROM (
    SELECT DISTINCT account_id, region, resource_type, resource_id, timestamp FROM metric_series
  ) AS measured JOIN (
    SELECT account_id, region, resource_type, resource_id, name, tags, change, observed_at,
      LEAD(observed_at) OVER (
        PARTITION BY account_id, region, resource_type, resource_id ORDER BY observed_at
      ) AS observed_next
    FROM metadata_changes
  ) AS states
  ON measured.account_id = states.account_id AND measured.region = states.region
    AND measured.resource_type = states.resource_type AND measured.resource_id = states.resource_id
  WHERE states.change <> 'removed' AND states.observed_at <= measured.timestamp
    AND (states.observed_next IS NULL OR measured.timestamp < states.observed_next)
) AS named
ON m.account_id = named.of_account AND m.region = named.of_region AND m.resource_type = named.of_type
  AND m.resource_id = named.of_id AND m.timestamp = named.measured_at;

-- current_resources: one row is a resource that stands: the last change of it, if it was not removed
--   all columns of metadata_changes; a resource that several accounts see is there once, as its owner sees it
--   seen_from               the accounts that see it
CREATE VIEW current_resources AS
WITH ranked AS (
  SELECT
    account_id, region, resource_type, resource_id, name, change, observed_at, owner_account_id,
    attributes, tags, attributes_hash,
    ROW_NUMBER() OVER (
      PARTITION BY account_id, region, resource_type, resource_id ORDER BY observed_at DESC
    ) AS recency
  FROM metadata_changes
),
standing AS (
  SELECT
    account_id, region, resource_type, resource_id, name, change, observed_at, owner_account_id,
    attributes, tags, attributes_hash
  FROM ranked
  WHERE recency = 1 AND change <> 'removed'
),
preferred AS (
  SELECT
    account_id, region, resource_type, resource_id, name, change, observed_at, owner_account_id,
    attributes, tags, attributes_hash,
    ROW_NUMBER() OVER (
      PARTITION BY resource_type, resource_id
      ORDER BY CASE WHEN owner_account_id = account_id THEN 0 ELSE 1 END, account_id, region
    ) AS preference
  FROM standing
),
witnesses AS (
  SELECT resource_type AS seen_type, resource_id AS seen_id,
    ARRAY_AGG(DISTINCT account_id ORDER BY account_id) AS seen_from
  FROM standing
  GROUP BY resource_type, resource_id
)
SELECT
    account_id, region, resource_type, resource_id, name, change, observed_at, owner_account_id,
    attributes, tags, attributes_hash,
    seen_from
FROM preferred JOIN witnesses ON resource_type = seen_type AND resource_id = seen_id
WHERE preference = 1
ORDER BY resource_type, resource_id;
