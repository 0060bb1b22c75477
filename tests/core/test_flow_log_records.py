"""Numbers, times, log types and tags mean the same in text and in Parquet."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from kentik_dagster.core.flow_log_records import as_text, flow_rows, read_values


def log_types(**fields: list[str | None]) -> list[str]:
    """The log types of records with these fields, underscores for hyphens."""
    records = pl.DataFrame({name.replace("_", "-"): values for name, values in fields.items()})
    return flow_rows(records)["log_type"].to_list()


def numbers(field: str, values: list[Any], dtype: pl.DataType) -> list[Any]:
    """The numbers that are read from these values; the reason where there is one."""
    records, reason = read_values(pl.DataFrame({field: pl.Series(values, dtype=dtype)}))
    return [
        number if why is None else why for number, why in zip(records[field].to_list(), reason.to_list(), strict=True)
    ]


def test_records_of_a_vpcs_fields_are_a_vpcs() -> None:
    assert log_types(action=["ACCEPT", None], interface_id=[None, None]) == ["vpc", "vpc"]


def test_one_field_of_gateways_makes_all_records_theirs() -> None:
    assert log_types(tgw_id=["tgw-1", None], srcaddr=["192.0.2.1", None]) == ["transit_gateway"] * 2


def test_a_field_of_gateways_that_nobody_knows_yet_tells_as_well() -> None:
    found = log_types(tgw_new=["x", None], interface_id=[None, "eni-0a1"])

    assert found == ["transit_gateway", "vpc"]


def test_the_resource_type_tells_the_families_apart() -> None:
    assert log_types(resource_type=["TransitGateway", "Other", None]) == ["transit_gateway", "vpc", "vpc"]


def test_records_of_both_families_in_one_file_are_told_apart_by_their_values() -> None:
    found = log_types(
        tgw_id=["tgw-1", None, None, None],
        resource_type=[None, None, "TransitGateway", None],
        interface_id=[None, "eni-0a1", None, None],
    )

    assert found == ["transit_gateway", "vpc", "transit_gateway", "transit_gateway"]


@pytest.mark.parametrize(
    ("value", "dtype"),
    [(43, pl.Int8()), (43, pl.UInt64()), (43.0, pl.Float32()), (43.0, pl.Float64()), ("43", pl.String())],
)
def test_a_number_may_come_in_any_type(value: object, dtype: pl.DataType) -> None:
    assert numbers("dstport", [value, None], dtype) == [43, None]


@pytest.mark.parametrize(
    ("value", "dtype", "shown"),
    [
        (-1, pl.Int64(), "-1"),
        (65_536, pl.UInt32(), "65536"),
        (2**64 - 1, pl.UInt64(), "18446744073709551615"),
        (float("nan"), pl.Float64(), "NaN"),
        (float("inf"), pl.Float64(), "inf"),
        (float("-inf"), pl.Float32(), "-inf"),
        (0.5, pl.Float64(), "0.5"),
        (2.0**63, pl.Float64(), "9.223372036854776e+18"),
        ("x", pl.String(), "x"),
        ("", pl.String(), ""),
    ],
)
def test_a_number_that_is_none_is_said_in_the_same_words(value: object, dtype: pl.DataType, shown: str) -> None:
    assert numbers("dstport", [value], dtype) == [f"dstport is '{shown}': not a whole number from 0 to 65535"]


@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
def test_times_of_any_unit_are_instants(unit: Any) -> None:
    per_second = {"ms": 10**3, "us": 10**6, "ns": 10**9}[unit]
    start = pl.Series("start", [1_700_000_000 * per_second, 0, None]).cast(pl.Datetime(unit, "UTC"))

    records, reason = read_values(start.to_frame())

    assert reason.null_count() == 3
    assert records["start"].dtype == pl.Datetime("us", "UTC")
    assert records["start"].dt.epoch("s").to_list() == [1_700_000_000, 0, None]


@pytest.mark.parametrize(
    ("count", "unit", "shown"),
    [
        (-1, "us", "-1 us after 1970"),
        (10**18, "us", "1000000000000000000 us after 1970"),
        (2**63 - 1, "ms", "9223372036854775807 ms after 1970"),
        (1_700_000_000_000_000_001, "ns", "2023-11-14T22:13:20.000000001Z"),
    ],
)
def test_a_time_that_no_record_can_have_is_said(count: int, unit: Any, shown: str) -> None:
    start = pl.Series("start", [count]).cast(pl.Datetime(unit, "UTC"))

    _, reason = read_values(start.to_frame())

    assert reason.to_list() == [f"start is '{shown}': not a time from 1970 to 2100 in whole microseconds"]


def test_what_is_wrong_is_said_also_where_the_first_chunk_is_empty() -> None:
    good, bad = (pl.DataFrame({"start": [count] * 20}, schema={"start": pl.Datetime("us", "UTC")}) for count in (1, -1))
    chunks = pl.concat([good, bad], rechunk=False).filter(pl.Series([False] * 20 + [True] * 20))

    _, reason = read_values(chunks)

    assert as_text(chunks["start"]).to_list() == ["-1 us after 1970"] * 20
    assert reason.null_count() == 0


def test_unknown_fields_may_have_any_name() -> None:
    rows = flow_rows(pl.DataFrame({"action": ["ACCEPT"], "*": ["a"], "^.*$": ["b"], "": ["c"]}))

    assert rows["extra_fields"].to_list() == [{"*": "a", "^.*$": "b", "": "c"}]


def test_a_float_just_too_large_for_a_number_is_none() -> None:
    found = numbers("bytes", [2.0**63, 2.0**62], pl.Float64())

    assert found == ["bytes is '9.223372036854776e+18': not a whole number from 0 to 9223372036854775807", 2**62]
