"""The tables of the lake: their columns, and how their files are laid out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa

from kentik_dagster.catalog.columns import COLUMNS, FIREWALL_COLUMNS, FLOW_COLUMNS, TEXT, Column


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """One Delta table.

    Attributes:
        name: of the table, of its asset, and of its folder below the lake's root.
        row: what one row is.
        columns: all of them, the partition columns too.
        partition_by: columns that become folders.
        statistics: columns whose smallest and largest value each file states, so that queries skip files.
    """

    name: str
    row: str
    columns: tuple[Column, ...]
    partition_by: tuple[str, ...] = ()
    statistics: tuple[str, ...] = ()

    @property
    def schema(self) -> pa.Schema:
        """The columns as Arrow fields, all nullable."""
        return pa.schema([pa.field(column.name, column.type) for column in self.columns])


# What is said of each end of a flow, and of the place where it was recorded.
END_COLUMNS = (
    "account_id",
    "account_name",
    "region",
    "az_id",
    "vpc_id",
    "vpc_name",
    "subnet_id",
    "subnet_name",
    "instance_id",
    "instance_name",
    "eni_id",
    "eni_type",
    "eni_entity_type",
    "eni_entity_name",
    "security_group_ids",
    "tags",
)
# What geographic databases say of an internet address.
PLACE_COLUMNS = ("country", "as_number", "as_name")
OBSERVING_COLUMNS = ("account_id", "region", "az_id", "vpc_id", "subnet_id", "eni_id", "instance_id")
FLOW_COPIES = ("protocol", "packets", "bytes", "action", "log_status", "tcp_flags", "flow_direction", "traffic_path")


def _firewall(names: str) -> tuple[Column, ...]:
    known = FLOW_COLUMNS | COLUMNS | FIREWALL_COLUMNS
    return tuple(known[name] for name in names.split())


def _columns(names: str) -> tuple[Column, ...]:
    return tuple(COLUMNS[name] for name in names.split())


def _end(side: str, word: str) -> Iterator[Column]:
    for name in END_COLUMNS:
        column = COLUMNS[name]
        yield Column(f"{side}_{name}", column.type, f"of the {word}: {column.meaning}")
    for name in PLACE_COLUMNS:
        yield Column(f"{side}_{name}", COLUMNS[name].type, f"of the {word}: {COLUMNS[name].meaning}")
    yield Column(
        f"{side}_aws_service", TEXT, f"AWS address range of the {word}: as AWS recorded it, else its prefix list"
    )
    yield Column(
        f"{side}_resolution", TEXT, f"how the {word} was found: exact, earliest, external, ambiguous or unknown"
    )


def _observing() -> Iterator[Column]:
    for name in OBSERVING_COLUMNS:
        yield Column(f"observing_{name}", COLUMNS[name].type, f"where it was recorded: {COLUMNS[name].meaning}")


TABLES = {
    table.name: table
    for table in (
        Table(
            name="org_accounts",
            row="an account: from Organizations, from the export's list, or the primary itself",
            columns=_columns("account_id name alias state export role_arn is_primary is_blocked joined_at observed_at"),
        ),
        Table(
            name="metadata_changes",
            row="one change of one resource: added, changed or removed, as seen by a snapshot",
            columns=_columns(
                "account_id region resource_type resource_id name change observed_at owner_account_id attributes tags "
                "attributes_hash"
            ),
            partition_by=("account_id",),
            statistics=("observed_at",),
        ),
        Table(
            name="metadata_calls",
            row="one API operation in one account and region: outcome, counts, error, when it was last observed",
            columns=_columns(
                "account_id region service operation outcome error_code error_message pages items throttled started_at "
                "ended_at last_observed_at"
            ),
            partition_by=("account_id",),
        ),
        Table(
            name="address_book",
            row="an address in a VPC and who had it from when until when; or a range, a route, a connection of VPCs",
            columns=_columns(
                "kind address vpc_id peer_vpc_id valid_from valid_to since_first_snapshot observed_at attached_at "
                "is_public account_id "
                "account_name region az_id vpc_name subnet_id subnet_name instance_id instance_name eni_id eni_type "
                "eni_entity_type eni_entity_name security_group_ids tags route_table_id prefix_list_id name gateway_id "
                "gateway_type peer_gateway_id forwarding_state"
            ),
        ),
        Table(
            name="flow_logs",
            row="a VPC or transit gateway flow record, all native fields, plus the object it came from",
            columns=(
                *FLOW_COLUMNS.values(),
                *_columns("log_type sample_rate extra_fields export hour source_object"),
            ),
            partition_by=("export", "hour"),
            statistics=("source_object", "start", "end"),
        ),
        Table(
            name="firewall_logs",
            row="a Network Firewall event: a flow, an alert or a TLS inspection",
            columns=_firewall(
                "export hour source_object account_id region firewall_log_type firewall_name availability_zone "
                "event_timestamp timestamp event_type flow_id src_ip src_port dest_ip dest_port proto protocol app_proto "
                "direction icmp_type icmp_code tx_id pkt_src tls_inspected alert_action alert_signature_id alert_rev "
                "alert_gid alert_signature alert_category alert_severity verdict_action netflow_pkts netflow_bytes "
                "netflow_start netflow_end netflow_age netflow_min_ttl netflow_max_ttl netflow_tx_cnt tcp_flags sni "
                "revocation_status revocation_action aws_category alert netflow tcp tls http dns tls_error "
                "revocation_check aws_metadata record"
            ),
            partition_by=("export", "hour"),
            statistics=("source_object", "event_timestamp"),
        ),
        Table(
            name="flow_log_objects",
            row="an S3 object and what became of it: ingested, empty or unreadable",
            columns=_columns(
                "export hour source_object bucket key etag size_bytes posted_at log_type outcome rows rejected_lines "
                "sampled_out error ingested_at run_id"
            ),
            partition_by=("export", "hour"),
            statistics=("source_object", "posted_at"),
        ),
        Table(
            name="rejected_records",
            row="a line that could not be read: object, line number, text, reason",
            columns=_columns("export hour source_object key line_number text reason"),
            partition_by=("export", "hour"),
            statistics=("source_object",),
        ),
        Table(
            name="enriched_flows",
            row="a flow record with both ends resolved to who owned them at that moment",
            columns=(
                *_columns(
                    "export hour log_type start_time end_time src_addr dst_addr src_pkt_addr dst_pkt_addr src_port dst_port"
                ),
                *(FLOW_COLUMNS[name] for name in FLOW_COPIES),
                *_observing(),
                *_end("src", "source"),
                *_end("dst", "destination"),
                *_columns(
                    "gateway_id gateway_type forwarding_state traffic_profile application is_primary_record sample_rate metadata_as_of "
                    "source_object"
                ),
            ),
            partition_by=("export", "hour"),
            statistics=("source_object", "start_time", "end_time", "metadata_as_of"),
        ),
        Table(
            name="cloud_devices",
            row="a VPC, subnet, interface, transit gateway or firewall seen sending logs to an export",
            columns=_columns(
                "export device_id device_name device_type account_id region first_seen_at last_seen_at flows_per_second "
                "stored_flows_per_second status"
            ),
        ),
        Table(
            name="metric_listings",
            row="a CloudWatch series that is collected; one without a metric_name says that the namespace was listed",
            columns=_columns("account_id region namespace listed_as metric_name dimensions listed_at"),
            partition_by=("account_id",),
        ),
        Table(
            name="metric_series",
            row="a CloudWatch datapoint of one metric, one set of dimensions, one statistic",
            columns=_columns(
                "account_id region namespace metric_name dimensions statistic period_seconds timestamp value unit hour "
                "resource_type resource_id"
            ),
            partition_by=("hour",),
            statistics=("account_id", "timestamp"),
        ),
        Table(
            name="deletion_sweep",
            row="an object that was deleted, would be deleted, or could not be",
            columns=_columns("export hour bucket key etag outcome error posted_at swept_at run_id"),
            partition_by=("export", "hour"),
        ),
    )
}
