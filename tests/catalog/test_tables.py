"""The tables have the columns that others rely on, and a column means the same wherever it stands."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import pyarrow as pa
import pytest

from kentik_dagster.catalog.columns import COLUMNS, FLOW_COLUMNS
from kentik_dagster.catalog.flow_logs import FLOW_FIELDS, INSTANT
from kentik_dagster.catalog.tables import TABLES, Table

# "Columns others rely on" of design.md. A name that goes, or changes, breaks somebody's query.
CONTRACT = {
    "flow_logs": "extra_fields log_type export hour source_object",
    "flow_log_objects": """
        export hour source_object bucket key etag size_bytes posted_at log_type outcome rows rejected_lines error
        ingested_at run_id""",
    "firewall_logs": """
        export hour source_object account_id region firewall_log_type firewall_name event_timestamp timestamp event_type
        flow_id src_ip src_port dest_ip dest_port proto protocol alert_action alert_signature_id verdict_action
        netflow_pkts netflow_bytes netflow_start netflow_end sni record""",
    "rejected_records": "source_object line_number text reason",
    "enriched_flows": """
        export hour log_type start_time end_time src_addr dst_addr src_port dst_port protocol packets bytes action
        log_status tcp_flags flow_direction traffic_path gateway_id gateway_type traffic_profile application
        is_primary_record sample_rate metadata_as_of source_object""",
    "metadata_changes": """
        account_id region resource_type resource_id name change observed_at owner_account_id attributes tags
        attributes_hash""",
    "metadata_calls": """
        account_id region service operation outcome error_code error_message pages items started_at ended_at
        last_observed_at""",
    "org_accounts": "account_id name alias state export role_arn is_primary is_blocked joined_at observed_at",
    "metric_series": """
        account_id region namespace metric_name dimensions statistic period_seconds timestamp value unit""",
    "deletion_sweep": "export hour bucket key etag outcome error posted_at swept_at run_id",
    "cloud_devices": """
        export device_id device_name device_type account_id region first_seen_at last_seen_at flows_per_second
        status""",
}
# Suricata's numbers, named as it names them.
NUMBERED = {"flow_id", "tx_id", "alert_signature_id"}
OBSERVING = "account_id region az_id vpc_id subnet_id eni_id instance_id"
END = """
    account_id account_name region az_id vpc_id vpc_name subnet_id subnet_name instance_id instance_name eni_id
    eni_type eni_entity_name security_group_ids aws_service resolution"""


def lacking(table: str, names: str, prefix: str = "") -> list[str]:
    """Which of the names, each with the prefix, are no columns of the table."""
    there = {column.name for column in TABLES[table].columns}
    return [prefix + name for name in names.split() if prefix + name not in there]


all_tables = pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)


@pytest.mark.parametrize("table", CONTRACT)
def test_the_columns_that_others_rely_on_are_there(table: str) -> None:
    if table not in TABLES:
        pytest.skip(f"this release keeps no table {table}")

    assert lacking(table, CONTRACT[table]) == []


@pytest.mark.parametrize(("prefix", "names"), [("observing_", OBSERVING), ("src_", END), ("dst_", END)])
def test_a_flow_says_the_same_of_both_ends_and_of_where_it_was_recorded(prefix: str, names: str) -> None:
    assert lacking("enriched_flows", names, prefix) == []


def test_every_field_of_a_flow_log_is_a_column_with_its_type() -> None:
    columns = {column.name: column.type for column in TABLES["flow_logs"].columns}

    assert {field.column: columns.get(field.column) for field in FLOW_FIELDS} == {
        field.column: field.type for field in FLOW_FIELDS
    }


def test_the_schemas_are_those_that_were_reviewed() -> None:
    # A table of another schema is refused, so a difference here is a migration: CHANGELOG.md has to tell it.
    lines = [f"{name}.{column.name} {column.type}" for name, table in TABLES.items() for column in table.columns]

    assert "\n".join(lines) + "\n" == Path(__file__).with_name("schemas.txt").read_text(encoding="utf-8")


@all_tables
def test_a_table_has_no_column_twice(table: Table) -> None:
    names = [column.name for column in table.columns]

    assert len(set(names)) == len(names)


def test_a_column_of_two_tables_has_one_type_and_one_unit() -> None:
    definitions = defaultdict(set)
    for table in TABLES.values():
        for column in table.columns:
            definitions[column.name].add((str(column.type), column.unit))

    assert {name: found for name, found in definitions.items() if len(found) > 1} == {}


def test_a_flow_field_and_a_column_of_one_name_have_one_type() -> None:
    both = COLUMNS.keys() & FLOW_COLUMNS.keys()

    assert "account_id" in both
    assert [name for name in both if COLUMNS[name].type != FLOW_COLUMNS[name].type] == []


@all_tables
def test_a_table_is_laid_out_by_columns_of_its_own(table: Table) -> None:
    names = {column.name for column in table.columns}

    assert set(table.partition_by) <= names
    assert set(table.statistics) <= names
    assert not set(table.partition_by) & set(table.statistics)


@all_tables
def test_folders_are_named_by_text(table: Table) -> None:
    types = {column.name: column.type for column in table.columns}

    assert [name for name in table.partition_by if types[name] != pa.string()] == []


@all_tables
def test_names_tell_instants_and_identifiers(table: Table) -> None:
    assert [column.name for column in table.columns if column.name.endswith("_at") and column.type != INSTANT] == []
    assert [
        column.name
        for column in table.columns
        if column.name.endswith("_id") and column.name not in NUMBERED and column.type != pa.string()
    ] == []
    assert [
        column.name for column in table.columns if column.name.startswith("is_") and column.type != pa.bool_()
    ] == []


@all_tables
def test_every_table_and_column_says_what_it_is(table: Table) -> None:
    assert table.row
    assert [column.name for column in table.columns if not column.meaning] == []


def test_a_table_is_found_by_its_own_name() -> None:
    assert [name for name, table in TABLES.items() if table.name != name] == []
