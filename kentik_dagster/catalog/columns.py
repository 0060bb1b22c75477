"""Every column of the lake, defined once: a column that stands in two tables means the same in both."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from kentik_dagster.catalog.firewall_logs import BLOCKS, FIREWALL_FIELDS
from kentik_dagster.catalog.flow_logs import FLOW_FIELDS, INSTANT

TEXT = pa.string()
TEXT_LIST = pa.list_(pa.string())
TEXT_MAP = pa.map_(pa.string(), pa.string())
INT32, INT64, FLOAT64, BOOL = pa.int32(), pa.int64(), pa.float64(), pa.bool_()


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its name, Arrow type, and what it means."""

    name: str
    type: pa.DataType
    meaning: str
    unit: str | None = None


# fmt: off
COLUMNS = {column.name: column for column in (
    # where a row belongs and where it came from
    Column("export",              TEXT,      "cloud export of the configuration"),
    Column("hour",                TEXT,      "UTC hour in the log object's file name, such as 2026-11-23T03"),
    Column("source_object",       TEXT,      "short name of the S3 object (bucket, key and ETag) that the row was read from"),
    Column("log_type",            TEXT,      "vpc, transit_gateway or network_firewall"),
    Column("run_id",              TEXT,      "Dagster run that wrote the row"),
    # S3 objects
    Column("bucket",              TEXT,      "S3 bucket"),
    Column("key",                 TEXT,      "S3 key, as it is"),
    Column("etag",                TEXT,      "ETag of the object when it was listed, without quotes"),
    Column("size_bytes",          INT64,     "size of the object as stored", "B"),
    Column("posted_at",           INSTANT,   "LastModified of the object"),
    Column("outcome",             TEXT,      "what became of it"),
    Column("rows",                INT64,     "rows that the object gave"),
    Column("rejected_lines",      INT64,     "lines of the object that could not be read"),
    Column("error",               TEXT,      "why, where something failed"),
    Column("ingested_at",         INSTANT,   "when the object was read"),
    Column("swept_at",            INSTANT,   "when the sweep looked at the object"),
    Column("line_number",         INT64,     "line in the uncompressed object, from 1"),
    Column("text",                TEXT,      "the line as it stands; bytes that are not UTF-8 as \\xNN"),
    Column("reason",              TEXT,      "why the line was rejected"),
    Column("extra_fields",        TEXT_MAP,  "fields that this release does not know, by name"),
    Column("sample_rate",         FLOAT64,   "one of how many records was kept; multiply bytes and packets by it"),
    Column("sampled_out",         INT64,     "records of the object that sampling left out"),
    # accounts
    Column("account_id",          TEXT,      "AWS account, 12 digits"),
    Column("name",                TEXT,      "Name tag, else the name that AWS gives it"),
    Column("alias",               TEXT,      "IAM account alias"),
    Column("state",               TEXT,      "State of the account in its organization; LEFT once it is no longer listed"),
    Column("role_arn",            TEXT,      "role that collects the account; null: the ambient credentials"),
    Column("is_primary",          BOOL,      "the export's own account"),
    Column("is_blocked",          BOOL,      "excluded by blocked_accounts"),
    Column("joined_at",           INSTANT,   "when the account joined the organization"),
    Column("observed_at",         INSTANT,   "when the snapshot that saw it began"),
    # metadata
    Column("region",              TEXT,      "AWS region"),
    Column("resource_type",       TEXT,      "kind of resource, AWS's singular in snake case"),
    Column("resource_id",         TEXT,      "AWS's id of the resource"),
    Column("change",              TEXT,      "added, changed or removed"),
    Column("owner_account_id",    TEXT,      "account that owns the resource; differs from account_id for shared resources"),
    Column("attributes",          TEXT,      "what AWS answered, as JSON text with sorted keys; secrets and volatile fields left out"),
    Column("tags",                TEXT_MAP,  "tags by key"),
    Column("attributes_hash",     TEXT,      "hash of name, owner, attributes and tags"),
    Column("service",             TEXT,      "AWS service, as boto3 names its client"),
    Column("operation",           TEXT,      "AWS API operation"),
    Column("error_code",          TEXT,      "AWS's error code"),
    Column("error_message",       TEXT,      "AWS's error message"),
    Column("pages",               INT64,     "pages that AWS answered"),
    Column("items",               INT64,     "resources in them"),
    Column("throttled",           INT64,     "requests that AWS threw back for being too many; each was sent again"),
    Column("started_at",          INSTANT,   "when it began"),
    Column("ended_at",            INSTANT,   "when it ended"),
    Column("last_observed_at",    INSTANT,   "when the operation last gave its whole answer here"),
    # addresses
    Column("kind",                TEXT,      "what the row says: see docs/enrichment.md"),
    Column("address",             TEXT,      "IP address; CIDR block of a range or route; id of the prefix list that a route names"),
    Column("vpc_id",              TEXT,      "VPC"),
    Column("peer_vpc_id",         TEXT,      "VPC at the other end of an active peering, or behind a transit gateway's route"),
    Column("peer_gateway_id",     TEXT,      "transit gateway at the other end of a peering"),
    Column("route_table_id",      TEXT,      "route table, of a VPC or of a transit gateway"),
    Column("prefix_list_id",      TEXT,      "managed prefix list"),
    Column("valid_from",          INSTANT,   "first snapshot that saw it so"),
    Column("valid_to",            INSTANT,   "first snapshot that saw it otherwise; null: it still stands"),
    Column("since_first_snapshot", BOOL,     "seen by the first snapshot of its account: what was before is not known"),
    Column("attached_at",         INSTANT,   "when AWS attached the interface as it is, where AWS says so"),
    Column("is_public",           BOOL,      "public address: an Elastic IP or one that AWS lent"),
    Column("account_name",        TEXT,      "name of the account"),
    Column("az_id",               TEXT,      "availability zone id, the same zone in every account"),
    Column("vpc_name",            TEXT,      "name of the VPC"),
    Column("subnet_id",           TEXT,      "subnet"),
    Column("subnet_name",         TEXT,      "name of the subnet"),
    Column("instance_id",         TEXT,      "EC2 instance"),
    Column("instance_name",       TEXT,      "name of the instance"),
    Column("eni_id",              TEXT,      "network interface"),
    Column("eni_type",            TEXT,      "kind of the network interface: interface, nat_gateway, ..."),
    Column("eni_entity_type",     TEXT,      "kind of what is behind the interface: instance, load_balancer, lambda_function, ..."),
    Column("eni_entity_name",     TEXT,      "name of what is behind the interface: instance, NAT gateway, load balancer, ..."),
    Column("security_group_ids",  TEXT_LIST, "security groups of the interface"),
    # metrics
    Column("listed_as",           TEXT,      "CloudWatch namespace as the account has it, where AWS writes it in two ways"),
    Column("listed_at",           INSTANT,   "when CloudWatch was last seen to have it"),
    Column("namespace",           TEXT,      "CloudWatch namespace"),
    Column("metric_name",         TEXT,      "CloudWatch metric"),
    Column("dimensions",          TEXT_MAP,  "dimensions of the series by name"),
    Column("statistic",           TEXT,      "Sum, Average, Minimum, Maximum, SampleCount or a percentile such as p99"),
    Column("period_seconds",      INT32,     "length of the period", "s"),
    Column("timestamp",           INSTANT,   "metrics: start of the period; firewall logs: when the event happened"),
    Column("value",               FLOAT64,   "value of the statistic"),
    Column("unit",                TEXT,      "unit of the value, as CloudWatch names it"),
    # enriched flows
    Column("start_time",          INSTANT,   "first packet in the aggregation interval"),
    Column("end_time",            INSTANT,   "last packet in the aggregation interval"),
    Column("src_addr",            TEXT,      "source address as the recorded interface sees it"),
    Column("dst_addr",            TEXT,      "destination address as the recorded interface sees it"),
    Column("src_pkt_addr",        TEXT,      "source address inside the packet, where it was recorded: the end that src_ columns describe"),
    Column("dst_pkt_addr",        TEXT,      "destination address inside the packet, where it was recorded: the end that dst_ columns describe"),
    Column("src_port",            INT32,     "source port"),
    Column("dst_port",            INT32,     "destination port"),
    Column("gateway_id",          TEXT,      "gateway to the end outside the VPC: target of the most specific route of the subnet"),
    Column("gateway_type",        TEXT,      "kind of that gateway: internet_gateway, nat_gateway, transit_gateway, ..."),
    Column("forwarding_state",    TEXT,      "active, or blackhole where the route leads nowhere"),
    Column("traffic_profile",     TEXT,      "where the flow goes from and to: cloud, inside (on-premises) and outside; internal cloud, through, or unknown"),
    Column("application",         TEXT,      "application by protocol and port"),
    Column("is_primary_record",   BOOL,      "the one record of its conversation that counts when traffic is to be counted once"),
    Column("metadata_as_of",      INSTANT,   "newest metadata that the resolution knew"),
    Column("country",             TEXT,      "country of an internet address, ISO 3166-1 code, from geoip.country"),
    Column("as_number",           INT64,     "autonomous system of an internet address, from geoip.as"),
    Column("as_name",             TEXT,      "name of that autonomous system"),
    # devices
    Column("device_id",           TEXT,      "AWS id of the device, or its name where it has none"),
    Column("device_name",         TEXT,      "name of the device"),
    Column("device_type",         TEXT,      "vpc, subnet, network_interface, transit_gateway or firewall"),
    Column("first_seen_at",       INSTANT,   "end of the oldest record that it sent"),
    Column("last_seen_at",        INSTANT,   "end of the newest record that it sent"),
    Column("flows_per_second",    FLOAT64,   "records a second before sampling, over the last hour with records", "1/s"),
    Column("stored_flows_per_second", FLOAT64, "records a second that were stored, over the same hour", "1/s"),
    Column("status",              TEXT,      "OK, Pending (its flow log is there, no record yet) or Error (it sent, and is silent)"),
    # firewall logs
    Column("firewall_log_type",   TEXT,      "which log of the firewall: flow, alert or tls"),
    Column("record",              TEXT,      "the whole record exactly as AWS wrote it, JSON text"),
)}
# fmt: on

FLOW_COLUMNS = {field.column: Column(field.column, field.type, field.meaning, field.unit) for field in FLOW_FIELDS}
FIREWALL_COLUMNS = {
    **{
        field.column: Column(field.column, field.type, field.meaning, field.unit)
        for field in FIREWALL_FIELDS
        if field.column not in COLUMNS.keys() | FLOW_COLUMNS.keys()
    },
    **{name: Column(name, TEXT, meaning) for name, meaning in BLOCKS},
}
