"""Every row of a Parquet object is a row or a rejected one; what a column cannot mean is said."""

from __future__ import annotations

import gzip
import io
import json
from datetime import UTC, date, datetime
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pyarrow.parquet.encryption as pe
import pytest

from kentik_dagster.core.flow_log_parquet import parquet_parts
from kentik_dagster.core.parsed import Parsed
from kentik_dagster.errors import UnreadableObjectError


def written(columns: dict[str, Any], **options: Any) -> bytes:
    """A Parquet object with these columns."""
    file = io.BytesIO()
    pq.write_table(pa.table(columns), file, **options)
    return file.getvalue()


def parts(content: bytes, largest_bytes: int = 10**9) -> list[Parsed]:
    return list(parquet_parts(content, largest_bytes=largest_bytes))


def parsed(**columns: Any) -> Parsed:
    """What an object with these columns gives, in its only part."""
    (part,) = parts(written(columns))
    return part


def damage(part: Parsed) -> list[tuple[int, str]]:
    """The numbers and reasons of the rows that were rejected."""
    return list(part.rejected.select("line_number", "reason").iter_rows())


def test_null_numbers_and_dashes_are_null() -> None:
    part = parsed(account_id=["111122223333", "-"], dstport=pa.array([443, None], pa.int32()))

    assert part.rows.select("account_id", "dstport").rows() == [("111122223333", 443), (None, None)]
    assert part.rejected.is_empty()


def test_the_layout_comes_from_the_names_of_the_columns() -> None:
    part = parsed(version=[2], dstport=[443], **{"pkt-srcaddr": ["192.0.2.1"]})

    assert part.layout == ("version", "dstport", "pkt-srcaddr")
    assert part.rows.select("version", "dstport", "pkt_srcaddr").rows() == [(2, 443, "192.0.2.1")]


@pytest.mark.parametrize(
    "text", [pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int32(), pa.string())]
)
def test_text_may_come_in_any_type_of_text(text: pa.DataType) -> None:
    part = parsed(action=pa.array(["ACCEPT", "None", None, "-"], text), bytes=pa.array(["5", "-", "None", None], text))

    assert part.rows.select("action", "bytes").rows() == [("ACCEPT", 5), (None, None), (None, None), (None, None)]


def test_a_column_without_any_value_may_have_no_type() -> None:
    part = parsed(action=["ACCEPT"], bytes=pa.nulls(1), start=pa.nulls(1), region=pa.nulls(1), other=pa.nulls(1))

    assert part.rows.select("action", "bytes", "start", "region").rows() == [("ACCEPT", None, None, None)]
    assert part.rows["extra_fields"].to_list() == [{}]


@pytest.mark.parametrize("zone", ["UTC", "Europe/Zurich", "+02:00", "Mars/Olympus"])
@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
def test_times_with_a_zone_are_instants(unit: str, zone: str) -> None:
    per_second = {"ms": 10**3, "us": 10**6, "ns": 10**9}[unit]

    part = parsed(start=pa.array([1_700_000_000 * per_second, None], pa.int64()).view(pa.timestamp(unit, zone)))

    assert part.rows["start"].to_list() == [datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC), None]


def test_a_time_finer_than_a_microsecond_is_rejected() -> None:
    part = parsed(start=pa.array([1_700_000_000_000_001_000, 1_700_000_000_000_000_001], pa.timestamp("ns", "UTC")))

    assert part.rows.height == 1
    assert damage(part) == [
        (2, "start is '2023-11-14T22:13:20.000000001Z': not a time from 1970 to 2100 in whole microseconds")
    ]


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        ("start", pa.array([0], pa.timestamp("us")), r"column start is timestamp\[us\] without a time zone"),
        ("srcaddr", [1], "column srcaddr is int64. Text is needed: write the column as such"),
        ("account_id", [1.0], "column account_id is double"),
        ("action", [True], "column action is bool"),
        ("region", [b"us-east-1"], "column region is binary"),
        ("vpc_id", [["vpc-1"]], r"column vpc_id is list<element: string>"),
        ("az-id", [{"a": "b"}], r"column az-id is struct<a: string>"),
        ("subnet_id", pa.array([0], pa.timestamp("us", "UTC")), r"column subnet_id is timestamp\[us, tz=UTC\]"),
        ("bytes", [True], "column bytes is bool. A whole number is needed"),
        ("dstport", pa.array([0], pa.timestamp("us", "UTC")), r"column dstport is timestamp\[us, tz=UTC\]"),
        ("end", [date(2026, 1, 1)], "column end is date32.*whole seconds since 1970"),
        ("packets", [[1]], "column packets is list<element: int64>"),
    ],
)
def test_a_column_of_another_type_is_named(column: str, values: Any, message: str) -> None:
    with pytest.raises(UnreadableObjectError, match=message):
        parts(written({"version": [2], column: values}))


def test_columns_that_the_catalog_lacks_are_kept_as_text() -> None:
    part = parsed(
        action=["ACCEPT", "REJECT"],
        new_field=["a", "-"],
        count=[1, None],
        is_late=[True, None],
        share=[0.5, None],
        day=[date(2026, 1, 1), None],
        seen=pa.array([0, None], pa.timestamp("us", "UTC")),
        raw=[b"a\xff", None],
        nested=[{"a": [1, None], "b": "ä"}, None],
    )

    assert part.rows["extra_fields"].to_list() == [
        {
            "new-field": "a",
            "count": "1",
            "is-late": "true",
            "share": "0.5",
            "day": "2026-01-01",
            "seen": "1970-01-01 00:00:00.000000Z",
            "raw": "a\\xff",
            "nested": '{"a": [1, null], "b": "ä"}',
        },
        {},
    ]


def test_text_that_is_no_utf_8_is_kept_as_in_text_files() -> None:
    values = pa.array([b"a\xff", b"b", None]).view(pa.string())

    part = parsed(interface_id=values, bytes=[1, 2, 3])

    assert part.rows["interface_id"].to_list() == ["a\\xff", "b", None]


def test_rows_with_a_number_that_is_none_are_kept_as_json_with_their_number() -> None:
    part = parsed(srcaddr=["192.0.2.1", "192.0.2.2", "-"], dstport=[443, -1, 65_536], share=[0.5, 0.25, float("nan")])

    assert part.rows["srcaddr"].to_list() == ["192.0.2.1"]
    assert damage(part) == [
        (2, "dstport is '-1': not a whole number from 0 to 65535"),
        (3, "dstport is '65536': not a whole number from 0 to 65535"),
    ]
    assert [json.loads(text) for text in part.rejected["text"]] == [
        {"srcaddr": "192.0.2.2", "dstport": -1, "share": "0.25"},
        {"srcaddr": None, "dstport": 65_536, "share": "nan"},
    ]


def test_floats_are_numbers_where_they_are_whole() -> None:
    part = parsed(bytes=[5.0, 0.5, float("nan"), float("inf"), None])

    assert part.rows["bytes"].to_list() == [5, None]
    assert part.rejected["line_number"].to_list() == [2, 3, 4]
    assert [json.loads(text)["bytes"] for text in part.rejected["text"]] == [0.5, "nan", "inf"]


def test_values_of_tags_are_decoded() -> None:
    part = parsed(instance_tag=["a%20b", "%ff", "-"])

    assert part.rows["instance_tag"].to_list() == ["a b", "%ff", None]


def test_rows_of_both_families_are_told_apart() -> None:
    part = parsed(tgw_id=["tgw-1", None], interface_id=["-", "eni-0a1"])

    assert part.rows["log_type"].to_list() == ["transit_gateway", "vpc"]


@pytest.mark.parametrize("rows_of_a_group", [1_000, 70_000, 250_000])
def test_a_large_object_comes_in_parts_with_row_numbers_of_the_whole(rows_of_a_group: int) -> None:
    ports = [443] * 250_000
    ports[0] = ports[99_999] = ports[100_000] = ports[249_999] = -1

    found = parts(written({"dstport": ports, "action": ["ACCEPT"] * 250_000}, row_group_size=rows_of_a_group))

    assert max(part.lines for part in found) <= 100_000
    assert len(found) <= 6
    assert sum(part.lines for part in found) == 250_000
    assert sum(part.rows.height for part in found) == 249_996
    assert [number for part in found for number, _ in damage(part)] == [1, 100_000, 100_001, 250_000]


def test_a_small_file_that_repeats_a_large_text_comes_in_small_parts() -> None:
    repeated = pa.DictionaryArray.from_arrays(pa.array([0] * 20_000, pa.int32()), ["x" * 50_000])

    found = parts(written({"srcaddr": repeated}))

    assert sum(part.rows.height for part in found) == 20_000
    assert max(part.lines for part in found) * 50_000 <= 256 * 2**20


def test_an_object_that_is_larger_than_allowed_is_not_read() -> None:
    content = written({"bytes": list(range(10_000))}, compression="zstd", row_group_size=1_000)

    with pytest.raises(
        UnreadableObjectError, match=r"bytes without compression, and `largest_object_bytes` allows 9,000"
    ):
        parquet_parts(content, largest_bytes=9_000)


def test_an_object_without_rows_gives_none() -> None:
    assert parts(written({"version": pa.array([], pa.int32()), "srcaddr": pa.array([], pa.string())})) == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no whole Parquet file"),
        (b"PAR1", "no whole Parquet file"),
        (b"version bytes\n2 5\n", "no whole Parquet file"),
        (b"PAR1" + b"\xff" * 100 + b"PAR1", "no whole Parquet file"),
        (gzip.compress(b"version bytes\n2 5\n"), "the object is gzip"),
        (written({"version": [2]})[:-9], "no whole Parquet file"),
        (written({"version": [2]})[40:], "no whole Parquet file"),
        (
            written({"version": [2], "other": [1]}, store_schema=False).replace(b"other", b"othe\xc3"),
            "no whole Parquet",
        ),
    ],
    ids=["nothing", "magic", "text", "noise", "gzip", "no end", "no beginning", "damaged footer"],
)
def test_what_is_no_parquet_is_said(content: bytes, message: str) -> None:
    with pytest.raises(UnreadableObjectError, match=message):
        parts(content)


class _OpenKms(pe.KmsClient):  # type: ignore[misc]
    """Keys that anybody could read."""

    def wrap_key(self, key_bytes: bytes, master_key_identifier: str) -> bytes:
        return key_bytes.hex().encode()

    def unwrap_key(self, wrapped_key: bytes, master_key_identifier: str) -> bytes:
        return bytes.fromhex(wrapped_key.decode())


@pytest.mark.parametrize("plaintext_footer", [False, True])
def test_an_encrypted_object_is_said_to_be_so(plaintext_footer: bool) -> None:
    keys = pe.EncryptionConfiguration("footer", column_keys={"column": ["bytes"]}, plaintext_footer=plaintext_footer)
    properties = pe.CryptoFactory(lambda _: _OpenKms()).file_encryption_properties(pe.KmsConnectionConfig(), keys)
    content = written({"bytes": [5]}, encryption_properties=properties)

    with pytest.raises(UnreadableObjectError, match="the Parquet file is encrypted"):
        parts(content)


def test_a_file_that_names_no_field_is_said_to_be_none_of_ours() -> None:
    with pytest.raises(UnreadableObjectError, match="no column is a field of flow logs: the file has user, amount"):
        parts(written({"user": ["a"], "amount": [1]}))


def test_a_field_that_two_columns_name_is_guessed_from_neither() -> None:
    with pytest.raises(UnreadableObjectError, match="name account-id twice"):
        parts(written({"account_id": ["1"], "account-id": ["2"]}))
