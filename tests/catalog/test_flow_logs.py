"""The catalog of flow fields agrees with the reference that was written from AWS's documents."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import pyarrow as pa
import pytest

from kentik_dagster.catalog.flow_logs import (
    FLOW_FIELDS,
    INSTANT,
    LARGEST_VALUE,
    TRANSIT_GATEWAY_DEFAULT_FORMAT,
    VPC_DEFAULT_FORMAT,
    FlowField,
)

_REFERENCE = Path(os.environ.get("KENTIK_DAGSTER_REFERENCE") or Path(__file__).parents[3] / "shared" / "reference")


def described(log_type: str) -> list[dict[str, str]]:
    """The reference's rows of one family: `vpc` or `tgw`."""
    path = _REFERENCE / "flow_log_fields.csv"
    if not path.is_file():
        pytest.skip(f"no reference at {path}; name its folder in KENTIK_DAGSTER_REFERENCE")
    with path.open(encoding="utf-8", newline="") as text:
        return [row for row in csv.DictReader(text) if row["log_type"] == log_type]


def version(field: FlowField, log_type: str) -> int | None:
    return field.vpc if log_type == "vpc" else field.tgw


def arrow_type(row: dict[str, str]) -> pa.DataType:
    if row["field"] in ("start", "end"):
        return INSTANT
    return {"int32": pa.int32(), "int64": pa.int64(), "string": pa.string()}[row["arrow_type"]]


families = pytest.mark.parametrize("log_type", ["vpc", "tgw"])


@families
def test_every_field_of_aws_is_there_with_the_version_that_brought_it(log_type: str) -> None:
    expected = {row["field"]: int(row["version"]) for row in described(log_type)}

    ours = {field.name: version(field, log_type) for field in FLOW_FIELDS if version(field, log_type) is not None}

    assert ours == expected


@families
def test_every_field_has_the_name_and_the_type_of_its_parquet_column(log_type: str) -> None:
    expected = {row["field"]: (row["parquet_field"], arrow_type(row)) for row in described(log_type)}

    ours = {field.name: (field.column, field.type) for field in FLOW_FIELDS if version(field, log_type) is not None}

    assert ours == expected


@pytest.mark.parametrize(("log_type", "layout"), [("vpc", VPC_DEFAULT_FORMAT), ("tgw", TRANSIT_GATEWAY_DEFAULT_FORMAT)])
def test_the_default_formats_are_in_the_order_of_aws(log_type: str, layout: tuple[str, ...]) -> None:
    ordered = sorted((int(row["default_order"]), row["field"]) for row in described(log_type) if row["default_order"])

    assert list(layout) == [field for _, field in ordered]


def test_no_field_and_no_column_stands_there_twice() -> None:
    assert len({field.name for field in FLOW_FIELDS}) == len(FLOW_FIELDS)
    assert len({field.column for field in FLOW_FIELDS}) == len(FLOW_FIELDS)


def test_every_field_belongs_to_a_family_and_says_what_it_means() -> None:
    assert [field.name for field in FLOW_FIELDS if field.vpc is None and field.tgw is None] == []
    assert [field.name for field in FLOW_FIELDS if not field.meaning] == []


def test_bounds_are_set_for_number_columns_only() -> None:
    numbers = {field.column for field in FLOW_FIELDS if field.type in (pa.int32(), pa.int64())}

    assert LARGEST_VALUE.keys() <= numbers
