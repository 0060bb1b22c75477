"""Which columns a column is made from: the lineage that the Dagster UI shows column by column."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from kentik_dagster.catalog.tables import END_COLUMNS, FLOW_COPIES, OBSERVING_COLUMNS, PLACE_COLUMNS

Source = tuple[str, str]  # table, column
Sources = dict[str, tuple[Source, ...]]
_NETFLOW = {"protocol": "proto", "packets": "netflow_pkts", "bytes": "netflow_bytes", "tcp_flags": "tcp_flags"}
_OBSERVED = {"vpc_id": "vpc_id", "subnet_id": "subnet_id", "eni_id": "interface_id", "instance_id": "instance_id",
             "account_id": "account_id", "region": "region", "az_id": "az_id"}  # fmt: skip


def _of(table: str, columns: str) -> tuple[Source, ...]:
    return tuple((table, column) for column in columns.split())


def _same(table: str, columns: Iterable[str]) -> Sources:
    return {column: ((table, column),) for column in columns}


def _end(side: str, event: str) -> Sources:
    """An end is asked for by its address and the time, in the network where the record was made."""
    address = (*_of("flow_logs", f"{side}addr pkt_{side}addr"), *_of("firewall_logs", f"{event}_ip"))
    asked = (*address, *_of("flow_logs", "start"))
    # These stand in an event of every run: what they are asked by is said once, of `resolution`.
    made: Sources = {
        f"{side}_{column}": (*_of("flow_logs", f"{side}addr"), ("address_book", column)) for column in END_COLUMNS
    }
    made |= {f"{side}_{column}": address for column in PLACE_COLUMNS}
    made[f"{side}_aws_service"] = (*_of("flow_logs", f"pkt_{side}_aws_service"), *_of("address_book", "name"))
    made[f"{side}_resolution"] = (*asked, *_of("address_book", "address vpc_id valid_from valid_to"))
    return made


def _enriched() -> Sources:
    made: Sources = {
        name: (("flow_logs", name), ("firewall_logs", name)) for name in ("export", "hour", "source_object")
    }
    made |= _same("flow_logs", ("log_type", "sample_rate", *FLOW_COPIES))
    for name, event in _NETFLOW.items():
        made[name] = (*made[name], ("firewall_logs", event))
    made |= {
        "start_time": (("flow_logs", "start"), ("firewall_logs", "netflow_start")),
        "end_time": (("flow_logs", "end"), ("firewall_logs", "netflow_end")),
        "src_addr": (("flow_logs", "srcaddr"), ("firewall_logs", "src_ip")),
        "dst_addr": (("flow_logs", "dstaddr"), ("firewall_logs", "dest_ip")),
        "src_pkt_addr": _of("flow_logs", "pkt_srcaddr"),
        "dst_pkt_addr": _of("flow_logs", "pkt_dstaddr"),
        "src_port": (("flow_logs", "srcport"), ("firewall_logs", "src_port")),
        "dst_port": (("flow_logs", "dstport"), ("firewall_logs", "dest_port")),
    }
    for column in OBSERVING_COLUMNS:
        made[f"observing_{column}"] = (("flow_logs", _OBSERVED[column]), ("address_book", column))
    made |= _end("src", "src") | _end("dst", "dest")
    ends = _of("address_book", "kind address vpc_id")
    made |= {
        "gateway_id": _of("address_book", "gateway_id route_table_id address"),
        "gateway_type": _of("address_book", "gateway_type"),
        "forwarding_state": _of("address_book", "forwarding_state"),
        "traffic_profile": (*_of("flow_logs", "srcaddr dstaddr"), *ends),
        "application": (*_of("flow_logs", "protocol srcport dstport"), *_of("firewall_logs", "app_proto")),
        "is_primary_record": (*_of("flow_logs", "log_type interface_id flow_direction"), *_of("address_book", "eni_id eni_type")),
        "metadata_as_of": _of("address_book", "observed_at"),
    }  # fmt: skip
    return made


def _address_book() -> Sources:
    changes = _of("metadata_changes", "resource_type resource_id attributes")
    columns = (
        "kind address vpc_id peer_vpc_id is_public region az_id subnet_id instance_id eni_id eni_type eni_entity_type "
        "eni_entity_name security_group_ids route_table_id prefix_list_id gateway_id gateway_type peer_gateway_id "
        "forwarding_state attached_at"
    )
    made = dict.fromkeys(columns.split(), changes)
    made |= {name: _of("metadata_changes", "name") for name in ("name", "vpc_name", "subnet_name", "instance_name")}
    made |= {name: _of("metadata_changes", "observed_at change") for name in ("valid_from", "valid_to", "observed_at",
             "since_first_snapshot")}  # fmt: skip
    made["valid_from"] = (*made["valid_from"], *_of("metadata_changes", "attributes"))
    made["region"] = _of("metadata_changes", "region")
    made["tags"] = _of("metadata_changes", "tags")
    made["account_id"] = _of("metadata_changes", "account_id owner_account_id")
    made["account_name"] = _of("org_accounts", "account_id name alias")
    return made


def _devices() -> Sources:
    sent = _of("flow_logs", "vpc_id subnet_id interface_id tgw_id account_id region")
    named = _of("address_book", "vpc_id vpc_name subnet_id subnet_name eni_id eni_entity_name account_id region")
    seen = (*_of("flow_logs", "hour start end"), *_of("firewall_logs", "hour event_timestamp"))
    return {
        "export": (("flow_logs", "export"), ("firewall_logs", "export")),
        **{name: (*sent, *_of("firewall_logs", "firewall_name"), *named)
           for name in ("device_id", "device_name", "device_type", "account_id", "region")},
        **dict.fromkeys(("first_seen_at", "last_seen_at", "status", "stored_flows_per_second"), seen),
        "flows_per_second": (*seen, *_of("flow_logs", "sample_rate")),
    }  # fmt: skip


def _metric_series() -> Sources:
    listed = ("account_id", "region", "namespace", "metric_name", "dimensions")
    return {
        **_same("metric_listings", listed),
        "resource_type": (("metric_listings", "dimensions"), ("metadata_changes", "resource_type")),
        "resource_id": (("metric_listings", "dimensions"), ("metadata_changes", "resource_id")),
    }


LINEAGE: Mapping[str, Sources] = MappingProxyType({
    "metadata_changes": _same("org_accounts", ["account_id"]),
    "metadata_calls": _same("org_accounts", ["account_id"]),
    "metric_listings": _same("org_accounts", ["account_id"]),
    "address_book": _address_book(),
    "enriched_flows": _enriched(),
    "cloud_devices": _devices(),
    "metric_series": _metric_series(),
    "deletion_sweep": _same("flow_log_objects", ("export", "hour", "bucket", "key", "etag", "posted_at")),
})  # fmt: skip
"""For each table that is made from other tables, its columns and what they are made from; a column that is not there
comes from AWS or from the run."""
