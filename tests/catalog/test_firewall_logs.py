"""The values of Network Firewall records are columns of the table, with the types of the reference."""

from __future__ import annotations

import csv
from pathlib import Path

import pyarrow as pa

from kentik_dagster.catalog.firewall_logs import ABSENT_AS_HYPHEN, BLOCKS, FIREWALL_FIELDS, HEXADECIMAL
from kentik_dagster.catalog.flow_logs import INSTANT
from kentik_dagster.catalog.tables import TABLES

COLUMNS = {column.name: column.type for column in TABLES["firewall_logs"].columns}
ARROW = {"string": pa.string(), "int32": pa.int32(), "int64": pa.int64(), "bool": pa.bool_()}
INSTANTS = {"timestamp[us, UTC]": INSTANT}
# Instants and numbers, although the reference gives the type that AWS writes.
OURS = {"event_timestamp": INSTANT, "event.tcp.tcp_flags": pa.int32()}


def test_every_value_and_block_is_a_column_of_the_table() -> None:
    assert {field.column: COLUMNS.get(field.column) for field in FIREWALL_FIELDS} == {
        field.column: field.type for field in FIREWALL_FIELDS
    }
    assert {COLUMNS.get(name) for name, _ in BLOCKS} == {pa.string()}


def test_columns_and_paths_are_named_once() -> None:
    columns = [field.column for field in FIREWALL_FIELDS] + [name for name, _ in BLOCKS]
    paths = [path for field in FIREWALL_FIELDS for path in field.paths]

    assert len(set(columns)) == len(columns)
    assert len(set(paths)) == len(paths)


def test_values_have_the_types_of_the_reference(samples: Path) -> None:
    with (samples.parent / "reference" / "flow_log_fields.csv").open(encoding="utf-8", newline="") as file:
        known = {
            row["field"]: row["arrow_type"] for row in csv.DictReader(file) if row["log_type"] == "network_firewall"
        }

    expected = {
        path: OURS.get(path, (ARROW | INSTANTS).get(known[path]))
        for field in FIREWALL_FIELDS
        for path in field.paths
        if path in known
    }

    assert len(expected) > 35
    assert {path: field.type for field in FIREWALL_FIELDS for path in field.paths if path in known} == expected


def test_what_is_written_in_its_own_way_is_a_column_of_a_fitting_type() -> None:
    types = {field.column: field.type for field in FIREWALL_FIELDS}

    assert {types[name] for name in HEXADECIMAL} == {pa.int32()}
    assert {types[name] for name in ABSENT_AS_HYPHEN} == {pa.string()}
